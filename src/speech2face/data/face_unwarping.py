"""Photographs of faces → shape and texture, what the face decoder learns from.

A face's shape is 66 points of the 468-point mesh, brought onto the canvas by a similarity. Its
texture is the picture warped so that every face has the mean shape (Cole et al., CVPR 2017).
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from speech2face.array_cache import find_place, read_arrays, write_arrays
from speech2face.console import ProgressCallback
from speech2face.data.pairs import hash_if_readable
from speech2face.errors import UnreadableMediaError, UsageError
from speech2face.face_detection import LEAST_FACE, FaceDetector
from speech2face.face_encoders import (
    TEMPLATES,
    FaceMesh,
    fit_similarity,
    five_of,
    identify_face_encoder,
    load_face_encoder,
    shrink_smoothly,
)
from speech2face.photographs import load_image

# The points of the mesh that shape is made of: every second one of the oval and of the lids,
# the upper line of the brows, bridge, tip, wings and base of the nose, the lips' outline.
_OVAL = (10, 297, 284, 389, 454, 361, 397, 379, 400, 152, 176, 150, 172, 132, 234, 162, 54, 67)
_EYES = (33, 163, 145, 154, 133, 157, 159, 161, 263, 390, 374, 381, 362, 384, 386, 388)
_BROWS = (70, 63, 105, 66, 107, 300, 293, 334, 296, 336)
_NOSE = (168, 6, 197, 195, 4, 2, 98, 327, 129, 358)
_LIPS = (61, 91, 84, 17, 314, 321, 291, 40, 37, 0, 267, 270)
LANDMARKS = _OVAL + _EYES + _BROWS + _NOSE + _LIPS

MAX_YAW = 0.35  # of the nose's distance from the middle of the eyes, in eye distances


CHUNK = 250  # pictures measured at a time; each finished chunk is kept on disk


@dataclass(frozen=True)
class MeasuredFaces:
    """Measurements of the pictures that show a face, one row each."""

    index: np.ndarray  # (N,) of the picture in the list that was measured
    mesh: np.ndarray  # (N, 468, 2) pixels of the picture
    yaw: np.ndarray  # (N,) see `yaw_of`
    embeddings: np.ndarray  # (N, D) of the recogniser

    def __len__(self) -> int:
        return len(self.index)

    @property
    def landmarks(self) -> np.ndarray:
        """Landmarks (N, 66, 2) in pixels of the picture."""
        return self.mesh[:, LANDMARKS]

    def take(self, rows: np.ndarray) -> MeasuredFaces:
        return MeasuredFaces(*(getattr(self, f.name)[rows] for f in fields(self)))

    def frontal(self) -> MeasuredFaces:
        return self.take(np.abs(self.yaw) <= MAX_YAW)


def measure_faces(
    paths: Sequence[Path],
    face_encoder: str,
    cache: Path,
    show: ProgressCallback | None = None,
    workers: int | None = None,
    also: Sequence[str] = (),
    stage: str = "measuring faces",
) -> MeasuredFaces:
    """Landmarks and embeddings of the largest face of each picture that can be read.

    Chunks are measured on all cores and kept in `cache` under a name made of the pictures'
    content, the recogniser and the version, so a run that was stopped goes on, and two runs on the
    same pictures share them. What is measured for the first time is measured by the recognisers
    `also`, too, so that they find it kept. `stage` is the name under which progress is shown.
    """
    chunks = [paths[i : i + CHUNK] for i in range(0, len(paths), CHUNK)]
    hashes = [[hash_if_readable(path) for path in chunk] for chunk in chunks]
    files_of = {}
    for name in dict.fromkeys([face_encoder, *also]):
        recogniser = identify_face_encoder(name)
        files_of[name] = [find_place(cache, "faces", recogniser, held) for held in hashes]
    files = files_of[face_encoder]
    kept = {file: part for file in files if (part := _read_chunk(file)) is not None}
    todo = []
    for i, chunk in enumerate(chunks):
        if files[i] not in kept:
            places = {name: own[i] for name, own in files_of.items()}
            new = {n: f for n, f in places.items() if n == face_encoder or not f.is_file()}
            todo.append((chunk, new))
    done = len(paths) - sum(len(chunk) for chunk, _ in todo)
    if todo:
        # Not forked: OpenCV's and torch's threads do not survive a fork, and the child would hang.
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(workers or os.cpu_count(), context) as pool:
            for count in pool.map(_measure_chunk, todo):
                done += count
                if show:
                    show(stage, done, len(paths), "")
    parts = []
    for place, file in enumerate(files):
        part = kept[file] if file in kept else _read_chunk(file)
        if part is None:
            raise UsageError(f"{file}: damaged as soon as it was written; is the disk sound?")
        parts.append((place * CHUNK, part))
    parts = [(start, part) for start, part in parts if len(part)] or parts[:1]
    columns = {
        f.name: np.concatenate([getattr(part, f.name) for _, part in parts])
        for f in fields(MeasuredFaces)
        if f.name != "index"
    }
    return MeasuredFaces(np.concatenate([start + part.index for start, part in parts]), **columns)


def _read_chunk(file: Path) -> MeasuredFaces | None:
    """Read the rows kept of a chunk; None if its file is missing or damaged."""
    arrays = read_arrays(file)
    return MeasuredFaces(**arrays) if arrays else None


def _measure_chunk(job: tuple[Sequence[Path], dict[str, Path]]) -> int:
    """Measure one chunk in a process of its own; returns how many pictures it had.

    Kept is what each recogniser says, in its file.
    """
    import cv2

    paths, files = job
    cv2.setNumThreads(1)
    detector, mesh = FaceDetector(), FaceMesh()
    encoders = [load_face_encoder(name) for name in files]
    rows: list[tuple[int, np.ndarray, float, list[np.ndarray]]] = []
    for index, path in enumerate(paths):
        try:
            image = load_image(path)
        except UnreadableMediaError:  # as where no face is found; whoever asked can say why
            continue
        face = detector.largest(image)
        points = mesh.landmarks(image, face.landmarks) if face else None
        if face is None:
            continue
        if points is None:  # no shape, but a face: a profile, say; never taken as a target
            points, yaw = np.zeros((468, 2), np.float32), np.inf
        else:
            yaw = yaw_of(points)
        rows.append((index, points, yaw, [e.embed(image, face.landmarks) for e in encoders]))
    for place, (encoder, file) in enumerate(zip(encoders, files.values(), strict=True)):
        # A last row of zeros, cut off again, gives the columns their shapes where no face was seen.
        blank = (0, np.zeros((468, 2), np.float32), 0.0, np.zeros(encoder.size, np.float32))
        own = [(*row, embeddings[place]) for *row, embeddings in rows]
        columns = [np.array(column)[:-1] for column in zip(*own, blank, strict=True)]
        named = {f.name: c for f, c in zip(fields(MeasuredFaces), columns, strict=True)}
        write_arrays(file, named)
    return len(paths)


def explain_face(picture: Path) -> str:
    """Explain why nothing was measured of a picture."""
    try:
        load_image(picture)
    except UnreadableMediaError as error:
        return str(error)
    return f"{picture}: no face of {LEAST_FACE:g} pixels between eyes and mouth is found in it"


def find_mean_shape(landmarks: np.ndarray, steps: int = 3) -> np.ndarray:
    """Shapes (N, 66, 2) → their symmetric mean (66, 2) in fractions of the canvas (Procrustes)."""
    five = [[LANDMARKS.index(i) for i in index] for index in _FIVE]
    mean = landmarks[0] - landmarks[0].mean(0)
    for _ in range(steps):
        moved = [s @ m[:, :2].T + m[:, 2] for s in landmarks for m in [fit_similarity(s, mean)]]
        mean = np.mean(moved, axis=0)
        # Onto the canvas, and symmetric: the mean of itself and its mirror image.
        points = np.stack([mean[index].mean(0) for index in five])
        matrix = fit_similarity(points, TEMPLATES["canvas"])
        mean = mean @ matrix[:, :2].T + matrix[:, 2]
        mirror = mean[mirror_order(mean)] * [-1, 1] + [1, 0]
        mean = (mean + mirror) / 2
    return mean


def mirror_order(shape: np.ndarray) -> np.ndarray:
    """Landmarks of a near-symmetric shape (K, 2) → the landmark opposite each (K,)."""
    mirrored = shape * [-1, 1] + [2 * shape[:, 0].mean(), 0]
    return ((shape[:, None] - mirrored[None]) ** 2).sum(-1).argmin(1)


def unwarp(
    image: np.ndarray, landmarks: np.ndarray, mean_shape: np.ndarray, field: np.ndarray, size: int
) -> tuple[np.ndarray, np.ndarray]:
    """A face → texture (S, S, 3) uint8, displacements (66, 2).

    `field` is the spline basis (S², 66) at the mean shape; displacements are fractions of the
    canvas, after the similarity that brings the face nearest to the mean shape.
    """
    import cv2

    matrix = fit_similarity(landmarks, mean_shape)
    moved = landmarks @ matrix[:, :2].T + matrix[:, 2]
    displacement = moved - mean_shape
    line = (np.arange(size) + 0.5) / size
    y, x = np.meshgrid(line, line, indexing="ij")
    canvas = np.stack([x.ravel(), y.ravel()], 1) + field @ displacement  # (S², 2)
    source = (canvas - matrix[:, 2]) @ np.linalg.inv(matrix[:, :2]).T - 0.5
    shrink = 1 / (size * np.hypot(matrix[0, 0], matrix[1, 0]))  # source pixels per target pixel
    image, part = shrink_smoothly(image, source, float(shrink), 1.2)
    source = (source - part[:, 2]) / part[:, :2].diagonal()
    source = source.astype(np.float32).reshape(size, size, 2)
    texture = cv2.remap(
        image, source[..., 0], source[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(texture), displacement.astype(np.float32)


def oval_mask(mean_shape: np.ndarray, size: int, scale: float | np.ndarray) -> np.ndarray:
    """Mask of the face's oval, scaled, or by axis (2,), about its middle: (S, S) bool."""
    import cv2

    oval = mean_shape[: len(_OVAL)]
    scaled = (oval - oval.mean(0)) * scale + oval.mean(0)
    mask = np.zeros((size, size), np.uint8)
    cv2.fillPoly(mask, [np.round(scaled * size).astype(np.int32)], 1)
    return mask.astype(bool)


# The five points in terms of LANDMARKS: eyes by two corners each, nose tip, mouth corners.
_FIVE = ((33, 133), (263, 362), (4,), (61,), (291,))


def yaw_of(mesh: np.ndarray) -> float:
    """Distance of the nose from the middle of the eyes, in eye distances; 0 is frontal."""
    left, right, nose, *_ = five_of(mesh)
    across = right - left
    return float((nose - (left + right) / 2) @ across / (across @ across))
