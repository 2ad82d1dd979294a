"""Whether a mouth moves with a sound, on mouths and sounds made up."""

from __future__ import annotations

import numpy as np
import pytest

from helpers.synthetic_video import loudness, voice
from speech2face.preparation import Refused
from speech2face.preparation.active_speaker import (
    CONTEXT,
    TRUST_ANY_FACE,
    Evidence,
    choose_speaker,
    measure_evidence,
    own_segments,
)
from speech2face.preparation.mouth_tracking import (
    MOUTH,
    PATCH,
    PLACES,
    STABLE,
    UPPER,
    Mouth,
    MouthWatcher,
)
from speech2face.preparation.video import Sound

BEGINS = 100.0  # s in the file
SPEECH = [(100.3, 102.1)]
TIMES = BEGINS + np.arange(60) / 25
SOUND = Sound(BEGINS, voice())


class Measure:
    """Says one agreement, and notes which spans it is asked for."""

    def __init__(self, agreement: float) -> None:
        self.agreed, self.spans = agreement, []

    def agreement(self, mouth, sound, spans):
        self.spans = spans
        return self.agreed, 0.04


def mouth(opening: np.ndarray, times: np.ndarray = TIMES) -> Mouth:
    points = np.zeros((len(times), len(MOUTH), 2), np.float32)
    points[:, UPPER, 1] = opening
    return Mouth(times, points, np.zeros((len(times), PATCH, PATCH), np.uint8))


def spoken() -> np.ndarray:
    return 0.15 * loudness(SOUND.samples, TIMES - BEGINS)


def test_a_mouth_that_agrees_speaks():
    measure = Measure(0.4)
    evidence = measure_evidence(mouth(spoken()), SOUND, SPEECH, measure)
    assert evidence.movement == pytest.approx(spoken()[8:53].std(), rel=0.1)
    assert (evidence.agreement, evidence.lag) == (0.4, 0.04)
    assert measure.spans == [(SPEECH[0][0] - CONTEXT, SPEECH[0][1] + CONTEXT)]


def test_a_mouth_that_does_not_is_refused():
    with pytest.raises(Refused, match="does not move with the sound"):
        measure_evidence(mouth(spoken()), SOUND, SPEECH, Measure(0.2))


def test_a_still_mouth_does_not_speak():
    tremor = 0.004 * np.random.default_rng(0).normal(size=len(TIMES))
    with pytest.raises(Refused, match="still"):
        measure_evidence(mouth(0.05 + tremor), SOUND, SPEECH, Measure(0.9))


def test_few_frames_tell_nothing():
    with pytest.raises(Refused, match="only 6 frames"):
        measure_evidence(mouth(spoken()[::8], TIMES[::8]), SOUND, SPEECH, Measure(0.9))
    with pytest.raises(Refused, match="only 0 frames"):
        measure_evidence(mouth(TIMES[:0], TIMES[:0]), SOUND, SPEECH, Measure(0.9))


def test_whoever_is_trusted_speaks():
    still, none = mouth(0 * TIMES), mouth(TIMES[:0], TIMES[:0])
    assert measure_evidence(still, SOUND, SPEECH, Measure(-0.3), TRUST_ANY_FACE).agreement == -0.3
    assert measure_evidence(none, SOUND, SPEECH, Measure(-1.0), TRUST_ANY_FACE).movement == 0
    assert own_segments(still, SPEECH, TRUST_ANY_FACE) == SPEECH
    found = [Evidence(0, 0.04, 0), Evidence(0, 0.05, 0), Evidence(0, -0.3, 0)]
    assert choose_speaker(found, [(0.0, 5.0)] * 3, TRUST_ANY_FACE) == 1


def test_speech_of_somebody_unseen_is_not_the_mouths_own():
    silent = np.where(TIMES < 101, 0.0, spoken())
    first, second = (100.3, 100.9), (101.2, 102.1)
    assert own_segments(mouth(silent), [first, second]) == [second]


def test_of_two_faces_the_one_that_agrees_speaks():
    still, weak, strong = Refused("speak", "still"), Evidence(0.1, 0.3, 0), Evidence(0.1, 0.6, 0)
    together = [(0.0, 5.0)] * 3
    assert choose_speaker([still, weak, strong], together) == 2
    assert choose_speaker([weak], together[:1]) == 0


def test_rivals_are_refused_where_they_are_seen_together():
    rivals = [Evidence(0.1, 0.6, 0), Evidence(0.1, 0.57, 0)]
    with pytest.raises(Refused, match="two mouths"):
        choose_speaker(rivals, [(0, 5), (3, 9)])
    assert choose_speaker(rivals, [(0, 3), (3, 9)]) == 0  # one shot after the other


def test_where_nobody_speaks_each_reason_is_told_once():
    still, chews = Refused("speak", "still"), Refused("speak", "chews")
    with pytest.raises(Refused, match="none of 3 faces speaks: still; chews"):
        choose_speaker([still, chews, still], [(0, 1)] * 3)


@pytest.mark.parametrize("turn", [0.0, 0.5])
def test_a_head_that_moves_leaves_its_mouth_where_it_is(turn):
    place = np.vstack([PLACES, np.zeros((len(MOUTH), 2))])
    place[len(STABLE) :, 1] = 1.0
    place[len(STABLE) + UPPER, 1] = 0.9
    turned = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    picture = np.full((240, 320, 3), 50, np.uint8)
    watcher = MouthWatcher()
    for number in range(3):
        mesh = np.zeros((468, 2))
        moved = place @ turned.T * (40 + 5 * number) + [150 + 4 * number, 80]
        mesh[[*STABLE, *MOUTH]] = moved
        watcher.add(number / 25, picture, mesh)
    seen = watcher.mouth()
    np.testing.assert_allclose(seen.opening, 0.1, atol=1e-6)
    np.testing.assert_allclose(seen.points[2], seen.points[0], atol=1e-6)
    assert seen.pictures.shape == (3, PATCH, PATCH)
    assert (seen.pictures == 50).all()
