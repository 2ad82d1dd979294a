"""Fits a `Calibration`: where true faces are stated to stand, beside where they stand.

The numbers d, a, b and c are chosen so that in every condition (clips that are whole, cut short,
noisy, over a telephone) true faces stand on average at the place that is stated. The stated place
of a clip depends on those numbers by its κ alone, so it is tabulated for a few κ, and the rest is
least squares. Where true faces stand is measured by the score that evaluation and attackers use.
People of one fold are always judged by numbers fitted to the others.

Sex and age are lines in the space of faces, fitted to labelled photographs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from speech2face.metrics.intervals import Estimate, bootstrap_people, summarise, weigh_people
from speech2face.metrics.logistic_regression import fit_logistic
from speech2face.metrics.rank_disclosure import BINS, histogram_bits
from speech2face.metrics.retrieval import Ranks
from speech2face.privacy.leakage_estimate import (
    Calibration,
    SoundProperties,
    evidence_weight,
    rank_bits,
    simulate_ranks,
)

UNHEARD = (0.0, 0.1, 0.2, 0.35, 0.55, 0.8, 1.2, 2.0, 4.0)  # 1 / κ − 1 at which places are tabulated
FIT_DRAWS, CHECK_DRAWS = 100, 300  # of where a face may stand, for each clip
FIRST_GUESS = (0.1, 0.05, 1.0, 0.1)  # of d, a, b and c
STEP = 1e-3  # of a guess, to see which way is better
GROUPS = 5  # of clips, of equal size, by what is stated of them
PER_CENT = (10, 50, 90)  # of cases, for which it is stated among how many the face stands
LEAST = 1e-9  # squares of bits, where next to nothing is stated
RIDGE = 10.0  # of the lines of sex and age, in units of the embeddings' variance


@dataclass(frozen=True)
class Condition:
    """Clips made worse in one way, each embedded by an encoder that had not met the speaker.

    Embeddings are whitened by the prior, which is 1 in each of D directions.
    """

    name: str
    means: np.ndarray  # (n, D) predicted, less the average
    shares: np.ndarray  # (n, D) of the prior's variance that the encoder says it has explained
    seconds: np.ndarray  # (n,)
    sounds: tuple[SoundProperties, ...]  # n
    people: np.ndarray  # (n,)
    fold: np.ndarray  # (n,)
    ranks: Ranks  # of the true faces among those of other people of the fold

    def weights(self, calibration: Calibration) -> np.ndarray:
        """κ of each clip (n,)."""
        ranges = np.array([sound.range_db for sound in self.sounds])
        narrow = np.array([sound.narrow for sound in self.sounds], float)
        return evidence_weight(calibration, self.seconds, ranges, narrow)


@dataclass(frozen=True)
class CalibrationResiduals:
    """Stated places of a condition's clips less the places found."""

    condition: Condition
    at: np.ndarray  # (n, len(UNHEARD)) mean stated place less the place found, shares of the crowd

    @classmethod
    def tabulate(cls, condition: Condition) -> CalibrationResiduals:
        places = places_of(condition.ranks)
        columns = [
            simulate_places(condition, np.full(len(places), 1 / (1 + unheard)), FIT_DRAWS).mean(1)
            - places
            for unheard in UNHEARD
        ]
        return cls(condition, np.array(columns).T)

    def interpolate(self, calibration: Calibration) -> np.ndarray:
        """Residual of each clip (n,), by a line from one κ of the table to the next."""
        unheard = 1 / self.condition.weights(calibration) - 1
        column = np.interp(unheard, UNHEARD, np.arange(len(UNHEARD)))
        left = np.minimum(column.astype(int), len(UNHEARD) - 2)
        rows = np.arange(len(left))
        start, end = self.at[rows, left], self.at[rows, left + 1]
        return start + (column - left) * (end - start)


@dataclass(frozen=True)
class Group:
    """Clips of which about as much was stated. Bits."""

    stated: float
    found: Estimate


@dataclass(frozen=True)
class Check:
    """Stated and found disclosure of a condition's clips. Bits; shares of a crowd.

    Bits are of all places together, by histogram.
    """

    stated_bits: float
    found_bits: Estimate
    stated_place: float  # mean
    found_place: Estimate
    within: dict[int, Estimate]  # per cent of cases → how often a face stood where so many should
    groups: tuple[Group, ...]

    def as_json(self) -> dict[str, Any]:
        within = {f"{share} %": asdict(estimate) for share, estimate in self.within.items()}
        return asdict(self) | {"within": within}


def places_of(ranks: Ranks) -> np.ndarray:
    """Ranks of n → shares of the others who stand before them (n,), 0 first, 1 last."""
    return (ranks.rank - 1) / (ranks.gallery - 1)


def simulate_places(condition: Condition, weights: np.ndarray, draws: int) -> np.ndarray:
    """Draw places at which true faces are stated to stand (n, draws), see `simulate_ranks`."""
    return np.array(
        [
            simulate_ranks(weight * mean, 1 - weight * share, row, draws)
            for row, (weight, mean, share) in enumerate(
                zip(weights, condition.means, condition.shares, strict=True)
            )
        ]
    )


def fit_weights(
    residuals: Sequence[CalibrationResiduals], without: int | None = None
) -> Calibration:
    """d, a, b and c, from all people or all but those of a fold."""
    from scipy.optimize import least_squares

    def off(numbers: np.ndarray) -> list[float]:
        tried = Calibration(*numbers)
        return [one.interpolate(tried)[one.condition.fold != without].mean() for one in residuals]

    fit = least_squares(off, FIRST_GUESS, bounds=(0, np.inf), x_scale=FIRST_GUESS, diff_step=STEP)
    doubt, shortness, noise, narrow = (round(float(number), 4) for number in fit.x)
    return Calibration(doubt, shortness, noise, narrow)


def cross_fit_weights(residuals: Sequence[CalibrationResiduals]) -> list[np.ndarray]:
    """κ of each condition's clips (n,), each fold's by numbers fitted to the others."""
    weights = [np.empty(len(one.condition.fold)) for one in residuals]
    for fold in np.unique(residuals[0].condition.fold):
        calibration = fit_weights(residuals, int(fold))
        for one, kept in zip(residuals, weights, strict=True):
            own = one.condition.fold == fold
            kept[own] = one.condition.weights(calibration)[own]
    return weights


def check_statements(condition: Condition, weights: np.ndarray) -> Check:
    """Compare stated and found disclosure of clips whose κ are `weights` (n,)."""
    stood, stated = places_of(condition.ranks), simulate_places(condition, weights, CHECK_DRAWS)
    ranks, people = condition.ranks, condition.people
    order = np.argsort([rank_bits(row) for row in stated], kind="stable")
    return Check(
        rank_bits(stated.ravel()),
        _count_bits(ranks, people, np.arange(len(people))),
        float(stated.mean()),
        bootstrap_people(stood, people),
        {
            per_cent: bootstrap_people(
                (stood <= np.quantile(stated, per_cent / 100, axis=1)).astype(float), people
            )
            for per_cent in PER_CENT
        },
        tuple(
            Group(rank_bits(stated[rows].ravel()), _count_bits(ranks, people, rows))
            for rows in np.array_split(order, GROUPS)
            if len(rows)
        ),
    )


def standard_error(checks: Sequence[Check]) -> float:
    """Standard error of the bits stated of a voice, as a share of them.

    By groups, but for what chance adds there, and by whose voices were measured.
    """
    groups = [group for check in checks for group in check.groups]
    missed = sum((g.found.value - g.stated) ** 2 - _chance(g.found) ** 2 for g in groups)
    misfit = max(0.0, missed) / max(sum(group.stated**2 for group in groups), LEAST)
    luck = sum(_chance(check.found_bits) ** 2 for check in checks)
    return float(np.sqrt(misfit + luck / max(sum(c.stated_bits**2 for c in checks), LEAST)))


def fit_axes(
    faces: np.ndarray, male: np.ndarray, years: np.ndarray
) -> tuple[np.ndarray, float, np.ndarray]:
    """Embeddings (n, D), bool (n,), years (n,) → axis and offset of sex's logit, axis of age.

    Ridge regressions, of sex logistic.
    """
    centre, scale = faces.mean(0), faces.std()
    x = np.column_stack([(faces - centre) / scale, np.ones(len(faces))])
    penalty = RIDGE * np.diag([*np.ones(faces.shape[1]), 0])
    # A ridge on the two classes' slopes is half of one on their difference.
    slopes, offsets = fit_logistic(x[:, :-1], male.astype(int), 2 * RIDGE)
    ages = np.linalg.solve(x.T @ x + penalty, x.T @ (years - years.mean()))
    axis = (slopes[:, 1] - slopes[:, 0]) / scale
    return axis, float(offsets[1] - offsets[0] - axis @ centre), ages[:-1] / scale


def _chance(estimate: Estimate) -> float:
    """The standard error that an interval stands for."""
    return (estimate.high - estimate.low) / (2 * 1.96)


def _count_bits(ranks: Ranks, people: np.ndarray, rows: np.ndarray) -> Estimate:
    chosen = Ranks(ranks.probe[rows], ranks.rank[rows], ranks.tied[rows], ranks.gallery[rows])
    weights = weigh_people(people[rows])
    return summarise(histogram_bits(chosen, people[rows], weights, BINS))
