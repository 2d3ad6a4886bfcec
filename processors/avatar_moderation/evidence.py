"""What is measured of a picture of an avatar: each network once, nothing that its user's region does not allow."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models import face_quality, portrait_faces
from models.avatar_moderation import Evidence, OtherFace, Rules, Verdict, judge, strictest
from models.avatar_pictures import crop, preview
from models.face_attributes import AttributeReader, FaceAttributes, Head
from models.face_detection import Face, FaceDetector
from models.face_embedding import FaceEmbedder
from models.face_gallery import GallerySnapshot, Match
from models.face_quality import FaceQuality
from models.media.analysis import Analysis
from models.nsfw import NsfwScorer
from models.parallel_extraction import ParallelExtraction
from models.picture_kind import PictureKind, PictureKindReader
from processors.avatar_moderation.policy import Allowed, AvatarPolicy

Image = NDArray[np.uint8]
Vector = NDArray[np.float32]
MOST_COMPARED = 4
"""Faces of a picture that are compared and estimated, the largest; with more in it, it shows several people anyway."""
BESIDE = 1
"""Threads beside the one that works on a picture: no more than two things can be done at a time."""
NEAREST = 3
"""Public figures named beside a verdict."""


@dataclass(frozen=True)
class AvatarSkills:
    """The networks.

    Attributes:
        detector: Picture -> faces.
        embedder: Faces -> vectors.
        attributes: Faces -> estimated age and gender.
        kinds: Picture -> photo, drawing, screenshot ...
        nsfw: Picture -> nudity score.
        heads: By name: vectors -> a score of the operator's own.
        parallel: Runs what does not need each other's result side by side.
    """

    detector: FaceDetector
    embedder: FaceEmbedder
    attributes: AttributeReader
    kinds: PictureKindReader
    nsfw: NsfwScorer
    heads: Mapping[str, Head] = field(default_factory=dict)
    parallel: ParallelExtraction = field(default_factory=lambda: ParallelExtraction(BESIDE))

    def versions(self, allowed: Allowed, gallery: GallerySnapshot | None) -> Iterator[str]:
        """Of all that speaks for a verdict, as it stands in events."""
        yield from (self.detector.version, face_quality.version(), self.kinds.version, self.nsfw.version)
        if allowed.attributes & {"age", "gender"}:
            yield f"{self.attributes.version}[{','.join(sorted(allowed.attributes))}]"
        if gallery is not None:
            yield from (self.embedder.version, f"gallery@{gallery.version}")
            if "heads" in allowed.attributes:
                yield from (head.version for head in self.heads.values())

    async def warm(self) -> None:
        """Run each network once: its first run is many times slower than those after it."""
        await asyncio.to_thread(self._run_once)

    def _run_once(self) -> None:
        image = np.zeros((224, 224, 3), np.uint8)
        face = Face(60, 60, 100, 100, 1.0, ((90, 95), (130, 95), (110, 115), (110, 135), (70, 100), (150, 100)))
        portrait_faces.find(self.detector, image)
        self.embedder.embed(image, [face])
        self.attributes.read(image, [face])
        face_quality.measure(image, face)
        self.kinds.read(image, [face])
        self.nsfw.score(image[None])


@dataclass(frozen=True)
class AboutFaces:
    """What is known of the faces of a picture.

    Attributes:
        main: The largest face; None without any.
        quality: Of the main face.
        others: Faces beside it.
        attributes: Of the main face and those nearly as large, in this order; empty where nothing may be estimated.
        vectors: float32 [N, D] of the same faces; N is 0 where faces may not be compared.
        matches: Public figures who resemble any of them most, best first.
        heads: Score of the main face by each head, where that is allowed.
    """

    main: Face | None = None
    quality: FaceQuality | None = None
    others: tuple[OtherFace, ...] = ()
    attributes: tuple[FaceAttributes, ...] = ()
    vectors: Vector | None = None
    matches: tuple[Match, ...] = ()
    heads: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Looked:
    """What was measured of a picture.

    Attributes:
        nsfw: Nudity score, 0..1.
        kind: What kind of picture it is.
        faces: What is known of its faces.
    """

    nsfw: float
    kind: PictureKind
    faces: AboutFaces


@dataclass(frozen=True)
class Judged:
    """What became of a picture that could be read.

    Attributes:
        verdict: By the rules; of an animation by its strictest picture.
        faces: What is known of the faces of the picture that decided.
        preview: That picture, small.
        crop: Its main face; None without one.
        vector: float32 [D], of the one usable face; of an animation that of its first picture. None without one.
    """

    verdict: Verdict
    faces: AboutFaces
    preview: bytes
    crop: bytes | None
    vector: Vector | None


def judge_pictures(
    analysis: Analysis, skills: AvatarSkills, policy: AvatarPolicy, allowed: Allowed, gallery: GallerySnapshot | None
) -> Judged:
    """Measures and judges a decoded avatar: every picture that was taken of an animation, by the strictest.

    Args:
        analysis: With at least one frame.
        skills: The networks.
        policy: The rules.
        allowed: What may be done with this user's face.
        gallery: Public figures to compare with; None where faces may not be compared.
    """
    frames = analysis.arrays["frames"]
    size = analysis.facts.width, analysis.facts.height
    seen = [look_at(frame, skills, allowed, gallery, policy.rules) for frame in frames]
    known = [replace(evidence(size, each, gallery, allowed), alike=_alike(seen[0], each)) for each in seen]
    verdicts = [judge(each, policy.rules) for each in known]
    number, verdict = strictest(verdicts)
    faces, vectors = seen[number].faces, seen[0].faces.vectors
    return Judged(
        verdict,
        faces,
        preview(frames[number]),
        None if faces.main is None else crop(frames[number], faces.main),
        vectors[0] if vectors is not None and verdict.usable_face else None,
    )


def look_at(
    image: Image, skills: AvatarSkills, allowed: Allowed, gallery: GallerySnapshot | None, rules: Rules
) -> Looked:
    """Measures a picture.

    Args:
        image: uint8 [H, W, 3], RGB.
        skills: The networks.
        allowed: What may be done with this user's face.
        gallery: Public figures to compare with; None where faces may not be compared.
        rules: For which faces count.
    """
    parts: dict[str, Callable[[], Any]] = {
        "faces": partial(portrait_faces.find, skills.detector, image),
        "nsfw": partial(skills.nsfw.score, image[None]),
    }
    first = skills.parallel.run(parts)
    faces: list[Face] = first["faces"]
    parts = {
        "about": partial(_about, image, faces, skills, allowed, gallery, rules),
        "kind": partial(skills.kinds.read, image, faces),
    }
    second = skills.parallel.run(parts)
    return Looked(float(first["nsfw"][0]), second["kind"], second["about"])


def evidence(size: tuple[int, int], seen: Looked, gallery: GallerySnapshot | None, allowed: Allowed) -> Evidence:
    """What the rules look at.

    Args:
        size: Width and height of the picture as displayed, pixels.
        seen: What was measured.
        gallery: Public figures that the faces were compared with; None: they were not.
        allowed: What may be done with this user's face.
    """
    faces = seen.faces
    estimated = faces.attributes if "age" in allowed.attributes else ()
    return Evidence(
        *size,
        seen.nsfw,
        seen.kind,
        quality=faces.quality,
        face_score=None if faces.main is None else faces.main.score,
        others=faces.others,
        child=max((each.child for each in estimated), default=None),
        celebrity=faces.matches[0].likeness if faces.matches else None,
        celebrity_threshold=gallery.threshold if gallery is not None and faces.matches else None,
        heads=tuple(faces.heads.items()),
    )


def _about(
    image: Image,
    faces: Sequence[Face],
    skills: AvatarSkills,
    allowed: Allowed,
    gallery: GallerySnapshot | None,
    rules: Rules,
) -> AboutFaces:
    if not faces:
        return AboutFaces()
    ordered = sorted(faces, key=_side, reverse=True)
    main = ordered[0]
    shares = [_side(face) / _side(main) for face in ordered[1:]]
    compared = [main, *(face for face, share in zip(ordered[1:], shares, strict=True) if share >= rules.background)]
    compared = compared[:MOST_COMPARED]
    estimated = allowed.attributes & {"age", "gender"}
    vectors = None if gallery is None else skills.embedder.embed(image, compared)
    heads: dict[str, float] = {}
    if vectors is not None and "heads" in allowed.attributes:
        heads = {name: float(head.score(vectors[:1])[0]) for name, head in skills.heads.items()}
    return AboutFaces(
        main,
        face_quality.measure(image, main),
        tuple(_others(shares, vectors)),
        tuple(skills.attributes.read(image, compared)) if estimated else (),
        vectors,
        () if gallery is None or vectors is None else _nearest(gallery.match(vectors, NEAREST)),
        heads,
    )


def _alike(first: Looked, other: Looked) -> float | None:
    one, two = first.faces.vectors, other.faces.vectors
    return None if other is first or one is None or two is None else float(one[0] @ two[0])


def _others(shares: Sequence[float], vectors: Vector | None) -> list[OtherFace]:
    likenesses: list[float] = [] if vectors is None else (vectors[1:] @ vectors[0]).tolist()
    return [OtherFace(share, likenesses[at] if at < len(likenesses) else None) for at, share in enumerate(shares)]


def _nearest(found: Sequence[Sequence[Match]]) -> tuple[Match, ...]:
    """Of several faces' matches those that are most alike, each person once."""
    ordered = sorted((match for each in found for match in each), key=lambda match: (-match.likeness, match.person))
    best: dict[str, Match] = {}
    for match in ordered:
        best.setdefault(match.person, match)
    return tuple(best.values())[:NEAREST]


def _side(face: Face) -> float:
    return math.sqrt(face.width * face.height)
