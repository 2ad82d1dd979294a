"""Spectral envelopes become blurred in time and frequency; pitch and fine structure stay.

In the manner of the smoothing in Kai, Takamichi, Shiota and Kiya, "Lightweight voice
anonymization based on data-driven optimization of cascaded voice modification modules", SLT 2021,
who blur the logarithm of the spectrum along time. Here the envelope (the lower part of the
cepstrum) is blurred along both axes, and each bin is changed by the difference.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from speech2face.media import SAMPLE_RATE
from speech2face.privacy.overlap_add import cut_frames, join_frames

FRAME, HOP = 512, 128  # samples at 16 kHz: 32 ms and 8 ms
QUEFRENCIES = 32  # of the cepstrum kept as envelope, 2 ms: finer is pitch
FLOOR = 1e-5  # -100 dBFS: silence stays silence
LOUDEST = 30.0  # dB by which a bin may be raised


@dataclass(frozen=True)
class Smoothing:
    """The Gaussians' standard deviations along the two axes of the spectrogram."""

    name: str
    hertz: float
    seconds: float

    def __call__(self, samples: np.ndarray, seed: int) -> np.ndarray:
        spectra = np.fft.rfft(cut_frames(samples, FRAME, HOP))
        envelope = find_envelope(spectra)
        blurred = blur(envelope, self.seconds * SAMPLE_RATE / HOP)
        blurred = blur(blurred.T, self.hertz * FRAME / SAMPLE_RATE).T
        ceiling = LOUDEST * np.log(10) / 20
        spectra *= np.exp(np.minimum(blurred - envelope, ceiling))
        sound = join_frames(np.fft.irfft(spectra), FRAME, HOP, len(samples))
        return sound.clip(-1, 1).astype(np.float32)


def find_envelope(spectra: np.ndarray) -> np.ndarray:
    """Spectra (k, bins) → the logarithm of their envelopes (k, bins)."""
    cepstrum = np.fft.irfft(np.log(np.abs(spectra) + FLOOR))
    cepstrum[:, QUEFRENCIES : cepstrum.shape[1] - QUEFRENCIES + 1] = 0
    return np.fft.rfft(cepstrum).real


def blur(values: np.ndarray, deviation: float) -> np.ndarray:
    """(rows, columns) through a Gaussian along the rows; beyond the border is what is at it."""
    reach = max(1, round(3 * deviation))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / deviation) ** 2)
    kernel /= kernel.sum()
    padded = np.pad(values, ((reach, reach), (0, 0)), mode="edge")
    return sum(k * padded[i : i + len(values)] for i, k in enumerate(kernel))  # type: ignore[return-value]
