"""Which hair a face has: logistic regressions on the direction of its embedding."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

PENALTY = 100.0  # on the slopes' squares, of directions with every column brought to one spread
SURER = 1.6  # than the regressions are: unlikely hair looks wrong, as often as it is met
DRAWS = 6  # of likings for each person, when the kinds are balanced


def solve_chances(
    towards: np.ndarray, worn: np.ndarray, kinds: int
) -> tuple[np.ndarray, np.ndarray]:
    """Directions (N, D) and which of `kinds` each person wears (N,), -1 for unknown → slope
    (D, kinds) and offset (kinds,) of the logarithm of how likely each kind is.

    They are surer than the likeliest model, and balanced: with a liking distributed as Gumbel's
    added, each kind has most as often as it is worn.
    """
    if kinds == 1:
        return np.zeros((towards.shape[1], 1)), np.zeros(1)
    towards, worn = towards[worn >= 0], worn[worn >= 0]
    middle, spread = towards.mean(0), np.maximum(towards.std(0), 1e-6)
    x = torch.tensor((towards - middle) / spread, dtype=torch.float64)
    y = torch.tensor(worn)
    slope = torch.zeros(x.shape[1], kinds, dtype=torch.float64, requires_grad=True)
    offset = torch.zeros(kinds, dtype=torch.float64, requires_grad=True)
    search = torch.optim.LBFGS([slope, offset], max_iter=100, line_search_fn="strong_wolfe")

    def measure() -> torch.Tensor:
        search.zero_grad()
        ridge = PENALTY / len(x) * (slope**2).sum() / 2 + 1e-3 * (offset**2).mean()
        loss = F.cross_entropy(x @ slope + offset, y) + ridge
        loss.backward()
        return loss

    search.step(measure)
    found = SURER * slope.detach().numpy() / spread[:, None]
    start = SURER * offset.detach().numpy() - middle @ found
    return found, start + _balance(towards @ found + start, worn, kinds)


def _balance(chances: np.ndarray, worn: np.ndarray, kinds: int) -> np.ndarray:
    """What to add to the chances (N, kinds), so that each kind has most as often as it is worn."""
    wanted = np.bincount(worn, minlength=kinds) / len(worn)
    liking = np.random.default_rng(0).gumbel(size=(DRAWS, *chances.shape))
    more = np.zeros(kinds)
    for _ in range(60):
        chosen = (chances + more + liking).argmax(2).ravel()
        found = np.bincount(chosen, minlength=kinds) / len(chosen)
        more += 0.5 * np.log((wanted + 1e-3) / (found + 1e-3))
    return more
