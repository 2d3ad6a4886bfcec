"""Pictures the demo draws: a page of music and a screenshot of a playlist."""

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

PAPER, INK = (246, 241, 228), (28, 26, 24)
LINE_GAP = 14
"""Distance of two staff lines, pixels; a step of the scale is half of it."""

# Beethoven, Ode to Joy in G: (steps above the lowest line of a treble staff, quarters)
_OPENING = ((4, 1.0), (4, 1.0), (5, 1.0), (6, 1.0), (6, 1.0), (5, 1.0), (4, 1.0), (3, 1.0), (2, 1.0), (2, 1.0))
MELODY = (
    *(*_OPENING, (3, 1.0), (4, 1.0), (4, 1.5), (3, 0.5), (3, 2.0)),
    *(*_OPENING, (3, 1.0), (4, 1.0), (3, 1.5), (2, 0.5), (2, 2.0)),
)
QUARTERS_PER_BAR, BARS_PER_STAFF = 4, 4

PLAYLIST = (
    ("Mazurka in C-sharp minor", "Frederic Chopin"),
    ("Sonata in C major, K. 545", "Wolfgang Amadeus Mozart"),
    ("Prelude in C major", "Johann Sebastian Bach"),
    ("Maple Leaf Rag", "Scott Joplin"),
    ("Aloha Oe", "Queen Liliuokalani"),
    ("String Quartet in B-flat major", "Joseph Haydn"),
    ("Der Lindenbaum", "Franz Schubert"),
    ("Concertino for Clarinet", "Carl Maria von Weber"),
)


def draw_score(file: Path) -> None:
    """Two staves of a melody as a slightly turned photo of a page, JPEG 1240x820."""
    page = Image.new("RGB", (1240, 820), PAPER)
    pen = ImageDraw.Draw(page)
    pen.text((620, 60), "Ode to Joy", INK, ImageFont.load_default(46), anchor="mt")
    pen.text((1140, 120), "L. van Beethoven", INK, ImageFont.load_default(24), anchor="rt")
    for number, bars in enumerate(_staves()):
        _draw_staff(pen, 230 + 280 * number, bars)
    page.rotate(1.3, Image.Resampling.BICUBIC, fillcolor=(214, 208, 194)).save(file, "JPEG", quality=88)


def draw_playlist(file: Path) -> None:
    """A playlist in a dark theme as a phone shows it, PNG 1080x1920."""
    screen = Image.new("RGB", (1080, 1920), (18, 18, 22))
    pen = ImageDraw.Draw(screen)
    pen.rectangle((60, 130, 360, 430), fill=(120, 62, 52))
    pen.text((400, 170), "Quiet evening", (245, 245, 245), ImageFont.load_default(64))
    pen.text((400, 270), f"{len(PLAYLIST)} songs", (160, 160, 165), ImageFont.load_default(36))
    for row, (title, artist) in enumerate(PLAYLIST):
        top = 520 + 165 * row
        pen.text((70, top + 30), str(row + 1), (130, 130, 135), ImageFont.load_default(40))
        pen.text((160, top), title, (240, 240, 240), ImageFont.load_default(46))
        pen.text((160, top + 66), artist, (150, 150, 155), ImageFont.load_default(34))
        pen.line((160, top + 135, 1020, top + 135), fill=(44, 44, 50), width=2)
    screen.save(file, "PNG")


def _staves() -> list[list[list[tuple[int, float]]]]:
    """The melody as staves of bars of notes."""
    bars: list[list[tuple[int, float]]] = [[]]
    for note in MELODY:
        if sum(length for _, length in bars[-1]) >= QUARTERS_PER_BAR:
            bars.append([])
        bars[-1].append(note)
    return [bars[first : first + BARS_PER_STAFF] for first in range(0, len(bars), BARS_PER_STAFF)]


def _draw_staff(pen: ImageDraw.ImageDraw, top: int, bars: list[list[tuple[int, float]]]) -> None:
    left, right = 100, 1140
    bottom = top + 4 * LINE_GAP
    for line in range(5):
        pen.line((left, top + line * LINE_GAP, right, top + line * LINE_GAP), fill=INK, width=2)
    width = (right - left) / BARS_PER_STAFF
    for number, notes in enumerate(bars):
        start = left + number * width
        pen.line((start + width, top, start + width, bottom), fill=INK, width=2)
        at = 0.0
        for step, quarters in notes:
            x = start + 30 + at / QUARTERS_PER_BAR * (width - 40)
            _draw_note(pen, x, bottom - step * LINE_GAP / 2, quarters)
            at += quarters


def _draw_note(pen: ImageDraw.ImageDraw, x: float, y: float, quarters: float) -> None:
    head = (x - 9, y - 7, x + 9, y + 7)
    pen.ellipse(head, fill=PAPER if quarters >= 2 else INK, outline=INK, width=3)
    pen.line((x + 8, y, x + 8, y - 50), fill=INK, width=3)
    if quarters < 1:
        pen.line((x + 8, y - 50, x + 20, y - 30), fill=INK, width=4)
    if quarters == 1.5:
        pen.ellipse((x + 15, y - 3, x + 21, y + 3), fill=INK)
