"""The voice encoder's head in closed form: ridge regression and what it leaves unexplained.

Everything that says how sure the head is comes from people it was not fitted on (inner folds by
person), so a small training set does not make it overconfident.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from speech2face.data.splits import split_people
from speech2face.training.ridge import solve_ridge

TOLERANCE = 3.0  # mean residual variances, by which Gaussians are widened to be compared
GAIN_CLIPS = 50  # held out, that count as much as the gain that all directions have in common
LEAST_SAID = 1e-8  # of a direction's variance, by which predictions are more than rounding
MOST_SPREAD = 0.43  # of faces that are drawn, in any direction, times people's
LEAST_SHARE = 1e-3  # of the mean variance, which a direction keeps: covariances have an inverse


@dataclass(frozen=True)
class HeadConfig:
    """Settings of the head, chosen by folds over the people of the pairs; see MODEL_CARD.md."""

    ridge: float = 14.0  # penalty on the squares of the slope
    shrinkage: float = 0.1  # of the residual's correlations between principal directions
    inner_folds: int = 5  # by person, in which what the head misses is measured
    least_gain: float = 0.05  # of a direction that voices say nothing of; its twentyfold is drawn


@dataclass(frozen=True)
class HeadSolution:
    """The tensors of `networks.voice_encoder.GaussianHead`, float64."""

    weight: np.ndarray  # (D, F)
    bias: np.ndarray  # (D,)
    average: np.ndarray  # (D,)
    residual_covariance: np.ndarray  # (D, D)
    explained_covariance: np.ndarray  # (D, D)
    half_gain_seconds: float
    unshrink: np.ndarray  # (D, D)
    reach: np.ndarray  # (D, D): less far where voices say much, to be drawn

    def predict(self, features: np.ndarray, seconds: np.ndarray) -> np.ndarray:
        """Features (N, F) and seconds (N,) → means (N, D)."""
        gain = seconds / (seconds + self.half_gain_seconds)
        return self.average + gain[:, None] * (features @ self.weight.T + self.bias)

    def show(self, means: np.ndarray) -> np.ndarray:
        """Points at which the faces of means (N, D) are told apart best (N, D)."""
        return self.average + (means - self.average) @ self.unshrink.T

    def draw(self, means: np.ndarray) -> np.ndarray:
        """Points at which the faces of means (N, D) are drawn (N, D)."""
        return self.average + (self.show(means) - self.average) @ self.reach.T

    def covariance(self, seconds: float) -> np.ndarray:
        gain = seconds / (seconds + self.half_gain_seconds)
        return self.residual_covariance + (1 - gain) * self.explained_covariance

    @property
    def prior(self) -> np.ndarray:
        """Covariance (D, D) of faces when no voice is heard."""
        return self.residual_covariance + self.explained_covariance


def solve_head(
    features: np.ndarray,
    seconds: np.ndarray,
    targets: np.ndarray,
    people: list[str],
    whole: np.ndarray,
    config: HeadConfig,
) -> HeadSolution:
    """Fit the head to clips and crops of clips.

    features (N, F), seconds (N,), face embeddings (N, D), person (N,), and whether a row is a
    whole clip (N,) bool. Crops only tell how noise falls with length: to learn the mean from them,
    too, makes it worse, of crops as of clips.
    """
    features, targets = features.astype(np.float64), targets.astype(np.float64)
    average = targets[whole].mean(0)
    # In the principal directions of faces each direction gets a gain of its own: directions that
    # voices say nothing of are left near the average face instead of being guessed.
    _, axes = np.linalg.eigh(np.cov(targets[whole].T))
    rotated = (targets - average) @ axes

    slope, bias = solve_ridge(features[whole], rotated[whole], config.ridge)
    held_out = np.zeros_like(rotated)
    inner = split_people(people, config.inner_folds, seed=1)
    for fold in range(config.inner_folds):
        fit, rest = whole & (inner != fold), inner == fold
        inner_slope, inner_bias = solve_ridge(features[fit], rotated[fit], config.ridge)
        held_out[rest] = features[rest] @ inner_slope + inner_bias
    gains = np.maximum(_gains(held_out[whole], rotated[whole]), config.least_gain)
    errors = _measure_errors(
        held_out * gains,
        rotated,
        seconds,
        whole,
        partial(_split_variance, shrinkage=config.shrinkage),
    )
    reach = limit_reach(held_out[whole], rotated[whole])
    return _assemble(slope, bias, average, axes, gains, reach, errors)


def solve_head_of_points(
    weight: np.ndarray,
    features: np.ndarray,
    seconds: np.ndarray,
    targets: np.ndarray,
    whole: np.ndarray,
    everybody: np.ndarray,
) -> HeadSolution:
    """Fit the head of a network that was trained to say faces, to people it was not trained on.

    Its last layer is taken as it is: features (N, F), times `weight` (D, F), are the faces that it
    says, but for one that is added to all of them, and is chosen here such that on average it says
    the average face. Each direction gets a gain and a variance of its own. The people held out are
    few, so directions are those of the faces of `everybody` (M, D), with their variance, errors are
    held to be independent between them, and a gain is drawn towards that of all directions.
    `seconds`, `targets` and `whole` are as in `solve_head`.
    """
    targets, everybody = targets.astype(np.float64), everybody.astype(np.float64)
    average = everybody.mean(0)
    spread, axes = np.linalg.eigh(np.cov(everybody.T))
    spread = np.maximum(spread, LEAST_SHARE * spread.mean())
    slope = weight.T @ axes
    bias = -(features[whole].astype(np.float64) @ slope).mean(0)
    said, rotated = features.astype(np.float64) @ slope + bias, (targets - average) @ axes
    common = _gains(said[whole].reshape(-1, 1), rotated[whole].reshape(-1, 1))
    share = whole.sum() / (whole.sum() + GAIN_CLIPS)
    gains = share * _gains(said[whole], rotated[whole]) + (1 - share) * common
    gains = np.maximum(gains, HeadConfig.least_gain)

    def split(true: np.ndarray, predicted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        missed = ((true - predicted) ** 2).mean(0) / np.maximum((true**2).mean(0), 1e-12)
        missed = np.clip(missed, LEAST_SHARE, 1.0)
        return np.diag(spread * missed), np.diag(spread * (1 - missed))

    errors = _measure_errors(said * gains, rotated, seconds, whole, split)
    reach = limit_reach(said[whole], rotated[whole])
    return _assemble(slope, bias, average, axes, gains, reach, errors)


@dataclass(frozen=True)
class _Errors:
    """What held-out predictions miss, in the principal directions of faces."""

    residual: np.ndarray  # (D, D)
    explained: np.ndarray  # (D, D)
    half: float  # s
    gain_at_reference: float  # of the length that the slope is best for


def _measure_errors(
    held_out: np.ndarray,
    rotated: np.ndarray,
    seconds: np.ndarray,
    whole: np.ndarray,
    split: Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]],
) -> _Errors:
    """Predictions and true faces (N, D), both less the average; `split` gives the covariances that
    predictions of true faces miss and explain."""
    reference = float(1 / np.mean(1 / seconds[whole]))  # s that the slope is best for
    residual, explained = split(rotated[whole], held_out[whole])
    half = _fit_half_gain_seconds(held_out, rotated, seconds, residual, explained, reference)
    # Now that the noise is known: each whole clip at its own gain, then brought to endless clips.
    gain = seconds[whole] / (seconds[whole] + half)
    gain_at_reference = reference / (reference + half)
    best = held_out[whole] * (gain / gain_at_reference)[:, None]
    residual, explained = split(rotated[whole], best)
    lost = (1 / gain.mean() - 1) * explained
    residual, explained = residual - lost, explained + lost
    residual = _at_least(residual, LEAST_SHARE * np.trace(residual) / len(residual))
    return _Errors(residual, explained, half, gain_at_reference)


def _assemble(
    slope: np.ndarray,
    bias: np.ndarray,
    average: np.ndarray,
    axes: np.ndarray,
    gains: np.ndarray,
    reach: np.ndarray,
    errors: _Errors,
) -> HeadSolution:
    """The head in the space of embeddings, from slope (F, D), and bias, gains and reach by
    direction."""
    # A face that is drawn is not guessed at but recognised, and there a direction that says little
    # counts, too: what the gains have taken is given back.
    unshrink, limit = axes @ (axes / gains).T, axes @ (axes * reach).T
    gains = gains / errors.gain_at_reference
    weight, bias = axes @ (slope * gains).T, axes @ (gains * bias)
    residual, explained = axes @ errors.residual @ axes.T, axes @ errors.explained @ axes.T
    return HeadSolution(weight, bias, average, residual, explained, errors.half, unshrink, limit)


def log_likelihood_ratios(
    head: HeadSolution, means: np.ndarray, seconds: np.ndarray, faces: np.ndarray
) -> np.ndarray:
    """Log likelihood ratio of each face to the prior, by voice: (n voices, n faces), nats.

    log N(face; shown, covariance + t) − log N(face; average, prior + t), with t `TOLERANCE` times
    the mean residual variance: a few hundred people do not pin the narrow directions of a
    covariance down, and would be told apart by its errors.
    """
    size = len(head.average)
    tolerance = TOLERANCE * np.trace(head.residual_covariance) / size * np.eye(size)
    prior = _log_density(faces - head.average, head.prior + tolerance)  # (n,)
    return np.stack(
        [
            _log_density(faces - shown, head.covariance(float(length)) + tolerance) - prior
            for shown, length in zip(head.show(means), seconds, strict=True)
        ]
    )


def _split_variance(
    true: np.ndarray, predicted: np.ndarray, shrinkage: float
) -> tuple[np.ndarray, np.ndarray]:
    """The covariance (D, D) of faces (N, D) as what predictions miss, its correlations shrunk, and
    the rest, which they explain."""
    residual = np.cov((true - predicted).T)
    residual += shrinkage * (np.diag(residual.diagonal()) - residual)
    residual = _at_least(residual, LEAST_SHARE * np.trace(residual) / len(residual))
    return residual, _at_least(np.cov(true.T) - residual, 0.0)


def _gains(predicted: np.ndarray, true: np.ndarray) -> np.ndarray:
    """The factor of each direction (D,), at least 0, that makes held-out predictions best.

    Where nearly the same is said of everybody, what is left is rounding, and is not blown up.
    """
    least = LEAST_SAID * (true**2).sum(0) + np.finfo(float).tiny
    return np.maximum((predicted * true).sum(0) / np.maximum((predicted**2).sum(0), least), 0)


def limit_reach(predicted: np.ndarray, true: np.ndarray, most: float = MOST_SPREAD) -> np.ndarray:
    """The factor of each direction (D,), at most 1, with which held-out predictions (N, D) that are
    drawn differ at most `most` times as much as people, of the true faces (N, D), do.

    Of a direction that voices say much of, such as that from women to men, predictions differ
    nearly as people do. Drawn as much farther out as the others need, each would be a caricature.
    """
    spread = np.maximum(predicted.std(0), np.finfo(float).tiny)
    return np.minimum(most * true.std(0) / spread, 1.0)


def _fit_half_gain_seconds(
    predicted: np.ndarray,
    true: np.ndarray,
    seconds: np.ndarray,
    residual: np.ndarray,
    explained: np.ndarray,
    reference: float,
) -> float:
    """The a of g = t / (t + a) with the greatest likelihood of held-out crops of all lengths.

    `reference` is the length in seconds at which the other figures were measured.
    """
    # Residual and explained share their generalised eigenvectors: one decomposition serves all a.
    root = np.linalg.inv(np.linalg.cholesky(residual + explained))
    share, turn = np.linalg.eigh(root @ explained @ root.T)
    share = np.clip(share, 0, 0.999)
    bound = 1 / max(share.max(), np.finfo(float).tiny)  # also where nothing is explained
    true, predicted = true @ root.T @ turn, predicted @ root.T @ turn
    best, best_likelihood = 0.0, -np.inf
    for half in np.geomspace(0.02, 5, 60):
        gain = (seconds / (seconds + half) * (1 + half / reference))[:, None]
        variance = np.maximum(1 - np.minimum(gain, bound) * share, 1e-3)
        error = true - gain * predicted
        likelihood = -0.5 * (error**2 / variance + np.log(variance)).sum()
        if likelihood > best_likelihood:
            best, best_likelihood = float(half), likelihood
    return best


def _at_least(matrix: np.ndarray, least: float) -> np.ndarray:
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.maximum(values, least)) @ vectors.T


def _log_density(errors: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """log N(error; 0, covariance) without the constant: (n, D) → (n,)."""
    factor = np.linalg.cholesky(covariance)
    white = np.linalg.solve(factor, errors.T)
    return -0.5 * (white**2).sum(0) - np.log(factor.diagonal()).sum()
