"""The path of avatars in this process: the whole handler, and its stages one by one, in CPU time."""

from __future__ import annotations

import hashlib
import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features import ownership
from features.ports import ObjectStore
from infra.demo.faces import PICTURES, picture
from models import face_quality, portrait_faces
from models.avatar_pictures import crop, preview
from models.face_gallery import GallerySnapshot
from models.onnx import Session
from processors.avatar_moderation import avatar_moderation
from processors.avatar_moderation.evidence import MOST_COMPARED, AvatarSkills
from processors.runtime.offload import Threads
from processors.runtime.wiring import Wiring
from schemas.common import ObjectRef
from schemas.user import AvatarChanged
from tests.fakes.runtime import NOW

GALLERY_PERSONS, EXEMPLARS = 3000, 5
NAMES = tuple(name for name in PICTURES if not name.startswith("mask"))
SKILLS = ("faces found", "nudity", "kind of picture", "faces embedded", "age and sex", "quality of the face")
"""Stages that are networks with their own steps before and after."""
Frame = NDArray[np.uint8]


@dataclass
class Clock:
    """CPU seconds by stage."""

    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    def take(self, stage: str, work: Callable[..., Any], *arguments: Any) -> Any:
        """Result of the work, whose time is noted."""
        began = time.thread_time()
        try:
            return work(*arguments)
        finally:
            self.seconds[stage] += time.thread_time() - began


@dataclass(frozen=True)
class Row:
    """A row of the gallery that faces are compared with."""

    id: str
    person: str
    kind: str = "exemplar"
    picture: ObjectRef | None = None


@dataclass(frozen=True)
class Generated:
    """A gallery of as many strangers as the real one is to hold."""

    held: GallerySnapshot

    def snapshot(self) -> GallerySnapshot:
        return self.held


class AvatarPath:
    """The pictures, as events and decoded."""

    def __init__(self, wiring: Wiring, objects: ObjectStore) -> None:
        self.wiring, self.objects = wiring, objects
        self.skills: AvatarSkills = wiring.avatar_skills
        self.analyser = wiring.analyser
        random = np.random.default_rng(1)
        vectors = random.normal(size=(GALLERY_PERSONS * EXEMPLARS, self.skills.embedder.dim)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        people = [Row(str(number), f"person {number // EXEMPLARS}") for number in range(len(vectors))]
        self.gallery = Generated(GallerySnapshot("bench", 0.94, self.skills.embedder.version, people, vectors))
        self.frames: list[Frame] = []
        self.events: list[AvatarChanged] = []

    async def warm(self) -> None:
        await self.skills.warm()
        for name in NAMES:
            path = picture(name)
            found = self.analyser.analyse(path, "picture", size=path.stat().st_size, limits=self._limits)
            self.frames.append(found.arrays["frames"][0])
            self.events.append(await stored(self.objects, path.read_bytes(), name))
        await self.whole_s()

    async def whole_s(self) -> tuple[float, float]:
        """CPU seconds of an avatar through the handler, the children's included, and the seconds that passed."""
        needs: dict[str, Any] = {
            "objects": self.objects,
            "analyser": self.analyser,
            "avatar_skills": self.skills,
            "avatar_policy": self.wiring.avatar_policy,
            "gallery": self.gallery,
            "offload": Threads(avatar_moderation.concurrency),
        }
        before, began = time.process_time() + _children_s(self.analyser.server_pid), time.perf_counter()
        for event in self.events:
            await avatar_moderation.handler(event, **needs)
        taken = time.process_time() + _children_s(self.analyser.server_pid) - before
        return taken / len(self.events), (time.perf_counter() - began) / len(self.events)

    def stages_s(self) -> tuple[dict[str, float], float]:
        """CPU seconds of each stage for an avatar, and those of ONNX Runtime in them."""
        clock, skills = Clock(), self.skills
        before = _children_s(self.analyser.server_pid)
        for name in NAMES:
            path = picture(name)
            self.analyser.analyse(path, "picture", size=path.stat().st_size, limits=self._limits)
        clock.seconds["decoded in the sandbox"] = _children_s(self.analyser.server_pid) - before
        with _networks() as networks:
            for frame in self.frames:
                faces = clock.take("faces found", portrait_faces.find, skills.detector, frame)
                clock.take("nudity", skills.nsfw.score, frame[None])
                clock.take("kind of picture", skills.kinds.read, frame, faces)
                clock.take("preview and crop", preview, frame)
                if faces:
                    main = max(faces, key=lambda face: face.width * face.height)
                    vectors = clock.take("faces embedded", skills.embedder.embed, frame, faces[:MOST_COMPARED])
                    clock.take("age and sex", skills.attributes.read, frame, faces[:MOST_COMPARED])
                    clock.take("quality of the face", face_quality.measure, frame, main)
                    clock.take("gallery searched", self.gallery.held.match, vectors, 3)
                    clock.take("preview and crop", crop, frame, main)
        return {name: value / len(self.frames) for name, value in clock.seconds.items()}, sum(networks) / len(
            self.frames
        )

    @property
    def _limits(self) -> Any:
        return self.wiring.avatar_policy.limits


@contextmanager
def _networks() -> Iterator[list[float]]:
    """CPU seconds of every run of a network meanwhile."""
    taken: list[float] = []
    plain = Session.feed

    def timed(session: Session, inputs: Any) -> Any:
        began = time.thread_time()
        try:
            return plain(session, inputs)
        finally:
            taken.append(time.thread_time() - began)

    Session.feed = timed  # type: ignore[method-assign]
    try:
        yield taken
    finally:
        Session.feed = plain  # type: ignore[method-assign]


def _children_s(pid: int) -> float:
    """CPU seconds of a process and of its children that have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(value) for value in fields[11:15]) / os.sysconf("SC_CLK_TCK")


async def stored(objects: ObjectStore, data: bytes, name: str) -> AvatarChanged:
    sha256 = hashlib.sha256(data).hexdigest()
    ref = await objects.put(ownership.avatar_key(name, name, sha256), data, "image/jpeg")
    return AvatarChanged(event_id=name, occurred_at=NOW, user_id=name, object=ref)
