"""Strengths: what is gained by drawing faces farther from the average, and what it costs.

At strength 0 all are drawn as the average face, at 1 as a face typical of the voice, beyond that
more so. For each strength, and for pictures made elsewhere, side by side:

alikeness   see similarity.py, of people of one sex; drawn near the average all look alike
two-way     how often the true face is nearer to the picture than another person's; at strength 0
            there is nothing to go by, and it is .5
age         as judged, of the picture beside the true face. correlation: Pearson's r. bias: years
            that pictures are older, below 0 younger; by itself for people judged over `OLD`, whom
            whatever draws the mean draws too young. spread: standard deviation over people
sex         how often it is that of the true face
groups      of faces that the probe puts in a group, the share of pictures that it puts there, too
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from speech2face.evaluation.attribute_agreement import judge_clips
from speech2face.evaluation.raters import JudgedPictures
from speech2face.evaluation.scores import score_pictures
from speech2face.metrics.fairness import Group, compare_groups
from speech2face.metrics.intervals import (
    Estimate,
    bootstrap_known,
    bootstrap_people,
    summarise,
    weigh_people,
)
from speech2face.metrics.similarity import measure_alikeness

OLD = 60.0  # years
STRATA = ("everybody", "same sex")


@dataclass(frozen=True)
class TrueFaces:
    """The faces of N clips, and what is known of them."""

    judged: JudgedPictures
    people: np.ndarray  # (N,) str
    strata: Mapping[str, np.ndarray]  # labels (N,) of whom one is told apart from, "" for nobody
    group: np.ndarray  # (N,) by the probe; "" where it was not asked


@dataclass(frozen=True)
class DrawnAge:
    """Ages of pictures beside those of the true faces. Years, but for the first."""

    correlation: Estimate
    bias: Estimate
    bias_of_old: Estimate | None  # of people judged over `OLD`, if there are any
    spread: Estimate
    true_spread: Estimate
    spread_share: Estimate  # of the true one


@dataclass(frozen=True)
class Drawn:
    """What one system's pictures are like, or ours at one strength."""

    people: int
    clips: int
    undetected: int  # pictures in which no face is found
    alikeness: dict[str, Estimate]  # by recogniser
    two_way: dict[str, dict[str, Estimate]]  # by stratum, then recogniser
    age: DrawnAge | None
    sex: Estimate | None
    groups: dict[str, Group]


def measure_drawn(
    made: JudgedPictures,
    has: np.ndarray,
    group: np.ndarray,
    true: TrueFaces,
    *,
    seed: int = 0,
    draws: int = 1000,
) -> Drawn:
    """Pictures of N clips, of which clips there are any (N,), their group (N,) by the probe, ""
    where it was not asked → what they are like beside the true faces."""
    people, strata = true.people, true.strata
    alikeness = liken_people(made, people, strata, seed=seed, draws=draws)
    two_way: dict[str, dict[str, Estimate]] = {name: {} for name in STRATA if name in strata}
    for judge, embeddings in made.embeddings.items():
        faces = true.judged.embeddings[judge]
        scores = score_pictures(embeddings, faces, has, people, strata["everybody"])
        for name, wins in two_way.items():
            won = scores.match(people, strata[name])
            wins[judge] = bootstrap_known(won, people, seed)
    same_sex, _ = judge_clips(made.age_sex, true.judged.age_sex)
    judged = np.isfinite(same_sex)
    grouped = (group != "") & (true.group != "")
    drawn_so = np.where(grouped, group == true.group, np.nan)
    groups: dict[str, Group] = {}
    if grouped.any():
        groups = compare_groups(drawn_so, people, {"group": true.group}, seed).groups
    age = None
    if judged.any():
        ages = made.age_sex[judged, 0], true.judged.age_sex[judged, 0]
        age = compare_drawn_ages(*ages, people[judged], seed=seed, draws=draws)
    return Drawn(
        len(np.unique(people[has])),
        int(has.sum()),
        int((has & ~made.found).sum()),
        alikeness,
        two_way,
        age,
        bootstrap_known(same_sex, people, seed) if judged.any() else None,
        groups,
    )


def liken_people(
    faces: JudgedPictures,
    people: np.ndarray,
    strata: Mapping[str, np.ndarray],
    *,
    seed: int = 0,
    draws: int = 1000,
) -> dict[str, Estimate]:
    """Alikeness of two people of one fold and sex, by recogniser; of none without judged sexes."""
    if "same sex" not in strata:
        return {}
    told = {
        judge: measure_alikeness(embeddings, people, strata["same sex"], seed=seed, draws=draws)
        for judge, embeddings in faces.embeddings.items()
    }
    return {judge: estimate for judge, estimate in told.items() if estimate}


def compare_drawn_ages(
    drawn: np.ndarray, true: np.ndarray, people: np.ndarray, *, seed: int = 0, draws: int = 1000
) -> DrawnAge:
    """Judged ages of pictures and of the true faces, and people (n,) each."""
    weights = weigh_people(people, seed=seed, draws=draws)
    centre = true.mean(), drawn.mean()  # about which squares are small
    x, y = true - centre[0], drawn - centre[1]
    mean_x, mean_y = weights @ x, weights @ y
    spread_x = np.sqrt((weights @ x**2 - mean_x**2).clip(0))
    spread_y = np.sqrt((weights @ y**2 - mean_y**2).clip(0))
    together = weights @ (x * y) - mean_x * mean_y
    old = true > OLD
    return DrawnAge(
        summarise(_divide(together, spread_x * spread_y)),
        summarise(weights @ (drawn - true)),
        bootstrap_people((drawn - true)[old], people[old], seed, draws) if old.any() else None,
        summarise(spread_y),
        summarise(spread_x),
        summarise(_divide(spread_y, spread_x)),
    )


def _divide(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """NaN where the divisor is none but for rounding."""
    return np.divide(one, other, out=np.full_like(one, np.nan), where=other > 1e-6)
