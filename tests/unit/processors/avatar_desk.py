"""An avatar's event through the capability: networks and decoder are fakes, the rules are real."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from features import ownership
from models.avatar_moderation import Rules
from models.face_attributes import FaceAttributes
from models.face_detection import Face
from models.face_gallery import EMPTY, GallerySnapshot
from models.face_quality import FaceQuality
from models.media.analysis import Analysis
from models.media.facts import EmbeddedText, Facts, complete
from models.media.limits import Limits
from models.picture_kind import PictureKind
from processors.avatar_moderation import avatar_moderation
from processors.avatar_moderation.evidence import AvatarSkills
from processors.avatar_moderation.policy import Allowed, AvatarPolicy
from processors.runtime.offload import Inline
from schemas.common import ObjectRef
from schemas.topics import AVATAR_MODERATED, FACE_EMBEDDED, REVIEW_REQUESTED
from schemas.user import AvatarChanged, AvatarModerated, FaceEmbedded
from tests.fakes.features import MemoryObjects
from tests.fakes.runtime import NOW, codec

GOOD = FaceQuality(
    side_px=100, sharpness=1.0, brightness=0.5, contrast=0.4, yaw_deg=0.0, pitch_deg=0.0, roll_deg=0.0, occlusion=0.0
)
PHOTO = PictureKind(photo=1.0, drawing=0.0, screenshot=0.0, code=0.0, statue=0.0, screen=0.0)
ADULT = FaceAttributes(age_years=31.26, child=0.01, female=0.7)
DATA = b"bytes of a picture"


def face(side: float, at: int = 0) -> Face:
    """A face of the person ``at``, whose vector is that axis."""
    return Face(float(at), 0.0, side, side, 0.9, ((10.0, 10.0),) * 6)


@dataclass
class Skills:
    """All networks; a frame's first pixel says which of ``faces`` are on it.

    Attributes:
        faces: Faces of each picture.
        nsfw: Nudity score.
        kind: Of every picture.
        attributes: Of every face.
        embedded: How many faces were given to the embedder, each time.
        estimated: The same of the reader of attributes.
    """

    faces: tuple[tuple[Face, ...], ...] = ((face(100),),)
    nsfw: float = 0.0
    kind: PictureKind = PHOTO
    attributes: FaceAttributes = ADULT
    version: str = "skills-1"
    embedded: list[int] = field(default_factory=list)
    estimated: list[int] = field(default_factory=list)

    def detect(self, image: Any) -> list[Face]:
        # in the middle: a picture without a face is looked at again with an edge round it
        return list(self.faces[int(image[image.shape[0] // 2, image.shape[1] // 2, 0])])

    def embed(self, image: Any, faces: Any) -> Any:
        self.embedded.append(len(faces))
        return np.eye(128, dtype=np.float32)[[int(each.x) for each in faces]]

    def score(self, frames: Any) -> Any:
        return np.full(len(frames), self.nsfw, np.float32)


class Attributes:
    version = "attributes-1"

    def __init__(self, skills: Skills) -> None:
        self.skills = skills

    def read(self, image: Any, faces: Any) -> list[FaceAttributes]:
        self.skills.estimated.append(len(faces))
        return [self.skills.attributes] * len(faces)


class Kinds:
    version = "kinds-1"

    def __init__(self, skills: Skills) -> None:
        self.skills = skills

    def read(self, image: Any, faces: Any) -> PictureKind:
        return self.skills.kind


@dataclass
class Gallery:
    held: GallerySnapshot | Exception = EMPTY
    asked: int = 0

    def snapshot(self) -> GallerySnapshot:
        self.asked += 1
        if isinstance(self.held, Exception):
            raise self.held
        return self.held


@dataclass(frozen=True)
class Row:
    id: str
    person: str
    kind: str
    picture: ObjectRef | None


class Analyser:
    def __init__(self, result: Analysis | Exception) -> None:
        self.result = result
        self.limits: list[Limits] = []

    def analyse(self, fd: int, kind: str, *, size: int, limits: Limits) -> Analysis:
        assert (kind, size) == ("picture", len(DATA))
        self.limits.append(limits)
        if isinstance(self.result, Exception):
            raise self.result
        return self.result


def decoded(frames: int = 1) -> Analysis:
    pictures = np.zeros((frames, 40, 50, 3), np.uint8)
    pictures[:] = np.arange(frames)[:, None, None, None]
    return Analysis(Facts(kind="picture", width=500, height=400), complete({"frames": pictures}), EmbeddedText())


POLICY = AvatarPolicy(Rules(), Limits(frame_long_side=1280), Allowed(True, frozenset({"age"})))
GALLERY = GallerySnapshot(
    "abc",
    0.9,
    "skills-1",
    [
        Row(
            "r1",
            "Ada",
            "exemplar",
            ObjectRef(key="gallery/a.webp", sha256="a", size_bytes=1, content_type="image/webp"),
        ),
        Row("r2", "Bea", "exemplar", None),
    ],
    np.eye(128, dtype=np.float32)[[0, 1]],
)


@dataclass
class Desk:
    """One worker's desk."""

    skills: Skills = field(default_factory=Skills)
    policy: AvatarPolicy = POLICY
    gallery: Gallery = field(default_factory=Gallery)
    result: Analysis | Exception = field(default_factory=decoded)
    objects: MemoryObjects = field(default_factory=MemoryObjects)
    event: dict[str, Any] = field(default_factory=dict)
    heads: dict[str, Any] = field(default_factory=dict)

    async def work(self, store: bool = True) -> dict[str, Any]:
        """Records by topic."""
        key = ownership.avatar_key("ada", "e1", hashlib.sha256(DATA).hexdigest())
        ref = await self.objects.put(key, DATA, "image/png")
        if not store:
            await self.objects.delete(key)
        event = AvatarChanged(**{"event_id": "e1", "occurred_at": NOW, "user_id": "ada", "object": ref} | self.event)
        self.analyser = Analyser(self.result)
        fakes: Any = self.skills
        skills = AvatarSkills(fakes, fakes, Attributes(fakes), Kinds(fakes), fakes, self.heads)  # type: ignore[arg-type]
        needs: dict[str, Any] = {
            "objects": self.objects,
            "analyser": self.analyser,
            "avatar_skills": skills,
            "avatar_policy": self.policy,
            "gallery": self.gallery,
            "offload": Inline(),
        }
        emits = await avatar_moderation.handler(event, **needs)
        skills.parallel.close()
        for emit in emits:
            assert emit.topic in avatar_moderation.produces
            assert emit.key == (emit.record.review_id if emit.topic is REVIEW_REQUESTED else "ada")
            assert codec().decode(codec().encode(emit.record), type(emit.record)).event_id == emit.record.event_id
        return {emit.topic.name: emit.record for emit in emits}

    async def moderated(self) -> AvatarModerated:
        found: AvatarModerated = (await self.work())[AVATAR_MODERATED.name]
        return found

    async def face(self) -> FaceEmbedded:
        found: FaceEmbedded = (await self.work())[FACE_EMBEDDED.name]
        return found
