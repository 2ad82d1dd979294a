"""Three attackers of anonymised voices, after the VoicePrivacy Challenge (Tomashenko et al.).

They differ in what they know. Nobody is attacked by a model that learned from them:

              looks for the face                      looks for the voice
ignorant      reads faces as from plain voices        plain recording against anonymised, cosine
lazy-informed the same, but moves the mean of          both anonymised; cosine less the mean of
              anonymised voices to that of plain ones   others' anonymised voices
semi-informed learns to read faces from others'        both anonymised; probabilistic linear
              anonymised voices                         discriminant learned from them

Only the last decides: who publishes a recording must expect to be attacked by somebody who knows
the program. A stronger attacker, who trains whole networks on more voices, may get more; what is
measured here is a lower bound.

The face is read by the closed-form head (training/gaussian_head.py) and scored by the logarithm of
the likelihood ratio. The discriminant is the two-covariance model (Brümmer and de Villiers 2010).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from speech2face.data.split_leaks import IdentityEmbeddings, check_folds
from speech2face.data.splits import split_people
from speech2face.privacy.attack_metrics import Attack
from speech2face.privacy.attacker_features import AttackerFeatures
from speech2face.training.gaussian_head import (
    HeadConfig,
    HeadSolution,
    log_likelihood_ratios,
    solve_head,
)

ATTACKERS = ("ignorant", "lazy-informed", "semi-informed")
AXES = 100  # principal directions of voices that the discriminant keeps, at most
SHRINKAGE = 0.2  # of its covariance within speakers, towards equal variance


@dataclass(frozen=True)
class FoldedPairs:
    """N clips in folds by person: who speaks, and their faces."""

    clips: list[str]
    people: np.ndarray  # (N,)
    fold: np.ndarray  # (N,)
    faces: np.ndarray  # (N, D)

    @classmethod
    def divide(
        cls,
        clips: list[str],
        people: list[str],
        faces: np.ndarray,
        identities: IdentityEmbeddings,
        folds: int = 5,
        seed: int = 0,
    ) -> FoldedPairs:
        """Raises UsageError where somebody, by name or by `identities`, is in two folds."""
        fold = split_people(people, folds, seed)
        check_folds(fold, people, identities, clips)
        return cls(clips, np.array(people), fold, faces)


def attack_faces(
    attacker: str,
    pairs: FoldedPairs,
    plain: AttackerFeatures,
    disguised: AttackerFeatures,
    config: HeadConfig,
) -> Attack:
    """Match anonymised voices with faces, (N,) each, as an attacker does, and measure the success.

    `plain` and `disguised` are the same clips as spoken and as published. Raises ValueError for an
    attacker that is none.
    """
    if attacker not in ATTACKERS:
        raise ValueError(f"no attacker {attacker}")
    training = disguised if attacker == "semi-informed" else plain
    scores = np.zeros((len(pairs.people),) * 2)
    for k in np.unique(pairs.fold):
        test = np.flatnonzero(pairs.fold == k)
        learned = pairs.fold != k
        head = _learn(training, pairs, learned, config)
        features = disguised.features[test].astype(np.float64)
        if attacker == "lazy-informed":
            features += plain.features[learned].mean(0) - disguised.features[learned].mean(0)
        seconds = disguised.seconds[test]
        means = head.predict(features, seconds)
        scores[np.ix_(test, test)] = log_likelihood_ratios(head, means, seconds, pairs.faces[test])
    return Attack(scores, pairs.people, pairs.fold, pairs.people, pairs.fold)


def attack_voices(
    attacker: str,
    people: np.ndarray,
    fold: np.ndarray,
    plain: AttackerFeatures,
    disguised: AttackerFeatures,
    sex: np.ndarray | None = None,
) -> Attack:
    """Match anonymised recordings with speakers, as an attacker does, and measure the success.

    Rows are pairs of halves, the first of each pair known to the attacker and the second
    published; person, fold and sex ("" where it is not known) of each row (M,).
    """
    if attacker not in ATTACKERS:
        raise ValueError(f"no attacker {attacker}")
    enrolled, published = np.arange(0, len(people), 2), np.arange(1, len(people), 2)
    scores = np.zeros((len(published), len(enrolled)))
    source = plain if attacker == "ignorant" else disguised
    for k in np.unique(fold):
        own, others = fold == k, fold != k
        entries, probes = enrolled[own[enrolled]], published[own[published]]
        one, two = disguised.features[probes], source.features[entries]
        if attacker == "semi-informed":
            model = Discriminant.learn(disguised.features[others], people[others])
            block = model.compare(one, two)
        else:
            block = _cosine(
                one - disguised.features[others].mean(0) * (attacker == "lazy-informed"),
                two - disguised.features[others].mean(0) * (attacker == "lazy-informed"),
            )
        scores[np.ix_(own[published], own[enrolled])] = block
    sexes = (None, None) if sex is None else (sex[published], sex[enrolled])
    return Attack(
        scores, people[published], fold[published], people[enrolled], fold[enrolled], *sexes
    )


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


def _learn(
    training: AttackerFeatures, pairs: FoldedPairs, chosen: np.ndarray, config: HeadConfig
) -> HeadSolution:
    """The head for the chosen clips (N,) bool."""
    return solve_head(
        training.features[chosen],
        training.seconds[chosen],
        pairs.faces[chosen],
        pairs.people[chosen].tolist(),
        np.ones(int(chosen.sum()), bool),
        config,
    )


def _cosine(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    one, two = (x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-9) for x in (one, two))
    return one @ two.T
