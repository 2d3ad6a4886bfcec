from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest

from features.ports import FeatureRow
from schemas.errors import BugError

AT = datetime(2026, 11, 20, 10, 30, 15, 123456, tzinfo=UTC)
FULL = {
    "vector": np.array([0.25, -1.5, 3e-8], dtype=np.float32),
    "vector_version": "joint-v1 é 界",
    "plays": -(2**62),
    "completion_rate": 0.1,
    "played_ms": 0,
    "recent_items": ["a", "", "ü"],
}


def same(row: FeatureRow | None, entity_id: str, at: datetime, values: dict) -> bool:
    if row is None or (row.entity_id, row.at) != (entity_id, at) or row.values.keys() != values.keys():
        return False
    return all(
        np.array_equal(row.values[name], value) and row.values[name].dtype == np.float32
        if isinstance(value, np.ndarray)
        else row.values[name] == value and type(row.values[name]) is type(value)
        for name, value in values.items()
    )


async def test_what_was_pushed_is_read_in_the_order_asked(features, fresh: str) -> None:
    await features.writer.push(
        "user_taste_v1",
        [
            FeatureRow(f"{fresh}a", AT, FULL),
            FeatureRow(f"{fresh}b", AT.astimezone(timezone(timedelta(hours=8))), {"plays": 3}),
            FeatureRow(f"{fresh}c", AT, {"plays": None, "recent_items": [], "vector": np.zeros(0, np.float32)}),
        ],
    )
    found = await features.reader.read("user_taste_v1", [f"{fresh}{x}" for x in "bxaca"])
    assert same(found[0], f"{fresh}b", AT, {"plays": 3})
    assert found[1] is None
    assert same(found[2], f"{fresh}a", AT, FULL)
    assert same(found[3], f"{fresh}c", AT, {"recent_items": [], "vector": np.zeros(0, np.float32)})
    assert same(found[4], f"{fresh}a", AT, FULL)
    assert await features.reader.read("user_taste_v1", []) == []
    await features.writer.push("user_taste_v1", [])


async def test_times_and_ids_of_rows_older_than_their_ttl_too(features, fresh: str) -> None:
    odd = f"{fresh}[*]?\\é"
    await features.writer.push("user_taste_v1", [FeatureRow(each, AT, {"plays": 1}) for each in (fresh, odd)])
    await features.writer.push("item_plays_v1", [FeatureRow(f"{fresh}i", AT, {"plays": 1})])
    features.now[0] = AT + timedelta(days=181)
    assert await features.reader.read("user_taste_v1", [fresh]) == [None]
    assert await features.reader.read_times("user_taste_v1", [fresh, f"{fresh}x", odd]) == [AT, None, AT]
    found = [each async for each in features.reader.scan_ids("user_taste_v1") if each.startswith(fresh)]
    assert sorted(found) == sorted([fresh, odd])
    items = [each async for each in features.reader.scan_ids("item_plays_v1") if each.startswith(fresh)]
    assert items == [f"{fresh}i"]
    await features.writer.delete("user_taste_v1", [odd])
    assert [each async for each in features.reader.scan_ids("user_taste_v1") if each.startswith(fresh)] == [fresh]


async def test_a_scan_gives_every_row_once_and_old_ones_too(features, fresh: str) -> None:
    ids = [f"{fresh}{number}" for number in range(601)]
    await features.writer.push("user_taste_v1", [FeatureRow(each, AT, FULL) for each in ids])
    await features.writer.push("item_plays_v1", [FeatureRow(f"{fresh}i", AT, {"plays": 1})])
    features.now[0] = AT + timedelta(days=400)
    rows = [row async for batch in features.reader.scan("user_taste_v1") for row in batch]
    mine = [row for row in rows if row.entity_id.startswith(fresh)]
    assert sorted(row.entity_id for row in mine) == sorted(ids)
    assert all(same(row, row.entity_id, AT, FULL) for row in mine)
    assert same((await features.reader.read_old_too("user_taste_v1", [ids[7]]))[0], ids[7], AT, FULL)
    await features.writer.delete("user_taste_v1", ids)
    rows = [row async for batch in features.reader.scan("user_taste_v1") for row in batch]
    assert not [row for row in rows if row.entity_id.startswith(fresh)]


async def test_an_alias_is_the_first_version_until_it_moves(features, fresh: str) -> None:
    await features.writer.push("item_content_v1", [FeatureRow(fresh, AT, {"title": "t"})])
    assert same((await features.reader.read("item_content", [fresh]))[0], fresh, AT, {"title": "t"})
    with pytest.raises(ValueError, match="no feature view"):
        await features.reader.read("item", [fresh])


async def test_views_of_one_entity_do_not_touch_each_other(features, fresh: str) -> None:
    await features.writer.push("item_plays_v1", [FeatureRow(fresh, AT, {"plays": 1})])
    assert await features.reader.read("item_content_v1", [fresh]) == [None]
    await features.writer.push("item_content_v1", [FeatureRow(fresh, AT, {"title": "t"})])
    await features.writer.delete("item_plays_v1", [fresh, "never"])
    await features.writer.delete("item_plays_v1", [])
    assert await features.reader.read("item_plays_v1", [fresh]) == [None]
    assert same((await features.reader.read("item_content_v1", [fresh]))[0], fresh, AT, {"title": "t"})


@pytest.mark.parametrize(("later_s", "kept"), [(-1, 1), (0, 1), (0.001, 2), (1, 2)])
async def test_older_and_equal_event_times_change_nothing(features, fresh: str, later_s: float, kept: int) -> None:
    await features.writer.push("item_plays_v1", [FeatureRow(fresh, AT, {"plays": 1})])
    await features.writer.push("item_plays_v1", [FeatureRow(fresh, AT + timedelta(seconds=later_s), {"plays": 2})])
    [row] = await features.reader.read("item_plays_v1", [fresh])
    assert row.values == {"plays": kept}


async def test_the_newest_row_of_a_call_counts(features, fresh: str) -> None:
    rows = [FeatureRow(fresh, AT + timedelta(seconds=s), {"plays": s}) for s in (1, 3, 2)]
    await features.writer.push("item_plays_v1", rows)
    [row] = await features.reader.read("item_plays_v1", [fresh])
    assert row.values == {"plays": 3}


async def test_a_newer_row_replaces_the_whole_row(features, fresh: str) -> None:
    await features.writer.push("item_plays_v1", [FeatureRow(fresh, AT, {"plays": 1, "played_ms": 5})])
    newer = AT + timedelta(seconds=1)
    await features.writer.push("item_plays_v1", [FeatureRow(fresh, newer, {"plays": 2})])
    assert same((await features.reader.read("item_plays_v1", [fresh]))[0], fresh, newer, {"plays": 2})


async def test_rows_older_than_the_ttl_are_missing(features, fresh: str) -> None:
    await features.writer.push("user_taste_v1", [FeatureRow(fresh, AT, FULL)])
    features.now[0] = AT + timedelta(days=180)
    assert await features.reader.read("user_taste_v1", [fresh]) != [None]
    features.now[0] += timedelta(microseconds=1)
    assert await features.reader.read("user_taste_v1", [fresh]) == [None]
    _, present = await features.reader.read_matrix("user_taste_v1", "vector", [fresh], 3)
    assert not present.any()


async def test_more_rows_than_a_batch(features, fresh: str) -> None:
    ids = [f"{fresh}{n}" for n in range(1203)]
    await features.writer.push("item_plays_v1", [FeatureRow(x, AT, {"plays": n}) for n, x in enumerate(ids)])
    found = await features.reader.read("item_plays_v1", ids)
    assert [row.values["plays"] for row in found] == list(range(1203))


async def test_a_matrix_of_vectors(features, fresh: str) -> None:
    vectors = np.random.default_rng(7).normal(size=(5, 192)).astype(np.float32)
    ids = [f"{fresh}{n}" for n in range(5)]
    rows = [FeatureRow(x, AT, {"vector": v}) for x, v in zip(ids[:4], vectors, strict=False)]
    rows.append(FeatureRow(ids[4], AT, {"title": "no vector"}))
    await features.writer.push("item_content_v1", rows)
    asked = [ids[2], "never", ids[0], ids[4], ids[2]]
    matrix, present = await features.reader.read_matrix("item_content_v1", "vector", asked, 192)
    assert matrix.dtype == np.float32
    assert matrix.shape == (5, 192)
    assert matrix.flags.writeable
    assert present.tolist() == [True, False, True, False, True]
    assert np.array_equal(matrix[[0, 2, 4]], vectors[[2, 0, 2]])
    assert not matrix[[1, 3]].any()
    matrix, present = await features.reader.read_matrix("item_content_v1", "vector", [], 192)
    assert (matrix.shape, present.shape) == ((0, 192), (0,))
    with pytest.raises(BugError):
        await features.reader.read_matrix("item_content_v1", "vector", ids, 191)
    with pytest.raises(ValueError, match="no vector"):
        await features.reader.read_matrix("item_content_v1", "title", ids, 192)


@pytest.mark.parametrize(
    ("view", "row"),
    [
        ("no_view_v1", FeatureRow("x", AT, {"plays": 1})),
        ("item_plays_v1", FeatureRow("x", AT.replace(tzinfo=None), {"plays": 1})),
        ("item_plays_v1", FeatureRow("x", AT, {"other": 1})),
        ("item_plays_v1", FeatureRow("x", AT, {"plays": None})),
        ("item_plays_v1", FeatureRow("x", AT, {"completion_rate": float("nan")})),
        ("user_taste_v1", FeatureRow("x", AT, {"vector": np.array([np.inf], np.float32)})),
        ("user_taste_v1", FeatureRow("x", AT, {"vector": np.zeros((1, 2), np.float32)})),
    ],
)
async def test_rows_that_are_refused(features, view: str, row: FeatureRow) -> None:
    with pytest.raises(ValueError, match=r"view|event time|field|value|finite"):
        await features.writer.push(view, [row])
