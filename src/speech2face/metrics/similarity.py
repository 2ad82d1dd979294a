"""Similarity: how near the predicted embedding is to that of the true face.

cosine     of the two embeddings as they are, from −1 to 1
angle      its arc in degrees, mean and standard deviation: Speech2Face (Oh et al., CVPR 2019)
           gives 45.75 ± 5.09° on VGG-Face for six seconds
L1, L2     of the difference of the embeddings at unit length, so on the unit sphere: L2 runs from
           0 to 2. (The paper does not state the scale of its own.)

An angle says little alone, since all faces point much the same way. So beside it stand the same
figures for another person's true face, and for one face that is predicted for everybody. They are
means over people of the mean over their clips; the deviation is over clips of the same weights.

alikeness  the mean cosine of the pictures of two different people; a system that draws one face for
           all reaches 1. Embeddings are taken as they are: SFace finds people themselves hardly
           alike, but all of dlib's embeddings point much the same way
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from speech2face.errors import UsageError
from speech2face.metrics.intervals import Estimate, summarise, weigh_people
from speech2face.metrics.retrieval import same_label

SHUFFLES = 20  # other people each clip is compared with, all where there are no more


@dataclass(frozen=True)
class Likeness:
    """Likeness of two sets of embeddings, by five measures."""

    cosine: Estimate
    angle: Estimate  # degrees
    angle_deviation: Estimate  # degrees
    l1: Estimate
    l2: Estimate


@dataclass(frozen=True)
class Similarity:
    """Predicted embeddings beside true ones, and two likenesses to compare that with."""

    true: Likeness
    shuffled: Likeness  # the prediction beside other people's faces
    average: Likeness  # one average face beside everybody's own


def measure_similarity(
    predicted: np.ndarray,
    true: np.ndarray,
    people: np.ndarray,
    average: np.ndarray,
    *,
    seed: int = 0,
    draws: int = 1000,
) -> Similarity:
    """Predicted and true embeddings (n, D) of people (n,) → their likeness and what bounds it.

    `average`: the mean face (D,) or each clip's (n, D), of people who are not among those judged.
    """
    weights = weigh_people(people, seed=seed, draws=draws)
    others = [compare(predicted, true[rows]) for rows in shuffle_people(people)]
    everywhere = np.broadcast_to(average, true.shape)
    return Similarity(
        _summarise([compare(predicted, true)], weights),
        _summarise(others, weights),
        _summarise([compare(everywhere, true)], weights),
    )


def measure_alikeness(
    embeddings: np.ndarray,
    people: np.ndarray,
    labels: np.ndarray,
    *,
    seed: int = 0,
    draws: int = 1000,
) -> Estimate | None:
    """Embeddings (n, D), people and labels (n,) → mean cosine of two people of one label.

    The empty label is like no other. Rows of NaN are left out; None where no pair is left.
    """
    known = np.isfinite(embeddings[:, 0])
    embeddings, people, labels = embeddings[known], people[known], labels[known]
    pairs = same_label(labels, labels) & (people[:, None] != people)
    if not pairs.any():
        return None
    unit = _to_unit_length(embeddings)
    weights = weigh_people(people, seed=seed, draws=draws)
    alike, met = (
        ((weights @ matrix) * weights).sum(1) for matrix in (pairs * (unit @ unit.T), pairs * 1.0)
    )
    mean = np.divide(alike, met, out=np.full_like(alike, np.nan), where=met > 0)
    return summarise(mean)


def compare(some: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Embeddings (n, D) twice → cosine, angle in degrees, L1 and L2 of each pair (4, n)."""
    some, others = _to_unit_length(some), _to_unit_length(others)
    apart = some - others
    l2 = np.linalg.norm(apart, axis=1)
    angle = 2 * np.arctan2(l2, np.linalg.norm(some + others, axis=1))  # exact near 0° and 180° too
    return np.stack([np.cos(angle), np.degrees(angle), abs(apart).sum(1), l2])


def shuffle_people(people: np.ndarray) -> list[np.ndarray]:
    """People (n,) → shuffles, each a clip of another person for every clip (n,), without chance.

    In a shuffle everybody is moved on by so many people. All possible shifts where there are no
    more than `SHUFFLES`, so that everybody meets everybody else; else as many, evenly chosen.
    """
    names, index, clips = np.unique(people, return_inverse=True, return_counts=True)
    count = len(names)
    if count < 2:
        raise UsageError("one person alone cannot be compared with others.")
    by_person = np.argsort(index, kind="stable")
    first = clips.cumsum() - clips
    place = np.empty_like(index)  # of each clip among its person's
    place[by_person] = np.arange(len(index)) - first[index[by_person]]
    shifts = np.linspace(1, count - 1, min(SHUFFLES, count - 1)).astype(int)
    other = (index + shifts[:, None]) % count
    return list(by_person[first[other] + place % clips[other]])


def _to_unit_length(embeddings: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(embeddings, axis=1, keepdims=True)
    if not (lengths > 0).all():  # nor for NaN
        raise UsageError("an embedding is zero or NaN; leave it out first.")
    return embeddings / lengths


def _summarise(shuffles: list[np.ndarray], weights: np.ndarray) -> Likeness:
    """Results of `compare` in each shuffle, weights of the clips (draws, n) → likeness."""
    values = np.stack(shuffles)  # (shuffles, 4, n)
    cosine, angle, l1, l2 = values.mean(0) @ weights.T
    around = (values[:, 1] - angle[0]) ** 2  # about one fixed angle: no small difference of squares
    variance = around.mean(0) @ weights.T - (angle - angle[0]) ** 2
    deviation = np.sqrt(variance.clip(0))
    return Likeness(*map(summarise, (cosine, angle, deviation, l1, l2)))
