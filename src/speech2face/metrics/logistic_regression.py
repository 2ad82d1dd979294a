"""Logistic regression with a ridge penalty, solved by SciPy."""

from __future__ import annotations

from typing import Any

import numpy as np

TOLERANCE = 1e-9  # of each slope of the loss's mean, where the search ends
MOST_STEPS = 2_000


def fit_logistic(
    rows: np.ndarray,
    labels: np.ndarray,
    ridge: float,
    *,
    groups: np.ndarray | None = None,
    offset_ridge: float = 0.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Rows (N, D) and the number of each one's class (N,), from 0 → slope (D, K) and offset (K,)
    of the classes' logits.

    What is least is the sum of the cross-entropies, and `ridge` times half of the slopes' squares,
    and `offset_ridge` times half of the offsets'. Where `groups` (K,) divides the classes, each row
    chooses among those of its own class's group. There are as many classes as `groups` has, or as
    the greatest label says. Needs SciPy, of the extra `train`.
    """
    from scipy.optimize import minimize

    width = rows.shape[1]
    kinds = int(labels.max()) + 1 if groups is None else len(groups)
    truth = np.eye(kinds)[labels]
    closed = None if groups is None else groups[labels][:, None] != groups[None]

    def measure(solution: np.ndarray) -> tuple[float, np.ndarray]:
        slope, offset = solution[:-kinds].reshape(width, kinds), solution[-kinds:]
        logits = rows @ slope + offset
        if closed is not None:
            logits[closed] = -np.inf
        logits -= logits.max(axis=1, keepdims=True)
        powers = np.exp(logits)
        totals = powers.sum(axis=1, keepdims=True)
        entropy = np.log(totals).sum() - logits[truth > 0].sum()
        wrong = powers / totals - truth
        loss = entropy + (ridge * (slope**2).sum() + offset_ridge * (offset**2).sum()) / 2
        gradient = [rows.T @ wrong + ridge * slope, wrong.sum(axis=0) + offset_ridge * offset]
        return loss / len(rows), np.concatenate([g.ravel() for g in gradient]) / len(rows)

    options: Any = {"maxiter": MOST_STEPS, "maxfun": 2 * MOST_STEPS, "gtol": TOLERANCE, "ftol": 0}
    start = np.zeros((width + 1) * kinds)
    solution = minimize(measure, start, jac=True, method="L-BFGS-B", options=options).x
    return solution[:-kinds].reshape(width, kinds), solution[-kinds:]
