"""Speaker embeddings of windows → people: agglomerative clustering with average linkage."""

from __future__ import annotations

import numpy as np

ALIKE = 0.33  # mean cosine down to which two groups of windows are one person
SURELY_ALIKE = 0.40  # the same, where it leaves no doubt
OTHER_CHANNEL = 0.2  # by which two windows in different channels count as less alike
LEAST_WINDOWS = 2  # of a person
REASSIGNED = 2  # times that windows are given to the nearest person


def find_people(features: np.ndarray, channels: np.ndarray | None = None) -> np.ndarray:
    """Embeddings (n, d) of length 1 → the embedding of each person (k, d), of length 1.

    `channels` (n,) says in which channel each was heard, where that tells people apart.
    """
    cosines = (features @ features.T).astype(np.float64)
    if channels is not None:
        cosines[channels[:, None] != channels] -= OTHER_CHANNEL
    labels = group(cosines)
    counts = np.bincount(labels)
    people = np.flatnonzero(counts >= min(LEAST_WINDOWS, counts.max()))
    centres = _average(features, labels, people)
    if channels is not None:
        return centres
    for _ in range(REASSIGNED):
        labels = (features @ centres.T).argmax(axis=1)
        centres = _average(features, labels, np.unique(labels))
    return centres


def sound_like_one(features: np.ndarray) -> bool:
    """True if embeddings (n, d) of length 1 are one person's without doubt."""
    labels = group((features @ features.T).astype(np.float64), SURELY_ALIKE)
    return len(labels) > 1 and not labels.any()


def group(cosines: np.ndarray, alike: float = ALIKE) -> np.ndarray:
    """Cosines of each two of n embeddings (n, n) → the number of the group of each (n,), from 0.

    While the mean cosine between the members of two groups is at least `alike`, the two for which
    it is greatest become one.
    """
    cosines = cosines.copy()
    np.fill_diagonal(cosines, -np.inf)
    sizes, labels = np.ones(len(cosines)), np.arange(len(cosines))
    while True:
        pair = kept, gone = np.unravel_index(cosines.argmax(), cosines.shape)
        if cosines[pair] < alike:
            return np.unique(labels, return_inverse=True)[1]
        mean = (sizes[kept] * cosines[kept] + sizes[gone] * cosines[gone]) / sizes[[*pair]].sum()
        cosines[kept], cosines[:, kept] = mean, mean
        cosines[gone], cosines[:, gone], cosines[kept, kept] = -np.inf, -np.inf, -np.inf
        sizes[kept] += sizes[gone]
        labels[labels == gone] = kept


def _average(features: np.ndarray, labels: np.ndarray, people: np.ndarray) -> np.ndarray:
    centres = np.stack([features[labels == person].mean(axis=0) for person in people])
    return centres / np.linalg.norm(centres, axis=1, keepdims=True)
