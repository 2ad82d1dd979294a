"""Leaks: a person, or nearly the same picture of a face, on both sides of a split.

A figure on people whom the training met says nothing of strangers. Names can be wrong, and one
person may go by two of them: so faces are compared as well, by the Euclidean distance of their
embeddings. The customary 0.6 of dlib (King, 2017) asks whether two pictures are of one person;
among many pairs of strangers it cries wolf. What was measured with dlib on 808 faces of 775 people,
one frame of each clip at 224 px:

different people        325,994 pairs: 4,191 below 0.6, 25 below 0.45, 4 below 0.4, none below 0.35;
                        the nearest 0.358; the median of everybody's nearest stranger 0.54
two clips of a person   34 pairs: 32 below 0.6, 17 below 0.35; median 0.34
altered copies          80 faces: 95 % below 0.24 (recompressed, brighter, darker), 0.29 (cropped,
                        half the size), 0.36 (mirrored); mirrored, halved and recompressed 0.39

So 0.35 tells nine copies of ten, half of the people who go by two names, and no stranger. Among a
hundred times as many pairs some strangers will be nearer than that: look at them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from speech2face.errors import UsageError

NEAR = MappingProxyType({"dlib": 0.35})  # distance of embeddings, by recogniser
BLOCK = 2_048  # faces compared with as many others at a time
SLACK = 1e-6  # of squared lengths: what single precision may miss is looked at in double
NAMED = 3  # clips or pairs that an error names

Names = Sequence[str] | np.ndarray  # of people or clips, (n,)


@dataclass(frozen=True)
class NearFaces:
    """Two faces, by their rows, that may be one picture or one person."""

    first: int
    second: int
    distance: float


def check_split(
    people_train: Names,
    people_test: Names,
    faces_train: np.ndarray,
    faces_test: np.ndarray,
    face_encoder: str = "dlib",
    *,
    clips_train: Names | None = None,
    clips_test: Names | None = None,
    threshold: float | None = None,
) -> None:
    """Raises UsageError where the sides share a person or, nearly, a face.

    People and faces (n, D) and (m, D), a row for each clip; the clips' names are for the message,
    without them rows are told. Of recognisers that are not in `NEAR` only people are compared,
    unless a threshold is given.
    """
    count, count_test = len(people_train), len(people_test)
    if clips_train is None:
        clips_train = [f"row {i} of the training side" for i in range(count)]
    if clips_test is None:
        clips_test = [f"row {i} of the test side" for i in range(count_test)]
    both = set(people_train) & set(people_test)
    if both:
        met = [clip for clip, p in zip(clips_test, people_test, strict=True) if p in both]
        raise UsageError(
            f"{_tell(len(both), 'person stands', 'people stand')} on both sides of the split "
            f"({_name(met)}); all clips of a person belong on one side."
        )
    threshold = NEAR.get(face_encoder) if threshold is None else threshold
    if threshold is None:
        return
    sides = np.repeat(["train", "test"], [count, count_test])
    near = find_near_duplicates(np.concatenate([faces_train, faces_test]), sides, threshold)
    if near:
        clips = [*clips_train, *clips_test]
        pairs = [f"{clips[n.first]} and {clips[n.second]} at {n.distance:.2f}" for n in near]
        raise UsageError(
            f"{_tell(len(near), 'face stands', 'faces stand')} nearly the same on both sides of "
            f"the split, nearer than {threshold:g} ({_name(pairs)}); look at the pictures, and "
            f"give one person one name or take a clip out."
        )


def check_folds(
    fold: np.ndarray, people: Names, faces: np.ndarray, clips: Names, face_encoder: str
) -> None:
    """Raises UsageError where a fold shares a person or, nearly, a face with the others.

    Folds, people and clips are (n,), faces (n, D).
    """
    people, clips = np.asarray(people), np.asarray(clips)
    for test in (fold == k for k in np.unique(fold)):
        check_split(
            people[~test],
            people[test],
            faces[~test],
            faces[test],
            face_encoder,
            clips_train=clips[~test],
            clips_test=clips[test],
        )


def find_near_duplicates(
    faces: np.ndarray, groups: Names, threshold: float = NEAR["dlib"]
) -> list[NearFaces]:
    """Pairs of faces (n, D) of different groups that are nearer than `threshold`, nearest first.

    Groups (n,) are what shall not share a face: people, or the sides of a split. Faces that were
    not found (NaN) are near none. All are compared with all, a square of `BLOCK` faces at a time.
    """
    seen = np.flatnonzero(np.isfinite(faces).all(1))
    if not len(seen):
        return []
    known, group = faces[seen].astype(np.float64), np.asarray(groups)[seen]
    coarse = (known - known.mean(0)).astype(np.float32)  # far from the origin little would be left
    squares = (coarse**2).sum(1)
    limit = np.float32(threshold**2 + SLACK * squares.max())
    found = []
    for top in range(0, len(known), BLOCK):
        rows = slice(top, top + BLOCK)
        for left in range(top, len(known), BLOCK):
            columns = slice(left, left + BLOCK)
            squared = coarse[rows] @ (-2 * coarse[columns]).T
            squared += squares[columns]
            close = np.argwhere(squared < limit - squares[rows, None])
            for i, j in close + np.array([top, left]):
                if i < j and group[i] != group[j]:
                    distance = float(np.linalg.norm(known[i] - known[j]))
                    if distance < threshold:
                        found.append(NearFaces(int(seen[i]), int(seen[j]), distance))
    return sorted(found, key=lambda pair: pair.distance)


def _tell(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"


def _name(names: Sequence[str]) -> str:
    return ", ".join(names[:NAMED]) + (" …" if len(names) > NAMED else "")
