"""From an upload to a recommendation, through every real part."""

from __future__ import annotations

import asyncio
import io
import time
import uuid
from collections.abc import Callable
from typing import Any

import av
import numpy as np
import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, Message, TopicPartition
from PIL import Image

from features.views import COLLECTIONS
from processors.runtime.kafka import reader_config
from schemas import topics

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]
TERMINAL = {"published", "rejected", "failed", "deleted", "review"}
NEEDED_STAGES = {"upload", "media_analysis", "content_moderation", "content_embedding", "item_publication"}
WAIT_S = 90.0


def wait(what: str, condition: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + WAIT_S
    while not (found := condition()):
        assert time.monotonic() < deadline, f"{what} did not happen within {WAIT_S} s"
        time.sleep(0.2)
    return found


def upload(
    system: Any, kind: str, file: tuple[str, bytes] | None = None, *, key: str = "", trace: str = "", **fields: Any
) -> str:
    form = {"kind": kind, "uploader": "ada", **fields}
    files = {"file": file} if file else {"file": (None, b"")}
    if file is None:
        files = {name: (None, str(value).encode()) for name, value in form.items()}
        form = {}
    headers = {"Idempotency-Key": key or uuid.uuid4().hex} | ({"traceparent": trace} if trace else {})
    answer = system.api.post("/v1/uploads", data=form, files=files, headers=headers)
    assert answer.status_code == 202, answer.text
    assert answer.json()["state"] == "received"
    return str(answer.json()["media_id"])


def settled(system: Any, media_id: str) -> dict[str, Any]:
    def ask() -> dict[str, Any] | None:
        answer = system.api.get(f"/v1/media/{media_id}")
        assert answer.status_code == 200, answer.text
        media: dict[str, Any] = answer.json()
        return media if media["state"] in TERMINAL else None

    found: dict[str, Any] = wait(f"the end of {media_id}", ask)
    return found


def stages(system: Any, media_id: str) -> set[str]:
    """Stages told of so far: an item may be published before the slowest of them is merged."""
    return {entry["stage"] for entry in system.api.get(f"/v1/media/{media_id}").json()["timeline"]}


def picture(seed: int) -> bytes:
    dice = np.random.default_rng(seed)
    small = dice.integers(0, 255, (6, 8, 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(small).resize((320, 240), Image.Resampling.BICUBIC).save(out, "JPEG")
    return out.getvalue()


def sound(hz: float, seconds: float = 4.0) -> bytes:
    rate = 16_000
    t = np.arange(int(seconds * rate)) / rate
    wave = sum(np.sin(2 * np.pi * hz * k * t) / k for k in (1, 2, 3)) * np.exp(-(t % 0.5) * 4)
    samples = (wave / np.abs(wave).max() * 20_000).astype(np.int16)
    out = io.BytesIO()
    with av.open(out, "w", format="wav") as container:
        stream = container.add_stream("pcm_s16le", rate=rate, layout="mono")
        frame = av.AudioFrame.from_ndarray(samples[None, :], format="s16", layout="mono")
        frame.sample_rate = rate
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    return out.getvalue()


def video(seed: int) -> bytes:
    dice = np.random.default_rng(seed)
    scene = np.asarray(Image.fromarray(dice.integers(0, 255, (6, 8, 3), dtype=np.uint8)).resize((160, 120)))
    out = io.BytesIO()
    with av.open(out, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        for number in range(50):
            frame = av.VideoFrame.from_ndarray(np.roll(scene, number, axis=1), format="rgb24")
            for packet in stream.encode(frame):
                container.mux(packet)
        for packet in stream.encode(None):
            container.mux(packet)
    return out.getvalue()


def recommended(system: Any, user: str, limit: int = 50, **query: Any) -> list[dict[str, Any]]:
    answer = system.api.get("/v1/recommendations", params={"user": user, "limit": limit, **query})
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


def test_every_kind_is_published_and_recommended_before_anybody_played_it(system: Any) -> None:
    ids = {
        "video": upload(system, "video", ("clip.mp4", video(1)), title="Morning swim"),
        "audio": upload(system, "audio", ("tune.wav", sound(220)), title="Étude", tags="piano"),
        "post": upload(system, "post", ("p.jpg", picture(2)), text="Rain on the harbour", surface="moment"),
        "score": upload(system, "score", ("s.jpg", picture(3)), title="Menuet"),
        "screenshot": upload(system, "screenshot", ("s.jpg", picture(4)), title="My playlist"),
    }
    text_only = upload(system, "post", text="今天的晚霞真好看", language="zh", surface="comment")
    for kind, media_id in [*ids.items(), ("post", text_only)]:
        media = settled(system, media_id)
        assert (media["kind"], media["state"], media["reasons"]) == (kind, "published", []), media
        wait(f"the whole timeline of a {kind}", lambda media_id=media_id: stages(system, media_id) >= NEEDED_STAGES)
    wanted = {*ids.values(), text_only}
    wait("recall of all", lambda: wanted <= {item["item_id"] for item in recommended(system, "nobody-yet")})
    assert all(item["cold"] for item in recommended(system, "nobody-yet") if item["item_id"] in wanted)

    def classified() -> dict[str, Any] | None:
        media: dict[str, Any] = system.api.get(f"/v1/media/{ids['audio']}").json()
        return media if "content_classification" in {entry["stage"] for entry in media["timeline"]} else None

    # a sound unlike anything that was learned gets no label, and that is right
    assert all(0 <= label["score"] <= 1 for label in wait("classification", classified)["labels"])
    videos = recommended(system, "nobody-yet", kind="video")
    assert {item["kind"] for item in videos} == {"video"}
    for places, post in (("moment", ids["post"]), ("comment", text_only)):
        feed = recommended(system, "nobody-yet", surface="community-feed", place=places)
        assert {item["item_id"] for item in feed} == {post}


def test_a_withdrawn_item_is_found_nowhere(system: Any) -> None:
    def has_feature() -> bool:
        return system.api.get(f"/v1/features/item_content_v1/{media_id}").status_code == 200

    def in_milvus() -> set[str]:
        index = system.wiring.vector_index
        return {alias for alias in COLLECTIONS if asyncio.run(index.fetch(alias, [media_id]))}

    def in_answers() -> bool:
        return media_id in {item["item_id"] for item in recommended(system, "nobody-yet", limit=200)}

    media_id = upload(system, "post", ("p.jpg", picture(7)), title="Soon gone")
    assert settled(system, media_id)["state"] == "published"
    wait("recall", in_answers)
    wait("features", has_feature)
    assert in_milvus() == {"content_joint", "content_image", "content_text"}
    assert system.api.delete(f"/v1/media/{media_id}").status_code == 202
    wait("deletion", lambda: settled(system, media_id)["state"] == "deleted")
    wait("absence from answers", lambda: not in_answers())
    wait("absence from Milvus", lambda: not in_milvus())
    wait("absence from Feast", lambda: not has_feature())


def test_taste_follows_plays(system: Any) -> None:
    low = [
        upload(system, "audio", (f"l{i}.wav", sound(110 + i)), title=f"Bass study {i}", tags="bass") for i in range(3)
    ]
    high = [upload(system, "audio", (f"h{i}.wav", sound(880 + 9 * i)), title=f"鸟鸣 {i}", tags="鸟") for i in range(3)]
    for media_id in [*low, *high]:
        assert settled(system, media_id)["state"] == "published"
    played = {"low-fan": low[:2], "high-fan": high[:2]}
    plays = [
        {"user_id": user, "song_id": song, "played_ms": 4000, "duration_ms": 4000}
        for user, songs in played.items()
        for song in songs
    ]
    # the taste is computed from vectors that item_indexing must have written first
    for song in [*low, *high]:
        wait("features", lambda song=song: system.api.get(f"/v1/features/item_content_v1/{song}").status_code == 200)
    assert system.api.post("/v1/plays", json=plays).status_code == 202

    def order(user: str) -> list[str]:
        return [i["item_id"] for i in recommended(system, user, limit=200, kind="audio")]

    wait("taste", lambda: system.api.get("/v1/features/user_taste_v1/low-fan").status_code == 200)
    wait("taste", lambda: system.api.get("/v1/features/user_taste_v1/high-fan").status_code == 200)
    wait("low first", lambda: (o := order("low-fan")) and o.index(low[2]) < o.index(high[2]))
    wait("high first", lambda: (o := order("high-fan")) and o.index(high[2]) < o.index(low[2]))
    assert not set(played["low-fan"]) & set(order("low-fan")), "what was just played is not offered again"


@pytest.mark.parametrize(
    ("kind", "file", "fields", "code"),
    [
        ("video", ("cut.mp4", lambda: video(5)[: len(video(5)) // 3]), {}, None),
        ("audio", ("silence.wav", lambda: sound(100) * 0 + silence()), {}, "media-silent"),
        (
            "post",
            None,
            {"text": "Contact me on this casino site for free betting money, kill yourself"},
            "text-blocked",
        ),
    ],
    ids=["truncated", "silent", "abuse"],
)
def test_unacceptable_uploads_end_rejected_with_a_reason(
    system: Any, kind: str, file: Any, fields: dict[str, str], code: str | None
) -> None:
    given = None if file is None else (file[0], file[1]())
    media = settled(system, upload(system, kind, given, **fields))
    assert media["state"] == "rejected", media
    assert media["reasons"]
    assert all(reason["text"] for reason in media["reasons"])
    if code:
        assert code in {reason["code"] for reason in media["reasons"]}
    assert media["media_id"] not in {item["item_id"] for item in recommended(system, "nobody-yet", limit=200)}


def silence() -> bytes:
    rate = 16_000
    samples = np.zeros(rate * 3, dtype=np.int16)
    out = io.BytesIO()
    with av.open(out, "w", format="wav") as container:
        stream = container.add_stream("pcm_s16le", rate=rate, layout="mono")
        frame = av.AudioFrame.from_ndarray(samples[None, :], format="s16", layout="mono")
        frame.sample_rate = rate
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    return out.getvalue()


def test_the_same_key_is_the_same_upload(system: Any) -> None:
    key = uuid.uuid4().hex
    first = upload(system, "post", ("p.jpg", picture(9)), key=key, title="Once")
    again = upload(system, "post", ("p.jpg", picture(9)), key=key, title="Once")
    assert first == again
    other = system.api.post(
        "/v1/uploads",
        data={"kind": "post", "uploader": "ada", "title": "Another"},
        files={"file": ("p.jpg", picture(10))},
        headers={"Idempotency-Key": key},
    )
    assert other.status_code == 422
    assert other.headers["content-type"].startswith("application/problem+json")
    assert settled(system, first)["state"] == "published"


def test_progress_is_streamed(system: Any) -> None:
    media_id = upload(system, "post", ("p.jpg", picture(11)), title="Watched")
    states = []
    with system.api.stream("GET", f"/v1/media/{media_id}/events", timeout=60) as answer:
        for line in answer.iter_lines():
            if line.startswith("data:"):
                states.append(line)
    assert '"published"' in states[-1]


def test_one_trace_goes_from_the_request_to_every_event_of_the_upload(system: Any) -> None:
    trace = uuid.uuid4().hex
    media_id = upload(system, "post", ("p.jpg", picture(12)), trace=f"00-{trace}-b7ad6b7169203331-01", title="Followed")
    assert settled(system, media_id)["state"] == "published"
    named = {
        topics.POST_CREATED.name,
        topics.MEDIA_ANALYSED.name,
        topics.CONTENT_MODERATED.name,
        topics.CONTENT_EMBEDDED.name,
        topics.CONTENT_CLASSIFIED.name,
        topics.MEDIA_STATUS.name,
        topics.ITEM_CHANGED.name,
        topics.ITEM_INDEXED.name,
    }
    reader = Consumer(reader_config(system.settings.kafka, f"test-{uuid.uuid4()}"))
    reader.assign(
        [TopicPartition(name, number, OFFSET_BEGINNING) for name in named for number in range(topics.PARTITIONS)]
    )
    found: list[Message] = []

    def seen() -> set[str]:
        found.extend(m for m in reader.consume(1000, 0.5) if m.error() is None and m.key() == media_id.encode())
        return {str(message.topic()) for message in found}

    try:
        wait("an event in each topic", lambda: seen() == named)
    finally:
        reader.close()
    assert {dict(message.headers())["traceparent"].decode().split("-")[1] for message in found} == {trace}
