"""Faces made worse by known amounts: what ``models.face_quality`` and ``models.picture_kind`` say of them.

Real faces that packages ship (``infra.demo.faces``), cut out as avatars, go through ``tests.degradations``. Beside the
scores stands what the default rules of ``models.avatar_moderation`` make of each.
``python -m tests.bench.face_degradations``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from PIL import Image

from infra.demo.faces import PICTURES, pixels
from infra.demo.packaged import picture as scikit_image
from models.avatar_moderation import RULES, Graded, Rule, Rules
from models.face_detection import Face, FaceDetector
from models.face_quality import measure
from models.picture_codes import code
from models.picture_kind import KINDS, PictureKindReader
from models.picture_statistics import statistics
from models.portrait_faces import find
from tests.bench.report import Figure, Report, Table
from tests.degradations import DEGRADATIONS, Degradation, avatar, blurred_noise, side

TRAINED_ON = ("obama-1", "obama-2", "obama-3", "bus", "group-1", "group-2", "group-3", "group-4", "group-5")
"""Pictures that the two networks have learned from (``models.training.face_occlusion.TRAIN``)."""
CUT = ("obama-cut-1", "obama-cut-2")
"""Cut through the face: no clean start."""
LEAST_PX = 90
SCREENS = ("page.png", "text.png", "logo.png")
RULE_OF = {
    "sharpness": "blurred", "brightness": "dark", "side_px": "face_small", "roll_deg": "roll", "occlusion": "occluded",
    "screen": "screen",
}  # fmt: skip


@dataclass(frozen=True)
class Subject:
    """An avatar to make worse.

    Attributes:
        name: Of its picture.
        image: uint8 [H, W, 3].
        face: Its main face.
    """

    name: str
    image: np.ndarray
    face: Face


@cache
def detector() -> FaceDetector:
    return FaceDetector()


@cache
def kinds() -> PictureKindReader:
    return PictureKindReader()


def subjects(names: Sequence[str]) -> list[Subject]:
    """Every face of the pictures, of at least ``LEAST_PX``, as an avatar of its own."""
    found = []
    for name in names:
        image = pixels(name)
        for face in find(detector(), image):
            if side(face) < LEAST_PX:
                continue
            cut = avatar(image, face)
            main = main_face(cut)
            if main is not None:
                found.append(Subject(name, cut, main))
    return found


def main_face(image: np.ndarray, near: Face | None = None) -> Face | None:
    """The face nearest to the middle, or to where a face was; None when the nearest is not there."""
    height, width = image.shape[:2]
    at = (width / 2, height / 2) if near is None else (near.x + near.width / 2, near.y + near.height / 2)
    reach = 0.3 * width if near is None else 0.6 * side(near)

    def away(face: Face) -> float:
        return float(np.hypot(face.x + face.width / 2 - at[0], face.y + face.height / 2 - at[1]))

    best = min(find(detector(), image), key=away, default=None)
    return best if best is not None and away(best) < reach else None


def score(subject: Subject, image: np.ndarray, name: str) -> float | None:
    """One score of a worse picture; None when its face is not found any more."""
    scale = image.shape[1] / subject.image.shape[1]
    box = subject.face
    scaled = tuple((x * scale, y * scale) for x, y in box.keypoints)
    place = Face(box.x * scale, box.y * scale, box.width * scale, box.height * scale, box.score, scaled)
    face = main_face(image, place)
    if name in KINDS:
        return float(getattr(kinds().read(image, [] if face is None else [face]), name))
    return None if face is None else float(getattr(measure(image, face), name))


def verdict(value: float | None, name: str) -> str:
    """approve, review or reject by the default rules; a face that is not found is refused as well."""
    if value is None:
        return "reject"
    graded: Graded = getattr(Rules(), RULE_OF[name])
    rule = next(rule for rule in RULES if rule.field == RULE_OF[name])
    value = abs(value) if rule.field == "roll" else value
    if _reached(value, graded.reject, rule):
        return "review" if graded.mode == "review" else "reject"
    return "review" if _reached(value, graded.review, rule) else "approve"


def _reached(value: float, threshold: float, rule: Rule) -> bool:
    return value >= threshold if rule.rising else value < threshold


@dataclass(frozen=True)
class Course:
    """One way to make all pictures worse, gone through.

    Attributes:
        way: Which.
        scores: For each subject the score at each level; None where the face is not found any more.
    """

    way: Degradation
    scores: list[list[float | None]]

    def rows(self) -> list[list[str | float | None]]:
        rows: list[list[str | float | None]] = []
        for number, level in enumerate(self.way.levels):
            column = [line[number] for line in self.scores]
            told = [value for value in column if value is not None]
            shares = [verdict(value, self.way.score) for value in column]
            quantiles = np.quantile(told, (0.1, 0.5, 0.9)).tolist() if told else [None, None, None]
            counts = [100 * shares.count(each) / len(shares) for each in ("approve", "review", "reject")]
            rows.append([self.way.name if not number else "", f"{level:g}", len(told), *quantiles, *counts])
        return rows

    def spearman(self) -> list[float]:
        """Rank correlation of level and score for each subject, positive where the score follows as it must."""
        return [self._rank(line) for line in self.scores if sum(value is not None for value in line) > 2]

    def _rank(self, line: list[float | None]) -> float:
        told = [(number, value) for number, value in enumerate(line) if value is not None]
        sign = 1.0 if self.way.rises else -1.0
        ranks = [_ranks(np.array([value for _, value in told]) * sign), _ranks(np.array([n for n, _ in told]))]
        if np.ptp(ranks[0]) == 0:
            return 0.0
        return float(np.corrcoef(*ranks)[0, 1])

    def mean_is_monotone(self) -> bool:
        complete = np.array([line for line in self.scores if None not in line], dtype=float)
        steps = np.diff(complete.mean(axis=0)) * (1 if self.way.rises else -1)
        return bool((steps >= -0.005 * max(1.0, float(complete.max()))).all())

    def turning_point(self, outcome: str) -> str:
        """Level from which at least half of the pictures are that bad."""
        bad = {"review": ("review", "reject"), "reject": ("reject",)}[outcome]
        for number, level in enumerate(self.way.levels):
            shares = [verdict(line[number], self.way.score) in bad for line in self.scores]
            if np.mean(shares) >= 0.5:
                return f"{level:g}"
        return "never"


def _ranks(values: np.ndarray) -> np.ndarray:
    """Ranks, equal values sharing their mean."""
    return np.array([(values < value).sum() + ((values == value).sum() - 1) / 2 for value in values], dtype=float)


def go(way: Degradation, found: list[Subject]) -> Course:
    lines = [[score(each, way.make(each.image, each.face, level), way.score) for level in way.levels] for each in found]
    return Course(way, lines)


def false_alarms(found: list[Subject]) -> Table:
    """What the rules say of the same faces as they are."""
    rows: list[list[str | float | None]] = []
    groups = {"learned from": True, "not learned from": False}
    for name in ("sharpness", "brightness", "occlusion", "roll_deg"):
        for words, known in groups.items():
            chosen = [each for each in found if (each.name in TRAINED_ON) == known]
            shares = [verdict(score(each, each.image, name), name) for each in chosen]
            rows.append(
                [f"{name}, {words}", len(chosen), *(shares.count(one) for one in ("approve", "review", "reject"))]
            )
    return Table("The same faces as they are", ("score", "faces", "approved", "reviewed", "refused"), rows)


def photographs(found: list[Subject]) -> Table:
    """How often a photograph is taken for something else, and black-and-white ones for statues."""
    whole = [pixels(name) for name in PICTURES if not name.startswith("mask")]
    scenes = [load_file(name) for name in ("camera.png", "brick.png", "grass.png", "gravel.png", "coins.png")]
    grey = [np.repeat(cv2.cvtColor(each.image, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2) for each in found]
    sets = {
        "whole photographs": whole,
        "black-and-white photographs of scikit-image": scenes,
        "avatars learned from": [each.image for each in found if each.name in TRAINED_ON],
        "avatars not learned from": [each.image for each in found if each.name not in TRAINED_ON],
        "avatars in black and white": grey,
        "scanned pages and a logo (no photographs)": [load_file(name) for name in SCREENS],
    }
    rows: list[list[str | float | None]] = []
    for words, images in sets.items():
        told = [kinds().read(image, find(detector(), image)) for image in images]
        worst = [max(getattr(each, kind) for each in told) for kind in (*KINDS[1:], "code")]
        refused = sum(_refused(each) for each in told)
        rows.append([words, len(images), float(np.median([each.photo for each in told])), *worst, refused])
    columns = (
        "pictures",
        "number",
        "photo, median",
        *(f"{kind}, greatest" for kind in (*KINDS[1:], "code")),
        "not approved",
    )
    return Table("Photographs taken for something else", columns, rows)


def _refused(told: object) -> bool:
    rules = Rules()
    return any(getattr(told, kind) >= getattr(rules, kind).review for kind in (*KINDS[1:], "code"))


def load_file(name: str) -> np.ndarray:
    with Image.open(scikit_image(name).locate()) as opened:
        return np.asarray(opened.convert("RGB"))


def costs(found: list[Subject]) -> list[Figure]:
    """CPU time beside the large networks."""
    quality = _mean_ms(lambda each: measure(each.image, each.face), found)
    numbers = _mean_ms(lambda each: statistics(each.image, [each.face]), found)
    codes = _mean_ms(lambda each: code(each.image), found)
    return [
        Figure("ms of CPU, quality of a face (its small network included)", quality),
        Figure("ms of CPU, statistics of a picture", numbers),
        Figure("ms of CPU, search for codes", codes),
        Figure("ms of CPU, all three", quality + numbers + codes, "<=", 15.0),
    ]


def _mean_ms(work: Callable[[Subject], object], found: list[Subject]) -> float:
    for each in found[:3]:
        work(each)
    began = time.process_time()
    for each in found:
        work(each)
    return (time.process_time() - began) / len(found) * 1000


def monotone(courses: list[Course]) -> Table:
    """How well each score follows, and where the rules turn."""
    rows: list[list[str | float | None]] = []
    for course in courses:
        ranks = np.array(course.spearman())
        steady = "yes" if course.mean_is_monotone() else "no"
        turns = (course.turning_point("review"), course.turning_point("reject"))
        shares = (float(ranks.mean()), float(ranks.min()), 100 * float((ranks > 0.9).mean()))
        rows.append([course.way.name, course.way.score, *shares, steady, *turns])
    columns = (
        "way", "score", "rank correlation", "worst picture", "% of pictures over 0.9", "mean monotone",
        "half not approved from", "half refused from",
    )  # fmt: skip
    return Table("Monotone? Where do the rules turn?", columns, rows)


def by_level(courses: list[Course]) -> Table:
    columns = (
        "way", "level", "faces found", "10th percentile", "median", "90th percentile",
        "% approved", "% reviewed", "% refused",
    )  # fmt: skip
    return Table("Scores by level", columns, [row for course in courses for row in course.rows()])


def learned_or_not(courses: list[Course], found: list[Subject]) -> Table:
    """Whether the network for occlusion does as well on faces that it has never seen."""
    known = np.array([each.name in TRAINED_ON for each in found])
    rows: list[list[str | float | None]] = []
    for course in courses:
        told = np.array([[np.nan if value is None else value for value in line] for line in course.scores])
        for words, chosen in (("learned from", known), ("others", ~known)):
            rows.append(
                [f"{course.way.name}, {words}", int(chosen.sum()), *np.nanmedian(told[chosen], axis=0).tolist()]
            )
    levels = (f"{level:g}" for level in courses[0].way.levels)
    return Table("Covered share as told, median by the true share", ("way", "faces", *levels), rows)


def main() -> None:
    found = subjects([name for name, each in PICTURES.items() if each.faces and name not in CUT])
    courses = [go(way, found) for way in DEGRADATIONS]
    levels = (0.0, 10.0, 20.0, 40.0, 60.0)
    noisy = go(Degradation("noise over blur 0.03", "grey levels", "sharpness", False, levels, blurred_noise), found)
    steady = sum(course.mean_is_monotone() for course in courses)
    worst = min(float(np.mean(course.spearman())) for course in courses)
    Report(
        "face_degradations",
        "Faces made worse by known amounts",
        f"{len(found)} avatars of real faces from packaged pictures, {len(DEGRADATIONS)} ways to make them worse; the "
        "scores, and what the default rules make of them.",
        [
            Figure(f"ways whose mean score follows the level, of {len(courses)}", steady, "==", len(courses)),
            Figure("rank correlation of level and score, mean over pictures, worst way", worst, ">=", 0.8),
            *costs(found),
        ],
        [
            monotone([*courses, noisy]),
            by_level([*courses, noisy]),
            learned_or_not([course for course in courses if course.way.score == "occlusion"], found),
            false_alarms(found),
            photographs(found),
        ],
        [
            "Units: " + "; ".join(f"{way.name}: {way.unit}" for way in DEGRADATIONS) + ".",
            "A face that is not found any more counts as refused (avatar-no-face). `roll_deg` has its sign: some faces "
            "were tilted by up to 40 degrees to begin with.",
            "Turned heads cannot be generated from one picture: yaw and pitch are checked on projections of a head and "
            "on packaged pictures (tests/unit/models/test_face_quality.py).",
            "Noise does not make a blurred face sharp (last way). The networks for occlusion and kinds have learned "
            f"from {', '.join(TRAINED_ON)}, with other things drawn over them; the rest they have not seen.",
            "JPEG blocks are seen only in a picture that was not resized after its compression.",
        ],
    ).publish()


if __name__ == "__main__":
    main()
