"""Who appears in an upload, through the real sandbox, networks and Milvus Lite."""

from __future__ import annotations

import hashlib
import io
import logging
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from features.face_gallery import ALIAS, Gallery, GalleryFacts, GalleryRow, use, write
from features.milvus_versions import client_of
from features.objects import open_objects
from infra.demo.faces import picture
from infra.local.parts import MilvusServer
from infra.local.ports import free_port
from models.content_moderation import Rules
from models.weights import BUILT
from processors.content_moderation import content_moderation
from processors.runtime.offload import Inline
from processors.runtime.settings import Settings
from processors.runtime.wiring import Wiring
from schemas.common import ObjectRef
from schemas.content import ContentModerated
from schemas.errors import UnavailableError
from schemas.media import MediaAnalysed
from schemas.review import ReviewRequested
from schemas.topics import CONTENT_MODERATED, REVIEW_REQUESTED
from tests.media.desk import analysed
from tests.media.portrait_videos import faces_of, film, shown, whole_picture

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]

FIGURES = {"Barack Obama": ("obama-2", "obama-3"), "Joe Biden": ("biden",)}
VERSION = "feedfacecafe"
THRESHOLD = 0.94
SIZE = (640, 360)


class Desk:
    """The two handlers with everything real, for uploads of one test."""

    def __init__(self, wiring: Wiring, folder: Path) -> None:
        folder.mkdir()
        self.wiring, self.objects = wiring, open_objects(folder.as_uri())

    async def analysed(self, data: bytes, kind: Any) -> MediaAnalysed:
        """An upload, decoded by the sandbox."""
        return await analysed(self.objects, self.wiring.analyser, data, kind)

    async def judged(self, event: MediaAnalysed, rules: Rules | None = None, gallery: Any = None) -> dict[str, Any]:
        """Records by topic."""
        emits = await content_moderation.handler(
            event,
            objects=self.objects,
            judges=self.wiring.judges,
            gallery=gallery or self.wiring.gallery,
            moderation_rules=rules or Rules(),
            offload=Inline(),
        )
        return {emit.topic.name: emit.record for emit in emits}

    async def moderated(self, event: MediaAnalysed, **more: Any) -> ContentModerated:
        found: ContentModerated = (await self.judged(event, **more))[CONTENT_MODERATED.name]
        return found


@pytest.fixture(scope="module")
def milvus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MilvusServer]:
    """One of its own, because a test takes it away."""
    with MilvusServer(tmp_path_factory.mktemp("milvus")) as part:
        yield part


def settings_for(uri: str, folder: Path) -> Settings:
    made = Settings()
    update = {"milvus": made.milvus.model_copy(update={"uri": uri}), "data_dir": folder}
    models = made.models.model_copy(update={"folder": str(BUILT.resolve())})
    # each look at the gallery asks Milvus: tests change what is there
    gallery = made.gallery.model_copy(update={"refresh_s": 1e-9})
    return made.model_copy(update=update | {"models": models, "gallery": gallery})


@pytest.fixture(scope="module")
def wiring(milvus: MilvusServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wiring]:
    with closing(Wiring(settings_for(milvus.uri, tmp_path_factory.mktemp("data")))) as made:
        yield made


@pytest.fixture
def desk(wiring: Wiring, tmp_path: Path) -> Desk:
    return Desk(wiring, tmp_path / "objects")


@pytest.fixture(scope="module")
def presidents(wiring: Wiring) -> Gallery:
    """A gallery of two of them."""
    rows, vectors = [], []
    for person, names in FIGURES.items():
        for name in names:
            source = hashlib.sha256(picture(name).read_bytes()).hexdigest()
            small = ObjectRef(key=f"gallery/{source}.webp", sha256=source, size_bytes=1, content_type="image/webp")
            rows.append(GalleryRow(source[:32], person, "exemplar", source, small))
            vectors.append(wiring.face_embedder.embed(whole_picture(name), faces_of(name)[:1])[0])
    embedder = wiring.face_embedder
    facts = GalleryFacts(embedder.version, embedder.dim, THRESHOLD, 0.001, len(FIGURES), len(rows), 1)
    return Gallery(VERSION, facts, tuple(rows), np.stack(vectors))


@pytest.fixture
def with_gallery(wiring: Wiring, presidents: Gallery) -> Iterator[None]:
    """Puts the presidents in use, for one test."""
    write(wiring.milvus_config, presidents)
    use(wiring.milvus_config, VERSION, "")
    yield
    with client_of(wiring.milvus_config) as client:
        client.drop_alias(ALIAS)


def film_of(*names: str | None) -> bytes:
    """A second each, the faces 100 px high; a picture that the gallery was not made of is the best."""
    return film(
        [(None if name is None else shown(whole_picture(name), faces_of(name)[0], 100, SIZE), 1.0) for name in names],
        SIZE,
    )


def photo_of(name: str) -> bytes:
    file = io.BytesIO()
    Image.fromarray(whole_picture(name)).save(file, "JPEG", quality=90)
    return file.getvalue()


async def test_without_a_gallery_nobody_is_named(desk: Desk) -> None:
    found = await desk.moderated(await desk.analysed(photo_of("obama-1"), "post"))
    assert (found.faces, found.people) == (1, ())
    assert found.model_version.endswith("+none")


@pytest.mark.usefixtures("with_gallery")
async def test_the_one_of_the_gallery_is_named_with_his_first_moment(desk: Desk) -> None:
    """The scenery, a stranger, then twice a photograph of the man that the gallery does not hold."""
    upload = await desk.analysed(film_of(None, "astronaut", "obama-1", "astronaut", "obama-1"), "video")
    found = await desk.moderated(upload)
    (seen,) = found.people
    assert seen.person == "Barack Obama"
    assert 2000 <= seen.first_ms < 3000
    assert seen.likeness >= THRESHOLD
    assert 2 <= seen.pictures < 6
    assert (found.faces, found.decision) == (1, "approve")
    assert found.model_version.endswith(f"+{VERSION}")


@pytest.mark.usefixtures("with_gallery")
async def test_rules_may_have_a_person_look_at_him(desk: Desk) -> None:
    upload = await desk.analysed(photo_of("obama-1"), "post")
    found = await desk.judged(upload, Rules(public_figure="review"))
    asked: ReviewRequested = found[REVIEW_REQUESTED.name]
    assert ([r.code for r in asked.reasons], asked.proposed, asked.uncertainty) == (["public-figure"], "none", 1.0)
    assert asked.scores["public-figure"] == found[CONTENT_MODERATED.name].people[0].likeness
    content = await desk.objects.get(asked.pictures[0].key)
    with Image.open(io.BytesIO(content)) as shown_to_moderators:
        assert (shown_to_moderators.format, max(shown_to_moderators.size)) == ("WEBP", 416)


@pytest.mark.usefixtures("with_gallery")
@pytest.mark.parametrize("name", ["astronaut", "hopper", "group-3"])
async def test_strangers_stay_nameless(desk: Desk, name: str) -> None:
    found = await desk.moderated(await desk.analysed(photo_of(name), "post"))
    assert found.faces >= 1
    assert found.people == ()
    assert "public-figure" not in found.scores


async def test_nothing_is_judged_before_the_gallery_is_known(desk: Desk, tmp_path: Path) -> None:
    """Otherwise public figures would pass for strangers just after a start."""
    upload = await desk.analysed(photo_of("obama-1"), "post")
    settings = settings_for(f"http://127.0.0.1:{free_port()}", tmp_path)
    with closing(Wiring(settings)) as cut_off, pytest.raises(UnavailableError):
        await desk.moderated(upload, gallery=cut_off.gallery)


@pytest.mark.usefixtures("with_gallery")
async def test_a_gallery_that_was_read_outlives_milvus(
    desk: Desk, milvus: MilvusServer, caplog: pytest.LogCaptureFixture
) -> None:
    upload = await desk.analysed(photo_of("obama-1"), "post")
    before = await desk.moderated(upload)
    milvus.stop()
    try:
        with caplog.at_level(logging.WARNING, logger="features.gallery_follower"):
            after = await desk.moderated(upload)
    finally:
        milvus.start()
        milvus.wait_ready()
    assert f"version {VERSION} stays" in caplog.text
    assert (after.people, after.event_id) == (before.people, before.event_id)
    assert [person.person for person in after.people] == ["Barack Obama"]
