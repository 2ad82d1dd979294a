"""Whether a mouth moves with a sound, on mouths and sounds made up."""

from __future__ import annotations

import numpy as np
import pytest
from film import loudness, voice

from speech2face.preparation import Refused
from speech2face.preparation.decoding import Sound
from speech2face.preparation.speaking import (
    Evidence,
    Mouth,
    choose_speaker,
    measure_opening,
    own_segments,
    weigh,
    within,
)

BEGINS = 100.0  # s in the file
SPEECH = [(100.3, 102.1)]
TIMES = BEGINS + np.arange(60) / 25
SOUND = Sound(BEGINS, voice())


def mouth(opening: np.ndarray) -> Mouth:
    return Mouth(TIMES, opening)


def spoken(lag: float = 0.0) -> np.ndarray:
    return 0.15 * loudness(SOUND.samples, TIMES - BEGINS + lag)


@pytest.mark.parametrize("lag", [-0.08, 0.0, 0.08])
def test_a_mouth_that_opens_with_the_voice_speaks(lag):
    evidence = weigh(mouth(spoken(lag)), SOUND, SPEECH)
    assert evidence.agreement > 0.8
    assert evidence.liveliness is not None
    assert evidence.liveliness > 3
    assert evidence.movement > 0.03


def test_a_mouth_that_shuts_with_the_voice_does_not():
    with pytest.raises(Refused, match="does not move with the sound"):
        weigh(mouth(0.15 - spoken()), SOUND, SPEECH)


def test_a_still_mouth_does_not_speak():
    tremor = 0.004 * np.random.default_rng(0).normal(size=len(TIMES))
    with pytest.raises(Refused, match="still"):
        weigh(mouth(0.05 + tremor), SOUND, SPEECH)


def test_a_mouth_that_chews_does_not_speak():
    with pytest.raises(Refused, match="no more in speech than in pauses"):
        weigh(mouth(0.05 + 0.05 * np.sin(15 * TIMES)), SOUND, SPEECH)


def test_few_frames_tell_nothing():
    with pytest.raises(Refused, match="only 6 frames"):
        weigh(Mouth(TIMES[::8], spoken()[::8]), SOUND, SPEECH)
    with pytest.raises(Refused, match="only 0 frames"):
        weigh(Mouth(np.array([]), np.array([])), SOUND, SPEECH)


def test_without_pauses_only_movement_and_agreement_count():
    inside = within(TIMES, SPEECH)
    evidence = weigh(Mouth(TIMES[inside], spoken()[inside]), SOUND, SPEECH)
    assert evidence.liveliness is None
    assert evidence.agreement > 0.5


def test_speech_of_somebody_unseen_is_not_the_mouths_own():
    silent = np.where(TIMES < 101, 0.0, spoken())
    first, second = (100.3, 100.9), (101.2, 102.1)
    assert own_segments(mouth(silent), [first, second]) == [second]


def test_of_two_faces_the_one_that_agrees_speaks():
    still, weak, strong = Refused("speak", "still"), Evidence(0.1, 2, 0.3), Evidence(0.1, 2, 0.6)
    together = [(0.0, 5.0)] * 3
    assert choose_speaker([still, weak, strong], together) == 2
    assert choose_speaker([weak], together[:1]) == 0


def test_rivals_are_refused_where_they_are_seen_together():
    rivals = [Evidence(0.1, 2, 0.6), Evidence(0.1, 2, 0.55)]
    with pytest.raises(Refused, match="two mouths"):
        choose_speaker(rivals, [(0, 5), (3, 9)])
    assert choose_speaker(rivals, [(0, 3), (3, 9)]) == 0  # one shot after the other


def test_where_nobody_speaks_each_reason_is_told_once():
    still, chews = Refused("speak", "still"), Refused("speak", "chews")
    with pytest.raises(Refused, match="none of 3 faces speaks: still; chews"):
        choose_speaker([still, chews, still], [(0, 1)] * 3)


def test_the_opening_is_told_in_eye_distances():
    mesh = np.zeros((468, 2))
    mesh[[33, 133]], mesh[[263, 362]] = [10, 0], [50, 0]
    mesh[13], mesh[14] = [30, 40], [30, 46]
    assert measure_opening(mesh) == pytest.approx(6 / 40)
