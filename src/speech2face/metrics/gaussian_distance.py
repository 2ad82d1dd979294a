"""Distance of one Gaussian over faces from another."""

from __future__ import annotations

import numpy as np


def stated_bits(
    mean: np.ndarray, covariance: np.ndarray, average: np.ndarray, prior: np.ndarray
) -> float:
    """Divergence of a Gaussian (D,), (D, D) from the prior, in bits: the knowledge it claims."""
    factor = np.linalg.cholesky(prior)
    apart = np.linalg.solve(factor, mean - average)
    inner = np.linalg.solve(factor, np.linalg.solve(factor, covariance).T)
    _, logarithm = np.linalg.slogdet(inner)
    return float((np.trace(inner) + apart @ apart - len(mean) - logarithm) / (2 * np.log(2)))
