"""The receiver operating characteristic of verification: same person or not, under one threshold.

area under it       how often a pair of one person scores higher than one of two; ties count half
equal error rate    where as many pairs of two people are accepted as pairs of one are missed
true accepts        the share of pairs of one person accepted where so few of two people are

Chance is .5 for the first two, and for the last the share of two people's.
"""

from __future__ import annotations

import numpy as np


def trace_roc(
    scores: np.ndarray, true: np.ndarray, others: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The ROC's corners under each row of weights (d, n): false accepts and hits, (d, corners).

    A probe's true pairs share its weight, and so do its other pairs. As every corner lies at the
    score of a true pair, three matrix products give the curves of all draws.
    """
    steps = np.unique(scores[true])[::-1]  # thresholds, falling
    above, as_high, hit = (np.empty((len(scores), len(steps))) for _ in range(3))
    for i, row in enumerate(scores):
        opponents, own = np.sort(row[others[i]]), np.sort(row[true[i]])
        above[i] = 1 - np.searchsorted(opponents, steps, "right") / len(opponents)
        as_high[i] = 1 - np.searchsorted(opponents, steps, "left") / len(opponents)
        hit[i] = 1 - np.searchsorted(own, steps, "left") / len(own)
    above, as_high, hit = weights @ above, weights @ as_high, weights @ hit
    count = len(weights)
    before = np.hstack([np.zeros((count, 1)), hit[:, :-1]])
    accepted = np.stack([above, as_high], axis=2).reshape(count, -1)  # each step's two corners
    hits = np.stack([before, hit], axis=2).reshape(count, -1)
    start, end = np.zeros((count, 1)), np.ones((count, 1))
    return np.hstack([start, accepted, end]), np.hstack([start, hits, end])


def area_under_roc(accepted: np.ndarray, hit: np.ndarray) -> np.ndarray:
    """Corners (d, corners), see `trace_roc` → area (d,)."""
    return np.trapezoid(hit, accepted, axis=1)


def equal_error_rate(accepted: np.ndarray, hit: np.ndarray) -> np.ndarray:
    """Corners (d, corners), see `trace_roc` → where false accepts equal misses (d,)."""
    more = accepted + hit - 1  # false accepts less misses: from −1 up to 1
    rows = np.arange(len(more))
    after = (more >= 0).argmax(1)
    before = after - 1
    step = more[rows, before] / (more[rows, before] - more[rows, after])
    rise = accepted[rows, after] - accepted[rows, before]
    return accepted[rows, before] + step * rise


def true_accepts(accepted: np.ndarray, hit: np.ndarray, rate: float) -> np.ndarray:
    """Corners (d, corners), see `trace_roc` → hits (d,) at this rate of false accepts."""
    rows = np.arange(len(accepted))
    within = (accepted <= rate + 1e-9).sum(1)  # corners: the curve rises
    after = np.minimum(within, accepted.shape[1] - 1)
    before = after - 1
    step = accepted[rows, after] - accepted[rows, before]
    share = np.divide(
        np.clip(rate, accepted[rows, before], accepted[rows, after]) - accepted[rows, before],
        step,
        out=np.ones(len(rows)),
        where=step > 0,
    )
    return hit[rows, before] + share * (hit[rows, after] - hit[rows, before])


def auc_and_eer(scores: np.ndarray, same: np.ndarray) -> tuple[float, float]:
    """Scores (N,) and whether each is of one person (N,) bool, some of each → AUC and EER.

    Between two thresholds the rates of error are taken to change together, along a line.
    """
    level = np.unique(scores, return_inverse=True)[1]
    return weighted_auc_and_eer(level, same, np.ones(len(scores)))


def weighted_auc_and_eer(
    level: np.ndarray, same: np.ndarray, weights: np.ndarray
) -> tuple[float, float]:
    """AUC and EER of scores' ranks (N,) from 0 on, where trials have weights (N,).

    NaN where only trials of one kind have weight.
    """
    curve = []
    for kind in (~same, same):  # false accepts, hits
        rates = np.cumsum(np.bincount(level, weights * kind)[::-1])  # thresholds fall
        if not rates[-1]:
            return np.nan, np.nan
        curve.append(np.concatenate([[0], rates / rates[-1]])[None])
    return float(area_under_roc(*curve)[0]), float(equal_error_rate(*curve)[0])
