"""The set that is evaluated: clips, the systems' pictures of them, and their folds.

A system need not have a picture of every clip: then its figures are of those it has, among the
same faces as everybody's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from speech2face.data.pairs import Pair
from speech2face.data.splits import split_people
from speech2face.errors import UsageError
from speech2face.evaluation.cross_validation import MEASURED, DrawnFolds


@dataclass(frozen=True)
class EvaluationSet:
    """N clips and the pictures that were made of them; there is none where no file is."""

    pairs: list[Pair]
    people: np.ndarray  # (N,) str
    fold: np.ndarray  # (N,)
    systems: dict[str, list[Path]]  # from the voice
    oracle_pictures: dict[str, list[Path]]  # from the true face, by the system's name
    left_out: list[Pair]

    @property
    def main(self) -> str:
        """The system that is measured; the others stand beside it."""
        return next(iter(self.systems))

    @property
    def sets(self) -> np.ndarray:
        """The set of each clip (N,), by name; empty where there is but one."""
        return np.array([pair.set for pair in self.pairs])


def gather_folds(drawn: DrawnFolds) -> EvaluationSet:
    """Gather the pictures that the folds drew, and the published ones of clips that have one."""
    systems, oracle = {"voice": drawn.pictures[MEASURED]}, {"voice": drawn.copies}
    _add_published(drawn.pairs, systems, oracle)
    return EvaluationSet(drawn.pairs, drawn.people, drawn.fold, systems, oracle, drawn.left_out)


def find_pictures(pairs: Sequence[Pair], folder: Path, folds: int, seed: int) -> EvaluationSet:
    """Pictures CLIP.png or CLIP.jpg made elsewhere, among the same people as by folds."""
    pictures: list[Path] = []
    for pair in pairs:
        names = [folder / f"{pair.clip}.{ending}" for ending in ("png", "jpg")]
        picture = next((path for path in names if path.is_file()), None)
        if not picture:
            raise UsageError(f"{folder}: holds no picture {pair.clip}.png, nor .jpg.")
        pictures.append(picture)
    people = np.array([p.person for p in pairs])
    systems: dict[str, list[Path]] = {"pictures": pictures}
    oracle: dict[str, list[Path]] = {}
    _add_published(pairs, systems, oracle)
    if "published" in oracle:
        oracle["pictures"] = oracle["published"]
    fold = split_people(list(people), folds, seed)
    return EvaluationSet(list(pairs), people, fold, systems, oracle, [])


def _add_published(
    pairs: Sequence[Pair], systems: dict[str, list[Path]], oracle: dict[str, list[Path]]
) -> None:
    if any(p.published.is_file() for p in pairs):
        systems["published"] = [p.published for p in pairs]
        if any(p.canonical.is_file() for p in pairs):
            oracle["published"] = [p.canonical for p in pairs]
