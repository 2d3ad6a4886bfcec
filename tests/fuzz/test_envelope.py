"""Values of topics: every decoder meets whatever bytes a producer may write."""

from __future__ import annotations

import struct
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from schemas import topics
from schemas.record import Record
from tests.fuzz.effort import fuzz, patience
from tests.fuzz.mutations import mutate
from tests.fuzz.records import any_record
from tests.fuzz.targets import CODEC, CODEC_ERRORS, FOLLOWED, MEDIA_ID, RECORDS, decode, follow

SEEDS = st.integers(0, 2**32 - 1)
KEYS = st.one_of(st.sampled_from([MEDIA_ID.encode(), b"a"]), st.binary(max_size=20))
PROGRAMS = st.binary(max_size=18)


@patience
@fuzz
@given(kind=st.sampled_from(RECORDS), seed=SEEDS, program=PROGRAMS)
def test_a_nearly_right_record(kind: type[Record], seed: int, program: bytes) -> None:
    value = mutate(CODEC.encode(any_record(kind, Random(seed))), program)
    found = decode(value, kind)
    assert isinstance(found, kind) or (program and found in CODEC_ERRORS)


@patience
@fuzz
@given(kind=st.sampled_from(RECORDS), number=st.integers(0, len(RECORDS) + 1), body=st.binary(max_size=200))
def test_any_bytes_after_any_header(kind: type[Record], number: int, body: bytes) -> None:
    for value in (body, struct.pack(">bI", 0, number) + body):
        found = decode(value, kind)
        assert isinstance(found, kind) or found in CODEC_ERRORS


@patience
@fuzz
@given(topic=st.sampled_from(FOLLOWED), seed=SEEDS, program=PROGRAMS, key=KEYS)
def test_followers_take_a_record_or_name_its_error(topic: topics.Topic, seed: int, program: bytes, key: bytes) -> None:
    value = mutate(CODEC.encode(any_record(topic.record, Random(seed))), program)
    assert follow(key, value, topic.name) in {
        "taken",
        "key-undecodable",
        "unavailable",
        "value-impossible",
        *CODEC_ERRORS,
    }
