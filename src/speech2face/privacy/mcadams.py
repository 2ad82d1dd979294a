"""Formants move by the McAdams coefficient: the angle of each pole is raised to a power.

Patino, Tomashenko, Todisco, Nautsch and Evans, "Speaker anonymisation using the McAdams
coefficient", Interspeech 2021. Each frame of 20 ms is parted by linear prediction into poles and
what excites them. A pole at the angle φ (radians, 0 … π) moves to φ^α: with α < 1 formants below
2,546 Hz (1 radian) rise and those above fall. Radii stay, so the filter stays stable; real poles
stay too. Other than in the paper's own program, a frame keeps its energy and is let ring out.

Nothing is trained and nothing is secret but α: who knows it, or guesses it, undoes it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from speech2face.privacy.overlap_add import cut_frames, join_frames

FRAME, HOP = 320, 160  # samples at 16 kHz: 20 ms and 10 ms
ORDER = 20  # of the linear prediction
RINGING = 1024  # samples of the transform: the frame, and room for its filter to ring out
LEAST_NOISE = 1e-9  # of the energy, as white noise: keeps the equations solvable
TOGETHER = 1024  # frames worked on at once, which bounds the memory


@dataclass(frozen=True)
class McAdams:
    """The power α, the same for everybody or drawn for each speaker (seed) from a range."""

    name: str
    lowest: float
    highest: float

    def __call__(self, samples: np.ndarray, seed: int) -> np.ndarray:
        return move_formants(samples, self.coefficient(seed))

    def coefficient(self, seed: int) -> float:
        """α of this speaker."""
        return float(np.random.default_rng(seed).uniform(self.lowest, self.highest))


def move_formants(samples: np.ndarray, coefficient: float) -> np.ndarray:
    """Sound (n,) at 16 kHz → as much, each pole's angle φ now φ^coefficient; float32 within ±1."""
    frames = cut_frames(samples, FRAME, HOP)
    moved = [
        _move(frames[start : start + TOGETHER], coefficient)
        for start in range(0, len(frames), TOGETHER)
    ]
    sound = join_frames(np.concatenate(moved), FRAME, HOP, len(samples))
    return sound.clip(-1, 1).astype(np.float32)


def _move(frames: np.ndarray, coefficient: float) -> np.ndarray:
    """(k, FRAME) → (k, RINGING): through the frame's own filter backwards, then the moved one."""
    predictor = predict(frames)
    moved = move_poles(predictor, coefficient)
    spectrum = np.fft.rfft(frames, RINGING)
    spectrum *= np.fft.rfft(predictor, RINGING) / np.fft.rfft(moved, RINGING)
    sound = np.fft.irfft(spectrum, RINGING)
    before, after = (frames**2).sum(1), (sound**2).sum(1)
    return sound * np.sqrt(before / np.maximum(after, np.finfo(float).tiny))[:, None]


def predict(frames: np.ndarray) -> np.ndarray:
    """Frames (k, n) → polynomials (k, 1 + ORDER) that whiten them, by the autocorrelation."""
    power = np.abs(np.fft.rfft(frames, 2 * frames.shape[1])) ** 2
    correlation = np.fft.irfft(power)[:, : ORDER + 1]
    correlation[:, 0] = correlation[:, 0] * (1 + LEAST_NOISE) + np.finfo(float).tiny ** 0.5
    lags = np.abs(np.subtract.outer(np.arange(ORDER), np.arange(ORDER)))
    taps = np.linalg.solve(correlation[:, lags], correlation[:, 1:, None])[..., 0]
    return np.hstack([np.ones((len(frames), 1)), -taps])


def move_poles(predictor: np.ndarray, coefficient: float) -> np.ndarray:
    """Polynomials (k, 1 + p) → the same with the angles of their complex roots raised."""
    companions = np.zeros((len(predictor), predictor.shape[1] - 1, predictor.shape[1] - 1))
    companions[:, 0] = -predictor[:, 1:]
    companions[:, np.arange(1, companions.shape[1]), np.arange(companions.shape[1] - 1)] = 1
    roots: np.ndarray = np.linalg.eigvals(companions)
    angles = np.abs(np.angle(roots))
    raised = np.where(np.imag(roots) != 0, np.minimum(angles**coefficient, np.pi), angles)
    roots = np.abs(roots) * np.exp(1j * np.copysign(raised, np.imag(roots)))
    moved = np.zeros((len(predictor), predictor.shape[1]), complex)
    moved[:, 0] = 1
    for root in roots.T:
        moved[:, 1:] -= root[:, None] * moved[:, :-1]
    return np.real(moved)
