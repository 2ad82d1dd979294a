"""Music without a voice, made up from seeds; several recipes come near to a voice."""

from __future__ import annotations

import numpy as np
from scipy.signal import lfilter

from sound_parts import (
    VOWELS,
    Rng,
    band_pass,
    buzz,
    decay,
    drift,
    every,
    melody,
    noise,
    resonate,
    speak_vowels,
    swell,
    vibrato,
)
from speech2face.media import SAMPLE_RATE


def _partials(rng: Rng, hertz: float, n: int, ratios: np.ndarray, fall: float) -> np.ndarray:
    times = np.arange(n) / SAMPLE_RATE
    sound = np.zeros(n)
    for k, ratio in enumerate(ratios):
        if hertz * ratio < 7800:
            wave = np.sin(2 * np.pi * hertz * ratio * times + rng.uniform(0, 6))
            sound += wave * np.exp(-fall * (1 + 0.4 * k) * times) / (k + 1) ** 1.2
    return sound * np.minimum(1, times / 0.004)


def plucked(rng: Rng, n: int) -> np.ndarray:
    ratios, fall = np.arange(1, 15), rng.uniform(1, 6)
    return melody(rng, n, lambda f, m: _partials(rng, f, m, ratios, fall), 82)


def bowed(rng: Rng, n: int) -> np.ndarray:
    def play(hertz: float, m: int) -> np.ndarray:
        return buzz(hertz * vibrato(rng, m)) * swell(m, 0.08, 0.1)

    sound = melody(rng, n, play, rng.choice([65, 130, 200]))
    return sound + sum(resonate(sound, f, 80) for f in rng.uniform(250, 3000, 4))


def drums(rng: Rng, n: int) -> np.ndarray:
    beat, sound = rng.uniform(0.18, 0.4), np.zeros(n)
    pattern = rng.random((4, 8)) < np.array([[0.4], [0.3], [0.8], [0.2]])
    m = round(0.4 * SAMPLE_RATE)
    kick = np.sin(2 * np.pi * np.cumsum(45 + 120 * decay(m, 30)) / SAMPLE_RATE) * decay(m, 9)
    snare = (noise(rng, m) * 0.4 + np.sin(2 * np.pi * 190 * np.arange(m) / SAMPLE_RATE)) * decay(
        m, rng.uniform(10, 30)
    )
    hat = band_pass(noise(rng, m), 5000, 7900) * decay(m, rng.uniform(20, 80)) * 0.4
    tom = np.sin(2 * np.pi * np.cumsum(90 + 90 * decay(m, 8)) / SAMPLE_RATE) * decay(m, 8)
    for step in range(int(n / SAMPLE_RATE / beat) + 1):
        for hits, drum in zip(pattern, (kick, snare, hat, tom), strict=True):
            at = round(step * beat * SAMPLE_RATE)
            if hits[step % 8] and at < n:
                part = drum[: n - at] * rng.uniform(0.6, 1)
                sound[at : at + len(part)] += part
    return sound + 1e-4 * rng.normal(size=n)


def vocoder_pad(rng: Rng, n: int) -> np.ndarray:
    chord = 110 * 2 ** (rng.integers(0, 12) / 12) * 2 ** (np.array([0, 4, 7, 12]) / 12)
    saw = sum(buzz(np.full(n, f) * vibrato(rng, n), 60) for f in chord[: rng.integers(1, 5)])
    return speak_vowels(saw, rng, rng.uniform(0.5, 6))


def struck(rng: Rng, n: int) -> np.ndarray:
    ratios = np.arange(1, 10) * np.sqrt(1 + rng.uniform(1e-4, 1e-3) * np.arange(1, 10) ** 2)
    return melody(rng, n, lambda f, m: _partials(rng, f, 2 * m, ratios, 2), 110)


def whistling(rng: Rng, n: int) -> np.ndarray:
    steps = np.repeat(rng.integers(0, 12, n // 4000 + 1), 4000)[:n]
    glide = lfilter([0.001], [1, -0.999], steps - steps[0]) + steps[0]
    pitch = rng.uniform(600, 1200) * 2 ** (glide / 12) * vibrato(rng, n)
    breath = band_pass(noise(rng, n), 800, 3000) * rng.uniform(0.01, 0.2)
    return buzz(pitch, 2, 3) * (0.3 + drift(rng, n, 4)) + breath


def organ(rng: Rng, n: int) -> np.ndarray:
    ratios = np.array([0.5, 1, 1.5, 2, 3, 4, 6, 8])[rng.random(8) < 0.7]
    weights = rng.random(len(ratios))

    def play(hertz: float, m: int) -> np.ndarray:
        times = np.arange(m) / SAMPLE_RATE
        waves = np.sin(2 * np.pi * hertz * ratios[:, None] * times)
        return (weights @ waves) * swell(m, 0.02, 0.05)

    return melody(rng, n, play, 130)


def birds(rng: Rng, n: int) -> np.ndarray:
    def chirp() -> np.ndarray:
        m = round(rng.uniform(0.04, 0.4) * SAMPLE_RATE)
        bend = np.sin(2 * np.pi * rng.uniform(1, 25) * np.arange(m) / SAMPLE_RATE)
        pitch = rng.uniform(1200, 4500) * 2 ** (rng.uniform(0.05, 0.5) * bend)
        return buzz(pitch, 3, 2) * swell(m, 0.01, 0.03) * rng.uniform(0.2, 1)

    return every(rng, n, rng.uniform(0.1, 0.6), chirp) + 0.01 * noise(rng, n, 1)


def brass(rng: Rng, n: int) -> np.ndarray:
    def play(hertz: float, m: int) -> np.ndarray:
        loud = swell(m, 0.1, 0.15)
        return resonate(buzz(hertz * vibrato(rng, m)) * loud, 500 + 1500 * loud, 300)

    return melody(rng, n, play, rng.choice([58, 116, 174]))


def theremin(rng: Rng, n: int) -> np.ndarray:
    """A voice-like line that glides."""
    pitch = rng.uniform(120, 400) * 2 ** (1.5 * drift(rng, n, rng.uniform(0.5, 4)))
    sound = buzz(pitch * vibrato(rng, n), 30, rng.uniform(1, 2)) * (0.1 + drift(rng, n, 3))
    return sound + sum(resonate(sound, f, 150) for f in rng.uniform(400, 2500, 2))


def bells(rng: Rng, n: int) -> np.ndarray:
    ratios = np.sort(rng.uniform(0.5, 9, 8))
    return melody(rng, n, lambda f, m: _partials(rng, f, 4 * m, ratios, 1.5), 200)


def wah_guitar(rng: Rng, n: int) -> np.ndarray:
    """Its filter opens and closes as often as syllables come."""
    sound = np.tanh(3 * plucked(rng, n))
    return resonate(sound, 400 + 1800 * drift(rng, n, rng.uniform(2, 8)), 200)


def acid_bass(rng: Rng, n: int) -> np.ndarray:
    def play(hertz: float, m: int) -> np.ndarray:
        return resonate(buzz(np.full(m, hertz)), 300 + 2500 * decay(m, 8), 120) * decay(m, 3)

    return melody(rng, n, play, 41)


def choir_pad(rng: Rng, n: int) -> np.ndarray:
    """Many detuned voices of a synthesiser on one vowel."""
    root, vowel = 110 * 2 ** (rng.integers(0, 12) / 12), VOWELS[rng.integers(len(VOWELS))]
    notes = rng.choice([0, 4, 7, 12, 16], int(rng.integers(2, 6)))
    detuned = [root * 2 ** ((k + rng.normal(0, 0.1)) / 12) for k in notes]
    saw = sum(buzz(np.full(n, f) * vibrato(rng, n), 50) for f in detuned)
    vowels = sum(resonate(saw, f, 90) / (k + 1) for k, f in enumerate(vowel))
    return vowels * (0.3 + drift(rng, n, 1))


def flute(rng: Rng, n: int) -> np.ndarray:
    def play(hertz: float, m: int) -> np.ndarray:
        breath = resonate(noise(rng, m), hertz, 200) * 2
        return (buzz(hertz * vibrato(rng, m), 5, 2) + breath) * swell(m, 0.05, 0.05)

    return melody(rng, n, play, 260)


def didgeridoo(rng: Rng, n: int) -> np.ndarray:
    """A drone through a mouth that moves."""
    drone = buzz(np.full(n, rng.uniform(55, 90)) * vibrato(rng, n), 80, 0.8)
    return speak_vowels(drone * (0.4 + drift(rng, n, 5)), rng, rng.uniform(2, 7))


def band(rng: Rng, n: int) -> np.ndarray:
    players = plucked, bowed, organ, struck, brass, acid_bass, flute
    chosen = rng.choice(len(players), 3, replace=False)
    parts = [drums(rng, n), *(players[i](rng, n) for i in chosen)]
    return sum(rng.uniform(0.4, 1) * part / np.abs(part).max() for part in parts)


def synth_lead(rng: Rng, n: int) -> np.ndarray:
    def play(hertz: float, m: int) -> np.ndarray:
        square = np.sign(np.sin(2 * np.pi * np.cumsum(hertz * vibrato(rng, m)) / SAMPLE_RATE))
        return lfilter([0.3], [1, -0.7], square) * swell(m, 0.01, 0.03)

    return melody(rng, n, play, 220) + 0.5 * drums(rng, n)


MUSIC = {  # neighbours are unlike: each second one is for tuning
    recipe.__name__: recipe
    for recipe in (
        plucked,
        bowed,
        drums,
        struck,
        vocoder_pad,
        choir_pad,
        whistling,
        theremin,
        organ,
        bells,
        birds,
        brass,
        acid_bass,
        wah_guitar,
        band,
        flute,
        synth_lead,
        didgeridoo,
    )
}
VOICE_LIKE = (
    "vocoder_pad",
    "choir_pad",
    "whistling",
    "theremin",
    "birds",
    "brass",
    "wah_guitar",
    "didgeridoo",
)
