"""What media moderation finds and what it stops wrongly, by reason: ``python -m tests.bench.moderation_reasons``.

Each reason has its own material: recordings and pictures that are made here, pictures that packages ship, sentences
written by hand (``tests.bench.text_moderation``), films of known faces (``tests.bench.media_people``).
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from features.objects import open_objects
from features.ports import ObjectStore
from models.content_moderation import Rules
from models.media.analysis import MediaAnalyser
from models.nsfw import NsfwScorer
from models.text_embedding import TextEncoder
from models.text_moderation import CATEGORIES, CLEAN, TextModerator
from tests.bench.appearing.cast import members, same_photographs, strangers
from tests.bench.appearing.cost import Row
from tests.bench.appearing.films import Condition, Plain, casts, named, shot
from tests.bench.media_people import LARGE
from tests.bench.reasons.pictures import SKIN_SHARE, clean, skin_share
from tests.bench.reasons.recordings import SMALL_BYTES, Recording, codes_of, quiet_ones, short_ones
from tests.bench.report import Figure, Report, Table
from tests.bench.text_moderation import cases, share

FACE_SIDE = 64
WORST = 6
COLUMNS = ("reason", "cases", "others", "recall", "precision", "others stopped", "baseline", "its recall",
           "its precision", "others it stops")  # fmt: skip


@dataclass(frozen=True)
class Trial:
    """One case of one reason.

    Attributes:
        name: For tables.
        is_so: Whether the reason holds.
        said: Whether moderation says so.
        plain: Whether the baseline says so.
    """

    name: str
    is_so: bool
    said: bool
    plain: bool


def line(reason: str, trials: Sequence[Trial], baseline: str) -> Row:
    """Cells of one reason."""
    bad = [each for each in trials if each.is_so]
    good = [each for each in trials if not each.is_so]
    cells: Row = [reason, len(bad), len(good)]
    for way in ("said", "plain"):
        hits, wrong = (sum(getattr(each, way) for each in some) for some in (bad, good))
        cells += [share(hits, len(bad)), share(hits, hits + wrong), share(wrong, len(good))]
        if way == "said":
            cells.append(baseline)
    return cells


async def recorded(
    recordings: Sequence[Recording], code: str, objects: ObjectStore, analyser: MediaAnalyser
) -> list[Trial]:
    return [
        Trial(each.name, each.code == code, code in await codes_of(each, objects, analyser), each.plain)
        for each in recordings
    ]


async def figures_seen(objects: ObjectStore, analyser: MediaAnalyser) -> list[Trial]:
    """One case for each film and person of the gallery; the baseline names whoever is most often there."""
    chosen = casts([*members(), *same_photographs()], strangers())
    films = await shot(chosen, Condition(f"{FACE_SIDE} px", FACE_SIDE), objects, analyser)
    likeness = await named(films, objects, Plain())
    there = [film.member.person for film in films]
    usual = max(sorted(set(there)), key=there.count)
    return [
        Trial(
            f"{film.member.name}: {person}?",
            film.member.person == person,
            found.get(person, -1.0) >= LARGE,
            person == usual,
        )
        for film, found in zip(films, likeness, strict=True)
        for person in sorted(set(there))
    ]


def texts(rules: Rules) -> dict[str, list[Trial]]:
    """By reason; the baseline is the word lists alone."""
    encoder, moderator = TextEncoder(), TextModerator()
    trials: dict[str, list[Trial]] = {category: [] for category in CATEGORIES if category != CLEAN}
    for case in cases():
        scores = moderator.score(case.text, encoder.encode([case.text], "passage")[0])
        for category, found in trials.items():
            said = scores.score >= rules.text_review and scores.category == category
            listed = bool(scores.words) and scores.words[0].category == category
            found.append(Trial(case.text, case.category == category, said, listed))
    return trials


def nudity(rules: Rules, folder: Path) -> tuple[Table, list[tuple[float, str]]]:
    """False alarms on clean pictures, by group, and the highest scores."""
    scorer = NsfwScorer()
    found = [
        (group, name, float(scorer.score(image[None])[0]), skin_share(image)) for group, name, image in clean(folder)
    ]
    rows: list[Row] = []
    for group in (*dict.fromkeys(each[0] for each in found), "all"):
        own = [each for each in found if group in (each[0], "all")]
        over = [sum(each[2] >= at for each in own) for at in (rules.nsfw_review, rules.nsfw_reject)]
        skin = sum(each[3] >= SKIN_SHARE for each in own)
        shares = [share(count, len(own)) for count in (*over, skin)]
        rows.append([group, len(own), *shares, max(each[2] for each in own)])
    table = Table(
        "image-nsfw: clean pictures that are stopped",
        ("pictures", "number", f"to review ({rules.nsfw_review:g})", f"rejected ({rules.nsfw_reject:g})",
         f"skin in {SKIN_SHARE:g} of it (baseline)", "highest score"),
        rows,
    )  # fmt: skip
    return table, sorted(((each[2], each[1]) for each in found), reverse=True)[:WORST]


async def measured(rules: Rules, folder: Path) -> dict[str, list[Trial]]:
    with closing(MediaAnalyser()) as analyser:
        objects = open_objects(folder.as_uri())
        return {
            "media-silent": await recorded(list(quiet_ones()), "media-silent", objects, analyser),
            "media-too-short": await recorded(list(short_ones(rules)), "media-too-short", objects, analyser),
            "public-figure": await figures_seen(objects, analyser),
        }


BASELINES = {
    "media-silent": "every sample is zero",
    "media-too-short": f"file under {SMALL_BYTES // 1000} kB",
    "public-figure": "the most frequent person",
}


def main() -> None:
    rules = Rules()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        trials = asyncio.run(measured(rules, folder))
        clean_table, worst = nudity(rules, folder)
    written = texts(rules)
    rows = [line(reason, found, BASELINES[reason]) for reason, found in trials.items()]
    rows += [line(f"text-blocked: {reason}", found, "word lists alone") for reason, found in written.items()]
    missed = [(reason, each) for reason, found in trials.items() for each in found if each.is_so != each.said]
    Report(
        "moderation_reasons",
        "Reasons of media moderation",
        "Each reason of content_moderation that can be tried here, on material of its own, at the default thresholds.",
        [
            Figure(f"{reason}: cases decided rightly", sum(e.is_so == e.said for e in found) / len(found))
            for reason, found in trials.items()
        ],
        [
            Table("By reason", COLUMNS, rows),
            clean_table,
            Table("Clean pictures with the highest scores", ("picture", "score"), [(n, s) for s, n in worst]),
            Table(
                "Wrong of the first three reasons",
                ("case", "reason", "what happened"),
                [(e.name, reason, "missed" if e.is_so else "said wrongly") for reason, e in missed],
            ),
        ],
        list(NOTES),
    ).publish()


NOTES = (
    "The recall of image-nsfw is not verified: this project neither holds nor makes such pictures. The table says how "
    "often clean ones are stopped; what moderators decide says the rest (`overture moderation calibrate`).",
    "Shares with 95 % intervals (Clopper-Pearson); cases of one kind are not independent, so true intervals are wider. "
    "Precision holds for this mix alone: here far more uploads break a rule than in life.",
    "Silence: two seconds that stay under -70 dBFS, beside such that reach -50 dBFS or more in a tenth or half of the "
    "time; five formats. Length: from 150 ms to 3 s round the limits, in five formats of sound and one of video.",
    "The missed aac: that format is stored in whole pieces of 64 ms and one before them, so that 900 ms come out "
    "as 1,024.",
    "Texts: the sentences of [text_moderation](text_moderation.md), which also has them by language and threshold; "
    "here a reason counts as given when the text is at least to be reviewed, for that very reason.",
    f"Public figures: 15 films with faces of {FACE_SIDE} px at the threshold of 3,000 persons, one case for each film "
    "and person of the gallery; [media_people](media_people.md) has other sizes and damage.",
)

if __name__ == "__main__":
    main()
