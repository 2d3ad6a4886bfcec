"""Bytes of a writer of another time, and schemas that are none."""

from __future__ import annotations

import io
import json
import struct
from typing import Any

import fastavro
import pytest

from schemas.codec import Codec
from schemas.errors import BadEventError
from schemas.play import SongPlayed
from schemas.upload import UploadCreated
from tests.fakes.runtime import schema_text
from tests.unit.schemas.codec_records import GOLDEN_AT, PLAY, refused


def written(schema: dict[str, Any], value: dict[str, Any], schema_id: int = 900) -> tuple[Codec, bytes]:
    """A codec that knows ``schema`` only as a writer's, and bytes written with it."""
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(schema, named_schemas={}), value)
    known = Codec()
    known.learn(schema_id, json.dumps(schema))
    return known, struct.pack(">bI", 0, schema_id) + out.getvalue()


def song_played_schema() -> dict[str, Any]:
    schema: dict[str, Any] = json.loads(schema_text(SongPlayed.CONTRACT))
    return schema


def test_a_field_that_we_do_not_know_is_skipped() -> None:
    schema = song_played_schema()
    schema["fields"].insert(2, {"name": "device", "type": "string"})
    known, data = written(schema, PLAY | {"device": "phone"})
    assert known.decode(data, SongPlayed) == SongPlayed(**PLAY)


def test_a_field_that_the_writer_lacks_has_its_default() -> None:
    schema = song_played_schema()
    schema["fields"] = [f for f in schema["fields"] if f["name"] != "exposure"]
    known, data = written(schema, {k: v for k, v in PLAY.items() if k != "exposure"})
    assert known.decode(data, SongPlayed) == SongPlayed(**PLAY)


def test_a_schema_learned_anew_counts_at_once() -> None:
    known, plain = written(song_played_schema(), PLAY)
    assert known.decode(plain, SongPlayed) == SongPlayed(**PLAY)
    schema = song_played_schema()
    schema["fields"].insert(2, {"name": "device", "type": "string"})
    _, longer = written(schema, PLAY | {"device": "phone"})
    known.learn(int.from_bytes(longer[1:5], "big"), json.dumps(schema))
    assert known.decode(longer, SongPlayed) == SongPlayed(**PLAY)


def test_a_missing_field_without_default_is_a_bad_event() -> None:
    schema = song_played_schema()
    schema["fields"] = [f for f in schema["fields"] if f["name"] != "user_id"]
    known, data = written(schema, {k: v for k, v in PLAY.items() if k != "user_id"})
    assert refused(known, data, SongPlayed) == "value-undecodable"


def test_a_kind_of_the_future_becomes_unknown() -> None:
    schema = json.loads(schema_text(UploadCreated.CONTRACT))
    kind = next(f for f in schema["fields"] if f["name"] == "kind")
    kind["type"]["symbols"].append("hologram")
    value = {
        "event_id": "e",
        "occurred_at": GOLDEN_AT,
        "media_id": "m",
        "kind": "hologram",
        "uploader": "u",
        "object": None,
        "title": "",
        "text": "",
        "tags": [],
        "song_id": None,
        "language": None,
        "surface": "none",
    }
    known, data = written(schema, value)
    assert known.decode(data, UploadCreated).kind == "unknown"


@pytest.mark.parametrize(
    "schema",
    [
        "not json",
        "5",
        "null",
        "{}",
        '{"type": "record"}',
        '{"type": "array"}',
        '{"type": "enum", "name": "A"}',
        '{"type": "record", "name": "A", "fields": 3}',
        '{"type": "record", "name": 7, "fields": []}',
        '{"type": "record", "name": "A", "fields": [{"name": "x", "type": "Nope"}]}',
        "[" * 20_000,
    ],
    ids=lambda s: s[:30],
)
def test_what_is_no_schema_is_a_bad_event(schema: str) -> None:
    with pytest.raises(BadEventError) as caught:
        Codec().learn(1, schema)
    assert caught.value.code == "schema-invalid"


@pytest.mark.parametrize("schema", ['"string"', '["null", "string"]', "[]", '{"type": "map", "values": "int"}'])
def test_a_schema_that_is_no_record_is_a_bad_event(schema: str) -> None:
    """The registry holds what others register too: a bare string is a valid schema."""
    known = Codec()
    known.learn(1, schema)
    assert refused(known, b"\0\0\0\0\1\2a") == "value-type"
