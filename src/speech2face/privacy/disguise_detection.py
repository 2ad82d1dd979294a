"""Detects disguised voices: a small classifier, for files without a mark (disguise_metadata.py).

It looks at how the spectrum of ten milliseconds moves, at how regular the fine structure of
voiced speech is, and at the shape of the wave; a small network makes a probability of these
figures. Its numbers lie beside the released weights (`FILE`), found by
benchmarks/disguises.py on plain voices, clear and spoilt by noise, rooms, codecs and telephones,
and on the same voices disguised. How often it errs stands in docs/privacy.md: it knows disguises
like those it learned from, and its silence proves nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from speech2face.errors import ModelError
from speech2face.media import SAMPLE_RATE
from speech2face.metrics.audit_results import Disguise
from speech2face.model_folders import ASSETS
from speech2face.privacy.disguise_metadata import find_mark

FILE = "disguises.json"
FRAME, HOP = 512, 160  # samples, 32 ms every 10 ms
BANDS, CEPSTRUM = 32, 20  # bands of 250 Hz, and coefficients of their cosine transform
QUEFRENCIES = 32  # of the cepstrum that are envelope; finer is pitch
COARSE = 8  # bands of 1 kHz in which the fine structure is described
MOST_FRAMES = 160  # whose fine structure is measured, evenly from all of the speech
AUDIBLE = 35.0  # dB below the loudest frame: what is quieter is not looked at
LAGS = slice(SAMPLE_RATE // 400, SAMPLE_RATE // 60)  # samples of a pitch period
VOICED = 0.4  # of the whitened autocorrelation at the pitch's lag
FURTHEST = 6.0  # standard deviations at which a figure is clipped


@dataclass(frozen=True)
class Classifier:
    """Weights of the classifier that benchmarks/disguises.py fits; F figures, H hidden units."""

    mean: np.ndarray  # (F,)
    deviation: np.ndarray  # (F,)
    hidden: np.ndarray  # (F, H)
    hidden_offset: np.ndarray  # (H,)
    weights: np.ndarray  # (H,)
    offset: float
    threshold: float  # of the probability, from which a voice is called disguised

    def logit(self, figures: np.ndarray) -> np.ndarray:
        """Logit of figures (…, F) → (…,)."""
        standard = standardise(figures, self.mean, self.deviation)
        units = np.tanh(standard @ self.hidden + self.hidden_offset)
        return units @ self.weights + self.offset

    def probability(self, figures: np.ndarray) -> np.ndarray:
        """Figures (…, F) → probabilities (…,) that the voice is disguised."""
        return 0.5 + 0.5 * np.tanh(0.5 * self.logit(figures))


PLAIN = Disguise(None, None, 0.0)


def find_disguise(
    speech: np.ndarray, tags: Mapping[str, str], stated: bool = False, method: str | None = None
) -> Disguise:
    """Speech (n,) at 16 kHz, 0.5 s or longer, and its file's tags → whether it is disguised.

    `stated`: the user says that it is disguised, and perhaps by which `method`, which counts for
    more than a mark that names another. Takes about 15 ms.
    Raises ModelError where the classifier's numbers cannot be read.
    """
    classifier = load_classifier()
    probability = float(classifier.probability(describe(speech)))
    mark = find_mark(tags)
    if mark and method in (None, mark.method):
        return Disguise("mark", mark.method, probability, mark.version)
    if stated or method:
        return Disguise("option", method, probability)
    if probability >= classifier.threshold:
        return Disguise("detector", None, probability)
    return Disguise(None, None, probability)


def standardise(figures: np.ndarray, mean: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    """Figures (…, F) in standard deviations (…, F), none further off than `FURTHEST`."""
    return ((figures - mean) / deviation).clip(-FURTHEST, FURTHEST)


@cache
def load_classifier() -> Classifier:
    """Load the released classifier. Raises ModelError where its file is missing or broken."""
    path = ASSETS / FILE
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))["classifier"]
        numbers: dict[str, Any] = {k: np.array(v, float)[()] for k, v in stored.items()}
        return Classifier(**numbers)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"{path}: not a classifier ({error}); install the package again."
        ) from None


def describe(samples: np.ndarray) -> np.ndarray:
    """Speech float32 (n,) at 16 kHz, 0.5 s or longer → figures (F,), whatever its level."""
    frames = sliding_window_view(samples, FRAME)[::HOP].astype(np.float64)
    energies = (frames**2).sum(1)
    audible = energies > energies.max() * 10 ** (-AUDIBLE / 10)
    spectra = np.fft.rfft(frames * np.hanning(FRAME))
    power = np.abs(spectra) ** 2
    power += 1e-9 * power[audible].mean()
    chosen = np.flatnonzero(audible)
    chosen = chosen[:: -(-len(chosen) // MOST_FRAMES)]
    logarithm = np.log(power[chosen])
    cepstrum = np.fft.irfft(logarithm)
    cepstrum[:, QUEFRENCIES : FRAME - QUEFRENCIES + 1] = 0
    envelope = np.fft.rfft(cepstrum).real
    return np.concatenate(
        [
            _describe_envelope(power, audible),
            _describe_fine_structure(logarithm - envelope),
            _describe_excitation(spectra[chosen], cepstrum),
            _describe_wave(samples, frames[chosen]),
        ]
    )


def _describe_envelope(power: np.ndarray, audible: np.ndarray) -> np.ndarray:
    """Means of the cepstrum, and deviations of it and of its first two differences."""
    bands = np.log(power[:, 1:].reshape(len(power), BANDS, -1).mean(2))
    angles = np.pi / BANDS * np.outer(np.arange(BANDS) + 0.5, np.arange(1, CEPSTRUM + 1))
    cepstrum = bands @ np.cos(angles) * np.sqrt(2 / BANDS)
    steps = cepstrum[2:] - cepstrum[:-2]
    bends = cepstrum[2:] - 2 * cepstrum[1:-1] + cepstrum[:-2]
    inner = audible[1:-1]
    spread = [np.log(x.std(0) + 1e-3) for x in (cepstrum[audible], steps[inner], bends[inner])]
    return np.concatenate([cepstrum[audible].mean(0), *spread])


def _describe_fine_structure(rest: np.ndarray) -> np.ndarray:
    """Scatter of the spectrum around its envelope, by bands, and periodicity of the sound."""
    coarse = rest[:, 1:].reshape(len(rest), COARSE, -1)
    coarse = coarse - coarse.mean(2, keepdims=True)
    squares = coarse * coarse
    variance = squares.mean((0, 2))
    skewness = (squares * coarse).mean((0, 2)) / variance**1.5
    periodic = np.fft.irfft(np.exp(rest.clip(-3, 3)))
    lags = periodic[:, LAGS] / periodic[:, :1]
    strength = lags.max(1)
    voiced = strength > VOICED
    pitch = np.log2(SAMPLE_RATE / (lags.argmax(1) + LAGS.start))
    if voiced.sum() >= 5:
        low, middle, high = np.quantile(pitch[voiced], [0.25, 0.5, 0.75])
        course = [middle, high - low]
    else:
        course = [
            7.3,
            0.3,
        ]  # about what voices have; the share of voiced frames says that there is no pitch
    return np.array(
        [
            *np.log(variance),
            *skewness,
            *np.quantile(strength, [0.1, 0.5, 0.9]),
            voiced.mean(),
            *course,
        ]
    )


def _describe_excitation(spectra: np.ndarray, cepstrum: np.ndarray) -> np.ndarray:
    """Peaks and asymmetry of the wave once its envelope, a minimum-phase filter, is undone.

    A vocoder's pulses become single peaks by that; those of a throat in a room do not.
    """
    folded = cepstrum.copy()
    folded[:, 1:QUEFRENCIES] *= 2
    folded[:, FRAME - QUEFRENCIES + 1 :] = 0
    wave = np.fft.irfft(spectra * np.exp(-0.5 * np.fft.rfft(folded)))
    wave = wave - wave.mean(1, keepdims=True)
    deviation = wave.std(1) + 1e-12
    squares = wave * wave  # a power by ** takes ten times as long
    kurtosis = np.log((squares * squares).mean(1) / deviation**4 + 1e-3)
    skewness = (squares * wave).mean(1) / deviation**3
    return np.array(
        [
            *np.quantile(kurtosis, [0.1, 0.3, 0.5, 0.7, 0.9]),
            abs(np.median(skewness)),
            *np.quantile(np.abs(skewness), [0.5, 0.9]),
            skewness.std(),
        ]
    )


def _describe_wave(samples: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """Asymmetry and peaks of the wave, and of its slope."""
    slope = np.diff(samples.astype(np.float64))
    shape = []
    for x in (samples.astype(np.float64), slope):
        deviation = x.std() + 1e-12
        squares = x * x
        fourth = (squares * squares).mean() / deviation**4
        shape += [abs((squares * x).mean()) / deviation**3, np.log(fourth + 1e-9)]
    inside = np.diff(frames, axis=1)
    peaks = np.log((np.abs(inside).max(1) + 1e-9) / (inside.std(1) + 1e-9))
    return np.array([*shape, peaks.mean(), peaks.std()])
