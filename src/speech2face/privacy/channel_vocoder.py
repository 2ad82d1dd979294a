"""A channel vocoder: the loudness of 48 bands, heard through tones that lie elsewhere.

As a whistleblowing platform gives it to browsers (its public description is in docs/anonymisers.md;
Dudley, "Remaking Speech", 1939, has the principle). Each band's envelope, smooth enough to hold no
pitch, drives a carrier of its own: a tone of random phase, or band-limited noise above 6 kHz. The
carriers lie where a warp of frequency puts them, smooth, rising and bent, drawn for each speaker:
no single factor undoes it.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np

from speech2face.media import SAMPLE_RATE

LOWEST, HIGHEST = 150.0, 8_000.0  # Hz
BANDS = 48
NOISE_FROM = 6_000.0  # Hz: carriers above are noise
SMOOTH, ORDER = 50.0, 4  # Hz and order of the envelopes' Butterworth filter
SHELF_FROM, SHELF = 2_000.0, 6.0  # Hz, dB: high frequencies are raised before
PEAK = 10 ** (-3 / 20)  # of what comes out
EDGE = 0.25  # of a band's width, in octaves: how far it reaches into the next


@dataclass(frozen=True)
class ChannelVocoder:
    """`bend` is by how much of the whole range the carriers are moved at most, in the middle."""

    name: str
    bend: tuple[float, float] = (0.04, 0.1)

    def __call__(self, samples: np.ndarray, seed: int) -> np.ndarray:
        content = zlib.crc32(np.ascontiguousarray(samples, np.float32).tobytes())
        phases = np.random.default_rng([seed, content])
        return vocode(samples, self.draw_warp(seed), phases)

    def draw_warp(self, seed: int) -> np.ndarray:
        """Where this speaker's carriers lie: (BANDS + 1,) edges of bands in Hz, rising."""
        random = np.random.default_rng(seed)
        place = np.linspace(0, 1, BANDS + 1)  # on the logarithmic scale
        moved = np.zeros(BANDS + 1)
        for wave, share in ((1, 1.0), (2, 0.5), (3, 0.25)):
            size = random.uniform(*self.bend) * random.choice([-1, 1]) * share
            moved += size * np.sin(np.pi * wave * place)
        slope = np.gradient(moved, place)
        if slope.min() < -0.8:  # it goes on rising
            moved *= 0.8 / -slope.min()
        return _to_hertz(place + moved)


def vocode(samples: np.ndarray, edges: np.ndarray, phases: np.random.Generator) -> np.ndarray:
    """Sound (n,) at 16 kHz → as much, float32 within ±`PEAK`, as loud as it was where that fits.

    `edges` (BANDS + 1,) are where the carriers' bands begin and end, Hz; `phases` draws theirs.
    """
    count = len(samples)
    size = 1 << (count + SAMPLE_RATE // 8 - 1).bit_length()  # room for the filters to ring out
    spectrum = np.fft.rfft(samples.astype(np.float64), size)
    hertz = np.fft.rfftfreq(size, 1 / SAMPLE_RATE)
    spectrum *= 10 ** (SHELF / 20 / (1 + (SHELF_FROM / np.maximum(hertz, 1.0)) ** 4))
    place = _to_place(hertz)
    smooth = 1 / np.sqrt(1 + (hertz / SMOOTH) ** (2 * ORDER))
    times = np.arange(count) / SAMPLE_RATE
    sound = np.zeros(count)
    for band in range(BANDS):
        weight = _window(place, band / BANDS, (band + 1) / BANDS)
        envelope = _find_envelope(spectrum * weight, size, smooth)[:count]
        middle = np.sqrt(edges[band] * edges[band + 1])
        if middle < NOISE_FROM:
            carrier = np.sqrt(2) * np.sin(2 * np.pi * (middle * times + phases.uniform()))
        else:
            carrier = _make_noise(phases, size, _window(place, *_to_place(edges[band : band + 2])))
            carrier = carrier[:count]
        sound += envelope * carrier
    before, after = (np.sqrt(np.square(x, dtype=np.float64).sum()) for x in (samples, sound))
    sound *= before / max(after, 1e-12)
    return (sound * min(1.0, PEAK / max(abs(sound).max(), 1e-12))).astype(np.float32)


def _find_envelope(spectrum: np.ndarray, size: int, smooth: np.ndarray) -> np.ndarray:
    """A band's spectrum → its envelope (size,): rectified, then smoothed, 0 or more."""
    rectified = np.abs(np.fft.irfft(spectrum, size))
    return np.maximum(np.fft.irfft(np.fft.rfft(rectified) * smooth, size), 0)


def _make_noise(random: np.random.Generator, size: int, weight: np.ndarray) -> np.ndarray:
    noise = np.fft.irfft(np.fft.rfft(random.normal(size=size)) * weight, size)
    return noise / max(np.sqrt(np.mean(noise**2)), 1e-12)


def _window(place: np.ndarray, low: float, high: float) -> np.ndarray:
    """1 between two places on the logarithmic scale, with soft edges."""
    edge = EDGE * (high - low)
    rise = np.clip((place - low) / edge / 2 + 0.5, 0, 1)
    fall = np.clip((high - place) / edge / 2 + 0.5, 0, 1)
    return np.sin(np.pi / 2 * rise) * np.sin(np.pi / 2 * fall)


def _to_place(hertz: np.ndarray) -> np.ndarray:
    """Frequencies → places from 0, `LOWEST`, to 1, `HIGHEST`, on the logarithmic scale."""
    return np.log(np.maximum(hertz, 1.0) / LOWEST) / np.log(HIGHEST / LOWEST)


def _to_hertz(place: np.ndarray) -> np.ndarray:
    return LOWEST * (HIGHEST / LOWEST) ** place
