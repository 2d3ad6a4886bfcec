"""``python -m tests.fuzz.coverage_guided TARGET -runs=100000``: atheris looks for code that no case has reached yet.

Everything after the target's name goes to libFuzzer. Exit code 0: every case ended as declared; 77: one did not,
and lies as ``TARGET-crash-...`` in ``.overture/fuzz``, beside what earlier runs found worth keeping. Needs the
dependency group ``fuzz``.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random

import atheris
import structlog

with atheris.instrument_imports(include=["schemas", "processors.serving", "python_multipart", "json", "fastavro"]):
    from tests.fuzz import targets
    from tests.fuzz.mutations import pieces
    from tests.fuzz.records import any_record

FOLDER = Path(".overture/fuzz")


def envelope(data: bytes) -> None:
    """Byte 0 chooses the record that is expected, the rest is the value."""
    expected = targets.RECORDS[(data[0] if data else 0) % len(targets.RECORDS)]
    targets.decode(data[1:], expected)


def json_body(data: bytes) -> None:
    targets.parse_json(data)


def form(data: bytes) -> None:
    """Byte 0 cuts the body in two, the rest is the body with boundary B."""
    body = data[1:]
    targets.read_form(b"multipart/form-data; boundary=B", pieces(body, data[:1]))


def key(data: bytes) -> None:
    targets.enter([data])
    targets.read_key_file(data)
    targets.read_fields(data)


GOOD_FORM = (
    b'\x80--B\r\nContent-Disposition: form-data; name="kind"\r\n\r\npost\r\n--B\r\nContent-Disposition: form-data; '
    b'name="file"; filename="a.png"\r\nContent-Type: image/png\r\n\r\n\x89PNG\r\n\x1a\nxxxxxxxx\r\n--B--\r\n'
)
GOOD_JSON = b'{"a": [1, -2.5e3, "\\u00e9\\ud83c\\udfb9", true, null], "b": {"c": ""}}'
TARGETS: dict[str, tuple[Callable[[bytes], None], Callable[[], list[bytes]]]] = {
    "envelope": (
        envelope,
        lambda: [
            bytes([n]) + targets.CODEC.encode(any_record(kind, Random(seed)))
            for n, kind in enumerate(targets.RECORDS)
            for seed in range(3)
        ],
    ),
    "json": (json_body, lambda: [GOOD_JSON]),
    "form": (form, lambda: [GOOD_FORM]),
    "key": (key, lambda: [b"Bearer " + targets.KEY.encode(), b'{"version": 1, "keys": []}']),
}
"""Name -> what takes a case, and the cases to start from."""


def main() -> None:
    """Fuzz the named target."""
    if len(sys.argv) < 2 or sys.argv[1] not in TARGETS:
        sys.exit(f"usage: python -m tests.fuzz.coverage_guided {'|'.join(TARGETS)} [-runs=N ...]")
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    logging.disable(logging.CRITICAL)
    name = sys.argv[1]
    take, seeds = TARGETS[name]
    corpus = FOLDER / name
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds()):
        (corpus / f"seed-{number}").write_bytes(seed)
    options = ["-max_len=600", "-timeout=60", "-rss_limit_mb=4096", f"-artifact_prefix={FOLDER}/{name}-"]
    atheris.Setup([sys.argv[0], *options, *sys.argv[2:], str(corpus)], take)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
