"""The online side of CB2CF: parts from events, batches, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from models.cb2cf import ContentMapper, Layout, parts_of
from models.recommender_bundle import MappedItems, open_bundle
from tests.bundles import DEBUG

VERSION = "content-means 1/1"
LAYOUT = Layout(("audio", "image", "text", "tags"), ("calm", "dance", "live"), VERSION)


def joint(*parts: str) -> np.ndarray:
    """A joint vector of norm 1 with these parts."""
    vector = np.zeros(192, np.float32)
    for number, part in enumerate(("audio", "image", "text")):
        if part in parts:
            vector[64 * number + number] = 1
    return vector / max(float(np.linalg.norm(vector)), 1.0)


@pytest.fixture(scope="module")
def mapper() -> ContentMapper:
    return ContentMapper.open(DEBUG / "cb2cf.onnx", LAYOUT)


def test_parts_come_from_the_joint_vector_and_the_labels() -> None:
    rows = np.stack([joint("audio", "text"), joint("image"), joint()])
    parts, present = parts_of(LAYOUT, rows, [VERSION, VERSION, ""], [["live", "unheard of"], [], ["calm", "dance"]])
    assert present.tolist() == [[True, False, True, True], [False, True, False, False], [False, False, False, True]]
    assert parts.shape == (3, 4, 64)
    # each part has norm 1 again, however many there are
    assert parts[0, 0, 0] == pytest.approx(1)
    assert parts[0, 2, 2] == pytest.approx(1)
    assert parts[0, 3, :4].tolist() == [0, 0, 1, 0]
    assert parts[2, 3, :4].tolist() == [1, 1, 0, 0]
    assert not parts[~present].any()


def test_a_joint_vector_of_another_version_is_left_aside_but_not_the_tags() -> None:
    parts, present = parts_of(LAYOUT, joint("audio")[None], ["content-means 9/9"], [["calm"]])
    assert present.tolist() == [[False, False, False, True]]
    assert not parts[0, :3].any()


def test_items_are_placed_with_a_gate_for_each_part(mapper: ContentMapper) -> None:
    rows = np.stack([joint("audio", "image"), joint(), joint()])
    found = mapper.map(rows, [VERSION, "", ""], [[], ["live"], []])
    assert found.found.tolist() == [True, True, False]
    assert found.gates.tolist() == [[1, 1, 0, 0], [0, 0, 0, 1], [0, 0, 0, 0]]
    assert np.allclose(np.linalg.norm(found.vectors[:2], axis=1), 1, atol=1e-5)
    assert not found.vectors[2].any()


def test_an_opened_bundle_serves_as_network(mapper: ContentMapper) -> None:
    own = ContentMapper(open_bundle(DEBUG).map_content, LAYOUT)
    rows = np.stack([joint("audio"), joint("text", "image")])
    one, other = (each.map(rows, [VERSION] * 2, [["calm"], []]) for each in (own, mapper))
    assert np.array_equal(one.vectors, other.vectors)
    assert np.array_equal(one.gates, other.gates)


def test_many_items_go_through_in_batches_and_come_out_in_order() -> None:
    sizes = []

    def network(parts: np.ndarray, present: np.ndarray) -> MappedItems:
        sizes.append(len(parts))
        return MappedItems(parts[:, 0], present)

    mapper = ContentMapper(network, LAYOUT, batch=3)
    parts = np.zeros((8, 4, 64), np.float32)
    parts[:, 0, 0] = np.arange(8)
    present = np.zeros((8, 4), np.bool_)
    present[:, 0] = True
    present[2] = False
    found = mapper.map_parts(parts, present)
    assert sizes == [3, 3, 1]
    assert found.vectors[:, 0].tolist() == [0, 1, 0, 3, 4, 5, 6, 7]
    assert found.found.tolist() == [True, True, False, True, True, True, True, True]


def test_no_items_at_all_are_no_error(mapper: ContentMapper) -> None:
    found = mapper.map(np.zeros((0, 192), np.float32), [], [])
    assert found.vectors.shape == (0, 64)
    assert found.gates.shape == (0, 4)


def test_what_cannot_be_mapped_is_refused_by_name(mapper: ContentMapper) -> None:
    parts, present = np.zeros((2, 4, 64), np.float32), np.ones((2, 4), np.bool_)
    parts[1, 2, 5] = np.nan
    with pytest.raises(ValueError, match="part text of the item in row 1 is not finite"):
        mapper.map_parts(parts, present)
    with pytest.raises(ValueError, match="4 parts of 64 expected"):
        mapper.map_parts(parts[:, :3], present[:, :3])
    with pytest.raises(ValueError, match="4 parts of 64 expected"):
        mapper.map_parts(parts, present[:1])
    with pytest.raises(ValueError, match="192 finite numbers"):
        mapper.map(np.full((1, 192), np.inf, np.float32), [VERSION], [[]])
    with pytest.raises(ValueError, match="1 joint vectors, 0 versions and 1 lists"):
        mapper.map(joint("audio")[None], [], [[]])


def test_a_layout_that_is_not_the_networks_is_refused() -> None:
    with pytest.raises(ValueError, match="inputs"):
        ContentMapper.open(DEBUG / "cb2cf.onnx", Layout(("audio", "tags"), (), VERSION))
    with pytest.raises(ValueError, match="once at most"):
        Layout(("audio", "smell"), (), VERSION)
    with pytest.raises(ValueError, match="once at most"):
        Layout(("audio", "audio"), (), VERSION)
    with pytest.raises(ValueError, match="65 tags"):
        Layout(("tags",), tuple(map(str, range(65))), VERSION)
