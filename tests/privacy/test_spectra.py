"""Frames, smoothing and the telephone: known answers."""

from __future__ import annotations

import numpy as np
import pytest

from helpers.sounds import RATE, noise, tones
from helpers.synthetic_voices import hum, peak
from speech2face.data.degradations import speech_power
from speech2face.privacy.anonymisers import load_anonymiser
from speech2face.privacy.overlap_add import cut_frames, join_frames
from speech2face.privacy.spectral_smoothing import Smoothing, blur, find_envelope


@pytest.mark.parametrize("count", [0, 1, 159, 160, 5000])
@pytest.mark.parametrize(("length", "hop"), [(320, 160), (512, 128)])
def test_frames_that_are_not_changed_give_the_sound_back(count: int, length: int, hop: int):
    sound = noise(1)[:count]
    again = join_frames(cut_frames(sound, length, hop), length, hop, count)
    np.testing.assert_allclose(again, sound, atol=1e-7)


def test_frames_ring_on_into_the_next() -> None:
    sound = noise(0.2)
    frames = cut_frames(sound, 320, 160)
    rung = join_frames(np.hstack([np.zeros((len(frames), 10)), frames]), 320, 160, len(sound))
    np.testing.assert_allclose(rung[10:], sound[:-10], atol=1e-7)


def test_an_envelope_has_the_formants_and_not_the_pitch() -> None:
    frames = cut_frames(hum(0.5, hertz=100, formants=(1000, 3000)), 512, 128)[8:-8]
    hertz = np.fft.rfftfreq(512, 1 / RATE)
    envelope = find_envelope(np.fft.rfft(frames)).mean(0)
    for formant in (1000, 3000):
        near = np.abs(hertz - formant) < 700
        assert hertz[near][envelope[near].argmax()] == pytest.approx(formant, abs=100)


def test_a_blur_keeps_the_sum_and_has_the_width_asked_for() -> None:
    pulse = np.zeros((101, 1))
    pulse[50] = 1
    blurred = blur(pulse, 4.0)[:, 0]
    assert blurred.sum() == pytest.approx(1)
    assert np.sqrt((blurred * (np.arange(101) - 50) ** 2).sum()) == pytest.approx(4, rel=0.03)
    np.testing.assert_allclose(blur(np.full((5, 2), 3.0), 9.0), 3)


def test_smoothing_flattens_formants_and_keeps_pitch() -> None:
    voice = hum(1, hertz=125, formants=(1500,))
    smooth = Smoothing("smooth", hertz=400, seconds=0.03)(voice, 0)
    contrasts = []
    for sound in (voice, smooth):
        spectrum = np.abs(np.fft.rfft(sound))
        at, beside = spectrum[1400:1600].max(), spectrum[2900:3100].max()
        contrasts.append(20 * np.log10(at / beside))
    assert contrasts[1] < contrasts[0] - 3
    spectrum = np.abs(np.fft.rfft(smooth))
    assert spectrum[1480:1520].argmax() + 1480 == pytest.approx(1500, abs=2)  # 12th harmonic


def test_the_telephone_leaves_nothing_outside_its_band() -> None:
    sound = load_anonymiser("telephone")(noise(4), 1)
    power = np.abs(np.fft.rfft(sound * np.hanning(len(sound)))) ** 2
    hertz = np.fft.rfftfreq(len(sound), 1 / RATE)
    inside = power[(hertz > 400) & (hertz < 3300)].mean()
    assert power[hertz < 150].mean() < 1e-5 * inside
    assert power[hertz > 3600].mean() < 1e-5 * inside


def test_the_telephone_is_as_noisy_as_it_says_and_noise_differs_by_recording() -> None:
    line = load_anonymiser("telephone")
    tone, other = tones(2, 1000), tones(2, 1000.5)
    assert peak(line(tone, 0), 300, 3400) == pytest.approx(1000, abs=10)
    left = line(tone, 0)[RATE // 2 : -RATE // 2]
    clean = tone[RATE // 2 : -RATE // 2] * (left @ tone[RATE // 2 : -RATE // 2])
    clean /= (tone[RATE // 2 : -RATE // 2] ** 2).sum()
    ratio = 10 * np.log10(speech_power(clean) / np.mean((left - clean) ** 2))
    assert ratio == pytest.approx(15 + 10 * np.log10(8000 / 3100), abs=0.6)  # of 8 kHz, 3.1 stay
    hushes = [sound - clip for sound, clip in ((line(tone, 0), tone), (line(other, 0), other))]
    assert abs(np.corrcoef(hushes)[0, 1]) < 0.2
