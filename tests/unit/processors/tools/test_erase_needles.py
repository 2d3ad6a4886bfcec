"""What counts as a trace, and until when a topic keeps it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from features.feast_layout import entity_key
from processors.runtime.settings import Settings
from processors.tools.erase import logs
from processors.tools.erase.needles import found_in, text_needle, user_needle
from schemas.play import PlayAggregate
from schemas.topics import ITEM_CHANGED, MEDIA_STATUS, PLAY_AGGREGATED, VIDEO_CREATED
from schemas.user import UserErased
from tests.fakes.runtime import NOW, codec

NEWEST = int(NOW.timestamp() * 1000)


def test_a_user_id_is_found_as_a_whole_value_wherever_it_is_written() -> None:
    needle = user_needle("anna-4")
    event = UserErased(event_id="e", occurred_at=NOW, user_id="anna-4", requested_by="x")
    state = PlayAggregate(
        aggregate_id="user:anna-4", plays=0, completions=0, played_ms=0, last_played_at=NOW, applied_offset=0
    )
    for data in (
        codec().encode(event),
        codec().encode(state),
        entity_key("overture", "user_id", "anna-4"),
        b'{"uploader":"anna-4"}',
    ):
        assert needle.lies_in(data)
    for other in ("joanna-4", "anna-42"):
        assert not needle.lies_in(entity_key("overture", "user_id", other))
        assert not needle.lies_in(f'{{"uploader":"{other}"}}'.encode())


def test_a_text_is_found_in_every_spelling() -> None:
    needle = text_needle('Étude "1"')
    for data in ('Étude "1"'.encode(), 'Étude "1"'.encode("utf-16-le"), b'"\\u00c9tude \\"1\\""'):
        assert found_in([needle], b"x" + data + b"y") == {'Étude "1"'}
    assert not needle.lies_in(b'Etude "1"')
    with pytest.raises(ValueError, match="empty"):
        text_needle("")


def message(key: str, value: bytes | None, offset: int, ms: int = NEWEST, headers: Any = None) -> Any:
    return SimpleNamespace(
        key=lambda: key.encode(),
        value=lambda: value,
        headers=lambda: headers,
        partition=lambda: 0,
        offset=lambda: offset,
        timestamp=lambda: (1, ms),
    )


def trace(topic: str, messages: list[Any], **config: str) -> logs.TopicTrace:
    count = logs._count(messages, [text_needle("zebra"), user_needle("anna")], "anna" if topic in logs.FENCES else "")
    defaults = {
        "cleanup.policy": "delete",
        "retention.ms": str(28 * 86_400_000),
        "segment.ms": str(7 * 86_400_000),
        "max.compaction.lag.ms": str(2**63 - 1),
    }
    return logs._trace(topic, count, defaults | {k.replace("_", "."): v for k, v in config.items()})


def test_a_record_is_gone_after_retention_and_the_life_of_its_segment() -> None:
    found = trace(VIDEO_CREATED.name, [message("k", b"a zebra", 0, NEWEST - 5), message("k", b"a zebra", 1)])
    assert (found.records, found.texts, found.kept) == (2, {"zebra"}, ())
    assert found.newest == datetime.fromtimestamp(NEWEST / 1000, UTC)
    assert found.until == found.newest + timedelta(days=35)


def test_a_header_counts_too() -> None:
    assert trace("x.dead-letter.v1", [message("k", b"", 0, headers=[("x-error-text", b"no zebra")])]).records == 1


def test_compaction_removes_what_is_superseded_and_keeps_the_newest_value() -> None:
    superseded = [message("k", b"a zebra", 0), message("k", b"blank", 1)]
    found = trace(MEDIA_STATUS.name, superseded, cleanup_policy="compact", max_compaction_lag_ms=str(7 * 86_400_000))
    assert found.kept == ()
    assert found.until is not None
    kept = trace(ITEM_CHANGED.name, [*superseded, message("other", b"a zebra", 2)], cleanup_policy="compact")
    assert (kept.kept, kept.until) == (("other",), None)


def test_the_fence_may_keep_the_user_id_and_nothing_else() -> None:
    fence = trace(PLAY_AGGREGATED.name, [message("user:anna", b"blank", 0)], cleanup_policy="compact")
    assert (fence.records, fence.kept, fence.fence) == (1, (), True)
    other = trace(PLAY_AGGREGATED.name, [message("user:anna", b"a zebra", 0)], cleanup_policy="compact")
    assert other.kept == ("user:anna",)
    elsewhere = trace(MEDIA_STATUS.name, [message("m", b'"anna"', 0)], cleanup_policy="compact")
    assert elsewhere.kept == ("m",)


def test_files_are_read_over_the_borders_of_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "CHUNK", 16)
    folder = tmp_path / "redis" / "data"
    folder.mkdir(parents=True)
    (folder / "appendonly").write_bytes(b"." * 14 + b"zebra" + b"." * 40)
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "http.log").write_bytes(b"." * 100)
    (found,) = logs.file_traces(Settings(data_dir=tmp_path), [text_needle("zebra")])
    assert (found.path.name, found.texts) == ("appendonly", {"zebra"})
    assert "BGREWRITEAOF" in found.until
