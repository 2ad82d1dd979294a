"""Attackers of anonymised voices, after the VoicePrivacy Challenge (Tomashenko et al.).

They differ in what they know. Nobody is attacked by a model that learned from them:

              looks for the face                      looks for the voice
ignorant      reads faces as from plain voices        plain recording against anonymised, cosine
lazy-informed the same, but moves the mean of          both anonymised; cosine less the mean of
              anonymised voices to that of plain ones   others' anonymised voices
semi-informed learns to read faces from others'        both anonymised; probabilistic linear
              anonymised voices                         discriminant learned from them
both forms    learns from others' voices in both       plain recording against anonymised;
              forms, plain and anonymised               discriminant learned from both forms
tuned         the same, by a speaker network that was tuned on others' voices in both forms

The strongest decides, for the face and for the voice each: who publishes a recording must expect to
be attacked by somebody who knows the program. One who trains larger networks on more voices may get
more; what is measured here is a lower bound.

The face is read by the closed-form head (training/gaussian_head.py) and scored by the logarithm of
the likelihood ratio; the voice by speaker_discriminant.py. Networks are tuned by tuned_networks.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from speech2face.data.split_leaks import IdentityEmbeddings, check_folds
from speech2face.data.splits import split_people
from speech2face.metrics.population_results import BOTH_FORMS, LEARNED, SEMI_INFORMED, TUNED
from speech2face.privacy.attack_metrics import Attack
from speech2face.privacy.attacker_features import AttackerFeatures, TunedFeatures
from speech2face.privacy.speaker_discriminant import Discriminant, TwoFormDiscriminant
from speech2face.training.gaussian_head import (
    HeadConfig,
    HeadSolution,
    log_likelihood_ratios,
    solve_head,
)

PRETRAINED = ("ignorant", "lazy-informed", SEMI_INFORMED, BOTH_FORMS)  # by networks nobody tuned
ATTACKERS = (*PRETRAINED, TUNED)


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
    plain: AttackerFeatures | TunedFeatures,
    disguised: AttackerFeatures | TunedFeatures,
    config: HeadConfig,
) -> Attack:
    """Match anonymised voices with faces, (N,) each, as an attacker does, and measure the success.

    `plain` and `disguised` are the same clips as spoken and as published; of the tuned attacker
    both are by networks of each fold. Raises ValueError for an attacker that is none.
    """
    if attacker not in ATTACKERS:
        raise ValueError(f"no attacker {attacker}")
    scores = np.zeros((len(pairs.people),) * 2)
    for k in np.unique(pairs.fold):
        test, learned = np.flatnonzero(pairs.fold == k), pairs.fold != k
        spoken, heard = plain.of_fold(int(k)), disguised.of_fold(int(k))
        taught = pairs.faces[learned], pairs.people[learned], config
        features = heard.features[test].astype(np.float64)
        if attacker in (BOTH_FORMS, TUNED):
            head, centre = learn_both_forms(spoken.take(learned), heard.take(learned), *taught)
            features -= centre
        elif attacker == SEMI_INFORMED:
            head = _learn(heard.take(learned), *taught)
        else:
            head = _learn(spoken.take(learned), *taught)
        if attacker == "lazy-informed":
            features += spoken.features[learned].mean(0) - heard.features[learned].mean(0)
        seconds = heard.seconds[test]
        means = head.predict(features, seconds)
        scores[np.ix_(test, test)] = log_likelihood_ratios(head, means, seconds, pairs.faces[test])
    return Attack(scores, pairs.people, pairs.fold, pairs.people, pairs.fold)


def attack_voices(
    attacker: str,
    people: np.ndarray,
    fold: np.ndarray,
    plain: AttackerFeatures | TunedFeatures,
    disguised: AttackerFeatures | TunedFeatures,
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
    for k in np.unique(fold):
        own, others = fold == k, fold != k
        entries, probes = enrolled[own[enrolled]], published[own[published]]
        heard = disguised.of_fold(int(k))
        spoken = plain.of_fold(int(k))
        known = heard if attacker in ("lazy-informed", SEMI_INFORMED) else spoken
        one, two = heard.features[probes], known.features[entries]
        lessons, names = heard.features[others], people[others]
        if attacker == SEMI_INFORMED:
            block = Discriminant.learn(lessons, names).compare(one, two)
        elif attacker in LEARNED:
            model = TwoFormDiscriminant.learn(spoken.features[others], lessons, names)
            block = model.compare(one, two)
        else:
            centre = lessons.mean(0) * (attacker == "lazy-informed")
            block = _cosine(one - centre, two - centre)
        scores[np.ix_(own[published], own[enrolled])] = block
    sexes = (None, None) if sex is None else (sex[published], sex[enrolled])
    return Attack(
        scores, people[published], fold[published], people[enrolled], fold[enrolled], *sexes
    )


def learn_both_forms(
    plain: AttackerFeatures,
    disguised: AttackerFeatures,
    faces: np.ndarray,
    people: np.ndarray,
    config: HeadConfig,
) -> tuple[HeadSolution, np.ndarray]:
    """A head for disguised features (N, F) less their mean (F,), and that mean.

    It learns from N voices in both forms, each form less its mean: plain ones say more of a face
    (N, D), and as much of what in a voice does.
    """
    centres = [form.features.mean(0, np.float64) for form in (plain, disguised)]
    both = AttackerFeatures(
        np.concatenate([plain.features - centres[0], disguised.features - centres[1]]),
        np.concatenate([plain.seconds, disguised.seconds]),
    )
    head = _learn(both, np.tile(faces, (2, 1)), np.tile(people, 2), config)
    return head, centres[1]


def _learn(
    heard: AttackerFeatures, faces: np.ndarray, people: np.ndarray, config: HeadConfig
) -> HeadSolution:
    """The head for features of voices whose faces (N, D) and people (N,) are known."""
    whole = np.ones(len(people), bool)
    return solve_head(heard.features, heard.seconds, faces, people.tolist(), whole, config)


def _cosine(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    one, two = (x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-9) for x in (one, two))
    return one @ two.T
