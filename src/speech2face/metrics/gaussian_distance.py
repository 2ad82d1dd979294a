"""How far one Gaussian over faces is from another."""

from __future__ import annotations

import numpy as np


def stated_bits(
    mean: np.ndarray, covariance: np.ndarray, average: np.ndarray, prior: np.ndarray
) -> float:
    """How much a Gaussian (D,), (D, D) claims to know beyond the prior: their divergence, bits."""
    factor = np.linalg.cholesky(prior)
    apart = np.linalg.solve(factor, mean - average)
    inner = np.linalg.solve(factor, np.linalg.solve(factor, covariance).T)
    _, logarithm = np.linalg.slogdet(inner)
    return float((np.trace(inner) + apart @ apart - len(mean) - logarithm) / (2 * np.log(2)))
