"""What made-up sounds are made of: noises, curves, resonances, harmonics, melodies; 16 kHz."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.signal import lfilter

from speech2face.media import SAMPLE_RATE

Rng = np.random.Generator
Recipe = Callable[[Rng, int], np.ndarray]
SCALES = (0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10), (0, 2, 4, 7, 9), (0, 3, 5, 6, 7, 10)
VOWELS = (700, 1200, 2600), (300, 2200, 3000), (350, 800, 2500), (500, 1700, 2500), (450, 900, 2400)


def noise(rng: Rng, n: int, slope: float = 0.0) -> np.ndarray:
    """Power falls as 1/f**slope; RMS 1."""
    spectrum = np.fft.rfft(rng.normal(size=n))
    spectrum[1:] /= np.arange(1, len(spectrum)) ** (slope / 2)
    spectrum[0] = 0
    sound = np.fft.irfft(spectrum, n)
    return sound / max(float(sound.std()), 1e-9)


def band_pass(sound: np.ndarray, low: float, high: float) -> np.ndarray:
    spectrum = np.fft.rfft(sound)
    hertz = np.fft.rfftfreq(len(sound), 1 / SAMPLE_RATE)
    edge = 1 / (1 + (low / np.maximum(hertz, 1)) ** 8) / (1 + (hertz / high) ** 8)
    return np.fft.irfft(spectrum * edge, len(sound))


def drift(rng: Rng, n: int, rate: float) -> np.ndarray:
    """A curve between 0 and 1 with about `rate` turning points a second."""
    count = max(int(n / SAMPLE_RATE * rate), 1) + 2
    return np.interp(np.linspace(0, count - 1, n), np.arange(count), rng.random(count))


def resonate(sound: np.ndarray, hertz: np.ndarray | float, width: float = 100.0) -> np.ndarray:
    """A resonance that may move, in pieces of 10 ms."""
    hertz = np.broadcast_to(hertz, sound.shape)
    radius = np.exp(-np.pi * width / SAMPLE_RATE)
    out, state = np.empty_like(sound), np.zeros(2)
    for start in range(0, len(sound), 160):
        angle = 2 * np.pi * hertz[start] / SAMPLE_RATE
        poles = [1, -2 * radius * np.cos(angle), radius**2]
        gain = (1 - radius) * 2 * np.sin(angle)
        part = slice(start, start + 160)
        out[part], state = lfilter([gain], poles, sound[part], zi=state)
    return out


def buzz(pitch: np.ndarray, partials: int = 40, fall: float = 1.0) -> np.ndarray:
    """Harmonics of a pitch (n,) in Hz, none beyond 7.5 kHz."""
    phase = 2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE
    count = max(min(partials, int(7500 / pitch.max())), 1)
    return sum((np.sin(k * phase) / k**fall for k in range(1, count + 1)), np.zeros_like(pitch))


def vibrato(rng: Rng, n: int) -> np.ndarray:
    times = np.arange(n) / SAMPLE_RATE
    depth = rng.uniform(0.003, 0.03) * np.minimum(1, times / 0.4)
    return 1 + depth * np.sin(2 * np.pi * rng.uniform(4, 7) * times + rng.uniform(0, 6))


def swell(n: int, attack: float, release: float) -> np.ndarray:
    times = np.arange(n) / SAMPLE_RATE
    return np.minimum(1, times / attack) * np.minimum(1, times[::-1] / release)


def melody(rng: Rng, n: int, play: Callable[[float, int], np.ndarray], low: float) -> np.ndarray:
    """Notes of a scale one after the other, some of them chords or rests; `play` sounds one."""
    scale, key = SCALES[rng.integers(len(SCALES))], low * 2 ** (rng.integers(0, 12) / 12)
    beat, chords = rng.uniform(0.12, 0.9), rng.random() < 0.4
    sound, at, degree = np.zeros(n), 0, int(rng.integers(0, 10))
    while at < n:
        length = round(beat * rng.choice([0.5, 1, 1, 2]) * SAMPLE_RATE)
        degree = int(np.clip(degree + rng.integers(-3, 4), 0, 14))
        for voice in range(int(rng.integers(2, 5)) if chords else 1):
            octave, step = divmod(degree + 2 * voice, len(scale))
            note = play(key * 2 ** (octave + scale[step] / 12), round(length * rng.uniform(0.8, 2)))
            part = note[: n - at]
            sound[at : at + len(part)] += part
        at += length if rng.random() < 0.85 else 2 * length
    return sound


def every(rng: Rng, n: int, gap: float, make: Callable[[], np.ndarray]) -> np.ndarray:
    """What `make` gives, again and again at random, `gap` s apart on average."""
    sound, at = np.zeros(n), int(rng.exponential(gap) * SAMPLE_RATE) % n
    while at < n:
        part = make()[: n - at]
        sound[at : at + len(part)] += part
        at += int(rng.exponential(gap) * SAMPLE_RATE) + 1
    return sound


def speak_vowels(sound: np.ndarray, rng: Rng, rate: float) -> np.ndarray:
    """Formants that go from vowel to vowel, `rate` a second."""
    count = max(int(len(sound) / SAMPLE_RATE * rate), 1) + 2
    path = np.array([VOWELS[i] for i in rng.integers(0, len(VOWELS), count)], float)
    places = np.linspace(0, count - 1, len(sound))
    formants = [np.interp(places, np.arange(count), path[:, k]) for k in range(3)]
    return sum(resonate(sound, f, 60 + 40 * k) / (k + 1) for k, f in enumerate(formants))


def decay(n: int, per_second: float) -> np.ndarray:
    return np.exp(-per_second * np.arange(n) / SAMPLE_RATE)
