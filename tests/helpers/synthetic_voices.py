"""Made-up voices whose pitch and formants are known."""

from __future__ import annotations

import numpy as np

from helpers.sounds import RATE


def hum(seconds: float, hertz: float = 120.0, formants: tuple[float, ...] = (700, 1800, 2900)):
    """A steady voice: pulses through resonances 80 Hz wide. float32 (n,), peak 0.5."""
    n = round(seconds * RATE)
    phases = np.arange(n) * hertz / RATE
    sound = (np.diff(np.floor(phases), prepend=-1) > 0).astype(float)
    sound += 1e-4 * np.random.default_rng(0).normal(size=n)
    for formant in formants:
        sound = resonate(sound, formant)
    return (0.5 * sound / np.abs(sound).max()).astype(np.float32)


def resonate(sound: np.ndarray, hertz: float, width: float = 80.0) -> np.ndarray:
    """Through a pair of poles, as long as it was."""
    radius, angle = np.exp(-np.pi * width / RATE), 2 * np.pi * hertz / RATE
    times = np.arange(1, 2001)  # it has rung out by then
    response = radius ** (times - 1) * np.sin(angle * times) / np.sin(angle)
    size = len(sound) + len(response)
    return np.fft.irfft(np.fft.rfft(sound, size) * np.fft.rfft(response, size), size)[: len(sound)]


def peak(sound: np.ndarray, low: float = 0, high: float = RATE / 2) -> float:
    """The frequency in Hz, within a range, at which the smoothed spectrum is strongest."""
    pieces = sound[: len(sound) // 1024 * 1024].reshape(-1, 1024) * np.hanning(1024)
    power = (np.abs(np.fft.rfft(pieces, 4096)) ** 2).mean(0)
    hertz = np.fft.rfftfreq(4096, 1 / RATE)
    power = np.where((hertz >= low) & (hertz <= high), power, 0)
    return float(hertz[power.argmax()])
