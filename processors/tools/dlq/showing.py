"""Letters on a screen, or as JSON for programs: one object a line."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import orjson
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from processors.tools.dlq.audit import Audit
from processors.tools.dlq.letters import DeadLetter
from processors.tools.dlq.reading import Stored
from processors.tools.dlq.values import Decoder, head
from schemas.errors import BadEventError

LONGEST_TEXT = 100
LONGEST_LIST = 16


def table(letters: list[DeadLetter], audit: Audit, now: datetime, console: Console) -> None:
    """Print letters, one a row."""
    columns = ("place", "capability", "code", "text", "key", "tries", "first seen", "age", "state")
    rows = Table(*columns, box=None, pad_edge=False)
    for column in (rows.columns[0], rows.columns[4]):
        column.overflow = "fold"
    for letter in letters:
        again = audit.replay_of(letter)
        state = audit.state(letter) + (f", after a replay of {again.place}" if again else "")
        cells = (
            str(letter.place),
            letter.capability,
            letter.code,
            letter.text[:LONGEST_TEXT],
            letter.key_text,
            str(letter.attempts),
            _time(letter.first_seen),
            age(now - letter.given_up),
            state,
        )
        rows.add_row(*map(escape, cells))
    console.print(rows)


def as_json(letter: DeadLetter, audit: Audit) -> str:
    """One letter as a JSON object on one line."""
    return _json(_facts(letter, audit))


def story(stored: Stored, audit: Audit, decoder: Decoder) -> dict[str, Any]:
    """Everything known of one letter.

    Raises:
        UnavailableError: the registry does not answer.
    """
    facts = _facts(stored.letter, audit)
    facts["headers"] = {name: value.decode(errors="replace") for name, value in stored.letter.headers}
    try:
        record = decoder.record(stored.value)
        facts["record"] = record.CONTRACT
        facts["value"] = decoder.plain(record)
    except BadEventError as error:
        facts["undecodable"] = f"{error.code}: {error}"
        facts["value_hex"] = head(stored.value)
    facts["audit"] = [
        {
            "action": handled.action,
            "at": handled.occurred_at,
            "by": handled.by,
            "reason": handled.reason,
            "sent_to": handled.sent_to,
            "run_id": handled.run_id,
        }
        for handled in audit.of(stored.letter)
    ]
    return facts


def story_json(facts: dict[str, Any]) -> str:
    """The story as one JSON object on one line."""
    return _json(facts)


def print_story(facts: dict[str, Any], console: Console) -> None:
    """Print the story of one letter for people; long lists are cut."""
    nested = {"headers", "value", "audit"}
    for name, value in facts.items():
        if name not in nested:
            console.print(f"[bold]{name}[/] {escape(_text(value))}", soft_wrap=True, highlight=False)
    for name in ("headers", "value"):
        if name in facts:
            console.print(f"[bold]{name}[/]")
            for key, value in facts[name].items():
                console.print(f"  {key} = {escape(_text(_shortened(value)))}", soft_wrap=True, highlight=False)
    console.print("[bold]audit[/]" + ("" if facts["audit"] else " nothing was done with it yet"))
    for step in facts["audit"]:
        where = f", sent to {step['sent_to']}" if step["sent_to"] else ""
        why = f": {step['reason']}" if step["reason"] else ""
        line = f"  {_time(step['at'])} {step['action']} by {step['by']}{where}{why} (run {step['run_id']})"
        console.print(escape(line), soft_wrap=True, highlight=False)


def age(duration: timedelta) -> str:
    """A duration in its largest unit, for example ``3h``."""
    seconds = max(0, int(duration.total_seconds()))
    for unit, length in (("d", 86_400), ("h", 3600), ("m", 60)):
        if seconds >= length:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"


def _facts(letter: DeadLetter, audit: Audit) -> dict[str, Any]:
    again = audit.replay_of(letter)
    return {
        "place": str(letter.place),
        "capability": letter.capability,
        "code": letter.code,
        "text": letter.text,
        "key": letter.key_text,
        "attempts": letter.attempts,
        "origin": letter.origin_text,
        "first_seen": letter.first_seen,
        "given_up": letter.given_up,
        "size_bytes": letter.size_bytes,
        "state": audit.state(letter),
        "replays": audit.times(letter, "replayed"),
        "replay_of": "" if again is None else again.place,
    }


def _json(facts: dict[str, Any]) -> str:
    return orjson.dumps(facts, default=str).decode()


def _shortened(value: Any) -> Any:
    if isinstance(value, list | tuple) and len(value) > LONGEST_LIST:
        return f"[{len(value)} values]"
    if isinstance(value, dict):
        return {name: _shortened(inner) for name, inner in value.items()}
    return value


def _text(value: Any) -> str:
    return _time(value) if isinstance(value, datetime) else str(value)


def _time(at: datetime | None) -> str:
    return "" if at is None else f"{at:%Y-%m-%d %H:%M:%S}"
