"""Avatars through the real sandbox and networks, and over a real broker with a real gallery."""

from __future__ import annotations

import asyncio
import hashlib
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from features import ownership
from features.face_gallery import Gallery, GalleryFacts, GalleryRow, use, write
from features.objects import open_objects
from features.ports import ObjectStore
from infra.demo.faces import picture
from infra.local.parts import MilvusServer
from models.face_gallery import NoGallery
from processors.avatar_moderation import avatar_moderation
from processors.runtime import topics_admin
from processors.runtime.offload import Inline
from processors.runtime.settings import Settings
from processors.runtime.topic_scan import read_to_end
from processors.runtime.wiring import Wiring
from schemas.common import ObjectRef
from schemas.topics import AVATAR_CHANGED, AVATAR_MODERATED, FACE_EMBEDDED, REVIEW_REQUESTED
from schemas.user import AvatarChanged, AvatarModerated, FaceEmbedded
from tests.fakes.runtime import NOW, KafkaRecord
from tests.media.odd_avatars import HONEST, REFUSED, UNREADABLE, Avatar

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]
TYPES = {"png": "image/png", "gif": "image/gif", "webp": "image/webp", "heic": "image/heic"}


class Desk:
    """The handler with real networks, decoder and objects."""

    def __init__(self, wiring: Wiring, objects: ObjectStore) -> None:
        self.wiring, self.objects = wiring, objects

    async def work(self, data: bytes, name: str, user: str = "ada") -> dict[str, Any]:
        """Records by topic."""
        event = await stored(self.objects, data, name, user)
        emits = await avatar_moderation.handler(
            event,
            objects=self.objects,
            analyser=self.wiring.analyser,
            avatar_skills=self.wiring.avatar_skills,
            avatar_policy=self.wiring.avatar_policy,
            gallery=NoGallery(),
            offload=Inline(),
        )
        return {emit.topic.name: emit.record for emit in emits}

    async def judged(self, avatar: Avatar) -> AvatarModerated:
        found: AvatarModerated = (await self.work(avatar.make(), avatar.name))[AVATAR_MODERATED.name]
        return found


async def stored(objects: ObjectStore, data: bytes, name: str, user: str) -> AvatarChanged:
    """The event of an avatar that lies where ingest puts it."""
    sha256 = hashlib.sha256(data).hexdigest()
    event_id = f"avatar-{sha256[:12]}"
    kind = TYPES.get(name.rpartition(".")[2], "image/jpeg")
    ref = await objects.put(ownership.avatar_key(user, event_id, sha256), data, kind)
    return AvatarChanged(event_id=event_id, occurred_at=NOW, user_id=user, object=ref)


@pytest.fixture(scope="module")
def wiring() -> Iterator[Wiring]:
    with closing(Wiring(Settings())) as made:
        yield made


@pytest.fixture
def desk(wiring: Wiring, tmp_path: Path) -> Desk:
    return Desk(wiring, open_objects(tmp_path.as_uri()))


@pytest.mark.parametrize("avatar", HONEST, ids=lambda each: each.name)
async def test_odd_files_of_a_person_are_fine_avatars(desk: Desk, avatar: Avatar) -> None:
    found = await desk.judged(avatar)
    assert (found.decision, found.reasons) == ("approve", ()), found.scores
    assert found.faces == 1
    assert found.scores["face.roll"] == pytest.approx(0.0, abs=10.0), "upright, however its pixels lie"


@pytest.mark.parametrize("avatar", REFUSED, ids=lambda each: each.name)
async def test_what_is_no_avatar_is_told_why(desk: Desk, avatar: Avatar) -> None:
    found = await desk.judged(avatar)
    assert found.decision in ("reject", "review"), found.scores
    assert {reason.code for reason in found.reasons} & set(avatar.codes), (found.reasons, found.scores)


@pytest.mark.parametrize("avatar", UNREADABLE, ids=lambda each: each.name)
async def test_what_cannot_be_read_is_refused(desk: Desk, avatar: Avatar) -> None:
    data = avatar.make()
    found = await desk.work(data, avatar.name)
    moderated = found[AVATAR_MODERATED.name]
    assert (moderated.decision, [reason.code for reason in moderated.reasons]) == ("reject", list(avatar.codes))
    assert (moderated.preview, found[FACE_EMBEDDED.name].vector) == (None, ())


async def test_another_process_says_the_same(desk: Desk, tmp_path: Path) -> None:
    """Decision, reasons and scores hang on nothing but bytes, settings and versions."""
    here = [_told(await desk.judged(avatar)) for avatar in _VARIED]
    there = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", _ELSEWHERE, str(tmp_path / "elsewhere")],
        capture_output=True,
        text=True,
        check=True,
        timeout=200,
        cwd=Path(__file__).parents[3],
    )
    assert json.loads(there.stdout.splitlines()[-1]) == here
    assert [_told(await desk.judged(avatar)) for avatar in _VARIED] == here


_VARIED = [HONEST[1], *(each for each in REFUSED if each.name in ("twelve.jpg", "mirror.jpg", "statue.jpg"))]
_ELSEWHERE = """
import asyncio, json, sys
from contextlib import closing
from pathlib import Path
from features.objects import open_objects
from processors.runtime.settings import Settings
from processors.runtime.wiring import Wiring
from tests.integration.processors.test_avatar_moderation import Desk, _VARIED, _told
async def main():
    Path(sys.argv[1]).mkdir()
    with closing(Wiring(Settings())) as wiring:
        desk = Desk(wiring, open_objects(Path(sys.argv[1]).as_uri()))
        print(json.dumps([_told(await desk.judged(avatar)) for avatar in _VARIED]))
asyncio.run(main())
"""


def _told(found: AvatarModerated) -> list[Any]:
    reasons = [[reason.code, reason.text] for reason in found.reasons]
    pictures = [ref and ref.sha256 for ref in (found.crop, found.preview)]
    return [found.decision, reasons, dict(sorted(found.scores.items())), found.model_version, pictures]


@pytest.fixture
async def streams(
    streams_settings: Settings, milvus_server: MilvusServer, tmp_path: Path
) -> AsyncIterator[Callable[[str], Any]]:
    milvus = streams_settings.milvus.model_copy(update={"uri": milvus_server.uri})
    settings = streams_settings.model_copy(update={"data_dir": tmp_path, "milvus": milvus, "models": _built()})
    with closing(Wiring(settings)) as wiring:
        topics_admin.apply(settings.kafka, wiring.registry, [avatar_moderation])
        yield wiring
        await wiring.redis.aclose()


def _built() -> Any:
    defaults = Settings()
    return defaults.models.model_copy(update={"folder": str(defaults.models_folder.resolve())})


async def test_an_event_becomes_a_verdict_a_face_and_a_review(streams: Wiring) -> None:
    threshold = _gallery_of_hopper(streams)
    runner = streams.runner(avatar_moderation)
    await runner.warm()
    sent = {
        "stranger": picture("astronaut"),
        "famous": picture("hopper"),
        "nobody": picture("cat"),
        "statue": next(each for each in REFUSED if each.name == "statue.jpg").make(),
    }
    for user, content in sent.items():
        data = content if isinstance(content, bytes) else content.read_bytes()
        event = await stored(streams.objects, data, "x.jpg", user)
        await runner.handle(KafkaRecord(AVATAR_CHANGED.name, streams.codec.encode(event), user.encode()))
    # other tests of the session use the same broker
    told, faces = (
        {user: each for user, each in _newest(streams, topic.name, record).items() if user in sent}
        for topic, record in ((AVATAR_MODERATED, AvatarModerated), (FACE_EMBEDDED, FaceEmbedded))
    )
    assert set(told) == set(faces) == set(sent)
    assert told["stranger"].decision == "approve"
    assert told["stranger"].scores["celebrity"] < threshold - 0.01
    assert [reason.code for reason in told["famous"].reasons] == ["avatar-public-figure"]
    assert told["famous"].nearest[0].person == "Grace Hopper"
    assert [reason.code for reason in told["nobody"].reasons] == ["avatar-no-face"]
    assert {user for user, face in faces.items() if face.vector} >= {"stranger", "famous"}
    assert len(faces["stranger"].vector) == 128
    assert faces["nobody"].vector == ()
    if told["statue"].decision == "review":
        requested = _newest(streams, REVIEW_REQUESTED.name, None)
        assert requested


def _newest(wiring: Wiring, topic: str, record: Any) -> dict[str, Any]:
    found = {}
    for message in read_to_end(wiring.settings.kafka, [topic]):
        key, value = message.key(), message.value()
        assert key is not None
        assert value is not None
        found[key.decode()] = value if record is None else wiring.codec.decode(value, record)
    return found


def _gallery_of_hopper(wiring: Wiring) -> float:
    """Puts a gallery of one public figure in use; its threshold."""
    with Image.open(picture("hopper")) as opened:
        image = np.asarray(opened.convert("RGB"))
    vector = wiring.face_embedder.embed(image, wiring.face_detector.detect(image)[:1])
    embedder = wiring.face_embedder
    facts = GalleryFacts(embedder.version, embedder.dim, 0.94, 0.001, 1, 1, int(time.time() * 1000))
    small = ObjectRef(key=f"gallery/{'a' * 64}.webp", sha256="a" * 64, size_bytes=1, content_type="image/webp")
    row = GalleryRow("h1", "Grace Hopper", "exemplar", "b" * 64, small)
    write(wiring.milvus_config, Gallery("0123456789ab", facts, (row,), vector))
    use(wiring.milvus_config, "0123456789ab", "")
    return facts.threshold
