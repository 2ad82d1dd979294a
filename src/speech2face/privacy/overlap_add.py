"""Sound becomes overlapping frames and back: short-time spectra that may be changed on the way.

A periodic Hann window and hops of half its length or less: the windows of all frames add up to a
constant, so unchanged frames give the sound back.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view


def hann(length: int) -> np.ndarray:
    """The periodic Hann window (length,)."""
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)


def cut_frames(samples: np.ndarray, length: int, hop: int) -> np.ndarray:
    """Sound (n,) → windowed frames (k, length), float64, that cover it from before to behind."""
    padded = np.pad(samples.astype(np.float64), (length, length + -len(samples) % hop))
    return sliding_window_view(padded, length)[::hop] * (hann(length) * 2 * hop / length)


def join_frames(frames: np.ndarray, length: int, hop: int, count: int) -> np.ndarray:
    """Frames of `cut_frames`, or longer ones (k, m ≥ length) → sound (count,), float64.

    Frames longer than they were cut let each ring on into the next.
    """
    width = -(-frames.shape[1] // hop) * hop
    frames = np.pad(frames, ((0, 0), (0, width - frames.shape[1])))
    sound = np.zeros((len(frames) - 1) * hop + width)
    for start in range(0, width, hop):
        piece = frames[:, start : start + hop].ravel()
        sound[start : start + len(piece)] += piece
    return sound[length : length + count]
