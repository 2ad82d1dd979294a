"""Fairness: how far a figure of each clip differs between groups of people.

Each figure is a mean over a group's people of the mean over their clips; opponents are everybody's,
not only the group's own. The worst group is the one with the lowest figure among those of `FEWEST`
people or more. By chance some group is always the lowest: look at the intervals.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from speech2face.metrics.intervals import Estimate, bootstrap_people

FEWEST = 10  # people of a group that may be named the worst


@dataclass(frozen=True)
class Group:
    """One group's figure."""

    people: int
    clips: int
    figure: Estimate


@dataclass(frozen=True)
class GroupName:
    kind: str  # of label: sex, age
    label: str


@dataclass(frozen=True)
class Fairness:
    """A figure of everybody and of each group."""

    everybody: Estimate
    groups: dict[str, dict[str, Group]]  # by kind of label, and label
    worst: GroupName | None  # None where no group is large enough


def compare_groups(
    figures: np.ndarray, people: np.ndarray, labels: Mapping[str, np.ndarray], seed: int = 0
) -> Fairness:
    """Figures of clips (n,), NaN where there is none; people (n,); labels (n,) by kind.

    The empty label is no group.
    """
    known = np.isfinite(figures)
    groups: dict[str, dict[str, Group]] = {}
    for kind, values in labels.items():
        for value in sorted(set(values[known]) - {""}):
            rows = known & (values == value)
            count = len(np.unique(people[rows]))
            estimate = bootstrap_people(figures[rows], people[rows], seed)
            groups.setdefault(kind, {})[str(value)] = Group(count, int(rows.sum()), estimate)
    large = {
        GroupName(kind, label): group.figure.value
        for kind, by_label in groups.items()
        for label, group in by_label.items()
        if group.people >= FEWEST
    }
    worst = min(large, key=lambda name: large[name], default=None)
    return Fairness(bootstrap_people(figures[known], people[known], seed), groups, worst)
