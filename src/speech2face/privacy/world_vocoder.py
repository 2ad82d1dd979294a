"""Pitch and formants are set anew by the vocoder WORLD.

Morise, Yokomori and Ozawa, "WORLD: A vocoder-based high-quality speech synthesis system for
real-time applications", IEICE Transactions 2016. It parts speech into fundamental frequency,
spectral envelope and aperiodicity, and makes speech of them again.

Here pitch and formants are each multiplied by a factor drawn for the speaker; or, in a whisper,
pitch and the manner in which the vocal folds swing are gone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from speech2face.errors import ModelError
from speech2face.media import SAMPLE_RATE

if TYPE_CHECKING:
    from collections.abc import Callable

LEAST = SAMPLE_RATE // 4  # samples WORLD is given at least
EPSILON = 1e-8  # noise beneath all sound, -160 dBFS: WORLD cannot analyse pure silence


@dataclass(frozen=True)
class Parts:
    """WORLD's parameters of speech, every 5 ms."""

    pitch: np.ndarray  # (k,) Hz, 0 where there is no voice
    envelope: np.ndarray  # (k, bins) power
    aperiodicity: np.ndarray  # (k, bins) 0 … 1


@dataclass(frozen=True)
class PitchFormantShift:
    """Bounds of the shifts, up or down; each speaker (seed) draws a shift between them."""

    name: str
    semitones: tuple[float, float] | None  # None: no voice at all, a whisper
    formants: tuple[float, float]  # factors above 1

    def __call__(self, samples: np.ndarray, seed: int) -> np.ndarray:
        pitch, formants = self.factors(seed)
        return shift(samples, pitch, formants)

    def factors(self, seed: int) -> tuple[float, float]:
        """Factors of this speaker's pitch and formants; 0 for no pitch."""
        random = np.random.default_rng(seed)
        up = random.choice([-1, 1], 2)
        steps = up[0] * random.uniform(*self.semitones or (0, 0))
        pitch = 2 ** (steps / 12) if self.semitones else 0.0
        return float(pitch), float(random.uniform(*self.formants) ** up[1])


def shift(samples: np.ndarray, pitch: float, formants: float) -> np.ndarray:
    """Sound (n,) at 16 kHz → as much, pitch and formants multiplied; pitch 0 is a whisper.

    float32 within ±1, as loud as it was. Raises ModelError where pyworld is not installed.
    """

    def change(parts: Parts) -> Parts:
        aperiodicity = np.ones_like(parts.aperiodicity) if pitch == 0 else parts.aperiodicity
        return Parts(
            parts.pitch * pitch,
            np.exp(_stretch(np.log(parts.envelope), formants)),
            _stretch(aperiodicity, formants),
        )

    return remake(samples, change)


def remake(samples: np.ndarray, change: Callable[[Parts], Parts]) -> np.ndarray:
    """Sound (n,) taken apart, changed and put together again: float32 (n,), as loud as it was."""
    world = _load_world()
    padded = _pad(samples)
    pitch, times = _track(world, padded)
    envelope = world.cheaptrick(padded, pitch, times, SAMPLE_RATE)
    changed = change(Parts(pitch, envelope, world.d4c(padded, pitch, times, SAMPLE_RATE)))
    parts = (changed.pitch, changed.envelope, changed.aperiodicity)
    sound = world.synthesize(*map(np.ascontiguousarray, parts), SAMPLE_RATE)
    sound = np.pad(sound, (0, max(0, len(samples) - len(sound))))[: len(samples)]
    loudness = np.sqrt((samples.astype(np.float64) ** 2).sum() / max((sound**2).sum(), 1e-30))
    return (sound * min(loudness, 4.0)).clip(-1, 1).astype(np.float32)


def find_pitch(samples: np.ndarray) -> np.ndarray:
    """Sound (n,) at 16 kHz → its fundamental frequency (k,) in Hz, every 5 ms; 0 without voice."""
    return _track(_load_world(), _pad(samples))[0]


def _pad(samples: np.ndarray) -> np.ndarray:
    padded = np.pad(samples.astype(np.float64), (0, max(0, LEAST - len(samples))))
    return padded + EPSILON * np.random.default_rng(0).normal(size=len(padded))


def _track(world: Any, padded: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    rough, times = world.dio(padded, SAMPLE_RATE)
    return world.stonemask(padded, rough, times, SAMPLE_RATE), times


def _stretch(spectra: np.ndarray, factor: float) -> np.ndarray:
    """(k, bins): what was at f is now at f · factor; above what there was, its last value."""
    bins = np.arange(spectra.shape[1])
    sources = np.minimum(bins / factor, bins[-1])
    below = np.minimum(sources.astype(int), bins[-1] - 1)
    share = sources - below
    return (1 - share) * spectra[:, below] + share * spectra[:, below + 1]


def _load_world() -> Any:
    try:
        import pyworld
    except ImportError:
        raise ModelError(
            "pyworld is not installed: pip install '.[audit]' in a checkout, or take another."
        ) from None
    return pyworld
