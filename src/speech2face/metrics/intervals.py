"""Estimates with 95 % intervals: the percentile bootstrap over people (Efron 1979).

People are drawn with replacement, and all clips of a drawn person come along. Clips of one person
are alike, so an interval over clips would be too narrow. Everybody weighs the same, however many
clips there are of them. Two systems are compared in pairs: both figures on the same draw.
"""

from __future__ import annotations

from collections.abc import Callable
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


@dataclass(frozen=True)
class Figure(Estimate):
    """An estimate beside what chance gives."""

    chance: float


def bootstrap_people(
    wins: np.ndarray, people: np.ndarray, seed: int = 0, draws: int = 4000
) -> Estimate:
    """Mean over people of wins (n clips,), or of differences of two systems' wins (paired)."""
    names, index = np.unique(people, return_inverse=True)
    of_person = np.bincount(index, wins) / np.bincount(index)
    means = of_person[_draw(len(names), seed, draws)].mean(1)
    low, high = np.quantile(means, [0.025, 0.975])
    return Estimate(float(of_person.mean()), float(low), float(high))


def bootstrap_known(values: np.ndarray, people: np.ndarray, seed: int = 0) -> Estimate:
    """Mean over people of the values (n clips,) that are not NaN; NaN where all are."""
    known = np.isfinite(values)
    if not known.any():
        return Estimate(np.nan, np.nan, np.nan)
    return bootstrap_people(values[known], people[known], seed)


def bootstrap_statistic(
    statistic: Callable[[np.ndarray], float],
    people: np.ndarray,
    *,
    seed: int = 0,
    draws: int = 1000,
) -> Estimate:
    """Any statistic of weighted clips: a median, a correlation, an area, mutual information.

    `statistic` takes the clips' weights (n,), which sum to 1, and gives a number, or NaN where it
    is not defined. For a paired comparison it gives the difference of two systems under the same
    weights. `people` (n,) says who is heard in each clip.
    """
    weights = weigh_people(people, seed=seed, draws=draws)
    return summarise(np.array([statistic(row) for row in weights]))


def weigh_people(people: np.ndarray, *, seed: int = 0, draws: int = 1000) -> np.ndarray:
    """People (n clips,) → weights of the clips (1 + draws, n); each row sums to 1.

    In the first row everybody has the same weight; in the others, weight by how often they were
    drawn. A person's weight is shared equally among their clips.
    """
    names, index, clips = np.unique(people, return_inverse=True, return_counts=True)
    count = len(names)
    rows = np.arange(draws)[:, None] * count
    drawn = np.bincount((_draw(count, seed, draws) + rows).ravel(), minlength=draws * count)
    times = np.concatenate([np.ones((1, count)), drawn.reshape(draws, count)])
    return (times / (count * clips))[:, index]


def summarise(values: np.ndarray) -> Estimate:
    """Value of all, then of each draw (1 + draws,) → estimate; draws that gave NaN are left out."""
    drawn = values[1:][np.isfinite(values[1:])]
    low, high = np.quantile(drawn, [0.025, 0.975]) if len(drawn) else (np.nan, np.nan)
    return Estimate(float(values[0]), float(low), float(high))


def _draw(count: int, seed: int, draws: int) -> np.ndarray:
    """Whom each draw takes: (draws, count)."""
    return np.random.default_rng(seed).integers(count, size=(draws, count))
