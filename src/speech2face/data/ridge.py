"""Ridge regression in closed form."""

from __future__ import annotations

import numpy as np


def solve_ridge(
    x: np.ndarray, y: np.ndarray, penalty: float = 30.0
) -> tuple[np.ndarray, np.ndarray]:
    """Slope (D, M) and offset (M,) such that y (N, M) is about x (N, D) times slope plus offset.

    The penalty is on x standardised, and not on the offset.
    """
    middle, spread = x.mean(0), np.maximum(x.std(0), 1e-6)
    z, mean = (x - middle) / spread, y.mean(0)
    gram = z.T @ z + penalty * np.eye(x.shape[1])
    slope = np.linalg.solve(gram, z.T @ (y - mean)) / spread.reshape(-1, *[1] * (y.ndim - 1))
    return slope, mean - middle @ slope
