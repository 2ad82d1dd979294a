"""A voice made of numbers, the same on every machine: what golden values are taken from."""

import numpy as np


def make_voice(seconds: float) -> np.ndarray:
    """A hoarse vowel: harmonics of a gliding pitch under a moving envelope, with some breath."""
    time = np.arange(round(seconds * 16_000)) / 16_000
    pitch = 2 * np.pi * (120 * time + 15 * np.sin(2 * time))
    voiced = sum(np.sin(k * pitch) / k for k in range(1, 30))
    breath = np.random.RandomState(0).standard_normal(time.size)
    loudness = 0.05 * (1.2 + np.sin(2 * np.pi * 1.7 * time))
    return (loudness * (voiced + 0.1 * breath)).astype(np.float32)
