"""The measure of agreement, fitted to made-up mouths that follow made-up voices."""

from __future__ import annotations

import numpy as np
import pytest

from speech2face.errors import ModelError
from speech2face.preparation.lip_sync import (
    LAG_COST,
    Synchrony,
    even_times,
    fit_synchrony,
    measure_bands,
    mirror,
)
from speech2face.preparation.mouth_tracking import MOUTH, PATCH, Mouth
from speech2face.preparation.video import Sound

SECONDS, RATE = 4.0, 16_000
ALL = [(-np.inf, np.inf)]
SHAPE, LOOK = (
    np.random.default_rng(7).normal(size=size) for size in ((2, len(MOUTH), 2), (2, PATCH, PATCH))
)


def speak(seed: int, begins: float = 0.0) -> Sound:
    """Two bands of noise, each with syllables of its own."""
    random = np.random.default_rng(seed)
    times = np.arange(round(SECONDS * RATE)) / RATE
    sound = np.zeros(len(times))
    for hertz in (500, 2500):
        knots = random.uniform(0, 1, round(SECONDS * 6) + 1) ** 2
        loudness = np.interp(times, np.arange(len(knots)) / 6, knots)
        sound += loudness * np.sin(2 * np.pi * hertz * times + 3 * np.sin(71 * times))
    return Sound(begins, (0.1 * sound + 1e-3 * random.normal(size=len(times))).astype(np.float32))


def move(sound: Sound, lag: float = 0.0, rate: float = 25, seed: int = 0) -> Mouth:
    """A mouth that does what a sound asks, `lag` s earlier, and trembles."""
    random = np.random.default_rng(seed)
    bands, at = measure_bands(sound)
    times = sound.start + 0.3 + np.arange(round((SECONDS - 0.6) * rate)) / rate
    drive = np.stack(
        [np.interp(times + lag, at, bands[:, part].mean(1)) for part in (range(8), range(13, 20))]
    )
    points = 0.01 * np.tensordot(drive, SHAPE, (0, 0))
    points += random.normal(0, 0.01, points.shape)
    pictures = 110 + 3 * np.tensordot(drive, LOOK, (0, 0))
    pictures += random.normal(0, 4, pictures.shape)
    return Mouth(times, points.astype(np.float32), np.clip(pictures, 0, 255).astype(np.uint8))


@pytest.fixture(scope="module")
def fitted() -> Synchrony:
    sounds = [speak(seed) for seed in range(8)]
    return fit_synchrony([(move(sound, seed=n), sound) for n, sound in enumerate(sounds)])


@pytest.mark.parametrize("begins", [0.0, 5_000.0])
@pytest.mark.parametrize("rate", [20, 25, 29.97])
def test_a_new_mouth_agrees_with_its_sound_and_with_no_other(fitted, rate, begins):
    sound = speak(20, begins)
    mouth = move(sound, rate=rate, seed=20)
    own, lag = fitted.agreement(mouth, sound, ALL)
    assert own > 0.7
    assert abs(lag) <= 0.04
    assert fitted.agreement(mouth, speak(21, begins), ALL)[0] < 0.4
    assert fitted.agreement(mouth, Sound(begins + 0.9, sound.samples), ALL)[0] < 0.4


@pytest.mark.parametrize("lag", [-0.2, -0.08, 0.12, 0.2])
def test_a_lag_is_found_and_costs(fitted, lag):
    sound = speak(22)
    plain, _ = fitted.agreement(move(sound, seed=22), sound, ALL)
    late, found = fitted.agreement(move(sound, lag, seed=22), sound, ALL)
    assert found == pytest.approx(lag, abs=0.05)
    assert late == pytest.approx(plain - LAG_COST * abs(lag), abs=0.1)


def test_light_and_a_mirror_change_little(fitted):
    sound = speak(23)
    mouth = move(sound, seed=23)
    own, _ = fitted.agreement(mouth, sound, ALL)
    darker = Mouth(mouth.times, mouth.points, mouth.pictures // 2)
    for other in (darker, mirror(mouth)):
        assert fitted.agreement(other, sound, ALL)[0] == pytest.approx(own, abs=0.15)
    twice = mirror(mirror(mouth))
    np.testing.assert_array_equal(twice.points, mouth.points)
    np.testing.assert_array_equal(twice.pictures, mouth.pictures)


def test_only_what_lies_in_the_spans_counts(fitted):
    sound, other = speak(24), speak(25)
    half = len(sound.samples) // 2
    dubbed = Sound(0.0, np.concatenate([sound.samples[:half], other.samples[half:]]))
    mouth = move(sound, seed=24)
    assert fitted.agreement(mouth, dubbed, [(0, 1.9)])[0] > 0.7
    assert fitted.agreement(mouth, dubbed, [(2.1, 4)])[0] < 0.4
    assert fitted.agreement(mouth, dubbed, [(0.4, 0.5)]) == (-1.0, 0.0)
    nothing = Mouth(mouth.times[:0], mouth.points[:0], mouth.pictures[:0])
    assert fitted.agreement(nothing, dubbed, ALL) == (-1.0, 0.0)


def test_times_are_even_and_near_a_frame():
    times = np.array([0.0, 0.05, 0.1, 1.0, 1.04])
    even = even_times(times, [(0, 9)])
    assert np.diff(even).min() == pytest.approx(0.04)
    assert np.abs(even[:, None] - times).min(1).max() <= 0.08 + 1e-9
    assert len(even_times(times, [(1, 1.03)])) == 1
    assert len(even_times(times[:1], [(0, 9)])) == 1


def test_it_is_kept_and_read_again(fitted, tmp_path):
    sound = speak(26)
    mouth = move(sound, seed=26)
    fitted.save(tmp_path / "it.npz")
    again = Synchrony.load(tmp_path / "it.npz")
    expected, _ = fitted.agreement(mouth, sound, ALL)
    assert again.agreement(mouth, sound, ALL)[0] == pytest.approx(expected, abs=1e-4)
    (tmp_path / "bad.npz").write_bytes((tmp_path / "it.npz").read_bytes()[:900])
    for name in ("bad.npz", "absent.npz"):
        with pytest.raises(ModelError, match=name):
            Synchrony.load(tmp_path / name)
