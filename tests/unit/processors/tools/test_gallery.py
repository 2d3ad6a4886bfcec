"""What of a folder becomes a gallery: files, pictures of a person, rows and the version's name."""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from features.face_gallery import GalleryError
from processors.runtime.gallery_settings import Gallery
from processors.tools.gallery import version as versions
from processors.tools.gallery.curve import SHIPPED_EMBEDDER
from processors.tools.gallery.faces import ReadFace
from processors.tools.gallery.folder import read_folder, read_persons
from processors.tools.gallery.selection import farthest_points, largest_group, select
from processors.tools.gallery.version import Rows, compose, rows_of

RULES = Gallery()


def near(centre: np.ndarray, likeness: float, seed: int) -> np.ndarray:
    """A vector of that likeness to a centre, float32 [128]."""
    other = np.random.default_rng(seed).standard_normal(len(centre))
    other -= centre * (other @ centre)
    other /= np.linalg.norm(other)
    return (likeness * centre + np.sqrt(1 - likeness**2) * other).astype(np.float32)


def centre(number: int) -> np.ndarray:
    return np.eye(128, dtype=np.float32)[number]


def face(vector: np.ndarray, name: str, *, person: str = "ann", side: float = 200.0, sha256: str = "") -> ReadFace:
    return ReadFace(person, name, sha256 or name, vector, side, name.encode())


def faces(count: int, person: int = 0) -> list[ReadFace]:
    """Pictures of one person, about .95 alike."""
    return [face(near(centre(person), 0.975, 100 * person + at), f"{person}-{at}.jpg") for at in range(count)]


def test_files_that_can_be_no_pictures_are_listed(tmp_path: Path) -> None:
    for name in ("Ann", "Zoë", "empty", ".git", "many"):
        (tmp_path / name).mkdir()
    (tmp_path / "Ann" / "b.jpg").touch()
    (tmp_path / "Ann" / "a.jpg").touch()
    (tmp_path / "Ann" / "deeper").mkdir()
    (tmp_path / "Zoë" / "1.png").touch()
    (tmp_path / "Zoë" / "2.png").symlink_to(tmp_path / "Ann" / "a.jpg")
    (tmp_path / "loose.jpg").touch()
    (tmp_path / "linked").symlink_to(tmp_path / "Ann")
    (tmp_path / "bell\a").mkdir()
    (tmp_path / os.fsdecode(b"latin \xe9")).mkdir()
    found = read_folder(tmp_path)
    assert {name: [path.name for path in paths] for name, paths in found.persons.items()} == {
        "Ann": ["a.jpg", "b.jpg"],
        # composed, however the disk spells it
        "Zo\u00eb": ["1.png"],
    }
    assert sorted((Path(each.path).name[:8], each.reason) for each in found.skipped) == [
        (".git", "bad-name"),
        ("2.png", "link"),
        ("bell\a", "bad-name"),
        ("deeper", "no-file"),
        ("empty", "no-file"),
        ("latin \\x", "bad-name"),
        ("linked", "link"),
        ("loose.jp", "no-folder"),
        ("many", "no-file"),
    ]
    twice = read_persons([tmp_path / "Ann", tmp_path / "Ann"])
    assert [each.reason for each in twice.skipped if each.reason != "no-file"] == ["same-name"]


def test_a_folder_that_may_not_be_read_is_listed_and_the_others_are_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("Ann", "Bob"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.jpg").touch()
    listed = Path.iterdir

    def refused(path: Path) -> Iterator[Path]:
        # to the tests' user, who may be root, no mode forbids anything
        if path.name == "Ann":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return listed(path)

    monkeypatch.setattr(Path, "iterdir", refused)
    found = read_folder(tmp_path)
    assert list(found.persons) == ["Bob"]
    assert [(each.path, each.reason, each.detail) for each in found.skipped] == [
        (str(tmp_path / "Ann"), "unreadable", "Permission denied")
    ]


@pytest.mark.parametrize("given", [".", "..", "/"])
def test_a_folder_without_a_name_of_its_own_is_nobodys(
    given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "1.jpg").touch()
    found = read_persons([Path(given)])
    assert found.persons == {}
    assert [each.reason for each in found.skipped] == ["bad-name"]


def test_of_equal_pictures_the_largest_stays_and_somebody_else_goes() -> None:
    own = faces(6)
    twin = face(near(own[0].vector, 0.99, 7), "twin.jpg", side=300.0)
    copy = face(own[1].vector, "copy.jpg", sha256=own[1].sha256)
    other = face(near(centre(9), 0.975, 8), "other.jpg")
    given = [*own, twin, copy, other]
    results = []
    for seed in range(5):
        random.Random(seed).shuffle(given)
        person, skipped = select("ann", given, RULES)
        assert person is not None
        results.append((person.exemplars, person.centroid.tobytes(), sorted(skipped)))
    assert all(result == results[0] for result in results)
    assert {each.path: each.reason for each in results[0][2]} == {
        own[0].path: "near-duplicate",
        own[1].path if person.exemplars.count(copy) else "copy.jpg": "duplicate",
        "other.jpg": "outlier",
    }
    assert len(person.exemplars) == 5
    assert float(np.linalg.norm(person.centroid)) == pytest.approx(1, abs=1e-6)


def test_two_groups_of_one_size_leave_nobody() -> None:
    person, skipped = select("ann", [*faces(2), *faces(2, person=1)], RULES)
    assert person is None
    assert [each.reason for each in skipped] == ["outlier"] * 4
    assert select("ann", [], RULES) == (None, [])
    assert largest_group(np.stack([each.vector for each in [*faces(2), *faces(3, person=1)]]), 0.9) == [2, 3, 4]


def test_exemplars_are_those_that_differ_most() -> None:
    middle = centre(0)
    vectors = np.stack([near(middle, part, seed) for part, seed in ((0.99, 1), (0.985, 1), (0.9, 2), (0.92, 3))])
    # the second is nearly the first
    assert farthest_points(vectors, middle, 3) == [0, 2, 3]
    assert farthest_points(vectors, middle, 9) == [0, 2, 3, 1]
    assert farthest_points(vectors[:1], middle, 5) == [0]


def rows(*persons: int, pictures: int = 3) -> Rows:
    chosen = [select(f"person {number}", faces(pictures, number), RULES)[0] for number in persons]
    return rows_of([person for person in chosen if person is not None])


def made(given: Rows, embedder: str = SHIPPED_EMBEDDER, false_accepts: float = 1e-3) -> versions.Composed:
    return compose(given, embedder, false_accepts, RULES.same_person)


def test_the_name_of_a_version_says_what_is_in_it_and_nothing_else() -> None:
    first = made(rows(1, 2, 3)).gallery
    assert len(first.version) == 12
    assert made(rows(3, 1, 2)).gallery.version == first.version
    others = [
        made(rows(1, 2)),
        made(rows(1, 2, 3, pictures=2)),
        made(rows(1, 2, 3), false_accepts=1e-4),
        made(rows(*range(60)), embedder="another"),
    ]
    assert len({first.version, *(each.gallery.version for each in others)}) == 5
    assert made(rows(1, 2, 3).without(["person 3"])).gallery.version == made(rows(1, 2)).gallery.version
    joined = rows(1).joined(rows(2, 3))
    assert made(joined).gallery.version == first.version
    assert (first.facts.persons, first.facts.rows, first.facts.dim) == (3, 12, 128)


def test_few_persons_take_the_threshold_in_the_source_of_its_embedder_only() -> None:
    few = made(rows(1, 2, 3))
    assert few.threshold_by == "shipped"
    assert few.gallery.facts.threshold == pytest.approx(0.964, abs=0.002)
    assert made(rows(*range(60))).threshold_by == "own"
    with pytest.raises(GalleryError, match="3 persons: a curve needs 50"):
        made(rows(1, 2, 3), embedder="another")
    larger = made(rows(*range(60)), embedder="another").gallery.facts
    fewer = compose(rows(1, 2, 3), "another", 0.5, RULES.same_person, larger)
    assert (fewer.threshold_by, fewer.gallery.facts.persons) == ("before", 3)
    assert (fewer.gallery.facts.threshold, fewer.gallery.facts.false_accepts) == (larger.threshold, 1e-3)
    assert compose(rows(1, 2, 3), SHIPPED_EMBEDDER, 1e-3, RULES.same_person, larger).threshold_by == "shipped"
    with pytest.raises(GalleryError, match="without anybody"):
        made(Rows((), np.zeros((0, 128), np.float32)))


def test_one_face_under_two_names_is_told_and_no_impostor() -> None:
    given = rows(1, 2, 3).joined(rows_of([select("alias", faces(3, 2), RULES)[0]]))  # type: ignore[list-item]
    found = made(given).found
    assert [pair[:2] for pair in found.same_face] == [("alias", "person 2")]
    assert found.impostors.max() < 0.5
