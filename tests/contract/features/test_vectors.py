from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from features.ports import VectorIndex, VectorRow

DIM = 192


def row(item: str, *, seq: int = 0, axis: int = 0, **scalars: object) -> VectorRow:
    vector = np.zeros(DIM, dtype=np.float32)
    vector[axis] = 0.6
    vector[axis + 1] = 0.8
    every = {"kind": "audio", "language": "", "uploader": "u", "published_at_ms": 1, "seq": seq, "vector_version": "v1"}
    return VectorRow(item, vector, every | scalars)


async def test_what_was_written_is_fetched(vectors: VectorIndex, fresh: str) -> None:
    a, b = row(f"{fresh}a", seq=5, uploader="é 界", published_at_ms=2**60), row(f"{fresh}b", axis=3)
    await vectors.upsert("content_joint", [a, b])
    found = await vectors.fetch("content_joint", [b.id, "never", a.id, a.id])
    assert found.keys() == {a.id, b.id}
    assert found[a.id].scalars == a.scalars
    assert found[a.id].vector.dtype == np.float32
    assert np.array_equal(found[a.id].vector, a.vector)
    assert np.array_equal(found[b.id].vector, b.vector)
    assert await vectors.fetch("content_joint", []) == {}
    await vectors.upsert("content_joint", [])
    await vectors.delete("content_joint", [])


async def test_a_late_write_changes_nothing(vectors: VectorIndex, fresh: str) -> None:
    await vectors.upsert("content_joint", [row(fresh, seq=5, kind="audio")])
    await vectors.upsert("content_joint", [row(fresh, seq=4, kind="video")])
    assert (await vectors.fetch("content_joint", [fresh]))[fresh].scalars["kind"] == "audio"
    await vectors.upsert("content_joint", [row(fresh, seq=5, kind="post")])
    assert (await vectors.fetch("content_joint", [fresh]))[fresh].scalars["kind"] == "post"
    both = [row(fresh, seq=8, kind="score"), row(fresh, seq=7, kind="video")]
    await vectors.upsert("content_joint", both)
    assert (await vectors.fetch("content_joint", [fresh]))[fresh].scalars["kind"] == "score"


async def test_deleted_is_gone(vectors: VectorIndex, fresh: str) -> None:
    await vectors.upsert("content_joint", [row(f"{fresh}a"), row(f"{fresh}b")])
    await vectors.delete("content_joint", [f"{fresh}a", "never"])
    await vectors.delete("content_joint", [f"{fresh}a"])
    assert (await vectors.fetch("content_joint", [f"{fresh}a", f"{fresh}b"])).keys() == {f"{fresh}b"}


async def test_search_is_by_inner_product_and_filter(vectors: VectorIndex, fresh: str) -> None:
    mine = f"uploader == {json.dumps(fresh)}"
    await vectors.upsert(
        "content_joint",
        [
            row(f"{fresh}0", axis=10, uploader=fresh, kind="audio", published_at_ms=10),
            row(f"{fresh}1", axis=11, uploader=fresh, kind="video", published_at_ms=20),
            row(f"{fresh}2", axis=12, uploader=fresh, kind="post", published_at_ms=30),
        ],
    )
    query = row("", axis=10).vector
    hits = await vectors.search("content_joint", query, 10, mine)
    assert [hit.id for hit in hits[:2]] == [f"{fresh}0", f"{fresh}1"]
    assert [hit.score for hit in hits] == pytest.approx([1.0, 0.48, 0.0])
    assert [hit.id for hit in await vectors.search("content_joint", query, 1, mine)] == [f"{fresh}0"]
    some = await vectors.search("content_joint", query, 10, f'{mine} and kind in ["video", "post"]')
    assert {hit.id for hit in some} == {f"{fresh}1", f"{fresh}2"}
    old = await vectors.search("content_joint", query, 10, f"{mine} and published_at_ms < 20")
    assert [hit.id for hit in old] == [f"{fresh}0"]
    await vectors.delete("content_joint", [f"{fresh}0"])
    assert {hit.id for hit in await vectors.search("content_joint", query, 10, mine)} == {f"{fresh}1", f"{fresh}2"}


async def test_a_scan_gives_every_row_once(vectors: VectorIndex, fresh: str) -> None:
    ids = [f"{fresh}{number}" for number in range(1203)]
    await vectors.upsert("content_joint", [row(each, seq=number) for number, each in enumerate(ids)])
    await vectors.delete("content_joint", ids[:2])
    found = [each async for batch in vectors.scan("content_joint_v1") for each in batch]
    mine = {each.id: each for each in found if each.id.startswith(fresh)}
    assert len([each for each in found if each.id.startswith(fresh)]) == len(mine) == 1201
    assert [mine[each].scalars["seq"] for each in ids[2:]] == list(range(2, 1203))
    assert np.array_equal(mine[ids[5]].vector, row("x").vector)
    await vectors.delete("content_joint", ids)
    assert not [e for batch in [b async for b in vectors.scan("content_joint")] for e in batch if e.id in mine]


async def test_alias_and_name_are_the_same_collection(vectors: VectorIndex, fresh: str) -> None:
    await vectors.upsert("content_joint_v1", [row(fresh)])
    assert (await vectors.fetch("content_joint", [fresh])).keys() == {fresh}


async def test_an_id_is_data_and_no_expression(vectors: VectorIndex, fresh: str) -> None:
    odd = [f"{fresh}'", f'{fresh}"', f"{fresh}\\", f"{fresh}' or id != '", f"{fresh} é界\n{{x}}"]
    await vectors.upsert("content_joint", [row(x, seq=n) for n, x in enumerate(odd)])
    found = await vectors.fetch("content_joint", odd)
    assert {x: found[x].scalars["seq"] for x in odd} == {x: n for n, x in enumerate(odd)}
    for n, each in enumerate(odd):
        await vectors.delete("content_joint", [each])
        assert (await vectors.fetch("content_joint", odd)).keys() == set(odd[n + 1 :])


async def test_more_rows_than_a_batch(vectors: VectorIndex, fresh: str) -> None:
    ids = [f"{fresh}{n}" for n in range(601)]
    await vectors.upsert("content_joint", [row(x) for x in ids])
    assert (await vectors.fetch("content_joint", ids)).keys() == set(ids)
    await vectors.delete("content_joint", ids)
    assert await vectors.fetch("content_joint", ids) == {}


@pytest.mark.parametrize(
    "bad",
    [
        row(""),
        row("x" * 129),
        replace(row("x"), vector=np.zeros(DIM + 1, np.float32)),
        replace(row("x"), vector=np.full(DIM, np.nan, np.float32)),
        replace(row("x"), scalars={"seq": 1}),
        row("x", extra=1),
        row("x", kind=None),
        row("x", uploader="é" * 129),
        row("x", published_at_ms=1.5),
    ],
)
async def test_rows_that_are_refused(vectors: VectorIndex, bad: VectorRow) -> None:
    with pytest.raises(ValueError, match="content_joint_v1"):
        await vectors.upsert("content_joint", [bad])


async def test_searches_that_are_refused(vectors: VectorIndex) -> None:
    good = row("x").vector
    for vector, limit in ((good[:5], 1), (good, 0), (good, 16_385)):
        with pytest.raises(ValueError, match=r"limit|finite"):
            await vectors.search("content_joint", vector, limit)
    for call in (vectors.search("other", good, 1), vectors.fetch("other", []), vectors.delete("other", [])):
        with pytest.raises(ValueError, match="no vector collection"):
            await call
