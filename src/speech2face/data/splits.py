"""Folds and splits by person: nobody stands on both sides, ever."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np

from speech2face.data.split_leaks import FacePair
from speech2face.errors import UsageError

SIDES = ("train", "val", "test")


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


def read_shares(text: str) -> tuple[float, ...]:
    """`80/10/10` → (0.8, 0.1, 0.1), the shares of train, val and test.

    Raises UsageError where they are not up to three positive numbers that add up to 100.
    """
    try:
        shares = tuple(float(share) / 100 for share in text.split("/"))
    except ValueError:
        shares = ()
    if not (1 <= len(shares) <= len(SIDES) and min(shares) > 0 and abs(sum(shares) - 1) < 1e-6):
        raise UsageError(f"{text} is no split: give up to three shares of 100, such as 80/10/10.")
    return shares


def split_shares(people: Sequence[str], shares: Sequence[float], seed: int = 0) -> np.ndarray:
    """Person of each clip (N,) → side of each clip (N,), in 0 … sides − 1.

    All clips of a person fall on one side. Sides have their shares of the people, as near as whole
    people allow, and one at least. People are dealt out in the order of a hash of seed and name:
    the same in whatever order the clips come, and of a set that has grown few change sides.
    Raises UsageError where there are fewer people than sides.
    """

    def place(name: str) -> bytes:
        return hashlib.sha256(f"{seed} {name}".encode(errors="surrogateescape")).digest()

    names = sorted(set(people), key=place)
    if len(names) < len(shares):
        raise UsageError(f"{len(shares)} sides need as many people; there are {len(names)}.")
    ends = np.round(np.cumsum(shares) * len(names)).astype(int)
    for side in range(len(shares)):  # room for one person on each side
        before = ends[side - 1] if side else 0
        ends[side] = min(max(ends[side], before + 1), len(names) - len(shares) + side + 1)
    side_of = dict(zip(names, np.searchsorted(ends, np.arange(len(names)), "right"), strict=True))
    return np.array([side_of[person] for person in people])


def merge_people(people: Sequence[str], pairs: Iterable[FacePair]) -> dict[str, str]:
    """Every name → one name for all names of the person who bears it, the first in the alphabet.

    `people` (N,) are the names of the clips, `pairs` what `compare_faces` says of their faces. Two
    names are one person's where any two of their faces are, and so on from name to name.
    """
    first = {name: name for name in people}

    def find(name: str) -> str:
        while first[name] != name:
            first[name] = first[first[name]]
            name = first[name]
        return name

    for pair in (pair for pair in pairs if pair.same):
        one, other = sorted((find(people[pair.first]), find(people[pair.second])))
        first[other] = one
    return {name: find(name) for name in sorted(first)}
