"""Pearson's correlation, weighted, of one column or averaged over several."""

from __future__ import annotations

import numpy as np


def pearson(a: np.ndarray, b: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Pearson's r of (n,) and (n,), weighted by (n,); NaN where a side does not vary."""
    return mean_pearson(a[:, None], b[:, None], weights)


def mean_pearson(a: np.ndarray, b: np.ndarray, weights: np.ndarray | None = None) -> float:
    """The mean of r of each column of (n, k) and (n, k); NaN where one of them is not defined."""
    weights = np.full(len(a), 1 / max(len(a), 1)) if weights is None else weights
    met = weights > 0
    if not met.any() or (np.ptp(a[met], 0) == 0).any() or (np.ptp(b[met], 0) == 0).any():
        return np.nan
    a, b = a - weights @ a, b - weights @ b
    return float((weights @ (a * b) / np.sqrt((weights @ a**2) * (weights @ b**2))).mean())
