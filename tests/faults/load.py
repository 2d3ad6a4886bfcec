"""Uploads as an app makes them, at a steady rate, and its own log of what was accepted."""

from __future__ import annotations

import io
import json
import os
import random
import threading
import time
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import av
import httpx
import numpy as np
from PIL import Image

from tests.faults.child import KILLS_THE_CHILD, PLACE
from tests.faults.skills import BREAKS_THE_RULES, KILLS_THE_WORKER, RAISES

TRY_AGAIN_S = 1.0
STOP_S = 180.0


@dataclass(frozen=True)
class Upload:
    """A form and the end it should come to."""

    kind: str
    expected: str
    fields: dict[str, str] = field(default_factory=dict)
    file: tuple[str, bytes] | None = None


class Load:
    """Sends uploads from a thread until told to stop.

    An upload that is not answered, or with 503, is sent again under the same ``Idempotency-Key`` until it is accepted.
    A line is on the disk before the upload counts as accepted.

    Attributes:
        log: The client's log.
        accepted: Uploads accepted.
        refusals: Answers 503 and connections that failed.
    """

    def __init__(
        self, url: str, log: Path, rate: float, *, seed: int, poison: float = 0.0, repeat: float = 0.0
    ) -> None:
        """Prepare.

        Args:
            url: The HTTP service.
            log: File to write.
            rate: Uploads a second.
            seed: Of all choices.
            poison: Share of uploads that must be rejected or fail.
            repeat: Share of uploads that are sent once more after a while, as a client does that lost the answer.
        """
        self.log, self.accepted, self.refusals = log, 0, 0
        self._url, self._rate, self._poison, self._repeat = url, rate, poison, repeat
        self._dice = random.Random(seed)
        self._stop = threading.Event()
        self._failure: BaseException | None = None
        self._again: list[tuple[Upload, str]] = []
        self._wanted: list[Upload] = []
        self._thread = threading.Thread(target=self._run, name="load")

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(STOP_S)
        assert not self._thread.is_alive(), "the last upload was not accepted"
        if self._failure is not None:
            raise self._failure

    def also(self, *uploads: Upload) -> None:
        """Send these next."""
        self._wanted += uploads

    def _run(self) -> None:
        try:
            with self.log.open("a") as file, httpx.Client(base_url=self._url, timeout=30) as client:
                while not self._stop.is_set():
                    started = time.monotonic()
                    self._one(client, file)
                    self._stop.wait(max(0.0, 1 / self._rate - (time.monotonic() - started)))
        except BaseException as failure:  # noqa: BLE001 (raised in the test's own thread)
            self._failure = failure

    def _one(self, client: httpx.Client, file: Any) -> None:
        if self._wanted:
            upload, key = self._wanted.pop(), uuid.uuid4().hex
        elif self._again and self._dice.random() < self._repeat:
            # out of order on purpose: an old one after newer ones
            upload, key = self._again.pop(self._dice.randrange(len(self._again)))
        else:
            upload, key = chosen(self._dice, self._poison), uuid.uuid4().hex
            self._again.append((upload, key))
        deadline = time.monotonic() + STOP_S
        while (answer := self._sent(client, upload, key)) is None:
            assert time.monotonic() < deadline, "not accepted"
            time.sleep(TRY_AGAIN_S)
        line = {
            "media_id": answer["media_id"],
            "accepted_at": datetime.now(UTC).isoformat(),
            "expected": upload.expected,
            "kind": upload.kind,
        }
        file.write(json.dumps(line) + "\n")
        file.flush()
        os.fsync(file.fileno())
        self.accepted += 1

    def _sent(self, client: httpx.Client, upload: Upload, key: str) -> dict[str, str] | None:
        form = {"kind": upload.kind, "uploader": "ada", **upload.fields}
        files: dict[str, Any] = {name: (None, value.encode()) for name, value in form.items()}
        if upload.file:
            files["file"] = upload.file
        try:
            answer = client.post("/v1/uploads", files=files, headers={"Idempotency-Key": key})
        except httpx.TransportError:
            self.refusals += 1
            return None
        if answer.status_code == 503:
            self.refusals += 1
            return None
        assert answer.status_code == 202, answer.text
        document: dict[str, str] = answer.json()
        return document


def chosen(dice: random.Random, poison: float) -> Upload:
    """An upload of the usual mixture, or one that must not be published."""
    words = f"{dice.choice(('Rain', 'Harbour', '晚霞', 'Étude'))} {dice.getrandbits(64):x}"
    if dice.random() < poison:
        return poisoned(dice.choice(("truncated", "rules", "bug")), words, dice)
    kind = dice.choices(("text", "picture", "audio"), (0.6, 0.3, 0.1))[0]
    match kind:
        case "text":
            return Upload("post", "published", {"text": words})
        case "picture":
            return Upload("score", "published", {"title": words}, ("s.jpg", picture(dice)))
        case _:
            return Upload("audio", "published", {"title": words}, ("t.wav", sound(dice)))


def poisoned(how: str, words: str, dice: random.Random) -> Upload:
    """An upload that must be rejected, or that fails."""
    match how:
        case "truncated":
            return Upload("score", "rejected", {"title": words}, ("s.jpg", picture(dice)[:400]))
        case "rules":
            return Upload("post", "rejected", {"text": f"{words} {BREAKS_THE_RULES}"})
        case "bug":
            return Upload("post", "failed", {"text": f"{words} {RAISES}"})
        case "worker":
            return Upload("post", "failed", {"text": f"{words} {KILLS_THE_WORKER}"})
        case "child":
            wav = sound(dice)
            return Upload("audio", "rejected", {"title": words}, ("t.wav", wav[:PLACE] + KILLS_THE_CHILD + wav[PLACE:]))
    raise ValueError(how)


def picture(dice: random.Random) -> bytes:
    """A small JPEG like no other."""
    small = np.frombuffer(dice.randbytes(6 * 8 * 3), np.uint8).reshape(6, 8, 3)
    out = io.BytesIO()
    Image.fromarray(small).resize((160, 120), Image.Resampling.BICUBIC).save(out, "JPEG")
    return out.getvalue()


def sound(dice: random.Random) -> bytes:
    """Two seconds of a tone like no other."""
    rate = 16_000
    t = np.arange(2 * rate) / rate
    samples = (np.sin(2 * np.pi * dice.uniform(100, 900) * t) * 20_000).astype(np.int16)
    out = io.BytesIO()
    with av.open(out, "w", format="wav") as container:
        stream = container.add_stream("pcm_s16le", rate=rate, layout="mono")
        frame = av.AudioFrame.from_ndarray(samples[None, :], format="s16", layout="mono")
        frame.sample_rate = rate
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    return out.getvalue()
