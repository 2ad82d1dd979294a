"""How `Calibration` is found: what is stated of people who were not met, beside what came out.

What came out of one clip is the logarithm of the likelihood ratio of its true face; its mean is
what is disclosed, whatever the encoder says. a, b and c are chosen so that the mean statement is
that mean in every condition: clips that are whole, cut short, noisy, over a telephone. Then d is
chosen so that true faces stand on average where they are stated to stand. Sex and age are lines in
the space of faces, fitted to labelled photographs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from speech2face.evaluation.intervals import weigh_people
from speech2face.privacy.disclosure import (
    Calibration,
    Waveform,
    foresee_ranks,
    weigh,
)

RIDGE = 10.0  # of the lines of sex and age, in units of the embeddings' variance
NEWTON_STEPS = 25
MOST_DOUBT = 3.0  # κ of a quarter
FIRST_GUESS = (0.05, 1.0, 0.05)  # of a, b and c


@dataclass(frozen=True)
class Condition:
    """Clips heard in one way, each by an encoder that had not met the speaker.

    Embeddings are turned so that the prior is 1 in every direction; D of them.
    """

    name: str
    means: np.ndarray  # (n, D) predicted, less the average
    faces: np.ndarray  # (n, D) true, less the average
    shares: np.ndarray  # (n, D) of the prior's variance that the encoder says it has explained
    seconds: np.ndarray  # (n,)
    sounds: tuple[Waveform, ...]  # n
    people: np.ndarray  # (n,)
    fold: np.ndarray  # (n,)

    def weights(self, calibration: Calibration) -> np.ndarray:
        """κ of each clip (n,)."""
        ranges = np.array([sound.range_db for sound in self.sounds])
        narrow = np.array([sound.narrow for sound in self.sounds], float)
        return weigh(calibration, self.seconds, ranges, narrow)


def compare_statements(condition: Condition, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What is stated of each clip, and what came out (n,) both, in bits."""
    mean = weights[:, None] * condition.means
    variance = 1 - weights[:, None] * condition.shares
    stated = 0.5 * (variance + mean**2 - 1 - np.log(variance)).sum(1)
    errors = (condition.faces - mean) ** 2 / variance
    came_out = 0.5 * (condition.faces**2 - errors - np.log(variance)).sum(1)
    return stated / np.log(2), came_out / np.log(2)


def rank_by_folds(condition: Condition, weights: np.ndarray) -> np.ndarray:
    """Where each clip's true face stands among others' of its fold (n,), 0 first, 1 last."""
    shares = np.empty(len(weights))
    for fold in np.unique(condition.fold):
        rows = np.flatnonzero(condition.fold == fold)
        faces, people = condition.faces[rows], condition.people[rows]
        for row in rows:
            mean = weights[row] * condition.means[row]
            variance = 1 - weights[row] * condition.shares[row]
            scores = (faces**2 - (faces - mean) ** 2 / variance).sum(1)
            own = scores[rows == row]
            others = scores[people != condition.people[row]]
            shares[row] = ((others > own).mean() + (others >= own).mean()) / 2
    return shares


def foresee_by_folds(condition: Condition, weights: np.ndarray, draws: int) -> np.ndarray:
    """Where it is stated to stand (n, draws), see `disclosure.foresee_ranks`."""
    return np.array(
        [
            foresee_ranks(weight * mean, 1 - weight * share, row, draws)
            for row, (weight, mean, share) in enumerate(
                zip(weights, condition.means, condition.shares, strict=True)
            )
        ]
    )


def fit_doubt(
    conditions: Sequence[Condition],
    calibration: Calibration,
    draws: int,
    without: int | None = None,
) -> float:
    """d, from all people or all but those of a fold: mean places are stated as they are found."""
    from scipy.optimize import root_scalar

    def gap(doubt: float) -> float:
        total = 0.0
        for condition in conditions:
            chosen = condition.fold != without
            weights = condition.weights(replace(calibration, doubt=doubt))
            stated = foresee_by_folds(condition, weights, draws).mean(1)
            total += (stated - rank_by_folds(condition, weights))[chosen].mean()
        return total

    if gap(0.0) >= 0:
        return 0.0
    return float(root_scalar(gap, bracket=(0.0, MOST_DOUBT), xtol=0.005).root)


def fit_weights(conditions: Sequence[Condition], without: int | None = None) -> Calibration:
    """a, b and c, from all people or all but those of a fold."""
    from scipy.optimize import minimize

    def gap(logs: np.ndarray) -> float:
        a, b, c = np.exp(logs)
        tried = Calibration(float(a), float(b), float(c))
        total = 0.0
        for condition in conditions:
            chosen = condition.fold != without
            stated, came_out = compare_statements(condition, condition.weights(tried))
            total += (stated[chosen].mean() - came_out[chosen].mean()) ** 2
        return total

    found = minimize(gap, np.log(FIRST_GUESS), method="Nelder-Mead", options={"maxiter": 120})
    a, b, c = np.exp(found.x)
    return Calibration(float(a), float(b), float(c))


def check_by_folds(
    conditions: Sequence[Condition],
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """By condition: stated and what came out (n,) both, in bits, a, b and c from other folds."""
    told = {c.name: (np.empty(len(c.fold)), np.empty(len(c.fold))) for c in conditions}
    for fold in np.unique(conditions[0].fold):
        calibration = fit_weights(conditions, int(fold))
        for condition in conditions:
            own = condition.fold == fold
            pair = compare_statements(condition, condition.weights(calibration))
            for kept, values in zip(told[condition.name], pair, strict=True):
                kept[own] = values[own]
    return told


def standard_error(
    conditions: Sequence[Condition], told: dict[str, tuple[np.ndarray, np.ndarray]]
) -> float:
    """How far mean statements are off, as a share of them: by condition, and by who was heard."""
    off, luck = [], []
    for condition in conditions:
        stated, came_out = told[condition.name]
        means = weigh_people(condition.people, draws=400) @ (came_out / stated.mean())
        off.append(means[0] - 1)
        luck.append(means[1:].std())
    return float(np.sqrt(np.mean(np.square(off)) + np.mean(np.square(luck))))


def fit_axes(
    faces: np.ndarray, male: np.ndarray, years: np.ndarray
) -> tuple[np.ndarray, float, np.ndarray]:
    """Embeddings (n, D), bool (n,), years (n,) → axis and offset of sex's logit, axis of age.

    Ridge regressions, of sex logistic.
    """
    centre, scale = faces.mean(0), faces.std()
    x = np.column_stack([(faces - centre) / scale, np.ones(len(faces))])
    penalty = RIDGE * np.diag([*np.ones(faces.shape[1]), 0])
    solution = np.zeros(x.shape[1])
    for _ in range(NEWTON_STEPS):
        probability = 1 / (1 + np.exp(-x @ solution))
        slope = x.T @ (male - probability) - penalty @ solution
        curve = (x * (probability * (1 - probability))[:, None]).T @ x + penalty
        solution = solution + np.linalg.solve(curve, slope)
    ages = np.linalg.solve(x.T @ x + penalty, x.T @ (years - years.mean()))
    axis = solution[:-1] / scale
    return axis, float(solution[-1] - axis @ centre), ages[:-1] / scale
