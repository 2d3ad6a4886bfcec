"""An erasure as a conversation with the person who asks for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from rich.console import Console
from rich.markup import escape

from processors.runtime.wiring import Wiring
from processors.tools.erase import report
from processors.tools.erase.run import prove, wait_done
from processors.tools.erase.saga import ask, belongings

MOST_SHOWN = 20


@dataclass(frozen=True)
class Choices:
    """What is to be done.

    Attributes:
        user: User id.
        texts: Texts to look for afterwards, none empty.
        requested_by: Who asks.
        wait_s: Longest wait for the workers, seconds.
        dry_run: Whether only to say what would be forgotten.
    """

    user: str
    texts: tuple[str, ...]
    requested_by: str
    wait_s: float
    dry_run: bool


async def run_erasure(wiring: Wiring, choices: Choices, agreed: Callable[[str], bool], console: Console) -> bool:
    """Say what there is, ask, erase, wait, look; whether nothing remains.

    Raises:
        UnavailableError: a store or the broker does not answer.
    """
    user, name = choices.user, escape(choices.user)
    known = await belongings(wiring, user, datetime.now(UTC))
    views = ", ".join(known.views) or "none"
    console.print(f"{name}: {len(known.media)} uploads, {known.avatars} avatars, features: {views}")
    for media_id in sorted(known.media)[:MOST_SHOWN]:
        console.print(f"  {media_id}")
    if choices.dry_run:
        console.print("dry run: nothing was changed")
        return True
    if not agreed(f"Forget {user} for good?"):
        console.print("nothing was changed")
        return False
    event = await ask(wiring, user, choices.requested_by)
    console.print(f"asked for at {event.occurred_at:%Y-%m-%d %H:%M:%S} UTC; the workers do it even if this ends now")
    with console.status("waiting for the workers") as status:
        left = await wait_done(wiring, event, known.media, choices.wait_s, status.update)
    for sentence in left[:MOST_SHOWN]:
        console.print(f"[red]not done yet:[/] {escape(sentence)}")
    if left:
        console.print(f"{len(left)} things remain; do workers run user_erasure, media_erasure and the others?")
    proof = await prove(wiring, user, choices.texts, known.media)
    report.show_stores(proof.stores, console)
    report.show_logs(proof.topics, proof.files, console)
    return proof.clean and not left
