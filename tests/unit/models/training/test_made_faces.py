"""Material that the networks of faces and kinds learn from: repeatable, as large as said, covered as much as said."""

import numpy as np
import pytest

from models.training.material import made_pictures, occluders, screens
from models.training.material.occluders import KINDS, MATERIALS, photographed, sample, shape_of_share, texture
from models.training.material.sounds import Range

PHOTO = np.random.default_rng(0).integers(0, 256, (180, 150, 3)).astype(np.uint8)
FACE = np.full((occluders.FACE, occluders.FACE, 3), (200, 160, 140), np.uint8)


@pytest.mark.parametrize("kind", sorted(set(KINDS)))
@pytest.mark.parametrize("share", [0.1, 0.3, 0.5])
def test_a_cover_covers_as_much_as_was_asked_for(kind: occluders.Kind, share: float) -> None:
    across, along = np.meshgrid(*(((np.arange(96) + 0.5) / 96 - 0.5) * 1.4,) * 2)
    oval = (across / 0.42) ** 2 + (along / 0.52) ** 2 < 1.0
    covered = [shape_of_share(kind, share, np.random.default_rng(seed))[oval].mean() for seed in range(6)]
    assert np.median(covered) == pytest.approx(share, abs=0.12)


def test_samples_repeat_and_differ() -> None:
    first, again = (sample(FACE, np.random.default_rng(4)) for _ in range(2))
    other = sample(FACE, np.random.default_rng(5))
    assert (first[0] == again[0]).all()
    assert (first[1] == again[1]).all()
    assert (first[0] != other[0]).any()


def test_about_as_many_samples_are_covered_as_said() -> None:
    random = np.random.default_rng(2)
    made = [sample(FACE, random) for _ in range(120)]
    assert all(picture.shape == (64, 64, 3) and picture.dtype == np.uint8 for picture, _ in made)
    assert all(cells.shape == (16, 16) and 0.0 <= cells.min() <= cells.max() <= 1.0 for _, cells in made)
    assert np.mean([cells.any() for _, cells in made]) == pytest.approx(occluders.COVERED, abs=0.12)


@pytest.mark.parametrize("material", sorted({each for several in MATERIALS.values() for each in several}))
def test_surfaces_are_colours(material: occluders.Material) -> None:
    surface = texture(material, np.array([200.0, 150.0, 130.0]), np.random.default_rng(1))
    assert surface.shape == (96, 96, 3)
    assert 0.0 <= surface.min() <= surface.max() <= 255.0


@pytest.mark.parametrize("where", ["seen", "unseen"])
@pytest.mark.parametrize(
    "make", [made_pictures.drawing, made_pictures.statue, screens.screenshot, screens.rephotographed]
)
def test_made_pictures_repeat(make: object, where: Range) -> None:
    for seed in range(8):
        first, again = (make(PHOTO, where, np.random.default_rng(seed)) for _ in range(2))
        assert first.dtype == np.uint8
        assert first.ndim == 3
        assert first.shape[2] == 3
        assert (first == again).all()


def test_a_statue_has_one_tint() -> None:
    told = made_pictures.statue(PHOTO, "seen", np.random.default_rng(3)).astype(float)
    ratio = told[..., 0] / np.maximum(told[..., 2], 1)
    assert np.std(ratio[told[..., 2] > 60]) < 0.05


def test_photographed_keeps_the_size() -> None:
    random = np.random.default_rng(1)
    for _ in range(10):
        assert photographed(PHOTO.astype(np.float32), random).shape == PHOTO.shape
