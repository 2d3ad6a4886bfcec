"""A version written to Milvus Lite and searched there, beside the exact search in memory."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from features import face_gallery
from features.face_gallery import Gallery
from features.milvus_index import MilvusConfig
from features.milvus_versions import client_of
from infra.local.parts import MilvusServer
from models.face_gallery import GallerySnapshot
from tests.bench.galleries.mixture import Vectors

ROUNDS = 5
NEAREST = 5
"""Rows asked of Milvus."""


@dataclass(frozen=True)
class Searched:
    """Milvus beside the exact search.

    Attributes:
        write_s: Seconds to write the version.
        read_s: Seconds to read it.
        exact_cpu_ms: Processor milliseconds of an exact search, median of rounds.
        exact_ms: Milliseconds of it by the clock.
        milvus_ms: Milliseconds of a search by Milvus Lite by the clock.
        recall: Share of the most alike rows that Milvus finds.
        agreement: Share of searches with the same person first.
    """

    write_s: float
    read_s: float
    exact_cpu_ms: float
    exact_ms: float
    milvus_ms: float
    recall: float
    agreement: float


def searched(gallery: Gallery, faces: Vectors) -> Searched:
    """Write the gallery, and search it there and here in turn.

    Args:
        gallery: The gallery.
        faces: float32 [N, 128].
    """
    with tempfile.TemporaryDirectory() as folder, MilvusServer(Path(folder)) as server:
        config = MilvusConfig(server.uri, timeout_s=60.0)
        started = time.perf_counter()
        face_gallery.write(config, gallery)
        face_gallery.use(config, gallery.version, "")
        written = time.perf_counter()
        held = snapshot(face_gallery.read(config, gallery.version))
        read_s = time.perf_counter() - written
        with client_of(config) as client:

            def ask(face: Vectors) -> list[tuple[str, str]]:
                [rows] = client.search(
                    face_gallery.ALIAS,
                    data=[face.tolist()],
                    limit=NEAREST,
                    search_params={"metric_type": "IP", "params": {"ef": 64}},
                    output_fields=["person"],
                )
                return [(row["id"], row["entity"]["person"]) for row in rows]

            turns = [
                (*_timed(lambda face: held.match(face[None], NEAREST), faces), *_timed(ask, faces))
                for _ in range(ROUNDS)
            ]
            answers = [ask(face) for face in faces]
    exact_cpu_ms, exact_ms, _, milvus_ms = np.median(turns, axis=0).tolist()
    nearest = [{held.rows[at].id for at in np.argsort(-column)[:NEAREST]} for column in (held.vectors @ faces.T).T]
    right = [len(want & {row for row, _ in got}) / NEAREST for want, got in zip(nearest, answers, strict=True)]
    firsts = [found[0].person for found in held.match(faces, 1)]
    agreement = np.mean([got[0][1] == want for got, want in zip(answers, firsts, strict=True)])
    return Searched(
        written - started, read_s, exact_cpu_ms, exact_ms, milvus_ms, float(np.mean(right)), float(agreement)
    )


def snapshot(gallery: Gallery) -> GallerySnapshot:
    """What workers hold of a version."""
    facts = gallery.facts
    return GallerySnapshot(gallery.version, facts.threshold, facts.embedder, gallery.rows, gallery.vectors)


def _timed(search: Callable[[Vectors], object], faces: Vectors) -> tuple[float, float]:
    """Milliseconds a search, of this process' processor time and by the clock."""
    wall, cpu = time.perf_counter(), time.process_time()
    for face in faces:
        search(face)
    return (time.process_time() - cpu) / len(faces) * 1e3, (time.perf_counter() - wall) / len(faces) * 1e3
