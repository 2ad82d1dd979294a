"""A noisy telephone line: what lies outside its band is gone, and noise lies over the rest."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np

from speech2face.data.degradations import add_noise, telephone


@dataclass(frozen=True)
class Telephone:
    """Speech so many decibels above white noise, then 300 to 3,400 Hz of both."""

    name: str
    decibels: float

    def __call__(self, samples: np.ndarray, seed: int) -> np.ndarray:
        # Other noise in each recording: between two of one speaker it must not cancel out.
        content = zlib.crc32(np.ascontiguousarray(samples, np.float32).tobytes())
        drawn = int(np.random.default_rng([seed, content]).integers(2**63))
        noisy = add_noise(samples.astype(np.float32), self.decibels, drawn, "white")
        return telephone(noisy).clip(-1, 1)
