"""One speaker or two: the two-covariance model (Brümmer and de Villiers 2010), in closed form.

Of recordings in two forms, plain and disguised, each form is brought to a mean of 0 first: what a
disguise does to all voices alike goes away, and what it does to each counts as change within a
speaker.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

AXES = 100  # principal directions of voices that are kept, at most
SHRINKAGE = 0.2  # of the covariance within speakers, towards equal variance


@dataclass(frozen=True)
class Discriminant:
    """Voices, turned so that within a speaker they vary by 1 in each direction.

    Scores are log-likelihood ratios: one speaker against two.
    """

    centre: np.ndarray  # (F,)
    turn: np.ndarray  # (F, K)
    between: np.ndarray  # (K,) variance of speakers

    @classmethod
    def learn(cls, features: np.ndarray, people: np.ndarray) -> Discriminant:
        """Features (n, F) of several recordings a person (n,)."""
        features = features.astype(np.float64)
        centre = features.mean(0)
        _, sizes, axes = np.linalg.svd(features - centre, full_matrices=False)
        axes = axes[: min(AXES, int((sizes > 1e-6 * sizes[0]).sum()))].T  # (F, K)
        x = (features - centre) @ axes
        names, index = np.unique(people, return_inverse=True)
        means = np.zeros((len(names), x.shape[1]))
        np.add.at(means, index, x)
        means /= np.bincount(index)[:, None]
        apart = x - means[index]
        within = apart.T @ apart / max(1, len(x) - len(names))
        between = np.cov(x.T) - within
        level = np.trace(within) / len(within)
        within += SHRINKAGE * (level * np.eye(len(within)) - within)
        root = np.linalg.inv(np.linalg.cholesky(within))
        spread, directions = np.linalg.eigh(root @ between @ root.T)
        return cls(centre, axes @ root.T @ directions, np.maximum(spread, 0))

    def compare(self, one: np.ndarray, two: np.ndarray) -> np.ndarray:
        """(n, F) and (m, F) → scores (n, m)."""
        x, y = ((side - self.centre) @ self.turn for side in (one, two))
        total = self.between + 1
        joint = total**2 - self.between**2
        square = 1 / total - total / joint  # of x² and of y², halved below
        cross = self.between / joint
        constant = np.log(total**2 / joint).sum() / 2
        squares = 0.5 * ((x**2 @ square)[:, None] + (y**2 @ square)[None])
        return squares + (x * cross) @ y.T + constant


@dataclass(frozen=True)
class TwoFormDiscriminant:
    """A discriminant of plain and disguised recordings, each less the mean of its form."""

    plain: np.ndarray  # (F,) means
    disguised: np.ndarray  # (F,)
    model: Discriminant

    @classmethod
    def learn(
        cls, plain: np.ndarray, disguised: np.ndarray, people: np.ndarray
    ) -> TwoFormDiscriminant:
        """Features (n, F) of the same recordings in both forms, several a person (n,)."""
        means = plain.mean(0, np.float64), disguised.mean(0, np.float64)
        both = np.concatenate([plain - means[0], disguised - means[1]])
        return cls(*means, Discriminant.learn(both, np.tile(people, 2)))

    def compare(self, disguised: np.ndarray, plain: np.ndarray) -> np.ndarray:
        """(n, F) and (m, F) → scores (n, m)."""
        return self.model.compare(disguised - self.disguised, plain - self.plain)
