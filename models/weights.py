"""Pretrained weights: what they are, where they come from, whether the bytes are the right ones.

Every weight has a card, ``models/weights/<name>/<version>/card.json``; all cards together are the
manifest. The file that a card describes lies in one of three places:

* beside its card (``committed``): small, and its licence lets us pass it on,
* inside an installed package (``package``),
* in the folder of built weights, where ``python -m models.build`` has put it after fetching it from
  its address (``hub``), taking it out of a pinned archive (``archive``), or making it from pinned
  archives by the card's conversion (``converted``).

Whoever loads a weight gets it only after its SHA-256 was compared with the card's.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from schemas.errors import AppError

CARDS = Path(__file__).parent / "weights"
"""Folder of the cards that come with the source."""
BUILT = Path(".overture/models")
"""Folder of built weights of a checkout."""

_CHUNK = 1 << 20


class WeightsError(AppError):
    """A weight that is unknown, missing, or not the file its card describes."""

    code = "weights-unusable"


@dataclass(frozen=True, slots=True)
class Archive:
    """A pinned distribution on a package index.

    Attributes:
        requirement: ``name==version``.
        sha256: Hash of the archive, hexadecimal.
    """

    requirement: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Location:
    """Where a weight's file is.

    Attributes:
        kind: See this module's first lines.
        path: File name beside the card, path inside the package, or name in the built folder.
        package: Import name of the package (kind ``package``).
        distribution: ``name==version`` that must be installed (kind ``package``).
        url: https address (kind ``hub``).
        archive: Wheel that has the file (kind ``archive``).
        member: Path inside it (kind ``archive``).
    """

    kind: Literal["committed", "package", "hub", "archive", "converted"]
    path: str
    package: str = ""
    distribution: str = ""
    url: str = ""
    archive: Archive | None = None
    member: str = ""

    @property
    def built(self) -> bool:
        """Whether ``python -m models.build`` puts the file in its place."""
        return self.kind in ("hub", "archive", "converted")


@dataclass(frozen=True, slots=True)
class Conversion:
    """How a file is made from archives.

    Attributes:
        script: File under ``models/convert/``.
        environment: Requirements file beside it.
        archives: Its inputs; the first is the first argument, others go by ``options``.
        options: Further arguments; ``{0}``, ``{1}`` stand for the paths of the archives.
    """

    script: str
    environment: str
    archives: tuple[Archive, ...]
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Recorded:
    """What the weight answers to an input that anybody can make again.

    Attributes:
        shape: Shape of the input ramp (see ``models.recorded.ramp``); empty for a text model.
        low: Least value of the ramp.
        high: Greatest value of the ramp.
        texts: Input of a text model.
        outputs: For each output the mean, the root mean square and the first eight values.
        tolerance: Greatest difference allowed, as a share of the output's root mean square.
    """

    shape: tuple[int, ...]
    low: float
    high: float
    texts: tuple[str, ...]
    outputs: Mapping[str, tuple[float, ...]]
    tolerance: float


@dataclass(frozen=True, slots=True)
class Card:
    """All that is known about one weight.

    Attributes:
        name: Stable name, lower case with hyphens.
        version: Version of the file, ours when we converted it.
        summary: One sentence.
        location: Where the file is.
        sha256: Hash of the file, hexadecimal.
        size_bytes: Length of the file.
        licence: SPDX expression of the weights.
        attribution: Who made it, and which notice goes with it.
        training_data: What it was trained on.
        non_commercial_training_data: Whether that data's own licence excludes commercial use.
        inputs: Name, shape, dtype, range of each input.
        outputs: Name, shape, meaning of each output.
        quality: What was measured, by whom.
        conversion: How the file was made; None when it is used as published.
        recorded: An answer to check the file by; None when another check covers it.
        folder: Folder of the card.
    """

    name: str
    version: str
    summary: str
    location: Location
    sha256: str
    size_bytes: int
    licence: str
    attribution: str
    training_data: str
    non_commercial_training_data: bool
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    quality: str
    conversion: Conversion | None
    recorded: Recorded | None
    folder: Path

    @property
    def label(self) -> str:
        """``name@version``, as it stands in events."""
        return f"{self.name}@{self.version}"


@dataclass(frozen=True, slots=True)
class Weights:
    """A file whose hash is that of its card."""

    card: Card
    path: Path

    @property
    def label(self) -> str:
        """``name@version``, as it stands in events."""
        return self.card.label


def manifest(cards: Path = CARDS) -> dict[str, Card]:
    """Every card by name.

    Args:
        cards: Folder with ``<name>/<version>/card.json``.

    Raises:
        WeightsError: A card cannot be read, or two cards have the same name.
    """
    found: dict[str, Card] = {}
    for path in sorted(cards.glob("*/*/card.json")):
        card = read_card(path)
        if card.name in found:
            raise WeightsError(f"{card.name} has two cards: keep one version, or rename one")
        found[card.name] = card
    return found


def read_card(path: Path) -> Card:
    """Card of one file.

    Raises:
        WeightsError: It is no JSON object with exactly the fields of ``Card``.
    """
    try:
        fields: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        fields["location"] = _location(fields["location"])
        fields["inputs"] = tuple(fields["inputs"])
        fields["outputs"] = tuple(fields["outputs"])
        fields["conversion"] = _conversion(fields.get("conversion"))
        fields["recorded"] = _recorded(fields.get("recorded"))
        card = Card(**fields, folder=path.parent)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise WeightsError(f"{path}: not a card: {error}") from error
    if (card.name, card.version) != (path.parent.parent.name, path.parent.name):
        raise WeightsError(f"{path}: the card is of {card.label}, the folder is not")
    return card


def locate(card: Card, folder: Path | None) -> Path:
    """Where the file of a card should be.

    Args:
        card: The card.
        folder: Folder of built weights; needed for those only.

    Raises:
        WeightsError: Its package is not installed in the right version, or no folder was given.
    """
    where = card.location
    if where.kind == "committed":
        return card.folder / where.path
    if where.built:
        if folder is None:
            raise WeightsError(f"{card.label} is built by `python -m models.build`: name the folder of weights")
        return folder / card.name / card.version / where.path
    name, _, version = where.distribution.partition("==")
    try:
        installed = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError as error:
        raise WeightsError(f"{card.label} lives in {where.distribution}: not installed") from error
    spec = importlib.util.find_spec(where.package)
    if installed != version or spec is None or not spec.submodule_search_locations:
        raise WeightsError(f"{card.label} lives in {where.distribution}, found {installed}")
    return Path(spec.submodule_search_locations[0]) / where.path


def load(name: str, folder: Path | None = None, cards: Path = CARDS) -> Weights:
    """The verified file of a weight.

    Args:
        name: Name on the card.
        folder: Folder of built weights (``Settings.models_folder``); those need it.
        cards: Folder of the cards.

    Raises:
        WeightsError: Unknown name, missing file, wrong size or wrong hash.
    """
    card = manifest(cards).get(name)
    if card is None:
        raise WeightsError(f"no card is named {name}")
    path = locate(card, folder)
    verify_file(card, path)
    return Weights(card, path)


def verify_file(card: Card, path: Path) -> None:
    """Compares a file with its card.

    Raises:
        WeightsError: It is missing or another file.
    """
    try:
        size = path.stat().st_size
        if size == card.size_bytes:
            actual = sha256_of(path)
    except OSError as error:
        raise WeightsError(f"{card.label} is not at {path}: run `python -m models.build`") from error
    if size != card.size_bytes:
        raise WeightsError(f"{path}: {size} bytes, {card.label} has {card.size_bytes}")
    if actual != card.sha256:
        raise WeightsError(f"{path}: sha256 {actual}, {card.label} has {card.sha256}")


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _location(fields: dict[str, Any]) -> Location:
    archive = fields.get("archive")
    return Location(**{**fields, "archive": None if archive is None else Archive(**archive)})


def _conversion(fields: dict[str, Any] | None) -> Conversion | None:
    if fields is None:
        return None
    return Conversion(
        script=fields["script"],
        environment=fields["environment"],
        archives=tuple(Archive(**archive) for archive in fields["archives"]),
        options=tuple(fields.get("options", ())),
    )


def _recorded(fields: dict[str, Any] | None) -> Recorded | None:
    if fields is None:
        return None
    return Recorded(
        shape=tuple(fields.get("shape", ())),
        low=float(fields.get("low", 0.0)),
        high=float(fields.get("high", 0.0)),
        texts=tuple(fields.get("texts", ())),
        outputs={name: tuple(values) for name, values in fields["outputs"].items()},
        tolerance=float(fields["tolerance"]),
    )
