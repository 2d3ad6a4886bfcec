"""Builds a data set from the topics and keeps it by its version, with where it comes from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson

from models.dataset import DESCRIPTION, Dataset, DatasetError, read, write
from processors.runtime.settings import Settings
from processors.runtime.wiring import Wiring
from processors.tools.dataset.assemble import assemble
from processors.tools.dataset.history import History, Tell, read_history
from processors.tools.dataset.point_in_time import write_histories
from processors.tools.dataset.pseudonyms import pseudonym, read_key
from processors.tools.dataset.statistics import statistics

LINEAGE = "lineage.json"


@dataclass(frozen=True)
class Lineage:
    """Where a data set comes from.

    Attributes:
        version: Its version.
        name: Its name.
        made_at: When it was built, UTC, ISO 8601.
        first_at, last_at: Moments of the oldest and newest interaction, UTC, ISO 8601.
        topics: By topic and partition number the first offset read and the one after the last.
        counts: Users, items, interactions, plays, likes, items with content.
        left_out: Records that count for nothing, by reason.
        content_version: Version of the items' content vectors.
        non_commercial: Whether a licence excludes commercial use.
        source: Where the rows come from, in words; names made-up and semi-synthetic worlds.
    """

    version: str
    name: str
    made_at: str
    first_at: str
    last_at: str
    topics: dict[str, dict[str, tuple[int, int]]]
    counts: dict[str, int]
    left_out: dict[str, int]
    content_version: str
    non_commercial: bool
    source: str


def folder_of(settings: Settings) -> Path:
    """Folder of all data sets."""
    return settings.data_dir / "datasets"


def key_path(settings: Settings) -> Path:
    """File of the key that users' pseudonyms are made with."""
    return settings.data_dir / "pseudonyms.key"


def build(wiring: Wiring, tell: Tell) -> Lineage:
    """Read the topics to where they end now, write the data set; its lineage.

    Args:
        wiring: Broker, registry and settings.
        tell: Hears what is done, how much of how much.

    Raises:
        DatasetError: there is nothing to learn from.
        UnavailableError: broker or registry does not answer, or the key of the pseudonyms is unusable.
    """
    settings = wiring.settings
    history = read_history(settings.kafka, wiring.codec, wiring.registry.fetch, tell)
    tell("joining", 0, 0)
    key = read_key(key_path(settings))
    dataset = assemble(history, key)
    tell("writing", 0, 0)
    version = write(dataset, folder_of(settings))
    place = folder_of(settings) / version
    _write_histories(place, dataset, history, lambda user: pseudonym(user, key), wiring.taste_half_life)
    lineage = _lineage(version, dataset, history)
    (place / LINEAGE).write_bytes(orjson.dumps(asdict(lineage), option=orjson.OPT_INDENT_2))
    return lineage


def find(folder: Path, version: str) -> Path:
    """Folder of the one data set whose version begins so.

    Raises:
        DatasetError: there is none, or several.
    """
    found = [place for place in sorted(folder.glob("*")) if place.name.startswith(version) and version]
    if len(found) != 1:
        raise DatasetError(f"{folder}: {len(found)} data sets have a version that begins with {version!r}")
    return found[0]


def lineages(folder: Path) -> list[Lineage]:
    """Of every data set in the folder, the oldest first; none if there is no such folder.

    Raises:
        DatasetError: a lineage is unreadable.
    """
    return sorted((read_lineage(path.parent) for path in folder.glob(f"*/{LINEAGE}")), key=lambda each: each.made_at)


def read_lineage(place: Path) -> Lineage:
    """Of the data set in a folder.

    Raises:
        DatasetError: it is missing or unreadable.
    """
    try:
        return Lineage(**orjson.loads((place / LINEAGE).read_bytes()))
    except (OSError, TypeError, orjson.JSONDecodeError) as error:
        raise DatasetError(f"{place / LINEAGE}: {error}") from error


def holding(settings: Settings, user: str) -> list[Path]:
    """Folders of the data sets that hold a user under a pseudonym of the key in use.

    Raises:
        PseudonymKeyError: the key is unusable.
    """
    path = key_path(settings)
    if not path.exists():
        return []  # no data set was built here
    name = pseudonym(user, read_key(path)).encode()
    return sorted(place.parent for place in folder_of(settings).glob(f"*/{DESCRIPTION}") if name in place.read_bytes())


def load(settings: Settings, version: str) -> tuple[Dataset, Path]:
    """A data set by the beginning of its version, and its folder.

    Raises:
        DatasetError: there is none such, or it is not what was saved.
    """
    place = find(folder_of(settings), version)
    return read(place), place


def _write_histories(
    place: Path, dataset: Dataset, history: History, renamed: Callable[[str], str], half_life: timedelta
) -> None:
    names = {signal.user: renamed(signal.user) for signal in history.signals}
    user_row = {name: row for row, name in enumerate(dataset.users.ids)}
    item_row = {name: row for row, name in enumerate(dataset.items.ids)}
    users = statistics(history.signals, user_row, lambda signal: names[signal.user], half_life)
    items = statistics(history.signals, item_row, lambda signal: signal.item, half_life)
    write_histories(place, dataset, users, items)


def _lineage(version: str, dataset: Dataset, history: History) -> Lineage:
    rows, items = dataset.interactions, dataset.items
    topics: dict[str, dict[str, tuple[int, int]]] = {}
    for (topic, partition), span in sorted(history.offsets.items()):
        topics.setdefault(topic, {})[str(partition)] = span
    with_content = sum(int(mask.sum()) for mask in items.present.values())
    return Lineage(
        version=version,
        name=dataset.name,
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        first_at=_iso(int(rows.at_ms[0])),
        last_at=_iso(int(rows.at_ms[-1])),
        topics=topics,
        counts={
            "users": len(dataset.users),
            "items": len(items),
            "interactions": len(rows),
            "plays": int(rows.clicked.sum()),
            "likes": int(rows.liked.sum()),
            "content_parts": with_content,
        },
        left_out=dict(sorted(history.left_out.items())),
        content_version=items.content_version,
        non_commercial=dataset.non_commercial,
        source=dataset.source,
    )


def _iso(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="seconds")
