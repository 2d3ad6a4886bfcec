"""A bundle is used only whole: every file, number and name is compared before anything runs."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import orjson
import pytest
from safetensors.numpy import load, save

from models.recommender_bundle import Bundle, open_bundle, write_bundle
from models.recommender_files import CB2CF, FILES, ITEM_IDS, ITEMS, NETWORKS, RANKER, SEMANTIC_ID, USER_TOWER
from models.recommender_manifest import MANIFEST, BundleError, read_manifest
from tests.bundles import DEBUG, resealed


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return open_bundle(DEBUG)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(DEBUG, tmp_path / "bundle"))


def rewritten(folder: Path, name: str, **changes: Callable[[np.ndarray], np.ndarray]) -> None:
    arrays = load((folder / name).read_bytes())
    resealed(
        folder, name, save({key: np.ascontiguousarray(changes.get(key, lambda a: a)(a)) for key, a in arrays.items()})
    )


def users(rows: int, **columns: np.ndarray) -> dict[str, np.ndarray]:
    zeros = {
        "history": np.zeros((rows, 64), np.float32),
        "plays": np.zeros((rows, 1), np.float32),
        **{name: np.zeros(rows, np.int64) for name in ("age", "gender", "occupation")},
    }
    return zeros | columns


def pair(bundle: Bundle) -> tuple[np.ndarray, np.ndarray]:
    manifest = bundle.manifest
    return np.zeros((1, len(manifest.fields)), np.int64), np.ones((1, len(manifest.dense)), np.float32)


def test_it_answers_for_users_items_and_pairs(bundle: Bundle) -> None:
    near = bundle.items.vectors[[0, 1]]
    found = bundle.user_vectors(**users(2, history=near))
    assert np.allclose(np.linalg.norm(found.vectors, axis=1), 1, atol=1e-5)
    assert ((found.vectors @ near.T).argmax(axis=1) == [0, 1]).all()
    assert found.boundaries.tolist() == pytest.approx([0.2, 0.2])
    without_plays = bundle.user_vectors(**users(1, gender=np.array([1])))
    assert np.linalg.norm(without_plays.vectors) == pytest.approx(1, abs=1e-5)

    parts = np.zeros((1, 4, 64), np.float32)
    parts[0, 0], parts[0, 1] = near
    mapped = bundle.map_content(parts, np.array([[1, 0, 0, 0]], np.float32))
    assert np.allclose(mapped.vectors[0], near[0], atol=1e-5)
    assert mapped.gates.tolist() == [[1, 0, 0, 0]]

    fields, dense = pair(bundle)
    logits = bundle.rank(fields, dense, np.array([1]))
    assert logits.shape == (1, 4)
    assert logits[0, 3] == pytest.approx(4 * logits[0, 0])
    assert bundle.row_of["debug-item-03"] == 3
    assert bundle.manifest.collection == f"recommender_items_{bundle.version.replace('-', '_')}"


def test_ages_fall_into_buckets(bundle: Bundle) -> None:
    ages = [None, -1, 0, 17, 18, 24, 25, 90]
    assert [bundle.manifest.age_bucket(age) for age in ages] == [0, 0, 1, 1, 2, 2, 3, 7]


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"history": np.full((2, 64), np.nan, np.float32)}, "history: not finite in row 0"),
        ({"history": np.zeros((2, 32), np.float32)}, "history: float32 .2, 32., float32 .2, 64. expected"),
        ({"age": np.array([0, 8])}, "age: row 1 is out of range"),
        ({"gender": np.array([-1, 0])}, "gender: row 0 is out of range"),
        ({"occupation": np.zeros(2, np.int32)}, "occupation: int32"),
    ],
)
def test_bad_users_are_refused(bundle: Bundle, columns: dict[str, np.ndarray], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        bundle.user_vectors(**users(2, **columns))


def test_an_item_without_any_part_is_refused(bundle: Bundle) -> None:
    with pytest.raises(ValueError, match="row 1 has no content part"):
        bundle.map_content(np.zeros((2, 4, 64), np.float32), np.array([[1, 0, 0, 0], [0, 0, 0, 0]], np.float32))


def test_a_pair_with_a_field_out_of_range_is_refused(bundle: Bundle) -> None:
    fields, dense = pair(bundle)
    fields[0, 4] = bundle.manifest.fields[4].size
    with pytest.raises(ValueError, match="fields: row 0 is out of range"):
        bundle.rank(fields, dense, np.array([0]))


@pytest.mark.parametrize("name", [*FILES, MANIFEST])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(BundleError, match=f"{name}: No such file"):
        open_bundle(folder)


@pytest.mark.parametrize("name", FILES)
def test_a_file_with_one_changed_byte_is_named(folder: Path, name: str) -> None:
    data = bytearray((folder / name).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / name).write_bytes(data)
    with pytest.raises(BundleError, match=f"{name}: sha256"):
        open_bundle(folder)


def test_a_file_of_another_version_is_named(folder: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(folder, tmp_path / "other"))
    rewritten(other, ITEMS, vectors=lambda vectors: vectors[::-1])
    open_bundle(other)
    shutil.copy(other / ITEMS, folder / ITEMS)
    with pytest.raises(BundleError, match=f"{ITEMS}: .* that of version 20261121"):
        open_bundle(folder)


def test_a_file_in_excess_is_named(folder: Path) -> None:
    (folder / "notes.txt").write_text("x")
    with pytest.raises(BundleError, match=r"notes\.txt: does not belong"):
        open_bundle(folder)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"format": 2}, "format 2 of the manifest"),
        ({"dim": 32}, "not those of version"),
        ({"norm": "any"}, "norm: Input should be"),
        ({"surplus": 1}, "surplus: Unexpected keyword"),
        ({"version": "1.0"}, "version: String should match"),
    ],
)
def test_an_odd_manifest_is_refused(folder: Path, change: dict[str, object], reason: str) -> None:
    told = orjson.loads((folder / MANIFEST).read_bytes()) | change
    (folder / MANIFEST).write_bytes(orjson.dumps(told))
    with pytest.raises(BundleError, match=reason):
        open_bundle(folder)


def test_a_manifest_that_is_no_json_is_refused(folder: Path) -> None:
    (folder / MANIFEST).write_bytes(b"{")
    with pytest.raises(BundleError, match="no JSON"):
        open_bundle(folder)


@pytest.mark.parametrize(
    ("name", "key", "change", "reason"),
    [
        (ITEMS, "vectors", lambda a: np.where(a == a[3, 5], np.float32("nan"), a), "vectors has values that are not"),
        (ITEMS, "vectors", lambda a: a * np.float32(2), "has norm 2.0000, not 1"),
        (ITEMS, "vectors", lambda a: a[:, :32], "of 64 numbers"),
        (ITEMS, "vectors", lambda a: a[1:], "for 24 ids"),
        (ITEMS, "vectors", lambda a: a.astype(np.float64), "vectors is float64"),
        (ITEMS, "codes", lambda a: a + 32, "codebooks have 32 rows"),
        (ITEMS, "codes", lambda a: a[:, :2], "2 codes an item"),
        (SEMANTIC_ID, "codebooks", lambda a: a[:, :, :16], "codebooks of 16 numbers"),
    ],
)  # fmt: skip
def test_arrays_that_do_not_agree_are_refused(
    folder: Path, name: str, key: str, change: Callable[[np.ndarray], np.ndarray], reason: str
) -> None:
    rewritten(folder, name, **{key: change})
    with pytest.raises(BundleError, match=reason):
        open_bundle(folder)


@pytest.mark.parametrize(
    ("ids", "reason"), [(["a", "a"], "comes twice"), ({"a": 1}, "a list of ids"), ([""], "a list")]
)
def test_odd_ids_are_refused(folder: Path, ids: object, reason: str) -> None:
    resealed(folder, ITEM_IDS, orjson.dumps(ids))
    with pytest.raises(BundleError, match=reason):
        open_bundle(folder)


@pytest.mark.parametrize("name", NETWORKS)
def test_bytes_that_are_no_network_are_refused(folder: Path, name: str) -> None:
    resealed(folder, name, b"\x08\x09 no network")
    with pytest.raises(BundleError, match=f"{name}: no network"):
        open_bundle(folder)


@pytest.mark.parametrize(("name", "other"), [(USER_TOWER, CB2CF), (CB2CF, RANKER), (RANKER, USER_TOWER)])
def test_a_network_of_another_kind_is_refused(folder: Path, name: str, other: str) -> None:
    resealed(folder, name, (folder / other).read_bytes())
    with pytest.raises(BundleError, match=f"{name}: inputs .* expected"):
        open_bundle(folder)


def test_a_network_for_other_fields_is_refused(folder: Path) -> None:
    manifest = read_manifest((folder / MANIFEST).read_bytes(), MANIFEST)
    (folder / MANIFEST).write_bytes(replace(manifest, parts=manifest.parts[:3]).versioned().to_json())
    with pytest.raises(BundleError, match=r"cb2cf.onnx: input parts is .* expected"):
        open_bundle(folder)


def test_weights_that_are_not_finite_are_refused(folder: Path) -> None:
    data = (folder / USER_TOWER).read_bytes()
    nan = np.float32("nan").tobytes()
    boundary = np.float32(0.2).tobytes()
    assert data.count(boundary) == 1
    resealed(folder, USER_TOWER, data.replace(boundary, nan))
    with pytest.raises(BundleError, match=r"user_tower.onnx: boundary is not finite"):
        open_bundle(folder)


def test_what_was_written_opens_again_and_nothing_is_overwritten(bundle: Bundle, tmp_path: Path) -> None:
    networks = {name: (DEBUG / name).read_bytes() for name in NETWORKS}
    plain = replace(bundle.manifest, version="", files={})
    manifest = write_bundle(tmp_path / "new", plain, networks, bundle.items, bundle.codebooks)
    assert manifest == bundle.manifest
    with pytest.raises(BundleError, match="not empty"):
        write_bundle(tmp_path / "new", plain, networks, bundle.items, bundle.codebooks)
