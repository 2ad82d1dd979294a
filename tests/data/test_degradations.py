"""Degradations do what their names say, in time, and the same for a seed."""

from itertools import pairwise

import numpy as np
import pytest

from helpers.sounds import example_speech, noise, tones
from speech2face.data.degradations import (
    DEGRADATIONS,
    add_noise,
    change_gain,
    encode,
    encode_and_decode,
    overload,
    reverberate,
    room_response,
    speech_power,
    telephone,
)

RATE = 16_000


@pytest.fixture(scope="module")
def speech() -> np.ndarray:
    samples, rate = example_speech()
    assert rate == RATE
    return samples[: 3 * RATE + 1]


def band_power(sound: np.ndarray, low: float, high: float) -> float:
    power = np.abs(np.fft.rfft(sound)) ** 2
    hertz = np.fft.rfftfreq(len(sound), 1 / RATE)
    return float(power[(hertz >= low) & (hertz < high)].sum())


def find_lag(sound: np.ndarray, other: np.ndarray) -> int:
    """By how many samples `sound` is later than `other`."""
    size = 2 * len(sound)
    product = np.fft.rfft(sound, size) * np.conj(np.fft.rfft(other, size))
    lag = int(np.fft.irfft(product, size).argmax())
    return lag if lag < len(sound) else lag - size


def test_speech_is_measured_without_its_pauses():
    sound = noise(2, seed=1)
    power = np.mean(sound**2)
    quiet = np.concatenate([sound, 1e-3 * noise(6, seed=2)])
    assert speech_power(sound) == pytest.approx(power, rel=0.01)
    assert speech_power(quiet) == pytest.approx(power, rel=0.02)


@pytest.mark.parametrize("colour", ["white", "pink", "speech"])
@pytest.mark.parametrize("decibels", [20, 0, -5])
def test_noise_is_as_loud_as_it_says(speech, colour, decibels):
    added = add_noise(speech, decibels, 3, colour).astype(np.float64) - speech
    found = 10 * np.log10(speech_power(speech) / np.mean(added**2))
    assert found == pytest.approx(decibels, abs=0.01)
    # A long pause behind is no reason for less noise.
    paused = np.pad(speech, (0, 5 * RATE))
    added = add_noise(paused, decibels, 3, colour).astype(np.float64) - paused
    assert 10 * np.log10(speech_power(speech) / np.mean(added**2)) == pytest.approx(
        decibels, abs=0.3
    )


def test_noise_has_its_colour(speech):
    white, pink, voices = (
        add_noise(speech, 0, 0, colour) - speech for colour in ("white", "pink", "speech")
    )
    octaves = [(125 * 2**k, 250 * 2**k) for k in range(6)]
    steps = [band_power(white, *b) / band_power(white, *a) for a, b in pairwise(octaves)]
    np.testing.assert_allclose(steps, 2, rtol=0.25)
    steps = [band_power(pink, *b) / band_power(pink, *a) for a, b in pairwise(octaves)]
    np.testing.assert_allclose(steps, 1, rtol=0.25)
    assert band_power(pink, 0, 49) < 1e-6 * band_power(pink, 49, 8_000)
    for low, high in octaves:
        share = band_power(speech, low, high) / band_power(speech, 0, 8_000)
        assert band_power(voices, low, high) / band_power(voices, 0, 8_000) == pytest.approx(
            share, rel=0.3, abs=0.005
        )


def test_a_telephone_passes_its_band_and_nothing_else():
    line = telephone(noise(2))
    assert band_power(line, 0, 190) < 1e-4 * band_power(line, 300, 3_400)
    assert band_power(line, 3_510, 8_001) < 1e-4 * band_power(line, 300, 3_400)
    passed = tones(1, 1_000)
    middle = slice(2_000, -2_000)
    np.testing.assert_allclose(telephone(passed)[middle], passed[middle], atol=2e-3)


@pytest.mark.parametrize(("codec", "kilobits"), [("mp3", 32), ("opus", 12)])
def test_a_codec_keeps_time_and_bit_rate(speech, codec, kilobits):
    again = encode_and_decode(speech, codec, kilobits)
    assert len(again) == len(speech)
    assert find_lag(again, speech) == 0
    assert 0.9 < np.corrcoef(again, speech)[0, 1] < 0.9999
    found = 8 * len(encode(speech, codec, kilobits)) / (len(speech) / RATE) / 1_000
    assert found == pytest.approx(kilobits, rel=0.15)
    poor = np.corrcoef(encode_and_decode(speech, codec, kilobits / 2), speech)[0, 1]
    assert poor < np.corrcoef(again, speech)[0, 1]


def test_a_room_dies_away_as_it_says(speech):
    response = room_response(0.6, 5, seed=1)
    assert response[0] == 1
    assert 10 * np.log10((response[1:] ** 2).sum()) == pytest.approx(-5)
    left = np.cumsum(response[:0:-1] ** 2)[::-1]  # Schroeder's backward integral
    decay = 10 * np.log10(left / left[0])
    begin, end = (int(np.argmax(decay < level)) for level in (-5, -25))
    assert 3 * (end - begin) / RATE == pytest.approx(0.6, rel=0.1)
    wet = reverberate(speech, 0.6, 5, seed=1)
    np.testing.assert_allclose(
        wet[:4_000], np.convolve(speech[:4_000], response)[:4_000], atol=1e-5
    )
    assert find_lag(wet, speech) == 0


def test_overload_cuts_off_its_share_and_gain_changes_the_level(speech):
    loud = overload(speech, 0.1)
    assert (np.abs(loud) == 1).mean() == pytest.approx(0.1, abs=0.001)
    inside = np.abs(loud) < 1
    assert np.ptp(loud[inside & (speech != 0)] / speech[inside & (speech != 0)]) < 1e-4
    np.testing.assert_allclose(change_gain(speech, -20), speech / 10, rtol=1e-6)


@pytest.mark.parametrize("name", DEGRADATIONS)
def test_each_gives_as_much_sound_and_the_same_for_a_seed(speech, name):
    before = speech.copy()
    sound = DEGRADATIONS[name](speech, 5)
    np.testing.assert_array_equal(speech, before)
    assert sound.dtype == np.float32
    assert sound.shape == speech.shape
    assert np.isfinite(sound).all()
    assert not np.allclose(sound, speech, atol=1e-3)
    np.testing.assert_array_equal(DEGRADATIONS[name](speech, 5), sound)
    if any(word in name for word in ("noise", "babble", "reverberation")):
        assert not np.array_equal(DEGRADATIONS[name](speech, 6), sound)


@pytest.mark.parametrize("name", DEGRADATIONS)
def test_silence_stays_silent_and_the_shortest_sounds_pass(name):
    silence = DEGRADATIONS[name](np.zeros(RATE, np.float32), 0)
    assert silence.shape == (RATE,)
    assert np.abs(silence).max() < 1e-4
    for length in (0, 1, 2, 50, 700):
        sound = DEGRADATIONS[name](np.full(length, 0.1, np.float32), 0)
        assert sound.dtype == np.float32
        assert sound.shape == (length,)
        assert np.isfinite(sound).all()
