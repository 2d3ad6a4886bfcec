"""A user is forgotten while uploads are in work and the erasing processes are killed; no store keeps a marker."""

from __future__ import annotations

import asyncio
import io
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from features import milvus_versions
from features.contents import gallery_contents, milvus_contents, object_contents, redis_contents
from features.ownership import user_token
from features.views import COLLECTIONS
from infra.demo.packaged import picture as picture_of_a_package
from infra.demo.portraits import write_dim, write_variant
from tests.e2e.test_loop import picture, recommended, settled, sound, upload, wait

pytestmark = [pytest.mark.real, pytest.mark.timeout(900)]
PLAIN = picture(54)
USER_VIEWS = ("user_taste_v1", "user_profile_v1", "user_avatar_v1")
FACE = picture_of_a_package("astronaut.png")
ERASE = "import typer; from processors.commands.erase import erase; typer.run(erase)"


class Markers:
    """Texts that occur nowhere else, by where they were planted."""

    def __init__(self) -> None:
        self.run = uuid.uuid4().hex[:8]
        self.all: list[str] = []

    def plant(self, place: str) -> str:
        self.all.append(f"zq{place}{self.run}qz")
        return self.all[-1]


def marked_picture(seed: int, marker: str) -> bytes:
    """A JPEG with the marker in its EXIF and as a comment."""
    exif = Image.Exif()
    exif[0x010E] = marker
    out = io.BytesIO()
    Image.open(io.BytesIO(picture(seed))).save(out, "JPEG", exif=exif, comment=marker.encode())
    return out.getvalue()


def marked_video(seed: int, marker: str) -> bytes:
    """A clip whose container says the marker as its title: it is read, and goes into embedded_text."""
    scene = np.asarray(Image.open(io.BytesIO(picture(seed))).resize((160, 120)))
    out = io.BytesIO()
    with av.open(out, "w", format="mp4") as container:
        container.metadata["title"] = marker
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt, stream.time_base = 160, 120, "yuv420p", Fraction(1, 25)
        for number in range(50):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(np.roll(scene, number, axis=1)), format="rgb24")
            for packet in stream.encode(frame):
                container.mux(packet)
        for packet in stream.encode(None):
            container.mux(packet)
    return out.getvalue()


def choose_avatar(system: Any, user: str, content: bytes) -> None:
    accepted(
        system.api.post(
            "/v1/avatars", data={"user": user}, files={"file": ("a.jpg", content)}, headers={"Idempotency-Key": "a"}
        )
    )


def plant_avatar(system: Any, user: str, marker: str, folder: Path) -> None:
    """An avatar in too little light, so that people are asked, of a face that two other accounts show as well."""
    file = folder / "face.jpg"
    write_dim(FACE.locate(), file, 0.25)
    exif, out = Image.Exif(), io.BytesIO()
    exif[0x010E] = marker
    Image.open(file).save(out, "JPEG", exif=exif, comment=marker.encode())
    choose_avatar(system, user, out.getvalue())
    for number in range(2):
        write_variant(FACE.locate(), file, number)
        choose_avatar(system, f"{user}-friend-{number}", file.read_bytes())


def cases_of(system: Any, user: str) -> list[dict[str, Any]]:
    """Cases that name a user, as their owner or as an account of a ring."""
    asked = [system.api.get("/v1/review/cases", params={"state": s}) for s in ("waiting", "withdrawn", "decided")]
    ids = [each["review_id"] for answer in asked for each in accepted(answer, 200)["cases"]]
    cases = [system.api.get(f"/v1/review/cases/{each}").json() for each in ids]
    return [each for each in cases if user in (each.get("owner"), each.get("subject_id"), *each.get("members", ()))]


def accepted(answer: Any, status: int = 202) -> Any:
    assert answer.status_code == status, answer.text
    return answer.json()


@contextmanager
def erasing(user: str, *more: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", ERASE, user, "--yes", "--wait", "300", *more]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def plant(system: Any, user: str, markers: Markers, folder: Path) -> set[str]:
    """Everything a user can leave, half of it settled and half of it in work; the media ids."""
    files = {"post": marked_picture(51, markers.plant("exif")), "video": marked_video(52, markers.plant("container"))}
    song = markers.plant("song")
    sent = {
        "post": upload(
            system,
            "post",
            ("p.jpg", files["post"]),
            uploader=user,
            title=markers.plant("title"),
            text=markers.plant("text"),
            tags=markers.plant("tag"),
            song_id=song,
        ),
        "video": upload(system, "video", ("v.mp4", files["video"]), uploader=user, title=markers.plant("videotitle")),
    }
    for media_id in sent.values():
        assert settled(system, media_id)["state"] == "published"
        wait(
            "features",
            lambda media_id=media_id: system.api.get(f"/v1/features/item_content_v1/{media_id}").status_code == 200,
        )
    exposure = {"surface": markers.plant("surface"), "experiment": markers.plant("experiment")}
    play = {"user_id": user, "song_id": sent["post"], "played_ms": 4000, "duration_ms": 4000, "exposure": exposure}
    accepted(system.api.post("/v1/plays", json=[play]))
    accepted(system.api.post("/v1/interactions", json={"user_id": user, "item_id": song, "action": "liked"}))
    plant_avatar(system, user, markers.plant("avatar"), folder)
    accepted(
        system.api.put(f"/v1/users/{user}/profile", json={"birth_year": 1990, "occupation": markers.plant("work")})
    )
    for view in USER_VIEWS:
        wait(view, lambda view=view: system.api.get(f"/v1/features/{view}/{user}").status_code == 200)
    wait("people asked", lambda: {each["subject"] for each in cases_of(system, user)} == {"avatar", "ring"})
    media = set(sent.values())
    for number in range(3):
        title = markers.plant(f"inwork{number}")
        media.add(upload(system, "audio", (f"{number}.wav", sound(300 + 40 * number)), uploader=user, title=title))
        media.add(upload(system, "post", uploader=user, text=markers.plant(f"textinwork{number}")))
    return media


def found_in_stores(system: Any, markers: list[str]) -> list[str]:
    async def look() -> list[str]:
        wiring = system.wiring
        recommender = milvus_versions.recommender_collections(wiring.milvus_config)
        stores = (
            object_contents(wiring.objects),
            redis_contents(wiring.redis, wiring.redis_config.address),
            milvus_contents(wiring.vector_index, recommender),
            gallery_contents(wiring.milvus_config),
        )
        found = [f"{p}: {m}" for store in stores async for p, d in store for m in markers if m.encode() in d]
        await wiring.redis.aclose()
        return found

    found = asyncio.run(look())
    folder = system.settings.data_dir / "objects"
    for path in (path for path in folder.rglob("*") if path.is_file()):
        # a temporary file of a write under way may be gone by now
        with suppress(FileNotFoundError):
            held = path.read_bytes()
            found += [f"{path}: {marker}" for marker in markers if marker.encode() in held]
    return found


def in_milvus(system: Any, media: set[str]) -> set[str]:
    index = system.wiring.vector_index
    return {each for alias in COLLECTIONS for each in asyncio.run(index.fetch(alias, sorted(media)))}


def test_a_user_is_forgotten_though_everything_is_killed(system: Any, tmp_path: Path) -> None:
    markers = Markers()
    user, other = f"erna-{markers.run}", f"otto-{markers.run}"
    media = plant(system, user, markers, tmp_path)
    asked = {each["review_id"]: each for each in cases_of(system, user)}
    own = upload(system, "post", ("p.jpg", PLAIN), uploader=user, title=markers.plant("plain"))
    kept = upload(system, "post", ("p.jpg", PLAIN), uploader=other, title="Same picture")
    media.add(own)
    for place in ("exif", "container", "title", "text", "tag", "avatar", "work"):
        marker = next(m for m in markers.all if m.startswith(f"zq{place}"))
        assert found_in_stores(system, [marker]), f"{place}: a scan that finds nothing before proves nothing after"

    with erasing(user) as first:
        assert first.stdout
        assert any("asked for" in line for line in first.stdout)
        first.kill()
    items = system.workers["worker-items"]
    time.sleep(3.2)
    items.kill()
    items.start()
    items.wait_ready()

    scans = [argument for marker in markers.all for argument in ("--scan-for", marker)]
    with erasing(user, *scans) as second:
        told, _ = second.communicate()
    assert second.returncode == 0, told
    assert "no store holds a trace" in told
    assert "logs that still hold a trace" in told
    for topic in (
        "upload.post.created.v1",
        "user.avatar.changed.v1",
        "user.profile.changed.v1",
        "play.song.played.v1",
        "user.item.interacted.v1",
        "user.avatar.moderated.v1",
        "user.face.embedded.v1",
        "review.item.requested.v1",
    ):
        assert topic in told
    assert "never gone" not in told
    assert "review.audit.recorded.v1" not in told, "the audit log names no user"

    assert found_in_stores(system, markers.all) == []
    assert in_milvus(system, media) == set()
    for media_id in media:
        answer = system.api.get(f"/v1/media/{media_id}").json()
        assert (answer["state"], answer["uploader"], answer["title"], answer["labels"]) == ("deleted", "", "", [])
        assert system.api.get(f"/v1/features/item_content_v1/{media_id}").status_code == 404
    for view in USER_VIEWS:
        assert system.api.get(f"/v1/features/{view}/{user}").status_code == 404
    assert system.api.get(f"/v1/avatars/{user}").status_code == 404
    assert not (system.settings.data_dir / "objects" / "avatars" / user_token(user)).exists()
    assert cases_of(system, user) == []
    for review_id, case in asked.items():
        left = system.api.get(f"/v1/review/cases/{review_id}")
        if case["subject"] == "ring":
            assert left.json()["members"] == [each for each in case["members"] if each != user]
        else:
            assert left.status_code == 404
    assert not media & {item["item_id"] for item in recommended(system, "nobody-yet", limit=200)}

    assert settled(system, kept)["state"] == "published", "equal bytes of another user are another object"
    wait("the other user's item", lambda: kept in {i["item_id"] for i in recommended(system, "nobody-yet", limit=200)})
    again = upload(system, "post", uploader=user, text="I am back and start anew")
    assert settled(system, again)["state"] == "published", "a returning user is a new start"


def test_a_deleted_upload_leaves_no_bytes(system: Any) -> None:
    marker = Markers().plant("deleted")
    media_id = upload(system, "post", ("p.jpg", marked_picture(55, marker)), uploader="dora", title=marker)
    assert settled(system, media_id)["state"] in ("published", "review"), "deleted from wherever it stands"
    assert found_in_stores(system, [marker])
    accepted(system.api.delete(f"/v1/media/{media_id}"))
    wait("the bytes gone", lambda: not found_in_stores(system, [marker]))
    answer = system.api.get(f"/v1/media/{media_id}").json()
    assert (answer["state"], answer["title"], answer["uploader"]) == ("deleted", "", "")
