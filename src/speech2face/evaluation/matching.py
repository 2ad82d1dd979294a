"""Two-way matching: how often the true face beats a random other person's. Chance is one half.

Of a clip: the share of other people's faces that score below the true one (a tie counts half),
which is the AUC of its row. Of a system: the mean over people of the mean over their clips.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % interval from the bootstrap over people."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def two_way(scores: np.ndarray, people: np.ndarray) -> np.ndarray:
    """Scores (n clips, n faces), person of each (n,) → share of wins of each clip (n,)."""
    own = scores.diagonal()[:, None]
    others = people[:, None] != people[None]
    wins = (scores < own) + 0.5 * (scores == own)
    return (wins * others).sum(1) / others.sum(1)


def centred_cosine(drawn: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Cosine (n, n) of embeddings (n, D) after each side's mean is taken away.

    Without that, what all drawn faces share (a white ground, say) hides what tells them apart.
    """
    drawn, true = drawn - drawn.mean(0), true - true.mean(0)
    drawn = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
    true = true / np.linalg.norm(true, axis=1, keepdims=True)
    return drawn @ true.T


def bootstrap_people(
    wins: np.ndarray, people: np.ndarray, seed: int = 0, draws: int = 4000
) -> Estimate:
    """Mean over people of wins (n clips,), or of differences of two systems' wins (paired)."""
    names, index = np.unique(people, return_inverse=True)
    of_person = np.bincount(index, wins) / np.bincount(index)
    rng = np.random.default_rng(seed)
    means = of_person[rng.integers(len(names), size=(draws, len(names)))].mean(1)
    low, high = np.quantile(means, [0.025, 0.975])
    return Estimate(float(of_person.mean()), float(low), float(high))
