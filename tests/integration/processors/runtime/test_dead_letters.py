"""``overture dlq`` by command; the letters are made by a worker process on a real broker."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from redis import Redis
from typer.testing import CliRunner

import processors.catalogue
from processors.commands import dlq
from processors.tools.dlq import reading
from schemas import topics
from schemas.errors import AppError

pytestmark = [pytest.mark.real, pytest.mark.timeout(240)]


class Shell:
    """``overture dlq`` with the capabilities of a test as the catalogue."""

    def __init__(self, harness: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        for name, value in sys.modules[type(harness).__module__].environment(harness.settings).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(processors.catalogue, "CAPABILITIES", (harness.capability,))
        self.only = ("--capability", harness.capability.name)

    def __call__(self, *words: str, code: int = 0) -> str:
        answer = CliRunner().invoke(dlq.app, list(words), env={"COLUMNS": "400"})
        if isinstance(answer.exception, AppError):
            raise answer.exception
        assert answer.exit_code == code, (answer.output, answer.exception)
        return answer.output

    def listed(self, *words: str) -> list[dict[str, Any]]:
        return [orjson.loads(line) for line in self("list", *self.only, "--json", *words).splitlines()]


def test_list_show_replay_purge(harness: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    h = harness("single")
    begun = datetime.now(UTC)
    shell = Shell(h, monkeypatch)
    raising = h.send(["raise"])
    poison = [b"\x01\x00\x00\x00\x01magic", b"", b"\x01mo"]
    for value in poison:
        h.send_bytes(b"poison", value)
    h.producer.flush()
    h.start_worker()
    h.wait_for(lambda: len(h.dead_letters()) >= 4, "dead letters")

    # list
    rows = shell.listed()
    assert sorted(r["code"] for r in rows) == ["bug", "value-magic", "value-truncated", "value-truncated"]
    assert [r["given_up"] for r in rows] == sorted(r["given_up"] for r in rows)
    truncated = shell.listed("--code", "value-truncated", "--key", "poison", "--since", "10m", "--limit", "1")
    assert truncated == [next(r for r in rows if r["code"] == "value-truncated")]
    bug = next(r for r in rows if r["code"] == "bug")
    magic = next(r for r in rows if r["code"] == "value-magic")
    table = shell("list", *shell.only)
    assert "4 letters" in table
    assert bug["place"] in table
    assert bug["origin"].startswith(f"{topics.MEDIA_WITHDRAWN.name}/")

    # show
    shown = orjson.loads(shell("show", bug["place"], "--json"))
    assert shown["record"] == "overture.media.MediaWithdrawn"
    assert shown["value"]["event_id"] == raising[0]
    assert shown["headers"]["x-attempt"] == "2"
    assert shown["audit"] == []
    text = shell("show", magic["place"])
    assert "value-magic: magic byte is 1, not 0" in text
    assert poison[0].hex(" ") in text
    with pytest.raises(reading.LetterGoneError, match="/999"):
        shell("show", bug["place"].rsplit("/", 1)[0] + "/999")

    # replay: the worker must take it for new, although its starts were counted and it was tried before
    retry = h.capability.retry_topics[0][0]
    before = len(h.read(retry))
    with Redis.from_url(h.settings.redis.url.get_secret_value()) as redis:
        redis.sadd(f"attempts:{h.capability.group}:{bug['origin']}", "1", "2", "3", "4")
    assert f"would send {bug['place']}" in shell("replay", "--code", "bug", *shell.only, "--dry-run")
    assert "name letters" in shell("replay", code=2)
    assert len(h.read(retry)) == before
    assert "1 sent, 0 refused" in shell("replay", bug["place"], "--by", "ada", "--reason", "mended")
    h.wait_for(lambda: len(h.dead_letters()) >= 5, "the event given up again")
    sent = h.read(retry)[before]
    first = next(m for m in h.dead_letters() if m.offset() == int(bug["place"].rsplit("/", 1)[1]))
    assert (sent.key(), sent.value()) == (first.key(), first.value())
    assert f"{topics.MEDIA_WITHDRAWN.name}/{sent.partition()}/" in bug["origin"]
    new = shell.listed()[-1]
    assert new["replay_of"] == bug["place"]
    assert (new["attempts"], new["origin"], new["code"]) == (2, bug["origin"], "bug"), "tried twice, like any event"
    assert new["first_seen"] == bug["first_seen"]
    h.wait_for(lambda: h.open_starts() == [], "the end of its starts")

    # once is enough
    assert "ada replayed it" in shell("replay", bug["place"], code=1)
    assert "0 sent, 1 refused" in shell(
        "replay", "--key", bug["key"], "--limit", "1", "--since", "1h", "--code", "bug", bug["place"], code=1
    )
    trail = orjson.loads(shell("show", bug["place"], "--json"))["audit"]
    assert [(step["action"], step["by"], step["reason"]) for step in trail] == [("replayed", "ada", "mended")]
    assert trail[0]["sent_to"] == f"{retry}/{sent.partition()}/{sent.offset()}"
    assert datetime.fromisoformat(trail[0]["at"]) >= begun.replace(microsecond=0)

    # purge: the broker deletes from the beginning only
    assert h.stop_workers() == [0]
    order = [r["place"] for r in sorted(shell.listed(), key=lambda r: int(r["place"].rsplit("/", 1)[1]))]
    assert "1 would be purged" in shell("purge", order[1], code=1)
    assert "1 purged; 0 are gone from Kafka, 1 wait" in shell("purge", order[1], "--yes")
    assert {r["place"]: r["state"] for r in shell.listed("--all")}[order[1]] == "purged"
    assert "it was purged" in shell("replay", order[1], "--again", code=1)
    assert "1 purged; 2 are gone from Kafka, 0 wait" in shell("purge", order[0], "--yes")
    assert h._watermarks(h.capability.dead_letter_topic, 0) == (2, 5)
    assert "3 purged; 3 are gone" in shell("purge", *shell.only, "--yes")
    assert h._watermarks(h.capability.dead_letter_topic, 0) == (5, 5)
    assert "0 letters" in shell("list", *shell.only)
