"""Verification trials: scored as by hand, and what cannot be scored is refused."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from speech2face.errors import UsageError
from speech2face.evaluation.trial_lists import (
    MatchingTrial,
    PairTrial,
)
from speech2face.evaluation.trial_scores import score_matching, score_pairs
from speech2face.metrics.roc import auc_and_eer


def make_trials(
    people: int, seed: int = 0
) -> tuple[list[PairTrial], list[MatchingTrial], dict[str, np.ndarray]]:
    """Three files a kind and person, and for all files the embedding of their person."""
    rng = np.random.default_rng(seed)
    faces = rng.normal(size=(people, 16))
    embeddings, pairs, triplets = {}, [], []
    for p in range(people):
        for n in range(3):
            voice, face = f"p{p}/{n}.wav", f"p{p}/video/{n}.jpg"
            embeddings[voice] = embeddings[face] = faces[p]
            stranger = f"p{(p + 1 + rng.integers(people - 1)) % people}/video/{n}.jpg"
            pairs += [PairTrial(voice, face, True), PairTrial(voice, stranger, False)]
            triplets.append(MatchingTrial(voice, face, (stranger,)))
    return pairs, triplets, embeddings


def test_perfect_reversed_and_constant_embeddings():
    pairs, triplets, known = make_trials(12)
    against = {file: -face for file, face in known.items()}
    one = dict.fromkeys(known, np.array([0.1, 0.2, 0.7]))
    for faces, level in ((known, 1.0), (against, 0.0)):
        scores = score_pairs(pairs, known, faces.__getitem__, draws=50)
        assert (scores.auc.low, scores.auc.value, scores.auc.high) == pytest.approx([level] * 3)
        assert scores.eer.value == pytest.approx(1 - level)
        accuracy = score_matching(triplets, known, faces, draws=50).accuracy
        assert accuracy.value == accuracy.low == accuracy.high == level
    scores = score_pairs(pairs, one, one, draws=50)
    assert scores.auc.value == scores.eer.value == scores.chance == 0.5
    assert score_matching(triplets, one, one, draws=50).accuracy.value == 0.5


def test_one_of_many_is_chosen_and_ties_are_shared():
    _, triplets, known = make_trials(12)
    faces = [f"p{p}/video/0.jpg" for p in range(12)]
    trials = []
    for t in triplets:
        others = [face for face in faces if face.split("/")[0] != t.probe.split("/")[0]]
        trials.append(MatchingTrial(t.probe, t.right, tuple(others[:9])))
    told = score_matching(trials, known, known, draws=50)
    assert (told.accuracy.value, told.chance) == (1, pytest.approx(0.1))
    one = dict.fromkeys(known, np.array([0.1, 0.2, 0.7]))
    assert score_matching(trials, one, one, draws=50).accuracy.value == pytest.approx(0.1)
    rng = np.random.default_rng(1)
    blind = {file: rng.normal(size=16) for file in known}
    told = score_matching(trials, blind, known, draws=200)
    assert told.accuracy.low < 0.1 < told.accuracy.high


def test_random_embeddings_are_at_chance_and_the_interval_says_so():
    pairs, triplets, known = make_trials(60)
    rng = np.random.default_rng(1)
    blind = {file: rng.normal(size=16) for file in known}
    scores = score_pairs(pairs, blind, known, draws=200)
    accuracy = score_matching(triplets, blind, known, draws=200).accuracy
    for estimate in (scores.auc, scores.eer, accuracy):
        assert estimate.low < 0.5 < estimate.high
        assert 0.1 < estimate.high - estimate.low < 0.3
        assert estimate.low < estimate.value < estimate.high
    assert scores == score_pairs(pairs, blind, known, draws=200)
    # Faces as probes.
    turned = [
        MatchingTrial(t.right, t.probe, (t.wrong[0].replace("/video", "")[:-3] + "wav",))
        for t in triplets
    ]
    assert score_matching(turned, known, known, draws=20).accuracy.value == 1


def test_the_rates_are_those_counted_by_hand():
    rng = np.random.default_rng(0)
    same = rng.random(200) < 0.4
    scores = np.round(rng.normal(size=200) + same, 1)  # with ties
    wins = [(a > b) + 0.5 * (a == b) for a in scores[same] for b in scores[~same]]
    auc, eer = auc_and_eer(scores, same)
    assert auc == pytest.approx(np.mean(wins))
    # Refused and accepted at each threshold: the equal rate lies between two neighbours.
    rates = [((scores[same] < t).mean(), (scores[~same] >= t).mean()) for t in np.unique(scores)]
    before = max(i for i, (refused, accepted) in enumerate(rates) if refused <= accepted)
    (r0, a0), (r1, a1) = rates[before : before + 2]
    share = (a0 - r0) / ((a0 - r0) + (r1 - a1))
    assert eer == pytest.approx(r0 + share * (r1 - r0))
    # 1 of 4 wrong on either side.
    labels = np.array([0, 0, 0, 1, 0, 1, 1, 1], bool)
    assert auc_and_eer(np.arange(8.0), labels) == (pytest.approx(15 / 16), pytest.approx(0.25))


def test_the_area_is_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    same = rng.random(300) < 0.3
    scores = np.round(rng.normal(size=300) + same, 1)
    assert auc_and_eer(scores, same)[0] == pytest.approx(roc_auc_score(same, scores))


def test_many_trials_of_one_person_do_not_narrow_the_interval():
    _, triplets, known = make_trials(20)
    rng = np.random.default_rng(1)
    hazy = {file: face + 4 * rng.normal(size=16) for file, face in known.items()}
    once = score_matching(triplets, hazy, known, draws=200).accuracy
    often = score_matching(triplets * 10, hazy, known, draws=200).accuracy
    assert often == once


def test_people_may_go_by_other_names_and_labels_may_not_contradict_them():
    trials = [
        PairTrial("id1/1.wav", "Ann/1.jpg", True),
        PairTrial("id2/2.wav", "Ann/1.jpg", False),
        PairTrial("id2/2.wav", "photos/2.jpg", True),
    ]
    rng = np.random.default_rng(0)
    known = {file: rng.normal(size=4) for t in trials for file in (t.voice, t.face)}
    names = {"id1": "Ann", "photos/2.jpg": "id2"}
    assert 0 <= score_pairs(trials, known, known, names, draws=20).auc.value <= 1
    with pytest.raises(UsageError, match=r"id1/1.wav and Ann/1.jpg are of one person by the list"):
        score_pairs(trials, known, known)
    with pytest.raises(UsageError, match=r"id2/2.wav and Ann/1.jpg are of two people by the list"):
        score_pairs(trials, known, known, {**names, "id2": "Ann"})
    with pytest.raises(UsageError, match="of id1 and Ann by name"):
        score_matching([MatchingTrial("id1/1.wav", "Ann/1.jpg", ("Ben/1.jpg",))], known, known)


def test_what_cannot_be_scored_is_told():
    pairs, triplets, known = make_trials(4)
    with pytest.raises(UsageError, match="have one label; both are needed"):
        score_pairs([t for t in pairs if t.same], known, known)
    with pytest.raises(UsageError, match="no trials"):
        score_matching([], known, known)
    del known["p1/video/2.jpg"]
    with pytest.raises(UsageError, match=r"p1/video/2.jpg: .* no embedding"):
        score_pairs(pairs, known, known)
    with pytest.raises(UsageError, match=r"p1/video/2.jpg: .* no embedding"):
        score_matching(triplets, known, known)
