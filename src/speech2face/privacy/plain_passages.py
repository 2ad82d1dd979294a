"""Finds where a disguised recording lets the original's voice through unchanged.

Both are compared in frames of 20 ms, high frequencies raised, which even weak disguises change. A
disguise correlates with its original by 0.1 to 0.95 there, plain sound that went through a codec
by more than 0.96, whatever its loudness.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from speech2face.media import SAMPLE_RATE

FRAME = SAMPLE_RATE // 50  # samples, 20 ms
RAISED = 0.95  # of the sample before is taken off each
AUDIBLE = 40.0  # dB below a block's loudest frame: what is quieter is not compared
PLAIN = 0.96  # mean correlation of audible frames from which they are plain
LEAST = 15  # frames, 0.3 s, of which it is the mean
MOST_SHIFT = SAMPLE_RATE // 2  # samples by which one may run behind the other
SHIFTS = 8  # the likeliest of them, which are tried


def correlate_frames(original: np.ndarray, disguised: np.ndarray) -> np.ndarray:
    """Correlation of each 20 ms of two sounds (n,) and (m,), 0 … 1: (k,); NaN where it is quiet."""
    length = min(len(original), len(disguised)) // FRAME * FRAME
    one, other = (_raise(x[:length]).reshape(-1, FRAME) for x in (original, disguised))
    powers = (one**2).sum(1)
    products = np.sqrt(powers * (other**2).sum(1)) + 1e-12
    found = np.abs((one * other).sum(1)) / products
    quiet = powers <= max(powers.max(initial=0) * 10 ** (-AUDIBLE / 10), 1e-9)
    return np.where(quiet, np.nan, found)


def find_plain_passages(
    original: Iterable[np.ndarray], disguised: Iterable[np.ndarray]
) -> list[tuple[float, float]]:
    """Blocks of two sounds, as long as each other → starts and ends of plain passages, s.

    One may run up to half a second behind the other.
    """
    spans: list[tuple[float, float]] = []
    place = 0
    for one, other in zip(original, disguised, strict=False):
        found = correlate_frames(one, other)
        for shift in _find_shifts(one, other):
            found = np.fmax(found, correlate_frames(one, np.roll(other, -shift)))
        for first, last in _find_runs(found):
            start, end = (
                place / SAMPLE_RATE + edge * FRAME / SAMPLE_RATE for edge in (first, last)
            )
            if spans and spans[-1][1] >= start:
                start = spans.pop()[0]
            spans.append((round(start, 2), round(end, 2)))
        place += len(one)
    return spans


def _find_shifts(one: np.ndarray, other: np.ndarray) -> list[int]:
    """By how many samples the second may run behind the first, where they are most alike.

    All frequencies count alike (Knapp and Carter 1976, phase transform), so that a short copy
    stands out from speech that is only similar.
    """
    size = 2 ** int(len(one) + len(other) - 1).bit_length()
    product = np.conj(np.fft.rfft(one, size)) * np.fft.rfft(other, size)
    alike = np.abs(np.fft.irfft(product / (np.abs(product) + 1e-9), size))
    shifts = np.r_[0 : MOST_SHIFT + 1, -MOST_SHIFT:0]
    return shifts[np.argsort(-alike[shifts])[:SHIFTS]].tolist()


def _find_runs(correlations: np.ndarray) -> list[tuple[int, int]]:
    """First and last + 1 of the frames (k,) around which audible ones are plain."""
    audible = np.flatnonzero(~np.isnan(correlations))
    if len(audible) < LEAST:
        return []
    means = np.convolve(correlations[audible], np.ones(LEAST) / LEAST, "valid")
    runs: list[tuple[int, int]] = []
    for start in np.flatnonzero(means >= PLAIN).tolist():
        first, last = int(audible[start]), int(audible[start + LEAST - 1]) + 1
        if runs and runs[-1][1] >= first:
            first = runs.pop()[0]
        runs.append((first, last))
    return runs


def _raise(samples: np.ndarray) -> np.ndarray:
    """High frequencies raised: (n,) → (n,) float64."""
    wide = samples.astype(np.float64)
    return np.append(wide[:1], wide[1:] - RAISED * wide[:-1])
