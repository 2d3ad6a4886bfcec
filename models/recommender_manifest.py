"""What a bundle of the recommender says of itself: ``manifest.json``.

The version is made of the time and of the hash of all the rest, the files' hashes among it. So a version names exactly
one set of files, and a folder in which parts of two versions were mixed contradicts its own manifest.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal

import orjson
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from schemas.errors import AppError

FORMAT: Literal[1] = 1
"""Version of the manifest's form; another one is refused."""
NAME: Literal["recommender"] = "recommender"
MANIFEST = "manifest.json"
_CONFIG = ConfigDict(extra="forbid", allow_inf_nan=False)

Name = Annotated[str, Field(min_length=1)]
Count = Annotated[int, Field(ge=1)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Version = Annotated[str, Field(pattern=r"^[0-9]{8}-[0-9]{6}-[0-9a-f]{8}$")]


class BundleError(AppError):
    """A bundle that cannot be used: incomplete, mixed, damaged, or of a form that this release does not know."""

    code = "bundle-unusable"


@dataclass(frozen=True, slots=True)
class FileFacts:
    """One file.

    Attributes:
        sha256: Hash, hexadecimal.
        bytes: Length.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _CONFIG
    sha256: Sha256
    bytes: Annotated[int, Field(ge=0)]


@dataclass(frozen=True, slots=True)
class DatasetRef:
    """What was learnt from.

    Attributes:
        name: Name of the data set.
        version: Hash of its contents, see `models.dataset.Dataset.version`.
        non_commercial: Whether its licence excludes commercial use.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _CONFIG
    name: Name
    version: Name
    non_commercial: bool


@dataclass(frozen=True, slots=True)
class Measure:
    """One measured figure with the simple methods' figures beside it.

    Attributes:
        protocol: What was asked, for example ``warm`` or ``cold_item``.
        name: Measure, for example ``recall@20``.
        mean: Mean over users (or over splits).
        low: Lower end of the 95 % interval.
        high: Upper end.
        values: One value a split; what versions are compared by, pair by pair.
        baselines: Mean by method.
        goal: Whether more or less is better.
        bar: Mean that it must reach, or with the goal ``least`` not exceed, to be used at all; None for none.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _CONFIG
    protocol: Name
    name: Name
    mean: float
    low: float
    high: float
    values: tuple[float, ...] = ()
    baselines: dict[str, float] = field(default_factory=dict)
    goal: Literal["greatest", "least"] = "greatest"
    bar: float | None = None

    @property
    def key(self) -> str:
        """``protocol/name``."""
        return f"{self.protocol}/{self.name}"


@dataclass(frozen=True, slots=True)
class FieldSpec:
    """One categorical field of the ranker.

    Attributes:
        name: Name.
        size: Number of its values; indices are 0..size-1.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _CONFIG
    name: Name
    size: Count


@dataclass(frozen=True, slots=True)
class Platt:
    """Probability of a play = sigmoid(slope * (score - boundary) + offset).

    Platt 1999, "Probabilistic Outputs for Support Vector Machines".

    Attributes:
        slope: Per unit of score, > 0: calibration keeps the order.
        offset: At the user's interest boundary.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _CONFIG
    slope: Annotated[float, Field(gt=0)]
    offset: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """Makes scores of warm and of cold items comparable.

    Attributes:
        warm: Of trained items.
        cold: Of items mapped from their content.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _CONFIG
    warm: Platt
    cold: Platt


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """Everything that is known of one version.

    Attributes:
        format: See `FORMAT`.
        name: Model.
        version: ``<date>-<time>-<hash>``, see the module; empty only before it is written.
        made_at: When it was made, UTC, whole seconds.
        dataset: What was learnt from.
        content_version: Version of the content vectors that ``cb2cf`` takes (`ContentVectoriser.version`).
        dim: Length of vectors of users and items.
        norm: ``unit``: trained item vectors have norm 1; ``free``: any.
        parts: Names of the content parts that ``cb2cf`` takes, in order; each as wide as `dim`, zero padded.
        tags: Vocabulary of the part ``tags``, in order.
        occupations: Names, in order; the first is empty and stands for unknown.
        age_bounds: Least age in years of bucket 1, 2, ...; bucket 0 stands for unknown.
        fields: Categorical fields of the ranker, in order.
        dense: Names of its numbers, in order.
        groups: Names of its user groups, in order.
        ranking: What the numbers of the fields mean, see `models.ranking_features.RankingLayout`.
        calibration: Scores as probabilities, of warm and of cold items.
        seeds: By recipe.
        configs: Settings by recipe.
        code_commit: Commit of the code that made it; with ``+changes`` where files differed from it.
        parent: Version in use when it was made; None for the first.
        measures: Figures.
        files: Facts by file name, all but the manifest.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _CONFIG
    format: Literal[1] = FORMAT
    name: Literal["recommender"] = NAME
    version: Version
    made_at: datetime
    dataset: DatasetRef
    content_version: str
    dim: Count
    norm: Literal["unit", "free"]
    parts: Annotated[tuple[Name, ...], Field(min_length=1)]
    tags: tuple[Name, ...]
    occupations: Annotated[tuple[str, ...], Field(min_length=1)]
    age_bounds: tuple[int, ...]
    fields: Annotated[tuple[FieldSpec, ...], Field(min_length=1)]
    dense: tuple[Name, ...]
    groups: Annotated[tuple[Name, ...], Field(min_length=1)]
    ranking: dict[str, Any]
    calibration: Calibration
    seeds: dict[str, int]
    configs: dict[str, Any]
    code_commit: str
    parent: str | None
    measures: tuple[Measure, ...]
    files: dict[str, FileFacts]

    @property
    def collection(self) -> str:
        """Name of the vector collection that belongs to this version."""
        return f"recommender_items_{self.version.replace('-', '_')}"

    def age_bucket(self, years: int | None) -> int:
        """Bucket of an age; 0 where it is unknown, that is None, negative, or below the first bound."""
        if years is None or years < 0:
            return 0
        return sum(years >= bound for bound in self.age_bounds)

    def to_json(self) -> bytes:
        """The file, readable by people."""
        return orjson.dumps(self, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE)

    def versioned(self) -> Manifest:
        """The same with its version filled in."""
        return replace(self, version=f"{self.made_at:%Y%m%d-%H%M%S}-{_digest(orjson.loads(self.to_json()))}")


_ADAPTER = TypeAdapter(Manifest)


def read_manifest(data: bytes, place: str) -> Manifest:
    """The manifest in ``data``.

    Args:
        data: Bytes of the file.
        place: Name for messages.

    Raises:
        BundleError: another format, a field that is missing, unknown or of another type, or a version that is not
            that of the contents.
    """
    try:
        fields = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise BundleError(f"{place}: no JSON: {error}") from error
    told = fields.get("format") if isinstance(fields, dict) else None
    if told != FORMAT:
        raise BundleError(f"{place}: format {told!r} of the manifest, this release reads {FORMAT}")
    try:
        manifest = _ADAPTER.validate_json(data, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BundleError(f"{place}: {where}: {first['msg']}") from error
    if f"{manifest.made_at:%Y%m%d-%H%M%S}-{_digest(fields)}" != manifest.version:
        raise BundleError(f"{place}: the contents are not those of version {manifest.version}")
    return manifest


def _digest(fields: dict[str, Any]) -> str:
    """Of the fields as they are written, so that a later release with one field more still finds it right."""
    unnamed = {key: value for key, value in fields.items() if key != "version"}
    return hashlib.sha256(orjson.dumps(unnamed, option=orjson.OPT_SORT_KEYS)).hexdigest()[:8]
