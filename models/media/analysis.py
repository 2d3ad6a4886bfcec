"""One sandboxed pass over an uploaded file, and its result as bytes.

``MediaAnalyser.analyse`` opens the file once, in a confined child; everything later (embedding,
moderation, fingerprints, covers) works from the ``Analysis`` and never decodes again.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self

import numpy as np
import safetensors
import safetensors.numpy
from pydantic import ConfigDict, TypeAdapter, ValidationError

from models.media import wire
from models.media.facts import ARRAYS, KINDS, STRICT, Arrays, EmbeddedText, Facts, MediaKind
from models.media.fork_client import ForkServer, Outcome
from models.media.limits import LIMITS, Limits
from schemas.errors import REJECTION_CODES, BadMediaError, BugError, UnavailableError

ANALYSER_VERSION = "3"
"""Changes whenever the same file may give another result; part of every blob."""

_METADATA_KEY = "analysis"


@dataclass(frozen=True)
class Analysis:
    """Everything that is known about one item without looking at it again.

    Attributes:
        facts: See ``models.media.facts.Facts``.
        arrays: Name -> array; names, dtypes, shapes and units in ``models.media.facts.ARRAYS``.
        text: Text that travels in the file.
    """

    facts: Facts
    arrays: Arrays
    text: EmbeddedText


@dataclass(frozen=True)
class SandboxReport:
    """How well the children are confined here, tried when the analyser starts.

    Attributes:
        network_namespace: The children have no network interface at all.
        landlock_abi: Version in the kernel; 0: no Landlock.
        missing: Measures the kernel did not take.
        holes: Forbidden actions that were possible in a trial child; must be empty.
    """

    network_namespace: bool
    landlock_abi: int
    missing: tuple[str, ...]
    holes: tuple[str, ...]

    @property
    def complete(self) -> bool:
        """Nothing is missing."""
        return not self.missing and not self.holes and self.network_namespace


@dataclass(frozen=True)
class _Found:
    """The JSON part of a result, as it must look."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    facts: Facts
    text: EmbeddedText
    version: str = ANALYSER_VERSION


_FOUND = TypeAdapter(_Found)


class MediaAnalyser:
    """Owns the fork server. ``analyse`` blocks and may be called from many threads at once.

    Args:
        limits: Limits of every item.
        entry: What the children run; tests put a misbehaving function here.
        search_path: Where the fork server finds ``entry``, besides the project.

    Raises:
        UnavailableError: The fork server does not start.
    """

    def __init__(
        self,
        limits: Limits = LIMITS,
        *,
        entry: str = "models.media.one_pass:run",
        search_path: tuple[Path, ...] = (),
    ) -> None:
        self._limits = limits
        self._server = ForkServer(entry, search_path)
        try:
            self._report = self._probe()
        except BaseException:
            self._server.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop the fork server; items in progress fail with ``UnavailableError``."""
        self._server.close()

    @property
    def sandbox_report(self) -> SandboxReport:
        """What the sandbox really stops on this machine. Log it at start."""
        return self._report

    @property
    def server_pid(self) -> int:
        """Process id of the fork server."""
        return self._server.pid

    def analyse(self, fd_or_path: int | Path, kind: MediaKind, *, size: int, limits: Limits | None = None) -> Analysis:
        """Open the file once in a fresh confined child.

        Args:
            fd_or_path: Open descriptor of a regular file (its offset is left alone), or a path
                that *we* chose (never a name from a user).
            kind: What the file was uploaded as.
            size: Bytes the file must have.
            limits: In place of the analyser's own.

        Raises:
            BadMediaError: The file is unusable; ``code`` is one of ``REJECTION_CODES``. A child
                that was killed by a limit or crashed on the input is ``media-limit``.
            UnavailableError: The file is not (completely) there or the fork server died.
            BugError: The child failed for a reason that is ours.
        """
        if kind not in KINDS:
            raise BugError(f"no such kind of media: {kind!r}")
        limits = limits or self._limits
        with _opened(fd_or_path) as source:
            real = os.fstat(source).st_size
            if real == 0:
                raise BadMediaError(REJECTION_CODES["media-empty"], code="media-empty")
            if real != size:
                raise UnavailableError(f"the file has {real} bytes instead of {size}", code="media-size-mismatch")
            if size > limits.max_file_bytes:
                raise BadMediaError(f"{size} bytes", code="media-limit")
            outcome = self._server.run(kind, source, size, limits)
        return _interpret(outcome, limits)

    def _probe(self) -> SandboxReport:
        with open(os.devnull, "rb") as nothing:  # noqa: PTH123 - a descriptor is wanted
            outcome = self._server.run("probe", nothing.fileno(), 0, self._limits)
        header = _header(outcome, {})
        hello = self._server.hello
        return SandboxReport(
            network_namespace=bool(hello["network_namespace"]),
            landlock_abi=int(hello["landlock_abi"]),
            missing=tuple(sorted(name for name, taken in header["taken"].items() if not taken)),
            holes=tuple(sorted(name for name, done in header["possible"].items() if done)),
        )


@contextmanager
def _opened(fd_or_path: int | Path) -> Iterator[int]:
    """A read-only descriptor with an offset of its own on a regular file."""
    if isinstance(fd_or_path, int):
        # reopened, so that the child can neither write through it nor move the caller's offset
        path, flags = Path(f"/proc/self/fd/{fd_or_path}"), os.O_RDONLY | os.O_CLOEXEC
    else:
        path, flags = fd_or_path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        source = os.open(path, flags)
    except OSError as error:
        raise UnavailableError(f"the file cannot be opened: {error}", code="media-away") from error
    try:
        if not stat.S_ISREG(os.fstat(source).st_mode):
            raise UnavailableError("not a regular file", code="media-away")
        yield source
    finally:
        os.close(source)


def _header(outcome: Outcome, arrays: Arrays) -> dict[str, Any]:
    """The JSON of a child that ended well; its arrays are put into ``arrays``."""
    if outcome.timed_out:
        raise BadMediaError("reading took too long", code="media-limit")
    if outcome.overflowed:
        raise BugError("the decoder sent too much", code="decoder-result")
    if outcome.exit_code is None or outcome.exit_code > 0:
        raise UnavailableError("the media fork server died", code="decoder-away")
    if outcome.exit_code < 0:
        raise BadMediaError(f"the decoder died of signal {-outcome.exit_code}", code="media-limit")
    try:
        header, found = wire.read_result(outcome.data)
    except wire.BadResultError as error:
        raise BugError(f"the decoder's result is broken: {error}", code="decoder-result") from error
    arrays.update(found)
    return header


def _interpret(outcome: Outcome, limits: Limits) -> Analysis:
    arrays: Arrays = {}
    header = _header(outcome, arrays)
    if (code := header.get("rejected")) is not None:
        if code not in REJECTION_CODES:
            raise BugError(f"unknown rejection code {str(code)[:40]!r}", code="decoder-result")
        raise BadMediaError(str(header.get("message", ""))[:500], code=code)
    if "bug" in header:
        raise BugError(f"{header['bug']} at {header.get('where')}", code="decoder-bug")
    header.pop("arrays", None)
    try:
        found = _FOUND.validate_json(json.dumps(header | {"version": ANALYSER_VERSION}), strict=True)
        _check(found, arrays, limits)
    except (ValidationError, wire.BadResultError) as error:
        raise BugError(f"the decoder's result is broken: {error}", code="decoder-result") from error
    return Analysis(facts=found.facts, arrays=arrays, text=found.text)


def _check(found: _Found, arrays: Arrays, limits: Limits) -> None:
    """What types and shapes do not say: lengths that belong together, and sizes."""
    frames, shots = arrays["frames"], arrays["shots"]
    text = found.text
    good = (
        set(arrays) == set(ARRAYS)
        and len(frames) == len(arrays["frame_times_ms"]) == len(arrays["frame_shots"])
        and len(frames) <= max(limits.video_max_samples, limits.picture_max_samples)
        and max(frames.shape[1:3]) <= limits.frame_long_side
        and len(arrays["stats"]) == len(arrays["stats_times_ms"]) <= limits.video_max_frames
        and bool(np.isfinite(arrays["stats"]).all())
        and bool(np.isfinite(arrays["logmel"]).all())
        and bool((shots[:, 0] <= shots[:, 1]).all())
        and bool(((arrays["frame_shots"] >= 0) & (arrays["frame_shots"] < max(1, len(shots)))).all())
        and len(arrays["pcm"]) <= (limits.audio_max_ms + 10_000) * 16
        and len(text.tags) <= limits.max_tags
        and all(len(value) <= limits.tag_max_chars for pair in text.tags.items() for value in pair)
        and len(text.subtitles) <= limits.subtitle_max_chars
        and 0 <= found.facts.silence_share <= 1
    )
    if not good:
        raise wire.BadResultError("lengths or ranges do not fit")


def to_blob(analysis: Analysis) -> bytes:
    """The analysis in safetensors form; the same analysis always gives the same bytes."""
    head = {
        "facts": asdict(analysis.facts),
        "text": asdict(analysis.text),
        "version": ANALYSER_VERSION,
    }
    # one key: the library does not order its metadata
    metadata = {_METADATA_KEY: json.dumps(head, sort_keys=True, ensure_ascii=False)}
    arrays = {name: np.ascontiguousarray(array) for name, array in analysis.arrays.items()}
    return safetensors.numpy.save(arrays, metadata=metadata)


def from_blob(blob: bytes) -> Analysis:
    """Inverse of ``to_blob``.

    Raises:
        BugError: With code ``analysis-blob``: broken, or of another ``ANALYSER_VERSION``.
    """
    try:
        length = int.from_bytes(blob[:8], "little")
        head = json.loads(blob[8 : 8 + length])
        found = _FOUND.validate_json(head["__metadata__"][_METADATA_KEY])
        arrays: Arrays = safetensors.numpy.load(blob)
    except (ValueError, KeyError, TypeError, safetensors.SafetensorError) as error:
        raise BugError(f"not the blob of an analysis: {error}", code="analysis-blob") from error
    if found.version != ANALYSER_VERSION:
        raise BugError(f"analysed by version {found.version}", code="analysis-blob")
    try:
        described = {name: [str(array.dtype), list(array.shape)] for name, array in arrays.items()}
        wire.check_description(described)
    except wire.BadResultError as error:
        raise BugError(f"not the blob of an analysis: {error}", code="analysis-blob") from error
    return Analysis(facts=found.facts, arrays={name: arrays[name] for name in ARRAYS}, text=found.text)
