"""The sentence grammar."""

from pathlib import Path

import numpy as np
import pytest

from models.training.material.templates import read_grammar


def write(tmp_path: Path, content: str) -> Path:
    path = tmp_path / "x.txt"
    path.write_text(content, encoding="utf-8")
    return path


def test_slots_and_choices_are_filled(tmp_path: Path) -> None:
    path = write(tmp_path, "# c\n@x = one | two\n## a\n{yes|no} <x>\n## b\nplain\n")
    grammar = read_grammar(path)
    random = np.random.default_rng(0)
    found = {grammar.sentence("a", random) for _ in range(100)}
    assert found == {"yes one", "yes two", "no one", "no two"}
    assert grammar.sentence("b", random) == "plain"


def test_parts_share_no_template(tmp_path: Path) -> None:
    grammar = read_grammar(write(tmp_path, "## a\n" + "\n".join(f"t{i}" for i in range(10))))
    one, rest = grammar.only(4, 5), grammar.only(4, 5, inverse=True)
    assert one.templates["a"] == ("t4", "t9")
    assert len(rest.templates["a"]) == 8


@pytest.mark.parametrize("content", ["before", "## a\n<nosuch>", "## a\n{open", "## a\nclosed}"])
def test_mistakes_are_refused(tmp_path: Path, content: str) -> None:
    with pytest.raises(ValueError, match=r"template|unknown"):
        read_grammar(write(tmp_path, content))
