"""Honest files with bits turned at random."""

from __future__ import annotations

from tests.media import make_hostile as make
from tests.media.make_hostile import Case
from tests.media.odd_pictures import flipped
from tests.media.odd_sounds import flac, ogg, plain_wave, song
from tests.media.odd_videos import mp4
from tests.media.verdicts import ANY

_SOURCES = {
    "mp4": ("video", mp4),
    "mkv": ("video", lambda: make.clip(1.0, container="matroska")),
    "ts": ("video", lambda: make.clip(1.0, container="mpegts")),
    "mp3": ("audio", song),
    "flac": ("audio", flac),
    "ogg": ("audio", ogg),
    "wav": ("audio", plain_wave),
    "png": ("picture", lambda: make.picture("PNG")),
    "jpg": ("picture", lambda: make.picture("JPEG")),
    "gif": ("picture", lambda: make.animation("GIF", 5)),
    "webp": ("picture", lambda: make.animation("WEBP", 5)),
    "heic": ("picture", make.heic),
}

FAMILIES: dict[str, list[Case]] = {
    "bits turned at random": [
        # its table of streams changes in the middle
        Case("stream-begins-late.ts", "video", ANY, lambda: flipped(_SOURCES["ts"][1](), 23, 0.02, 16)),
        *(
            Case(f"flipped-{seed}.{name}", kind, ANY, lambda make_it=make_it, seed=seed: flipped(make_it(), seed))
            for name, (kind, make_it) in _SOURCES.items()
            for seed in (1, 2, 3)
        ),
    ]
}
