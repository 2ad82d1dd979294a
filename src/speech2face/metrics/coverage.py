"""Calibration: does the predicted Gaussian cover what it says, and is the sure one right?

coverage     share of true faces inside the region to which the Gaussian gives 5 %, 10 % … 95 %: the
             ellipsoid of all directions at once (squared Mahalanobis distance against chi-square),
             and the central interval of each direction for itself, all directions together
error        mean distance of the curve from the diagonal; `luck` is what a perfect Gaussian would
             show on average with as many people, one face each
stretch      mean squared Mahalanobis distance per direction: 1 is right, 4 says that errors are
             twice as long as predicted (overconfident), ¼ half as long
confidence   two-way wins in groups of equal size, from the least sure to the surest, and
             Spearman's r between the two; 0 is chance

dlib's embeddings live in about 85 of their 128 directions (`DIRECTIONS`). In the others both error
and variance are next to nothing, and their quotient means nothing: `directions` keeps the leading
principal directions of the pooled covariance (its mean over clips), and only there is anything
measured.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from speech2face.errors import UsageError
from speech2face.metrics.correlation import pearson
from speech2face.metrics.intervals import Estimate, bootstrap_people, bootstrap_statistic

DIRECTIONS = 85  # in which dlib's embeddings live
LEVELS = np.arange(1, 20) / 20  # nominal coverage
Covariances = np.ndarray | Callable[[int], np.ndarray]  # (n, D, D), or of a row (D, D)


@dataclass(frozen=True)
class CoverageCurve:
    """Measured coverage at each of `LEVELS`."""

    shares: tuple[Estimate, ...]
    error: Estimate
    luck: float


@dataclass(frozen=True)
class Coverage:
    """Coverage of predicted covariances, in the directions that were kept."""

    directions: int
    joint: CoverageCurve
    marginal: CoverageCurve
    stretch: Estimate


@dataclass(frozen=True)
class ConfidenceBin:
    """A group of clips of about one stated confidence."""

    low: float  # the least and the greatest confidence stated
    high: float
    n: int
    wins: Estimate


@dataclass(frozen=True)
class ConfidenceBins:
    """Wins by stated confidence: surer predictions should be matched more often."""

    bins: tuple[ConfidenceBin, ...]  # from the least sure to the surest
    all: Estimate  # wins of everybody: what each bin would show if confidence said nothing
    spearman: Estimate | None  # None where a side does not vary


@dataclass(frozen=True)
class Calibrated:
    """Coverage, stated bits and confidence of voices that no fold's network had met."""

    coverage: Coverage
    stated_bits: Estimate  # see `metrics.gaussian_distance.stated_bits`
    confidence: ConfidenceBins


def whiten(
    errors: np.ndarray, covariances: Covariances, directions: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Errors (n, D) → squared Mahalanobis distances (n,) and standardised errors (n, directions).

    The latter are of each principal direction for itself, the leading one first.
    """
    count, size = errors.shape
    kept = size if directions is None else directions
    if not 1 <= kept <= size:
        raise UsageError(f"directions are 1 to {size}, not {kept}.")
    covariance_of = covariances if callable(covariances) else covariances.__getitem__
    pooled = np.zeros((size, size))
    for row in range(count):
        pooled += covariance_of(row) / count
    _, axes = np.linalg.eigh(pooled)
    axes = axes[:, ::-1][:, :kept]
    turned = errors @ axes
    distances, standardised = np.empty(count), np.empty((count, kept))
    for row in range(count):
        covariance = axes.T @ covariance_of(row) @ axes
        distances[row] = turned[row] @ np.linalg.solve(covariance, turned[row])
        standardised[row] = turned[row] / np.sqrt(covariance.diagonal())
    return distances, standardised


def transform_distances(distances: np.ndarray, directions: int) -> np.ndarray:
    """Squared Mahalanobis distances (n,) → the probability of a shorter one (n,): chi-square's."""
    from scipy.special import gammainc

    return gammainc(directions / 2, distances / 2)


def transform_marginals(standardised: np.ndarray) -> np.ndarray:
    """Standardised errors (n, d) → the probability of a lower one (n, d): the normal's.

    This is the probability integral transform: uniform on [0, 1] if the Gaussian is right.
    """
    from scipy.special import ndtr

    return ndtr(standardised)


def measure_coverage(
    errors: np.ndarray,
    covariances: Covariances,
    people: np.ndarray,
    directions: int | None = None,
    seed: int = 0,
) -> Coverage:
    """Errors (n, D), true less predicted; predicted covariances; person (n,)."""
    distances, standardised = whiten(errors, covariances, directions)
    kept = standardised.shape[1]
    inside = transform_distances(distances, kept)
    central = abs(2 * transform_marginals(standardised) - 1)  # (n, kept)
    shares = np.stack([(central <= level).mean(1) for level in LEVELS], 1)
    return Coverage(
        kept,
        _trace_curve((inside[:, None] <= LEVELS).astype(float), people, 1, seed),
        _trace_curve(shares, people, kept, seed),
        bootstrap_people(distances / kept, people, seed),
    )


def confidence_bins(
    confidence: np.ndarray, wins: np.ndarray, people: np.ndarray, bins: int = 5, seed: int = 0
) -> ConfidenceBins:
    """Stated confidence (n,), the greater the surer, two-way wins (n,), person (n,)."""
    if not 1 <= bins <= len(confidence):
        raise UsageError(f"{len(confidence)} clips cannot be put into {bins} bins.")
    groups = np.array_split(np.argsort(confidence, kind="stable"), bins)
    spearman = None
    if np.ptp(confidence) > 0 and np.ptp(wins) > 0:
        spearman = bootstrap_statistic(
            lambda weights: pearson(_rank(confidence, weights), _rank(wins, weights), weights),
            people,
            seed=seed,
        )
    return ConfidenceBins(
        tuple(
            ConfidenceBin(
                float(confidence[rows].min()),
                float(confidence[rows].max()),
                len(rows),
                bootstrap_people(wins[rows], people[rows], seed),
            )
            for rows in groups
        ),
        bootstrap_people(wins, people, seed),
        spearman,
    )


def _trace_curve(
    inside: np.ndarray, people: np.ndarray, directions: int, seed: int
) -> CoverageCurve:
    """Share (n, levels) of each clip's `directions` that are inside → the curve over people."""
    names, index = np.unique(people, return_inverse=True)
    of_person = np.zeros((len(names), len(LEVELS)))
    np.add.at(of_person, index, inside)
    of_person /= np.bincount(index)[:, None]
    error = bootstrap_statistic(
        lambda weights: float(abs(weights @ of_person - LEVELS).mean()),
        np.arange(len(names)),
        seed=seed,
    )
    # A share's mean distance from what it should be: √(2/π) of its standard deviation.
    luck = np.sqrt(2 / np.pi * LEVELS * (1 - LEVELS) / (len(names) * directions)).mean()
    shares = tuple(bootstrap_people(share, people, seed, draws=1000) for share in inside.T)
    return CoverageCurve(shares, error, float(luck))


def _rank(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Ranks (n,), the weight of all lower values; equal values share the mean of theirs."""
    _, index = np.unique(values, return_inverse=True)
    mass = np.bincount(index, weights)
    return (np.cumsum(mass) - mass / 2)[index]
