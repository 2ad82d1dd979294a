"""McAdams' coefficient: poles go where the formula says, and one leaves all as it is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.sounds import RATE, example_speech, noise
from helpers.synthetic_voices import peak, resonate
from speech2face.privacy.mcadams import McAdams, move_formants, move_poles, predict
from speech2face.privacy.overlap_add import cut_frames


def test_a_coefficient_of_one_gives_the_input_back() -> None:
    samples, _ = example_speech()
    np.testing.assert_allclose(move_formants(samples, 1.0), samples, atol=2e-4)


@pytest.mark.parametrize(("hertz", "coefficient"), [(800, 0.8), (1500, 0.7), (4000, 0.8)])
def test_a_resonance_moves_to_the_power_of_its_angle(hertz: float, coefficient: float) -> None:
    white = np.random.default_rng(0).normal(size=4 * RATE)
    sound = resonate(white, hertz)
    sound = (0.1 * sound / sound.std()).astype(np.float32).clip(-1, 1)
    expected = (2 * np.pi * hertz / RATE) ** coefficient * RATE / (2 * np.pi)
    assert peak(sound) == pytest.approx(hertz, abs=40)
    assert peak(move_formants(sound, coefficient)) == pytest.approx(expected, abs=80)


def test_angles_move_and_radii_and_real_poles_stay() -> None:
    roots = np.array([0.9 * np.exp(0.5j), 0.9 * np.exp(-0.5j), 0.7, -0.6])
    (moved,) = move_poles(np.poly(roots).real[None], 0.8)
    expected = [0.9 * np.exp(1j * 0.5**0.8), 0.9 * np.exp(-1j * 0.5**0.8), 0.7, -0.6]
    np.testing.assert_allclose(moved, np.poly(expected).real, atol=1e-12)


def test_an_angle_never_passes_half_a_turn() -> None:
    roots = np.array([0.9 * np.exp(3j), 0.9 * np.exp(-3j)])
    (moved,) = move_poles(np.poly(roots).real[None], 1.5)
    np.testing.assert_allclose(np.roots(moved).real, [-0.9, -0.9], atol=1e-6)


def test_linear_prediction_finds_the_poles_of_a_resonance() -> None:
    white = np.random.default_rng(0).normal(size=RATE)
    predictors = predict(cut_frames(resonate(white, 1000, 40), 320, 160))[4:-4]
    angles = np.array([np.angle(np.roots(p)) for p in predictors])
    radii = np.array([np.abs(np.roots(p)) for p in predictors])
    assert (radii < 1).all()
    strongest = np.abs(np.take_along_axis(angles, radii.argmax(1)[:, None], 1))
    assert np.median(strongest) * RATE / (2 * np.pi) == pytest.approx(1000, abs=25)


def test_the_coefficient_is_drawn_from_its_range_for_each_speaker() -> None:
    method = McAdams("random", 0.5, 0.9)
    drawn = {method.coefficient(seed) for seed in range(50)}
    assert len(drawn) == 50
    assert 0.5 <= min(drawn) < 0.55
    assert 0.85 < max(drawn) <= 0.9
    assert McAdams("fixed", 0.8, 0.8).coefficient(3) == 0.8


@settings(max_examples=20)
@given(st.integers(0, 3000), st.floats(0.3, 1.5), st.sampled_from([0.0, 1e-6, 0.5, 1.0]))
def test_any_length_and_level_is_taken(count: int, coefficient: float, level: float) -> None:
    sound = level * np.sign(noise(1)[:count])
    heard = move_formants(sound.astype(np.float32), coefficient)
    assert heard.shape == (count,)
    assert heard.dtype == np.float32
    assert np.isfinite(heard).all()
    assert np.abs(heard).max(initial=0) <= 1
    if level == 0:
        assert not heard.any()
