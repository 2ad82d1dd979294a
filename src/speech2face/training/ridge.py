"""Ridge regression in closed form."""

from __future__ import annotations

import numpy as np


def solve_ridge(
    x: np.ndarray, y: np.ndarray, penalty: float, standardised: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Slope (D, M) and offset (M,) such that y (N, M) is about x (N, D) times slope plus offset.

    The penalty is on the slope's squares and not on the offset; `standardised`, on those of x with
    every column brought to the same spread.
    """
    middle, mean = x.mean(0), y.mean(0)
    spread = np.maximum(x.std(0), 1e-6) if standardised else np.ones(x.shape[1])
    z = (x - middle) / spread
    gram = z.T @ z + penalty * np.eye(x.shape[1])
    slope = np.linalg.solve(gram, z.T @ (y - mean)) / spread[:, None]
    return slope, mean - middle @ slope
