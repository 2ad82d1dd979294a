"""Folds by person: nobody stands on both sides, ever."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def split_people(people: Sequence[str], folds: int, seed: int = 0) -> np.ndarray:
    """Person of each clip (N,) → fold of each clip (N,), in 0 … folds − 1.

    All clips of a person fall into one fold; folds differ by at most one person; the same people
    and seed give the same folds, in whatever order the clips come.
    """
    names = sorted(set(people))
    if not 2 <= folds <= len(names):
        raise ValueError(f"{folds} folds of {len(names)} people: need 2 to {len(names)}")
    order = np.random.default_rng(seed).permutation(len(names))
    fold_of = {names[person]: place % folds for place, person in enumerate(order)}
    return np.array([fold_of[person] for person in people])
