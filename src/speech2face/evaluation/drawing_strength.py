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
from speech2face.evaluation.face_scores import score_pictures
from speech2face.evaluation.rating_networks import RatedPictures
from speech2face.metrics.evaluation_results import DrawnAge, DrawnPictures
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
MATCHED = ("everybody", "same_sex")  # strata


@dataclass(frozen=True)
class TrueFaces:
    """The faces of N clips, and their labels."""

    rated: RatedPictures
    people: np.ndarray  # (N,) str
    strata: Mapping[str, np.ndarray]  # labels (N,) of whom one is told apart from, "" for nobody
    group: np.ndarray  # (N,) by the probe; "" where there is none


def measure_drawn(
    predicted: RatedPictures,
    has_picture: np.ndarray,
    group: np.ndarray,
    true: TrueFaces,
    *,
    system: str,
    strength: float | None = None,
    seed: int = 0,
    draws: int = 1000,
) -> DrawnPictures:
    """Pictures of N clips, of which clips there are any (N,), their group (N,) by the probe, ""
    without one → what they are like beside the true faces. Of `system` at `strength`."""
    people, strata = true.people, true.strata
    alikeness = measure_people_alikeness(predicted, people, strata, seed=seed, draws=draws)
    two_way: dict[str, dict[str, Estimate]] = {name: {} for name in MATCHED if name in strata}
    for rater, embeddings in predicted.embeddings.items():
        faces = true.rated.embeddings[rater]
        scores = score_pictures(embeddings, faces, has_picture, people, strata["everybody"])
        for name, wins in two_way.items():
            won = scores.match(people, strata[name])
            wins[rater] = bootstrap_known(won, people, seed)
    same_sex, _ = judge_clips(predicted.age_sex, true.rated.age_sex)
    judged = np.isfinite(same_sex)
    grouped = (group != "") & (true.group != "")
    drawn_so = np.where(grouped, group == true.group, np.nan)
    groups: dict[str, Group] = {}
    if grouped.any():
        groups = compare_groups(drawn_so, people, {"group": true.group}, seed).groups["group"]
    age = None
    if judged.any():
        ages = predicted.age_sex[judged, 0], true.rated.age_sex[judged, 0]
        age = compare_drawn_ages(*ages, people[judged], seed=seed, draws=draws)
    return DrawnPictures(
        system,
        strength,
        len(np.unique(people[has_picture])),
        int(has_picture.sum()),
        int((has_picture & ~predicted.found).sum()),
        alikeness,
        two_way,
        age,
        bootstrap_known(same_sex, people, seed) if judged.any() else None,
        groups,
    )


def measure_people_alikeness(
    faces: RatedPictures,
    people: np.ndarray,
    strata: Mapping[str, np.ndarray],
    *,
    seed: int = 0,
    draws: int = 1000,
) -> dict[str, Estimate]:
    """Alikeness of two people of one fold and sex, by recogniser; of none without judged sexes."""
    if "same_sex" not in strata:
        return {}
    alikeness = {
        rater: measure_alikeness(embeddings, people, strata["same_sex"], seed=seed, draws=draws)
        for rater, embeddings in faces.embeddings.items()
    }
    return {rater: estimate for rater, estimate in alikeness.items() if estimate}


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
