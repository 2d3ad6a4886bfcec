"""Multipart forms: read alike however the network cuts them, and refused with a reason."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.effort import fuzz, patience
from tests.fuzz.mutations import mutate, pieces
from tests.fuzz.targets import RULES, call, read_form

PROGRAMS = st.binary(max_size=18)
CUTS = st.binary(max_size=6)
PNG = b"\x89PNG\r\n\x1a\n"
HEADS = (PNG, b"RIFF\x24\x08\0\0WAVEfmt ", b"\0\0\0\x18ftypisom", b"", b"GIF89a", b"\xff\xd8\xff")
FILE = b'Content-Disposition: form-data; name="file"; filename="a.png"\r\nContent-Type: image/png\r\n\r\n'
GOOD = (
    b'--B\r\nContent-Disposition: form-data; name="kind"\r\n\r\npost\r\n'
    b'--B\r\nContent-Disposition: form-data; name="uploader"\r\n\r\nu-1\r\n'
    b'--B\r\nContent-Disposition: form-data; name="tags"\r\n\r\n\xe9\x92\xa2\xe7\x90\xb4\r\n'
    b"--B\r\n" + FILE + PNG + b"x" * 60 + b"\r\n--B--\r\n"
)
FIELDS = GOOD.replace(b'name="uploader"\r\n\r\nu-1', b'name="title"\r\n\r\nu-1')
TYPE = b"multipart/form-data; boundary=B"


@patience
@fuzz
@given(program=PROGRAMS, cuts=CUTS)
def test_the_cuts_of_the_network_change_nothing(program: bytes, cuts: bytes) -> None:
    body = mutate(FIELDS, program)
    whole = read_form(TYPE, [body])
    cut = read_form(TYPE, pieces(body, cuts))
    # of two things that are wrong with it, the first to arrive is told
    assert cut == whole or (isinstance(cut, str) and isinstance(whole, str))
    if not program:
        assert whole[0] == {"kind": ["post"], "title": ["u-1"], "tags": ["钢琴"]}
        assert whole[1] == PNG + b"x" * 60


@patience
@fuzz
@given(
    fields=st.lists(st.tuples(st.sampled_from(sorted(RULES)), st.text(max_size=12)), max_size=5),
    head=st.sampled_from(HEADS),
    rest=st.binary(max_size=80),
    boundary=st.text("abcXYZ0123456789'()+_,-./:=?", min_size=1, max_size=70),
    cuts=CUTS,
)
def test_what_was_packed_is_unpacked(
    fields: list[tuple[str, str]], head: bytes, rest: bytes, boundary: str, cuts: bytes
) -> None:
    mark = b"--" + boundary.encode()
    contents = [value.encode() for _, value in fields] + [head + rest]
    if any(mark in content for content in contents):
        return
    parts = [b'Content-Disposition: form-data; name="%s"\r\n\r\n%s' % (n.encode(), v.encode()) for n, v in fields]
    parts.append(FILE + head + rest)
    body = b"".join(mark + b"\r\n" + part + b"\r\n" for part in parts) + mark + b"--\r\n"
    found = read_form(b'multipart/form-data; boundary="%s"' % boundary.encode(), pieces(body, cuts))
    if isinstance(found, str):
        assert found in REASONS, found
        return
    expected: dict[str, Any] = {}
    for name, value in fields:
        expected.setdefault(name, []).append(value)
    assert found[0] == expected
    assert found[1] == head + rest


REASONS = {
    "field-duplicate",
    "field-too-many",
    "field-too-long",
    "field-control-character",
    "media-type",
    "media-empty",
}


@patience
@fuzz
@given(content_type=st.binary(max_size=40), body=st.binary(max_size=60), program=PROGRAMS)
def test_any_content_type_and_any_body(content_type: bytes, body: bytes, program: bytes) -> None:
    assert isinstance(read_form(content_type, [body]), str)
    read_form(mutate(TYPE, program), [GOOD])
    read_form(TYPE, [b"--B\r\n" + body + b"\r\n--B--\r\n"])


@patience
@fuzz
@given(
    path=st.sampled_from(["/v1/uploads", "/v1/avatars"]),
    program=PROGRAMS,
    cuts=CUTS,
    key=st.one_of(st.just(b"k1"), st.binary(max_size=12)),
)
def test_uploads_take_nearly_right_forms(path: str, program: bytes, cuts: bytes, key: bytes) -> None:
    headers = [(b"content-type", TYPE), (b"idempotency-key", key)]
    call("POST", path, path, headers, pieces(mutate(GOOD, program), cuts))
