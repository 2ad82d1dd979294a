"""Attackers taught on made-up voices: what they state of one recording is what is found."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from speech2face.privacy.attacker_features import AttackerFeatures
from speech2face.privacy.attackers import learn_both_forms
from speech2face.privacy.teach_attackers import (
    Clips,
    Halves,
    check_faces,
    check_voices,
    state_plain_faces,
    teach_attacker,
    teach_face,
)
from speech2face.privacy.trained_attackers import pack_attacker, unpack_attacker
from speech2face.training.gaussian_head import HeadConfig, log_likelihood_ratios

PEOPLE, SIZE, HEARD = 180, 5, 12
CONFIG = HeadConfig(ridge=0.1, inner_folds=3)
rng = np.random.default_rng(0)


def make_clips(erased: bool = False) -> Clips:
    """What is published keeps two of the five directions of a face, in noise."""
    faces = rng.normal(size=(PEOPLE, SIZE))
    plain = faces @ rng.normal(size=(SIZE, HEARD)) + rng.normal(size=(PEOPLE, HEARD))
    disguised = 0.5 * plain @ rng.normal(size=(HEARD, 2)) @ rng.normal(size=(2, HEARD))
    disguised += rng.normal(size=(PEOPLE, HEARD))
    seconds = rng.uniform(3, 6, PEOPLE)
    return Clips(
        plain,
        rng.normal(size=disguised.shape) if erased else disguised,
        seconds,
        seconds,
        np.zeros(PEOPLE),
        faces,
        np.arange(PEOPLE).astype(str),
        np.arange(PEOPLE) % 3,
    )


def make_halves(apart: float) -> Halves:
    """Speakers `apart` standard deviations of what changes within them, in every direction."""
    people = np.repeat(np.arange(120), 2)
    voices = apart * rng.normal(size=(120, HEARD))[people]
    plain, disguised = (voices + rng.normal(size=voices.shape) for _ in range(2))
    turned = disguised * rng.uniform(0.9, 1.1, HEARD) + 3
    return Halves(plain, turned, people.astype(str), people % 3)


CLIPS, HALVES = make_clips(), make_halves(0.7)


def test_bits_that_are_stated_of_a_face_are_found():
    check = check_faces(CLIPS, state_plain_faces(CLIPS, CONFIG), CONFIG)
    assert check.all.people == PEOPLE
    assert check.all.found.value > 0.5
    assert check.all.found.low < check.all.stated < check.all.found.high
    stated = [group.stated for group in check.groups]
    assert stated == sorted(stated)
    assert check.groups[-1].found.value > check.groups[0].found.value
    assert check.shares.sum() == pytest.approx(1)
    assert check.shares[0] > check.shares[-1]


def test_of_a_face_that_is_erased_nothing_is_stated():
    clips = make_clips(erased=True)
    check = check_faces(clips, state_plain_faces(clips, CONFIG), CONFIG)
    assert check.all.stated == pytest.approx(0, abs=0.06)
    assert check.all.found.value == pytest.approx(0, abs=0.1)


def test_strangers_that_are_stated_are_found():
    check = check_voices(HALVES)
    assert check.all.people == 120
    assert 5 < check.all.stated < 250
    assert check.all.found.low < check.all.stated < check.all.found.high
    assert (np.diff(check.strangers) >= 0).all()
    lost = check_voices(replace(HALVES, disguised=rng.normal(size=HALVES.disguised.shape)))
    assert lost.all.stated == pytest.approx(500, abs=60)


def test_a_reader_sorts_faces_as_the_head_that_it_is_made_of():
    heard = AttackerFeatures(CLIPS.disguised, CLIPS.seconds)
    plain = AttackerFeatures(CLIPS.plain, CLIPS.plain_seconds)
    head, centre = learn_both_forms(plain, heard, CLIPS.faces, CLIPS.people, CONFIG)
    reader = teach_face(CLIPS, np.ones(PEOPLE, bool), CONFIG)
    means = head.predict(CLIPS.disguised[:5] - centre, CLIPS.seconds[:5])
    expected = log_likelihood_ratios(head, means, CLIPS.seconds[:5], CLIPS.faces)
    for row in range(5):
        found = reader.score(CLIPS.disguised[row], CLIPS.seconds[row], CLIPS.faces @ reader.axes)
        np.testing.assert_allclose(found, expected[row], rtol=1e-6)


def test_an_attacker_is_read_back_from_its_arrays():
    voice = check_voices(HALVES)
    face = check_faces(CLIPS, state_plain_faces(CLIPS, CONFIG), CONFIG)
    attacker = teach_attacker("mask", "both", CLIPS, HALVES, face, voice, CONFIG)
    packed = pack_attacker(attacker)
    assert {values.dtype for values in packed.values()} == {np.dtype(np.float16)}
    arrays = {
        key.removeprefix("mask/both/"): values.astype(float) for key, values in packed.items()
    }
    again = unpack_attacker("mask", "both", arrays)
    seconds, faces = 4.0, CLIPS.faces
    one, other = (
        attackers.face.score(CLIPS.disguised[0], seconds, faces @ attackers.face.axes)
        for attackers in (attacker, again)
    )
    np.testing.assert_allclose(one, other, atol=0.05)
    pair = [HALVES.disguised[1]], [HALVES.plain[0]]
    assert attacker.voice.score(*pair) == pytest.approx(again.voice.score(*pair), abs=0.1)
    scores = np.linspace(voice.strangers[0] - 1, voice.strangers[-1] + 1, 50)
    ranks = [again.voice.rank(float(score)) for score in scores]
    assert (ranks[0], ranks[-1]) == (1, 0)
    assert ranks == sorted(ranks, reverse=True)
