"""The basis of the thin-plate spline warp: a matrix, made by NumPy once for a mean shape."""

from __future__ import annotations

import numpy as np


def spline_basis(shape: np.ndarray, grid: int) -> np.ndarray:
    """Thin-plate spline basis (grid², K) of the landmarks `shape` (K, 2), fractions of a picture,
    at each of grid² cell centres, row by row: see `spline_basis_at`."""
    centres = (np.arange(grid) + 0.5) / grid
    y, x = np.meshgrid(centres, centres, indexing="ij")
    return spline_basis_at(shape, np.stack([x.ravel(), y.ravel()], axis=1))


def spline_basis_at(shape: np.ndarray, points: np.ndarray, border: int = 5) -> np.ndarray:
    """Thin-plate spline basis (N, K) of the landmarks `shape` (K, 2) at `points` (N, 2).

    Times displacements (K, 2) it gives the displacement at each point; points along the picture's
    border stay where they are (Bookstein, 1989).
    """
    line = np.linspace(0, 1, border)
    edge = [(x, y) for x in line for y in line if x in (0, 1) or y in (0, 1)]
    knots = np.concatenate([shape, np.array(edge)])  # (N, 2)
    n = len(knots)
    system = np.zeros((n + 3, n + 3))
    system[:n, :n] = _spline_kernel(knots, knots) + 1e-4 * np.eye(n)  # a little smoothing
    system[:n, n], system[:n, n + 1 :] = 1, knots
    system[n:, :n] = system[:n, n:].T
    solve = np.linalg.inv(system)[:, : len(shape)]  # displacements of the landmarks → weights
    terms = np.hstack([_spline_kernel(points, knots), np.ones((len(points), 1)), points])
    return terms @ solve


def _spline_kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    squared = ((a[:, None] - b[None]) ** 2).sum(-1)
    return squared * np.log(np.maximum(squared, 1e-12)) / 2
