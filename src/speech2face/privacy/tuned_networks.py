"""Speaker networks of attackers, tuned for each fold on everybody else's disguised speech."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from speech2face import __version__
from speech2face.console import ProgressCallback
from speech2face.privacy.attacker_features import (
    AttackerFeatures,
    TunedFeatures,
    finish_attacker_features,
)
from speech2face.run_provenance import hash_key
from speech2face.training.attacker_tuning import AttackerRecipe, Lesson, tune_attacker
from speech2face.training.last_block import HeardSpeech

if TYPE_CHECKING:
    from speech2face.networks.speaker_encoder import SpeakerEncoder


@dataclass(frozen=True)
class HeardSet:
    """N recordings in folds by person, plain and by each method: the versions."""

    heard: Sequence[HeardSpeech]  # V versions of N
    features: Sequence[AttackerFeatures]  # V, by the network before it is tuned
    people: np.ndarray  # (N,)
    fold: np.ndarray  # (N,)
    faces: np.ndarray | None = None  # (N, D)

    def teach(self, fold: int) -> Lesson:
        """What everybody outside a fold teaches."""
        features = [version.features for version in self.features]
        lesson = Lesson(self.heard, features, self.people, self.faces)
        return lesson.take(np.flatnonzero(self.fold != fold))


def tune_by_folds(
    recipe: AttackerRecipe,
    load: Callable[[], SpeakerEncoder],
    pairs: HeardSet,
    voices: HeardSet,
    cache: Path,
    show: ProgressCallback,
) -> tuple[list[TunedFeatures], list[TunedFeatures]]:
    """Features of each version of the pairs, which have faces, and of the voices.

    `load` gives the network that tuning begins with. What is finished in `cache` is not done again.
    """
    key = hash_key([one.key for side in (pairs, voices) for one in side.heard])
    sides = (pairs, voices)
    made: tuple[list[dict[int, np.ndarray]], ...] = tuple([{} for _ in s.heard] for s in sides)
    folds = np.unique(np.concatenate([side.fold for side in sides]))
    for fold in map(int, folds):
        speaker = load()
        told: Mapping[str, object] = {"fold": fold, "speech": key, "version": __version__}
        folder = cache / f"tuned-{key}-{fold}"
        tune_attacker(recipe, speaker, pairs.teach(fold), voices.teach(fold), folder, told, show)
        for side, versions in zip(sides, made, strict=True):
            for heard, of_fold in zip(side.heard, versions, strict=True):
                of_fold[fold] = finish_attacker_features(speaker, heard, cache)
        show("hearing with tuned networks", fold + 1, len(folds), "")
    found = [
        [TunedFeatures(of_fold, one.seconds) for of_fold, one in zip(v, s.features, strict=True)]
        for s, v in zip(sides, made, strict=True)
    ]
    return found[0], found[1]
