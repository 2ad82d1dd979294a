"""Attackers on made-up voices: what each knows, and that nobody is attacked by their own lesson."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from speech2face.data.split_leaks import IdentityEmbeddings
from speech2face.data.splits import split_people
from speech2face.errors import UsageError
from speech2face.metrics.population_results import TUNED
from speech2face.privacy.attack_metrics import Attack, measure_attack
from speech2face.privacy.attacker_features import AttackerFeatures, TunedFeatures
from speech2face.privacy.attackers import (
    PRETRAINED,
    FoldedPairs,
    attack_faces,
    attack_voices,
)
from speech2face.privacy.speaker_discriminant import Discriminant
from speech2face.training.gaussian_head import HeadConfig

PEOPLE, FOLDS, SIZE, HEARD = 120, 3, 4, 10
CONFIG = HeadConfig(ridge=0.1, inner_folds=3)
rng = np.random.default_rng(0)
FACES = rng.normal(size=(PEOPLE, SIZE))
MIXING = rng.normal(size=(SIZE, HEARD))
PAIRS = FoldedPairs(
    [str(i) for i in range(PEOPLE)], np.arange(PEOPLE), np.arange(PEOPLE) % FOLDS, FACES
)
TURN = np.linalg.qr(rng.normal(size=(HEARD, HEARD)))[0]


def features_of(features: np.ndarray) -> AttackerFeatures:
    return AttackerFeatures(features, rng.uniform(2, 6, len(features)))


PLAIN = features_of(FACES @ MIXING + 0.3 * rng.normal(size=(PEOPLE, HEARD)))
TURNED = replace(PLAIN, features=PLAIN.features @ TURN)
MOVED = replace(PLAIN, features=PLAIN.features + 5)
ERASED = replace(PLAIN, features=rng.normal(size=(PEOPLE, HEARD)))


def two_way(attack: Attack) -> float:
    return measure_attack(attack, draws=5).two_way.value


def face_accuracy(attacker: str, published: AttackerFeatures) -> float:
    return two_way(attack_faces(attacker, PAIRS, PLAIN, published, CONFIG))


def test_a_fixed_disguise_is_undone_by_who_learns_it():
    assert face_accuracy("ignorant", PLAIN) > 0.95
    assert face_accuracy("ignorant", TURNED) < 0.75
    assert face_accuracy("semi-informed", TURNED) > 0.95


def test_a_shift_is_undone_without_learning():
    assert face_accuracy("lazy-informed", MOVED) > 0.95


@pytest.mark.parametrize("attacker", PRETRAINED)
def test_what_is_erased_nobody_finds(attacker: str):
    assert face_accuracy(attacker, ERASED) == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("attacker", PRETRAINED)
def test_nobody_is_attacked_by_what_they_taught(attacker: str):
    """What fold 0 looks like, or sounds like unchanged, has no part in how it is attacked."""
    before = attack_faces(attacker, PAIRS, PLAIN, TURNED, CONFIG)
    test = PAIRS.fold == 0
    plain = PLAIN.features.copy()
    plain[test] = 1e3
    after = attack_faces(attacker, PAIRS, replace(PLAIN, features=plain), TURNED, CONFIG)
    block = np.ix_(test, test)
    np.testing.assert_array_equal(before.scores[block], after.scores[block])
    faces = FACES.copy()
    first = np.flatnonzero(test)[0]
    faces[first] += 100  # one face looks otherwise: only what is scored against it changes
    after = attack_faces(attacker, replace(PAIRS, faces=faces), PLAIN, TURNED, CONFIG)
    others = np.flatnonzero(test)[1:]
    np.testing.assert_allclose(
        before.scores[np.ix_(test, others)], after.scores[np.ix_(test, others)], rtol=1e-9
    )


@pytest.mark.parametrize("attacker", PRETRAINED)
def test_another_test_voice_changes_only_its_own_row(attacker: str):
    before = attack_faces(attacker, PAIRS, PLAIN, TURNED, CONFIG)
    features = TURNED.features.copy()
    first = np.flatnonzero(PAIRS.fold == 0)[0]
    features[first] += 50
    after = attack_faces(attacker, PAIRS, PLAIN, replace(TURNED, features=features), CONFIG)
    test = np.flatnonzero(PAIRS.fold == 0)
    others = np.ix_(test[1:], test)
    np.testing.assert_allclose(before.scores[others], after.scores[others], rtol=1e-9)


def test_networks_that_were_tuned_for_a_fold_attack_it_alone():
    """The faces of each fold are plain to its own network, and hidden from all others."""
    by_fold = {
        k: np.where((PAIRS.fold == k)[:, None], PLAIN.features, ERASED.features)
        for k in range(FOLDS)
    }
    heard = {k: features.copy() for k, features in by_fold.items()}
    for k, features in heard.items():  # what its attacker learns from has to be plain, too
        features[PAIRS.fold != k] = PLAIN.features[PAIRS.fold != k]
    own = TunedFeatures(heard, PLAIN.seconds)
    assert two_way(attack_faces(TUNED, PAIRS, PLAIN, own, CONFIG)) > 0.95
    others = TunedFeatures({k: by_fold[(k + 1) % FOLDS] for k in range(FOLDS)}, PLAIN.seconds)
    assert two_way(attack_faces(TUNED, PAIRS, PLAIN, others, CONFIG)) < 0.65


def test_a_face_in_two_folds_is_refused():
    faces = rng.normal(size=(12, 128))
    faces[7] = faces[0] + 1e-3
    names = [f"clip {i}" for i in range(12)]
    folds = ((seed, split_people(names, 3, seed)) for seed in range(20))
    apart = next(seed for seed, fold in folds if fold[0] != fold[7])
    with pytest.raises(UsageError, match="clip 0"):
        FoldedPairs.divide(
            names, names, faces, IdentityEmbeddings.gather({"dlib": faces}, 12), 3, apart
        )


def test_an_attacker_that_is_none():
    with pytest.raises(ValueError, match="careless"):
        attack_faces("careless", PAIRS, PLAIN, PLAIN, CONFIG)


# Voices ------------------------------------------------------------------------------------------

SPEAKERS = np.repeat(np.arange(90), 2)
SPEAKER_FOLD = SPEAKERS % FOLDS
LOUD = 6 * np.linalg.qr(rng.normal(size=(HEARD, 3)))[0].T  # what varies within a speaker


def halves() -> AttackerFeatures:
    voices = rng.normal(size=(90, HEARD))[SPEAKERS]
    return features_of(voices + rng.normal(size=(180, 3)) @ LOUD)


HALVES = halves()


def voice_accuracy(attacker: str, published: AttackerFeatures) -> float:
    return two_way(attack_voices(attacker, SPEAKERS, SPEAKER_FOLD, HALVES, published))


def test_a_voice_is_matched_by_the_network_of_its_fold():
    lost = HALVES.features.copy()
    lost[SPEAKER_FOLD == 1] = rng.normal(size=lost[SPEAKER_FOLD == 1].shape)
    heard = TunedFeatures({0: lost, 1: HALVES.features, 2: lost}, HALVES.seconds)
    attack = attack_voices(TUNED, SPEAKERS, SPEAKER_FOLD, HALVES, heard)
    plain = attack_voices(TUNED, SPEAKERS, SPEAKER_FOLD, HALVES, HALVES)
    own = attack.fold == 1
    np.testing.assert_array_equal(attack.scores[own][:, own], plain.scores[own][:, own])
    assert (attack.scores[attack.fold == 0] != plain.scores[attack.fold == 0]).any()


def test_who_learned_finds_the_voice_best():
    assert voice_accuracy("semi-informed", HALVES) > voice_accuracy("lazy-informed", HALVES) + 0.1


def test_a_turned_voice_is_lost_to_who_compares_it_with_a_plain_one():
    turned = replace(HALVES, features=HALVES.features @ TURN)
    assert voice_accuracy("ignorant", turned) < 0.65
    assert voice_accuracy("semi-informed", turned) > 0.8


@pytest.mark.parametrize("attacker", PRETRAINED)
def test_no_speaker_is_found_by_what_they_taught(attacker: str):
    before = attack_voices(attacker, SPEAKERS, SPEAKER_FOLD, HALVES, HALVES)
    features = HALVES.features.copy()
    features[1] += 50  # the published half of speaker 0
    changed = replace(HALVES, features=features)
    after = attack_voices(attacker, SPEAKERS, SPEAKER_FOLD, HALVES, changed)
    own = np.flatnonzero(before.fold == 0)
    np.testing.assert_allclose(
        before.scores[np.ix_(own[1:], own)], after.scores[np.ix_(own[1:], own)], rtol=1e-9
    )


def test_scores_of_the_discriminant_are_likelihood_ratios():
    """On its own model: the mean of the ratio is 1 over pairs of two speakers."""
    generator = np.random.default_rng(5)
    model = Discriminant(np.zeros(2), np.eye(2), np.array([0.5, 0.2]))
    deviation = np.sqrt(model.between + 1)
    one, two = (deviation * generator.normal(size=(2000, 2)) for _ in range(2))
    ratios = np.exp(model.compare(one, two))
    assert ratios.mean() == pytest.approx(1, abs=0.02)
