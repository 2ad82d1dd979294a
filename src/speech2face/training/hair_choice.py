"""Chooses a face's hair: logistic regressions on the direction of its embedding."""

from __future__ import annotations

import numpy as np

from speech2face.metrics.logistic_regression import fit_logistic

OFFSET_PENALTY = 2e-3  # on the offsets' mean square, of each person
PENALTY = 100.0  # on the slopes' squares, of directions with every column brought to one spread
# Factors on the regressions' logits, of the group and of the kind within it: unlikely hair looks
# wrong, as often as it is met. Long hair on a man is seen at once, wavy for straight never.
SURER = 8.0, 2.5
DRAWS = 6  # of likings for each person, when the kinds are balanced


def solve_chances(
    towards: np.ndarray,
    worn: np.ndarray,
    groups: np.ndarray,
    surer: tuple[float, float] = SURER,
) -> tuple[np.ndarray, np.ndarray]:
    """Directions (N, D), which kind each person wears (N,), -1 for unknown, and the group that each
    kind belongs to (kinds,), as short or long → slope (D, kinds) and offset (kinds,) of the
    logarithm of how likely each kind is.

    A regression tells the groups, another the kinds within each. They are surer than the likeliest
    model, and balanced: with a liking distributed as Gumbel's added, each kind has most as often as
    it is worn.
    """
    kinds = len(groups)
    if kinds == 1:
        return np.zeros((towards.shape[1], 1)), np.zeros(1)
    towards, worn = towards[worn >= 0], worn[worn >= 0]
    middle, spread = towards.mean(0), np.maximum(towards.std(0), 1e-6)
    x = (towards - middle) / spread
    member = np.unique(groups, return_inverse=True)[1]
    slope, offset = _regress(x, member[worn], np.zeros(member.max() + 1, int))
    found, start = surer[0] * slope[:, member], surer[0] * offset[member]
    slope, offset = _regress(x, worn, member)
    found, start = found + surer[1] * slope, start + surer[1] * offset
    found = found / spread[:, None]
    start = start - middle @ found
    return found, start + _balance(towards @ found + start, worn, kinds)


def _regress(x: np.ndarray, worn: np.ndarray, member: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Logistic regression of what is worn (N,) among the kinds of its group, `member` (kinds,): a
    slope (D, kinds) and an offset (kinds,)."""
    offset_ridge = OFFSET_PENALTY * len(x) / len(member)
    return fit_logistic(x, worn, PENALTY, groups=member, offset_ridge=offset_ridge)


def _balance(chances: np.ndarray, worn: np.ndarray, kinds: int) -> np.ndarray:
    """Addends to the chances (N, kinds) by which each kind wins as often as it is worn."""
    wanted = np.bincount(worn, minlength=kinds) / len(worn)
    liking = np.random.default_rng(0).gumbel(size=(DRAWS, *chances.shape))
    more = np.zeros(kinds)
    for _ in range(60):
        chosen = (chances + more + liking).argmax(2).ravel()
        found = np.bincount(chosen, minlength=kinds) / len(chosen)
        more += 0.5 * np.log((wanted + 1e-3) / (found + 1e-3))
    return more
