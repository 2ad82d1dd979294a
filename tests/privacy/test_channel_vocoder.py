"""The channel vocoder: what becomes of tones, pitch, loudness and seams, and how it is drawn."""

from __future__ import annotations

import numpy as np
import pytest

from helpers.sounds import RATE, example_speech, noise, tones
from speech2face.privacy.anonymisers import load_anonymiser
from speech2face.privacy.channel_vocoder import (
    BANDS,
    HIGHEST,
    LOWEST,
    NOISE_FROM,
    PEAK,
    ChannelVocoder,
)
from speech2face.privacy.chunking import MOMENT, cut_pieces, join_pieces

VOCODER = ChannelVocoder("vocoder", bend=(0.04, 0.1))


def loudness(samples: np.ndarray) -> float:
    """RMS, dB."""
    return float(10 * np.log10(np.mean(np.square(samples, dtype=np.float64))))


def spread(samples: np.ndarray) -> tuple[float, float]:
    """Where a sound's power lies, Hz, and how far from there."""
    power = np.abs(np.fft.rfft(samples * np.hanning(len(samples)))) ** 2
    hertz = np.fft.rfftfreq(len(samples), 1 / RATE)
    middle = power @ hertz / power.sum()
    return middle, float(np.sqrt(power @ (hertz - middle) ** 2 / power.sum()))


def test_carriers_rise_from_end_to_end_and_no_factor_undoes_them() -> None:
    drawn = np.array([VOCODER.draw_warp(seed) for seed in range(300)])
    assert drawn.shape == (300, BANDS + 1)
    assert (np.diff(drawn) > 0).all()
    np.testing.assert_allclose(drawn[:, 0], LOWEST)
    np.testing.assert_allclose(drawn[:, -1], HIGHEST)
    moved = np.log2(drawn / LOWEST) - np.log2(HIGHEST / LOWEST) * np.linspace(0, 1, BANDS + 1)
    bent = moved[:, 1:-1] - moved[:, 1:-1].mean(1, keepdims=True)  # octaves; by one factor: none
    assert np.sqrt((bent**2).mean(1)).min() > 0.05
    assert np.abs(moved).max(1).min() > 0.15
    assert np.abs(moved).max() < 1.1
    between = np.abs(moved[:, None] - moved).max(2)[~np.eye(300, dtype=bool)]
    assert np.median(between) > 0.3


@pytest.mark.parametrize("band", [3, 20, 33])
def test_a_tone_goes_where_the_warp_puts_it(band: int) -> None:
    middle = LOWEST * (HIGHEST / LOWEST) ** ((band + 0.5) / BANDS)
    edges = VOCODER.draw_warp(4)
    expected = np.sqrt(edges[band] * edges[band + 1])
    assert expected < NOISE_FROM
    there, around = spread(VOCODER(tones(2, middle), 4))
    assert there == pytest.approx(expected, abs=1)
    assert around < 5


def test_what_lies_high_becomes_noise() -> None:
    heard = VOCODER(tones(2, 7500), 4)
    edges = VOCODER.draw_warp(4)
    there, around = spread(heard)
    assert NOISE_FROM < there < HIGHEST
    assert around > 0.15 * (edges[-1] - edges[-2])


def test_slow_swings_of_loudness_pass_and_those_of_a_pitch_do_not() -> None:
    middle = LOWEST * (HIGHEST / LOWEST) ** (34.5 / BANDS)  # of a band 220 Hz wide
    for pitch, left in ((4, 0.95), (40, 0.95), (86, 0.2), (130, 0.05)):
        times = np.arange(2 * RATE) / RATE
        pair = np.sin(2 * np.pi * (middle - pitch / 2) * times)
        pair += np.sin(2 * np.pi * (middle + pitch / 2) * times)
        swings = []
        for sound in (pair, VOCODER(0.2 * pair.astype(np.float32), 4)):
            power = np.abs(np.fft.rfft(np.hanning(len(sound)) * np.square(sound, dtype=float)))
            swings.append(power[2 * pitch] / power[0])
        share = swings[1] / swings[0]
        assert share > left if pitch < 50 else share < left


def test_quiet_speech_stays_quiet_and_a_hum_is_not_made_loud() -> None:
    speech, _ = example_speech()
    heard = VOCODER(speech, 1)
    assert loudness(heard) == pytest.approx(loudness(speech), abs=1.5)
    quiet = VOCODER(speech * np.float32(2**-10), 1)
    assert loudness(quiet) == pytest.approx(loudness(speech) - 60.2, abs=1.5)
    humming = speech + tones(len(speech) / RATE, 50)[: len(speech)]
    assert loudness(VOCODER(humming, 1)) == pytest.approx(loudness(heard), abs=0.5)
    assert loudness(VOCODER(tones(1, 50), 1)) < loudness(tones(1, 50)) - 40


@pytest.mark.parametrize("factor", [1.0, 20.0])
def test_the_loudest_is_limited(factor: float) -> None:
    speech = np.clip(factor * example_speech()[0], -1, 1)
    assert np.abs(VOCODER(speech, 1)).max() <= PEAK


def test_pieces_are_joined_without_clicks_or_steps() -> None:
    sound = np.resize(example_speech()[0], 30 * RATE)
    pieces = list(cut_pieces([sound]))
    assert len(pieces) > 1
    vocoder = load_anonymiser("vocoder")
    heard = np.concatenate(list(join_pieces(vocoder(piece, 9) for piece in pieces)))
    assert heard.shape == sound.shape
    whole = VOCODER(sound, 9)  # in one piece
    steps = np.abs(np.diff(heard, 2))
    ends = np.cumsum([len(piece) - MOMENT for piece in pieces[:-1]])
    for end in ends:
        at = steps[end - MOMENT : end + 2 * MOMENT].max()
        assert at < np.quantile(steps, 0.99)
        for part in (slice(end - RATE // 2, end), slice(end, end + RATE // 2)):
            assert loudness(heard[part]) == pytest.approx(loudness(whole[part]), abs=1.5)


def test_steady_noise_is_as_loud_in_every_piece() -> None:
    sounds = [noise(seconds, seed=3) for seconds in (0.5, 2, 10)]
    assert np.ptp([loudness(VOCODER(sound, 2)) - loudness(sound) for sound in sounds]) < 0.3
