"""Leaks: one person, or nearly the same picture of a face, on both sides of a split.

A figure on people whom the training met says nothing of strangers. Names can be wrong, and one
person may go by two of them: so faces are compared as well, by two recognisers, dlib's (King, 2017)
and SFace (Zhong et al., 2021). Each is fooled in its own way: dlib's takes people of one group for
one person, SFace people of one pose or with sunglasses. Two faces are one person's where SFace's
cosine less half of dlib's distance is .36 or more. Of 106 pairs of clips of one person, of 726,509
pairs of strangers in frames of videos and 7,998,000 in photographs (benchmarks/same_person.py):

                         missed      joined, of a million
                                     videos   photographs   both East Asian   both White
dlib < .35               56 %        0.0      2.3           60                0.0
dlib < .45               18 %        44       453           12,031            8.0
both                     11 %        0.0      7.8           87                13

So nine tenths of the people who go by two names are told, and every copy of a picture that is
recompressed, darker, cropped, mirrored or half the size. Where one recogniser is missing, the other
decides alone: dlib below .35, SFace from .60 on. Among many pairs of strangers some are joined: the
nearest pairs are told, for somebody to look at.
"""

from __future__ import annotations

import heapq
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from speech2face.errors import UsageError
from speech2face.face_encoders import is_installed

log = logging.getLogger(__name__)

RECOGNISERS = ("dlib", "sface")  # that tell who is the same person
SHARE = 0.5  # of dlib's distance that is taken from SFace's cosine: how alike two faces are
SAME = 0.36  # so alike, two faces are one person's
DOUBTFUL = 0.27  # so alike, somebody should look
DLIB_ALONE, SFACE_ALONE = 0.35, 0.60  # distance and cosine, where the other recogniser is missing
MOST_DOUBTFUL = 100  # doubtful pairs that are reported
BLOCK = 2_048  # faces compared with as many others at a time
SLACK = 1e-3  # of likeness: what single precision may miss is looked at in double
NAMED = 3  # clips or pairs that a line names

Names = Sequence[str] | np.ndarray  # of people or clips, (n,)


@dataclass(frozen=True)
class IdentityEmbeddings:
    """Embeddings of N faces by the two recognisers, NaN where one says nothing of a face."""

    dlib: np.ndarray  # (N, 128), compared by distance
    sface: np.ndarray  # (N, 128), compared by cosine

    @classmethod
    def gather(cls, embeddings: Mapping[str, np.ndarray], count: int) -> IdentityEmbeddings:
        """Make it from embeddings (N, 128) by recogniser, which may be missing."""
        missing = np.full((count, 128), np.nan, np.float32)
        return cls(*(embeddings.get(name, missing) for name in RECOGNISERS))

    @classmethod
    def stack(cls, faces: Sequence[Mapping[str, np.ndarray]]) -> IdentityEmbeddings:
        """Make it from each face's embeddings (128,) by recogniser, which may be missing."""
        missing = np.full(128, np.nan, np.float32)
        return cls(*(np.array([face.get(n, missing) for face in faces]) for n in RECOGNISERS))

    @classmethod
    def join(cls, parts: Sequence[IdentityEmbeddings]) -> IdentityEmbeddings:
        """Concatenate the parts."""
        return cls(
            np.concatenate([part.dlib for part in parts]),
            np.concatenate([part.sface for part in parts]),
        )

    def take(self, rows: np.ndarray | Sequence[int]) -> IdentityEmbeddings:
        """The embeddings of these rows."""
        return IdentityEmbeddings(self.dlib[rows], self.sface[rows])

    def __len__(self) -> int:
        return len(self.dlib)


class FacePair(NamedTuple):
    """Two faces by their rows, and how alike they are; NaN where a recogniser is missing."""

    first: int
    second: int
    cosine: float  # by SFace
    distance: float  # by dlib
    same: bool  # taken for one person's; else doubtful

    def format(self, clips: Names) -> str:
        """Both clips, and what each recogniser says."""
        values = {"SFace": self.cosine, "dlib": self.distance}
        measured = ", ".join(f"{name} {x:.2f}" for name, x in values.items() if np.isfinite(x))
        return f"{clips[self.first]} and {clips[self.second]} ({measured})"


def measure_likeness(cosine: np.ndarray, distance: np.ndarray) -> np.ndarray:
    """Cosines by SFace and distances by dlib (…) → how alike faces are (…).

    `SAME` decides. Of one recogniser alone, where the other is NaN, the line is drawn higher; what
    is below it is as doubtful as is `DOUBTFUL` of both.
    """
    both = cosine - SHARE * distance
    by_dlib = SAME + DLIB_ALONE - distance
    by_sface = SAME + cosine - SFACE_ALONE
    alone = np.where(np.isnan(cosine), by_dlib, by_sface)
    return np.where(np.isnan(both), alone, both)


def find_recognisers() -> list[str]:
    """Those of the two that are installed; a line of the log says which is not."""
    installed = [name for name in RECOGNISERS if is_installed(name)]
    if len(installed) < len(RECOGNISERS):
        how = f"{installed[0]} alone, and strictly" if installed else "names alone"
        missing = " and ".join(sorted({*RECOGNISERS} - {*installed}))
        log.warning("%s not installed: who is the same person is told by %s", missing, how)
    return installed


def check_folds(
    fold: np.ndarray, people: Names, identities: IdentityEmbeddings, clips: Names
) -> None:
    """Raises UsageError where somebody, by name or by face, stands in two folds.

    Folds, people and clips are (n,). Pairs of faces that somebody should look at are in the log.
    """
    fold, people, clips = np.asarray(fold), np.asarray(people), np.asarray(clips)
    names, person = np.unique(people, return_inverse=True)
    low, high = np.full(len(names), fold.max(initial=0)), np.full(len(names), fold.min(initial=0))
    np.minimum.at(low, person, fold)
    np.maximum.at(high, person, fold)
    if (low < high).any():
        met = clips[(low < high)[person]].tolist()
        raise UsageError(
            f"{_count((low < high).sum(), 'person stands', 'people stand')} in two folds or more "
            f"({name_some(met)}); all clips of a person belong in one."
        )
    pairs = compare_faces(identities, fold)
    same = [pair.format(clips) for pair in pairs if pair.same]
    if same:
        raise UsageError(
            f"{_count(len(same), 'face stands', 'faces stand')} in two folds by two names: "
            f"{name_some(same, '; ')}. Look at the pictures, and give one person one name or take "
            "a clip out."
        )
    log_doubtful_pairs(pairs, clips)


def log_doubtful_pairs(pairs: Sequence[FacePair], clips: Names) -> None:
    """A line of the log that names the likeliest of those whom somebody should look at."""
    doubtful = [pair.format(clips) for pair in pairs if not pair.same]
    if doubtful:
        least = "at least " if len(doubtful) >= MOST_DOUBTFUL else ""
        log.warning(
            "%s%s nearly alike enough to be one person's, and taken for two: look at %s",
            least,
            _count(len(doubtful), "pair of faces is", "pairs of faces are"),
            name_some(doubtful, "; "),
        )


def compare_faces(
    identities: IdentityEmbeddings, groups: Names, least: float = DOUBTFUL
) -> list[FacePair]:
    """Pairs of faces (n) of different groups that are one person's, or doubtful; likeliest first.

    Groups (n,) are whom a face is compared with others of: names of people, say, or sides of a
    split. All faces are compared with all, a square of `BLOCK` at a time; of doubtful pairs, which
    are as alike as `least`, the `MOST_DOUBTFUL` likeliest are told.
    """
    seen = np.flatnonzero(np.isfinite(identities.dlib[:, 0]) | np.isfinite(identities.sface[:, 0]))
    if not len(seen):
        return []
    dlib, sface = (
        identities.dlib[seen].astype(np.float64),
        identities.sface[seen].astype(np.float64),
    )
    sface /= np.maximum(np.linalg.norm(sface, axis=1, keepdims=True), 1e-9)
    coarse = _Coarse.of(dlib, sface)
    _, group = np.unique(np.asarray(groups)[seen], return_inverse=True)
    same: list[tuple[float, FacePair]] = []
    doubtful: list[tuple[float, FacePair]] = []
    for top in range(0, len(seen), BLOCK):
        rows = slice(top, top + BLOCK)
        for left in range(top, len(seen), BLOCK):
            columns = slice(left, left + BLOCK)
            first, second = coarse.find_near(rows, columns, least - SLACK)
            first, second = first + top, second + left
            other = (first < second) & (group[first] != group[second])
            first, second = first[other], second[other]
            cosine = (sface[first] * sface[second]).sum(1)
            distance = np.linalg.norm(dlib[first] - dlib[second], axis=1)
            likeness = measure_likeness(cosine, distance)
            for place in np.flatnonzero(likeness >= least):
                pair = FacePair(
                    int(seen[first[place]]),
                    int(seen[second[place]]),
                    float(cosine[place]),
                    float(distance[place]),
                    bool(likeness[place] >= SAME),
                )
                (same if pair.same else doubtful).append((float(likeness[place]), pair))
        doubtful = heapq.nlargest(MOST_DOUBTFUL, doubtful)
    return [pair for _, pair in sorted(same, reverse=True) + doubtful]


@dataclass(frozen=True)
class _Coarse:
    """Faces in single precision, for a first look at all pairs."""

    sface: np.ndarray  # (N, 128), of length 1
    dlib: np.ndarray  # (N, 128), centred: far from the origin little would be left of distances
    squares: np.ndarray  # (N,)
    whole: np.ndarray  # (N,) bool: neither recogniser is missing

    @classmethod
    def of(cls, dlib: np.ndarray, sface: np.ndarray) -> _Coarse:
        centre = np.nan_to_num(dlib).mean(0)
        centred = (dlib - centre).astype(np.float32)
        whole = np.isfinite(dlib[:, 0]) & np.isfinite(sface[:, 0])
        return cls(sface.astype(np.float32), centred, (centred**2).sum(1), whole)

    def find_near(self, rows: slice, columns: slice, least: float) -> tuple[np.ndarray, np.ndarray]:
        """Pairs of these faces that may be as alike as `least`: places in `rows` and `columns`."""
        cosine = self.sface[rows] @ self.sface[columns].T
        squared = self.dlib[rows] @ (-2 * self.dlib[columns]).T
        squared += self.squares[rows, None]
        squared += self.squares[columns]
        if not (self.whole[rows].all() and self.whole[columns].all()):
            distance = np.sqrt(np.maximum(squared, 0))
            first, second = np.nonzero(measure_likeness(cosine, distance) >= least)
            return first, second
        first, second = np.nonzero(cosine >= least)  # hardly any
        room = (cosine[first, second] - least) / SHARE
        near = squared[first, second] <= room**2
        return first[near], second[near]


def _count(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"


def name_some(names: Sequence[str], between: str = ", ") -> str:
    """The first few of the names, for a line of the log or of an error."""
    return between.join(names[:NAMED]) + (" …" if len(names) > NAMED else "")
