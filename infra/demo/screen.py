"""Tables of the demo."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import median

from rich.console import Group
from rich.table import Table
from rich.text import Text

from infra.demo.client import Near
from infra.demo.tracks import STAGES, Heard, RingCase, Run, Track

STYLES = {
    "published": "green",
    "approved": "green",
    "rejected": "yellow",
    "refused": "yellow",
    "deleted": "dim",
    "failed": "bold red",
    "review": "magenta",
    "waiting": "dim",
}
LABELS = 2
UNPLAYED = "★ nobody"


def ways(run: Run) -> Table:
    """The way of each upload."""
    table = Table(box=None, title="The way of each upload, seconds after its acceptance", title_justify="left")
    table.add_column("item", no_wrap=True, max_width=36)
    table.add_column("kind", no_wrap=True)
    for heading in ("analysed", "moderated", "embedded", "classified", "end", "recall"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("state", no_wrap=True)
    table.add_column("reason or labels", overflow="fold", ratio=1)
    for track in run.tracks.values():
        stages = [_seconds(track.stage_s(stage)) for stage in STAGES[:-1]]
        table.add_row(
            track.item.title,
            track.item.kind,
            *stages,
            _seconds(track.ended_s()),
            _seconds(track.recallable_s),
            Text(track.state, STYLES.get(track.state, "cyan")),
            Text(_why(track)),
        )
    return table


def avatars(run: Run) -> Table:
    """What became of each avatar."""
    table = Table(
        box=None, title="Avatars, each alone, seconds from its 202 to the answer that tells", title_justify="left"
    )
    table.add_column("avatar", no_wrap=True, max_width=46)
    table.add_column("file", no_wrap=True)
    table.add_column("seconds", justify="right", no_wrap=True)
    table.add_column("outcome", no_wrap=True)
    table.add_column("reasons", overflow="fold", ratio=1)
    for each in run.portraits:
        table.add_row(
            each.avatar.title,
            each.avatar.file.name,
            _seconds(each.decided_s),
            Text(each.state, STYLES.get(each.state, "cyan")),
            Text("; ".join(f"{reason.code}: {reason.text}" for reason in each.reasons)),
        )
    return table


def ring(found: RingCase) -> str:
    """What people are asked about the accounts that show one face, in a sentence."""
    if found.hidden:
        return "Whether a ring is suspected is not shown: the API key has no scope `review`."
    if found.case is None:
        return f"No ring of {', '.join(sorted(found.users))} was found."
    case = found.case
    measures = ", ".join(f"{name} {value:.2f}" for name, value in sorted(case.scores.items()))
    return (
        f"A ring is suspected: {', '.join(sorted(case.members))} show one face ({measures}); the case is "
        f"{case.state}, seen {found.seen_s:.1f} s after the last avatar's end."
    )


def tastes(heard: Heard, run: Run, titles: dict[str, str]) -> Group:
    """What one listener is offered.

    Args:
        heard: The listener.
        run: For what was uploaded and played.
        titles: Item id -> title of items that this run has not uploaded.
    """
    played = ", ".join(f"{run.tracks[key].item.title} ({share:.0%})" for key, share in heard.listener.plays.items())
    table = Table(box=None)
    table.add_column("", justify="right")
    table.add_column("item", no_wrap=True, max_width=44)
    for heading in ("kind", "score", "reason", "played by"):
        table.add_column(heading, justify="right" if heading == "score" else "left", no_wrap=True)
    tracks = run.by_media_id()
    for place, found in enumerate(heard.answer.items, 1):
        track = tracks.get(found.item_id)
        table.add_row(
            str(place),
            Text(track.item.title if track else titles.get(found.item_id) or found.item_id),
            found.kind,
            f"{found.score:.3f}",
            found.reason,
            _players(track.item.key, found.cold, run) if track else Text("of an earlier upload", "dim"),
        )
    likes = Text.assemble((heard.listener.name, "bold"), f" likes {heard.listener.likes}")
    return Group(likes, Text(f"has played {played}"), table, *_reasons(heard, tracks, titles))


def _reasons(heard: Heard, tracks: Mapping[str, Track], titles: dict[str, str]) -> Iterator[Text]:
    """Why the best unplayed item is in the list, in a sentence."""
    why = heard.explanation
    if why is None:
        return

    def named(near: Sequence[Near]) -> str:
        names = ((tracks[each.item_id].item.title if each.item_id in tracks else titles[each.item_id]) for each in near)
        return ", ".join(f"{name} ({each.likeness:.2f})" for name, each in zip(names, near, strict=True))

    title = tracks[heard.explained].item.title
    weights = sorted(why.parts.items(), key=lambda part: -part[1])
    parts = ", ".join(f"{name} {weight:.2f}" for name, weight in weights) or "nothing"
    yield Text.assemble(
        ("why ", "green"),
        f"{title}: nobody has played it, so its content placed it (by weight: {parts}); score {why.score:.2f}, above "
        f"{heard.listener.name}'s boundary of {why.boundary:.2f}; nearest to {named(why.neighbours[:3])}; of the plays "
        f"to {named(why.played[:2]) or 'none'}",
    )


def _players(key: str, cold: bool, run: Run) -> Text:
    names = [heard.listener.name for heard in run.heard if key in heard.listener.plays]
    if names:
        return Text(", ".join(names), "dim")
    return Text(UNPLAYED, "green") if cold else Text("nobody, yet it is not marked as cold", "red")


def recall_times(run: Run) -> str:
    """What was measured of recall, in a sentence."""
    times = sorted(track.recallable_s for track in run.tracks.values() if track.recallable_s is not None)
    if not times:
        return "No item became recallable."
    gap = median(run.recall_gaps_s) if run.recall_gaps_s else 0.0
    return (
        f"Recallable after {times[0]:.1f} s at best, {median(times):.1f} s in the median, {times[-1]:.1f} s at worst "
        f"({len(times)} items): from the arrival of the upload's 202 to the arrival of the first answer of POST "
        f"/v1/recall that holds the item, for a user whom the system does not know, asked every {gap:.2f} s (median)."
    )


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"


def _why(track: Track) -> str:
    if track.refusal is not None:
        return f"{track.refusal.status} {track.refusal.code}: {track.refusal.detail}"
    if track.reasons:
        return "; ".join(f"{reason.code}: {reason.text}" for reason in track.reasons)
    if track.media is None:
        return ""
    best = sorted(track.media.labels, key=lambda label: -label.score)[:LABELS]
    return ", ".join(f"{label.name} {label.score:.2f}" for label in best)


def failed(line: str) -> Text:
    """An expectation that does not hold."""
    return Text.assemble(("not as expected: ", "bold red"), line)


def verdict(good: bool, line: str) -> Text:
    """The last line."""
    return Text.assemble(("all as expected: " if good else "failed: ", "bold green" if good else "bold red"), line)
