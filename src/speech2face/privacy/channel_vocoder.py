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
KNEE = 0.5  # of full scale: from there on louder sound is limited
BLOCK = 4096  # samples of which transforms are multiples
ENVELOPE_TO = 300.0  # Hz: of envelopes nothing is left above, it is 60 dB down
OVERSAMPLED = 4  # times, the magnitude of a band
EDGE = 0.25  # of a band's width, in octaves: how far it reaches into the next


@dataclass(frozen=True)
class ChannelVocoder:
    """`bend` is by how much of the whole range the carriers are moved at most, in the middle."""

    name: str
    bend: tuple[float, float]

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
    """Sound (n,) at 16 kHz → as much, float32 within ±`PEAK`, as loud as its bands were.

    `edges` (BANDS + 1,) are where the carriers' bands begin and end, Hz; `phases` draws theirs.
    """
    count = len(samples)
    size = -(-(count + SAMPLE_RATE // 8) // BLOCK) * BLOCK  # room for the filters to ring out
    given = np.fft.rfft(samples.astype(np.float64), size)
    hertz = np.fft.rfftfreq(size, 1 / SAMPLE_RATE)
    place = _to_place(hertz)
    raised = given * 10 ** (SHELF / 20 / (1 + (SHELF_FROM / np.maximum(hertz, 1.0)) ** 4))
    tones = np.zeros(size, complex)  # spectrum of what turns one way; its real part is heard
    noise = np.zeros(size)
    for band in range(BANDS):
        weight = _window(place, band / BANDS, (band + 1) / BANDS)
        envelope = _find_envelope(raised * weight, size)
        middle = np.sqrt(edges[band] * edges[band + 1])
        if middle < NOISE_FROM:
            _add_tone(tones, envelope, middle, phases.uniform())
        else:
            width = _window(place, *_to_place(edges[band : band + 2]))
            noise += np.fft.irfft(envelope, size) * _make_noise(phases, size, width)
    sound = (np.sqrt(2) * np.fft.ifft(tones).real + noise)[:count]
    before = np.fft.irfft(given * _window(place, 0, 1), size)[:count]  # what lies in the bands
    loudness, made = (np.sqrt(np.square(x).sum()) for x in (before, sound))
    return limit(sound * loudness / max(made, 1e-12)).astype(np.float32)


def limit(sound: np.ndarray) -> np.ndarray:
    """Above `KNEE` louder and louder sound is pressed together, so that none exceeds `PEAK`."""
    above = np.abs(sound) - KNEE
    pressed = KNEE + (PEAK - KNEE) * np.tanh(np.maximum(above, 0) / (PEAK - KNEE))
    return np.where(above > 0, np.copysign(pressed, sound), sound)


def _find_envelope(spectrum: np.ndarray, size: int) -> np.ndarray:
    """A band's spectrum → that of its envelope, up to `ENVELOPE_TO`: rectified, then smoothed.

    The magnitude of the analytic signal, at as few samples as hold it, is what a rectifier and a
    low-pass filter find of a narrow band.
    """
    inside = np.flatnonzero(spectrum)
    spacing = SAMPLE_RATE / size
    bins = int(ENVELOPE_TO / spacing)
    if not len(inside):
        return np.zeros(bins, complex)
    first, last = inside[0], inside[-1] + 1
    few = size // 2  # samples
    while few % 2 == 0 and few // 2 >= max(2 * bins, OVERSAMPLED * (last - first)):
        few //= 2
    magnitude = np.abs(np.fft.ifft(spectrum[first:last], few))
    smooth = 1 / np.sqrt(1 + (np.arange(bins) * spacing / SMOOTH) ** (2 * ORDER))
    return np.fft.rfft(magnitude)[:bins] * smooth


def _add_tone(tones: np.ndarray, envelope: np.ndarray, hertz: float, phase: float) -> None:
    """To a spectrum (size,) add a tone that the envelope, a spectrum of its own, makes loud."""
    middle = round(hertz * len(tones) / SAMPLE_RATE)
    places = np.arange(1 - len(envelope), len(envelope)) + middle
    both = np.concatenate([envelope[:0:-1].conj(), envelope])
    tones[places % len(tones)] += both * np.exp(2j * np.pi * phase)


def _make_noise(random: np.random.Generator, size: int, weight: np.ndarray) -> np.ndarray:
    """Noise (size,) of a band, RMS 1."""
    inside = np.flatnonzero(weight)
    spectrum = np.zeros(len(weight), complex)
    spectrum[inside] = weight[inside] * (random.normal(size=(len(inside), 2)) @ [1, 1j])
    noise = np.fft.irfft(spectrum, size)
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
