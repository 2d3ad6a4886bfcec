"""The client's log: what is read, and that a bad line is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from processors.tools.verify.accepted import BadLogError, read_log

ONE, TWO = "0b9f3f0e-3a55-5c1e-9d53-5f1f0d3e1f71", "0b9f3f0e-3a55-5c1e-9d53-5f1f0d3e1f72"
AT = '"accepted_at": "2026-11-21T08:00:00Z"'


def log(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "accepted.jsonl"
    path.write_text("\n".join(lines))
    return path


def test_repeats_and_other_members_are_taken(tmp_path: Path) -> None:
    line = f'{{"media_id": "{ONE}", {AT}, "expected": "published", "kind": "post"}}'
    found = read_log(log(tmp_path, line, "", line, f'{{"media_id": "{TWO}", {AT}}}'))
    assert {each: found[each].expected for each in found} == {ONE: "published", TWO: None}


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("nonsense", "line 2"),
        (f'{{"media_id": "{TWO}"}}', "line 2: accepted_at"),
        (f'{{"media_id": "x", {AT}}}', "line 2: media_id"),
        (f'{{"media_id": "{TWO}", "accepted_at": "2026-11-21T08:00:00"}}', "line 2: accepted_at"),
        (f'{{"media_id": "{TWO}", {AT}, "expected": "perfect"}}', "line 2: expected"),
        (f'{{"media_id": "{ONE}", {AT}, "expected": "rejected"}}', "line 2: .* expected to end rejected"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, told: str) -> None:
    with pytest.raises(BadLogError, match=told):
        read_log(log(tmp_path, f'{{"media_id": "{ONE}", {AT}, "expected": "published"}}', line))


def test_no_file_and_no_line(tmp_path: Path) -> None:
    with pytest.raises(BadLogError, match="No such file"):
        read_log(tmp_path / "none")
    with pytest.raises(BadLogError, match="names no upload"):
        read_log(log(tmp_path))
