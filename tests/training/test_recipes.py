"""Recipes on a data set small enough for seconds: figures, lineage, pictures, a whole version."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
import torch
from rich.console import Console

from models.dataset import Dataset, DatasetError, Interactions, Items, Users, check, read, write
from models.onnx import open_network
from models.recommender_bundle import HISTORY, open_bundle
from models.recommender_files import CB2CF, RANKER, USER_TOWER
from models.recommender_manifest import Calibration, Measure, Platt
from models.training import debug_bundle, interest_boundary
from models.training.data import splits
from models.training.histories import histories
from models.training.loop import Fit, seed_everything
from models.training.recipes import RECIPES, cb2cf, report, runner, semantic_id, two_tower, version
from models.training.recipes.base import RecipeError, Run, below_bars, check_device, measures, splits_of
from models.training.recipes.evaluation import evaluate
from models.training.recipes.jobs import Options
from models.training.recipes.making import Making
from models.training.recipes.subset import of_items
from models.training.tables.pages import Table
from models.training.two_tower import demographics

USERS, ITEMS, PLAYS = 80, 40, 15
QUIET = Console(file=StringIO())


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two crowds of users, each with its half of the items."""
    random = np.random.default_rng(1)
    user = np.repeat(np.arange(USERS), PLAYS).astype(np.int32)
    own = np.concatenate([random.permutation(ITEMS // 2)[:PLAYS] for _ in range(USERS)])
    item = (own + (user % 2) * (ITEMS // 2)).astype(np.int32)
    at = np.arange(len(user)).astype(np.int64) * 1000
    completion = random.random(len(user)).astype(np.float32)
    rows = Interactions(
        user, item, at, np.ones(len(user), np.bool_), completion > 0.5, completion,
        (completion * 1e5).astype(np.int32), np.full(len(user), -1, np.int16),
    )  # fmt: skip
    zeros = np.zeros(USERS, np.int16)
    users = Users(tuple(f"u{n}" for n in range(USERS)), zeros + 30, zeros.astype(np.int8) + 1, zeros, ("", "artist"))
    tagged = (np.arange(ITEMS)[:, None] // (ITEMS // 2)) == np.arange(2)[None]
    names = tuple(f"i{n}" for n in range(ITEMS))
    items = Items(names, names, np.zeros(ITEMS, np.int16), ("loud", "soft"), tagged, {}, {})
    folder = tmp_path_factory.mktemp("data")
    return folder / write(Dataset("two-crowds", "made for a test", users, items, rows), folder)


def towers(making: Making) -> None:
    """Stands for the trainers: vectors of the two crowds, and networks that can be foretold."""
    random = np.random.default_rng(3)
    shape = replace(debug_bundle.manifest(), occupations=making.dataset.users.occupations)
    networks = debug_bundle.networks(shape, random)
    centres = random.normal(size=(2, 64))
    rows = np.arange(making.shape[1])
    making.vectors = debug_bundle.unit(centres[rows // (ITEMS // 2)] + 0.2 * random.normal(size=(ITEMS, 64)))
    making.networks = {name: networks[name] for name in (USER_TOWER, CB2CF, RANKER)}
    making.age_bounds, making.parts, making.tags = shape.age_bounds, shape.parts, shape.tags
    making.fields = tuple((field.name, field.size) for field in shape.fields)
    making.dense, making.groups = shape.dense, shape.groups
    making.calibration = Calibration(Platt(1.0, 0.0), Platt(1.0, 0.0))


def codes(making: Making) -> None:
    making.codebooks = np.ones((3, 4, 64), np.float32)
    making.codes = np.zeros((ITEMS, 3), np.int64)


def test_a_run_leaves_figures_lineage_and_pictures(data: Path, tmp_path: Path) -> None:
    place = runner.run("lightgcn", str(data), tmp_path, QUIET, Options(5, debug=True))
    facts = orjson.loads((place / "run.json").read_bytes())
    assert facts["data"] == {"name": "two-crowds", "version": data.name, "non_commercial": False}
    assert facts["config"]["config"]["fit"]["seed"] == facts["seed"] == 5
    found = {each["name"]: each for each in orjson.loads((place / "measures.json").read_bytes())}
    recall = found["recall@20"]
    assert recall["low"] <= recall["mean"] <= recall["high"]
    assert recall["mean"] > recall["baselines"]["popularity"] + 0.2
    assert (place / "lightgcn.png").read_bytes().startswith(b"\x89PNG")
    report = (place / "report.md").read_text()
    assert f"| backbone/recall@20 | **{recall['mean']:.4f}**" in report
    assert "![lightgcn](lightgcn.png)" in report


def test_a_seed_is_that_of_every_training_of_a_recipe() -> None:
    def seeds(value: Any) -> set[int]:
        if isinstance(value, Fit):
            return {value.seed}
        return (
            set().union(*(seeds(getattr(value, each.name)) for each in fields(value))) if is_dataclass(value) else set()
        )

    for name in RECIPES:
        assert seeds(runner.chosen(name, Options(5))) == {5}


def test_the_same_seed_gives_the_same_figures(data: Path, tmp_path: Path) -> None:
    found = []
    for number, seed in enumerate((5, 5, 6)):
        place = runner.run("lightgcn", str(data), tmp_path / str(number), QUIET, Options(seed, debug=True))
        found.append((place / "measures.json").read_bytes())
    assert found[0] == found[1] != found[2]


def test_what_cannot_run_is_said(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RecipeError, match="no recipe nothing; there are lightgcn"):
        runner.run("nothing", str(data), tmp_path, QUIET, Options(5, debug=True))
    with pytest.raises(RecipeError, match="trains on cpu, not on cuda"):
        runner.run("lightgcn", str(data), tmp_path, QUIET, Options(5, debug=True, device="cuda"))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(RecipeError, match="sees no CUDA device"):
        check_device("cuda", ("cpu", "cuda"))
    with pytest.raises(DatasetError, match="No such file"):
        runner.run("lightgcn", str(tmp_path / "none"), tmp_path, QUIET, Options(5, debug=True))


@pytest.mark.parametrize(
    ("recipe", "told"),
    [
        ("ranker", "^ranker, split 0: the train rows hold one class only for the task like: .* all no$"),
        ("lightgcn", "^lightgcn, split 0: 160 plays to learn from and 0 to judge by: too few$"),
    ],
)
@pytest.mark.filterwarnings("ignore:Number of distinct clusters")
def test_data_that_nothing_can_be_learnt_from_is_named(data: Path, tmp_path: Path, recipe: str, told: str) -> None:
    whole = read(data)
    done = whole.interactions
    poor = done.take(np.arange(len(done)) % PLAYS < 2) if recipe == "lightgcn" else done
    poor = replace(poor, liked=np.zeros(len(poor), np.bool_))
    folder = tmp_path / write(replace(whole, interactions=poor), tmp_path)
    with pytest.raises(RecipeError, match=told):
        runner.run(recipe, str(folder), tmp_path / "runs", QUIET, Options(5, debug=True))
    assert not (tmp_path / "runs").exists()


def test_fewer_splits_are_measured_where_no_bars_are_set(data: Path) -> None:
    recipe = RECIPES["lightgcn"]
    assert splits_of(recipe, read(data)) == recipe.splits[:3] != recipe.splits
    assert splits_of(recipe, replace(read(data), name="ml-100k")) == recipe.splits


def test_bars_and_intervals() -> None:
    recipe = replace(RECIPES["lightgcn"], bars={"warm/recall@10": 0.3}, lower=frozenset({"warm/loss"}))
    by_split = [
        {"lightgcn": {"warm/recall@10": np.array([value]), "warm/loss": np.array([1.0])},
         "popularity": {"warm/recall@10": np.array([0.1])}}
        for value in (0.2, 0.25, 0.3)
    ]  # fmt: skip
    recall, loss = measures(recipe, by_split, "ml-100k")
    assert (recall.mean, recall.values) == (pytest.approx(0.25), (0.2, 0.25, 0.3))
    assert recall.baselines == {"popularity": pytest.approx(0.1)}
    assert 0.2 <= recall.low < 0.25 < recall.high <= 0.3
    assert loss.goal == "least"
    assert [each.bar for each in measures(recipe, by_split, "topics")] == [None, None]
    assert below_bars([recall, loss]) == ["warm/recall@10: 0.2500, at least 0.3000 is wanted"]


@pytest.mark.timeout(600)
def test_two_processes_make_the_version_that_one_makes(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(version, "RECIPES", {name: RECIPES[name] for name in ("lightgcn", "two_tower")})
    monkeypatch.setattr(version, "STEPS", (towers, codes))
    found = []
    for processes in (1, 2):
        options = Options(7, debug=True, processes=processes)
        place = version.run(str(data), tmp_path / str(processes), QUIET, options, parent=None)
        facts = orjson.loads((place / "run.json").read_bytes())
        assert set(facts["jobs"]) == {"lightgcn, split 0", "two_tower, split 0", version.PARTS}
        # the towers begin from the backbone that was trained for itself, as the curves tell as well
        kept = sorted(path.name.rpartition("-")[0] for path in (place / "trained").iterdir())
        assert kept == ["lightgcn", "two-tower"]
        assert {path.name for path in place.glob("*.png")} == {"lightgcn.png", "two_tower.png"}
        found.append([(place / name).read_bytes() for name in ("measures.json", "bundle/user_tower.onnx")])
    assert found[0] == found[1]
    keys = [(each["protocol"], each["name"]) for each in orjson.loads(found[0][0])]
    assert len(set(keys)) == len(keys)


def test_all_parts_become_a_version_that_can_be_evaluated(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(version, "RECIPES", {"lightgcn": RECIPES["lightgcn"]})
    monkeypatch.setattr(version, "STEPS", (towers, codes))
    place = version.run(str(data), tmp_path, QUIET, Options(5, debug=True), parent="20260101-000000-00000000")
    bundle = open_bundle(place / "bundle")
    manifest = bundle.manifest
    assert (manifest.dataset.name, manifest.dataset.version) == ("two-crowds", data.name)
    assert manifest.parent == "20260101-000000-00000000"
    assert len(bundle.items.ids) == ITEMS
    assert manifest.measures[0].key == "backbone/recall@10"
    assert orjson.loads((place / "run.json").read_bytes())["version"] == manifest.version
    [recall] = [each for each in evaluate(bundle, str(data)) if each.name == "recall@20"]
    assert recall.mean > recall.baselines["popularity"] + 0.2
    with pytest.raises(DatasetError, match="its test rows are not unseen"):
        evaluate(bundle, "ml-100k")


def test_the_tables_come_with_a_version_of_their_data_set(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def page(dataset: Dataset, by_split: list[str], seeds: list[int]) -> tuple[list[str], str]:
        return by_split, f"{dataset.name}: {seeds}\n"

    table = Table("recommender-made-up", lambda dataset, seed, _watch: f"{dataset.name} {seed}", page)
    monkeypatch.setattr(version, "RECIPES", {})
    monkeypatch.setattr(version, "STEPS", (towers, codes))
    monkeypatch.setattr(version, "TABLES", (table,))
    folder = tmp_path / write(replace(read(data), name="ml-100k"), tmp_path)
    options = Options(5, tables=(tmp_path / "bench",))
    place = version.run(str(folder), tmp_path / "runs", QUIET, options, parent=None)
    for out in (place / "tables", tmp_path / "bench"):
        assert (out / "recommender-made-up.md").read_text() == "ml-100k: [0, 1, 2, 3, 4]\n"
        assert orjson.loads((out / "recommender-made-up.json").read_bytes())[4] == "ml-100k 4"
    elsewhere = version.run(str(data), tmp_path / "others", QUIET, Options(5), parent=None)
    assert not (elsewhere / "tables").exists()


def test_a_version_without_all_parts_names_what_is_missing(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(version, "RECIPES", {})
    monkeypatch.setattr(version, "STEPS", (codes,))
    with pytest.raises(RecipeError, match=r"has made vectors, calibration, user_tower.onnx, cb2cf.onnx, ranker.onnx"):
        version.run(str(data), tmp_path, QUIET, Options(5, debug=True), parent=None)
    monkeypatch.setattr(version, "STEPS", (semantic_id.step,))
    with pytest.raises(RecipeError, match="semantic ids need item vectors"):
        version.run(str(data), tmp_path, QUIET, Options(5, debug=True), parent=None)


def test_users_boundaries_and_calibration_are_of_what_is_published(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained_with: list[tuple[str, int]] = []

    def noted(*given: Any) -> interest_boundary.InterestBoundary:
        trained_with.append((type(given[-2]).__name__, given[-1]))
        return fit(*given)

    fit = interest_boundary.fit_boundary
    monkeypatch.setattr(interest_boundary, "fit_boundary", noted)
    dataset = read(data)
    making = Making(dataset, splits.warm(dataset.interactions, 0), 0, 5, debug=True, run=Run(lambda *_: None))
    two_tower.step(making)
    assert trained_with == [("UserTowers", HISTORY)]
    assert making.backbone is not None
    vectors = making.backbone.items
    past, told = histories(dataset.interactions, making.rows.train, making.shape), demographics(dataset.users)
    weights, number = past.weights(np.arange(USERS), HISTORY)
    given = {"history": np.asarray(weights @ vectors, np.float32), "plays": np.log1p(number)[:, None]}
    given |= {name: column.numpy() for name, column in told._asdict().items()}
    found, boundaries = open_network(making.networks[USER_TOWER]).run(["vector", "boundary"], given)
    assert making.backbone.users == pytest.approx(found, abs=1e-4)
    assert making.boundaries == pytest.approx(boundaries, abs=1e-4)


def test_what_was_shown_and_not_played_moves_no_item(data: Path) -> None:
    dataset = read(data)
    played = dataset.interactions
    shown = played.take(np.arange(0, len(played), 3))
    shown = replace(shown, item=((shown.item + 7) % ITEMS).astype(np.int32), clicked=np.zeros(len(shown), np.bool_))
    both = {each.name: np.concatenate([getattr(one, each.name) for one in (played, shown)]) for each in fields(played)}
    more = replace(dataset, interactions=Interactions(**both))
    own = splits.warm(more.interactions, 0)
    all_told = replace(own, train=np.concatenate([own.train, np.arange(len(played), len(more.interactions))]))

    def taught(rows: splits.Split) -> Making:
        making = Making(more, rows, 0, 5, debug=True, run=Run(lambda *_: None))
        for step in (two_tower.step, cb2cf.step):
            seed_everything(5)
            step(making)
        return making

    one, other = taught(own), taught(all_told)
    assert one.calibration == other.calibration
    assert one.networks == other.networks


def test_a_console_is_told_each_figure_beside_the_best_baseline(tmp_path: Path) -> None:
    found = [
        Measure("warm", "recall@20", 0.3, 0.2, 0.4, (0.3,), {"popularity": 0.1, "ease": 0.25}, bar=0.358),
        Measure("ranking", "loss", 0.5, 0.4, 0.6, (0.5,), {"popularity": 0.7, "logistic": 0.6}, "least"),
        Measure("cold_item", "recall@20_among_all_cold", 0.2, 0.1, 0.3, (), {"by a method of many words" * 2: 0.1}),
    ]
    (tmp_path / report.MEASURES).write_bytes(orjson.dumps(found))
    console = Console(file=StringIO(), width=80)
    console.print(report.console_table(tmp_path))
    assert isinstance(console.file, StringIO)
    recall, loss, cold = [line for line in console.file.getvalue().splitlines() if "/" in line]
    assert [word.strip() for word in recall.split("│")[1:-1]] == [
        "warm/recall@20", "0.3000", ">= 0.358", "0.2500 ease",
    ]  # fmt: skip
    assert "0.6000 logistic" in loss
    assert "cold_item/recall@20_among_all_cold" in cold


def test_a_data_set_of_some_items_is_numbered_by_them(data: Path, tmp_path: Path) -> None:
    whole = read(data)
    dated = replace(whole, items=replace(whole.items, published_ms=np.arange(ITEMS) * 1000))
    whole = read(tmp_path / write(dated, tmp_path))
    rows = splits.warm(whole.interactions, 0)
    items = np.array([5, 30, 2])
    fewer, split = of_items(whole, rows, items)
    check(fewer)
    assert fewer.items.ids == ("i5", "i30", "i2")
    assert fewer.items.published_ms is not None
    assert fewer.items.published_ms.tolist() == [5000, 30_000, 2000]
    assert fewer.items.tagged.tolist() == whole.items.tagged[items].tolist()
    for part in ("train", "validation", "test"):
        before, after = whole.interactions.take(getattr(rows, part)), fewer.interactions.take(getattr(split, part))
        kept = np.isin(before.item, items)
        assert items[after.item].tolist() == before.item[kept].tolist()
        assert after.user.tolist() == before.user[kept].tolist()


def test_the_debug_bundle_is_the_committed_one(tmp_path: Path) -> None:
    debug_bundle.write(tmp_path / "made")
    committed = Path(__file__).parents[1] / "data" / "recommender-debug"
    for path in committed.iterdir():
        assert (tmp_path / "made" / path.name).read_bytes() == path.read_bytes(), path.name
