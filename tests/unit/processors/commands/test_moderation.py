"""What ``overture moderation`` refuses before it asks anybody."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from processors.commands import moderation


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["calibrate", "--reason", "no-such"], "image-nsfw"),
        (["calibrate", "--precision", "0.2"], "0.5"),
        (["cases", "--state", "new"], "waiting"),
    ],
)
def test_an_unknown_name_is_answered_with_those_there_are(arguments: list[str], said: str) -> None:
    found = CliRunner().invoke(moderation.app, arguments, terminal_width=500)
    assert found.exit_code == 2
    assert said in found.output
