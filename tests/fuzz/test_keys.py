"""Keys of every kind: API keys, their file, idempotency keys, ids, positions."""

from __future__ import annotations

import json
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from processors.serving.keys import digest
from tests.fuzz.effort import fuzz, patience
from tests.fuzz.mutations import mutate
from tests.fuzz.plain import any_json
from tests.fuzz.targets import KEY, NOW, enter, read_fields, read_key_file

PROGRAMS = st.binary(max_size=18)
RECORD = {
    "id": KEY.split("_")[1],
    "name": "the app",
    "scopes": ["ingest", "read"],
    "sha256": digest(KEY),
    "created_at": NOW.isoformat(),
    "expires_at": None,
    "revoked_at": None,
}
FILE = json.dumps({"version": 1, "keys": [RECORD, RECORD | {"id": "f" * 16}]}).encode()
SEEDS = st.integers(0, 2**32 - 1)


@patience
@fuzz
@given(program=PROGRAMS, more=st.lists(st.binary(max_size=12), max_size=1), noise=st.binary(max_size=80))
def test_only_the_key_opens(program: bytes, more: list[bytes], noise: bytes) -> None:
    good = f"Bearer {KEY}".encode()
    sent = mutate(good, program)
    found = enter([sent, *more])
    assert found in ("open", "key-invalid")
    if sent == good and not more:
        assert found == "open"
    assert enter([noise]) == "key-invalid"
    assert enter([b"Bearer " + noise]) == "key-invalid"


@patience
@fuzz
@given(program=PROGRAMS, noise=st.binary(max_size=60), name=st.sampled_from(sorted(RECORD)), seed=SEEDS)
def test_a_key_file_is_read_or_refused(program: bytes, noise: bytes, name: str, seed: int) -> None:
    odd = json.dumps({"version": 1, "keys": [RECORD | {name: any_json(Random(seed))}]}).encode()
    for data in (mutate(FILE, program), noise, odd):
        found = read_key_file(data)
        assert isinstance(found, int) or found == "keys-unreadable"
    if not program:
        assert read_key_file(FILE) == 2


@patience
@fuzz
@given(value=st.one_of(st.binary(max_size=300), st.text(max_size=40).map(str.encode)))
def test_ids_and_positions(value: bytes) -> None:
    read_fields(value)
