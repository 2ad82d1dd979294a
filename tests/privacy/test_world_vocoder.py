"""Pitch and formants go where they are sent."""

from __future__ import annotations

import numpy as np
import pytest

from helpers.sounds import RATE
from helpers.synthetic_voices import hum, peak

pytest.importorskip("pyworld")

from speech2face.privacy.world_vocoder import PitchFormantShift, find_pitch, shift


def pitch_of(sound: np.ndarray) -> float:
    pitch = find_pitch(sound)[20:-20]
    return float(np.median(pitch[pitch > 0])) if (pitch > 0).mean() > 0.5 else 0.0


@pytest.mark.parametrize("factor", [0.7, 1.0, 1.4])
def test_pitch_is_multiplied_and_formants_stay(factor: float) -> None:
    voice = hum(1, hertz=120)
    moved = shift(voice, factor, 1.0)
    assert pitch_of(voice) == pytest.approx(120, rel=0.01)
    assert pitch_of(moved) == pytest.approx(120 * factor, rel=0.02)
    assert peak(moved, 400, 1200) == pytest.approx(700, abs=100)
    assert moved.std() == pytest.approx(voice.std(), rel=0.01)


@pytest.mark.parametrize("factor", [0.85, 1.2])
def test_formants_are_multiplied_and_pitch_stays(factor: float) -> None:
    voice = hum(1, hertz=100, formants=(1000,))
    moved = shift(voice, 1.0, factor)
    assert pitch_of(moved) == pytest.approx(100, rel=0.02)
    assert peak(voice, 500, 2000) == pytest.approx(1000, abs=50)
    assert peak(moved, 500, 2000) == pytest.approx(1000 * factor, abs=70)


def test_a_whisper_has_formants_and_no_pitch() -> None:
    assert PitchFormantShift("whisper", None, (1.1, 1.2)).factors(0)[0] == 0
    whispered = shift(hum(1, formants=(1000,)), 0, 1.0)
    assert pitch_of(whispered) == 0
    assert peak(whispered, 500, 2000) == pytest.approx(1000, abs=100)


def test_factors_are_drawn_up_and_down_and_never_near_one() -> None:
    method = PitchFormantShift("shift", semitones=(2, 5), formants=(1.08, 1.2))
    pitch, formants = np.array([method.factors(seed) for seed in range(200)]).T
    semitones = 12 * np.abs(np.log2(pitch))
    assert 2 <= semitones.min() < 2.2
    assert 4.8 < semitones.max() <= 5
    assert np.exp(np.abs(np.log(formants))).min() >= 1.08
    assert np.exp(np.abs(np.log(formants))).max() <= 1.2
    for factor in (pitch, formants):
        assert 0.4 < (factor > 1).mean() < 0.6
    assert abs(np.corrcoef(pitch > 1, formants > 1)[0, 1]) < 0.2


def test_the_end_is_not_lost() -> None:
    voice = hum(0.6)
    last = shift(voice, 1.3, 1.0)[-RATE // 50 :]
    assert last.std() > 0.2 * voice[-RATE // 50 :].std()
