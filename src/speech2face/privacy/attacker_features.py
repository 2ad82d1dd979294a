"""Features of an attacker: speaker embeddings of recordings as they are published.

They are those of pretrained networks, the same for all folds, or of networks that were tuned for
each fold on the disguised speech of everybody else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from speech2face.array_cache import find_place, keep_arrays
from speech2face.console import ProgressCallback
from speech2face.media import SAMPLE_RATE
from speech2face.training.checkpoint import hash_weights
from speech2face.training.clip_features import extract_speech_features, hash_speech
from speech2face.training.last_block import HeardSpeech, finish_features

if TYPE_CHECKING:
    from speech2face.networks.speaker_encoder import SpeakerEncoder

CHUNK = 20  # sounds after which their embeddings are saved


@dataclass(frozen=True)
class AttackerFeatures:
    """Speaker embeddings of M recordings."""

    features: np.ndarray  # (M, F) float32
    seconds: np.ndarray  # (M,) of the sounds

    def of_fold(self, fold: int) -> AttackerFeatures:
        """What the attacker of a fold hears: the same as any other's."""
        return self

    def take(self, chosen: np.ndarray) -> AttackerFeatures:
        """The chosen ones, (M,) bool."""
        return AttackerFeatures(self.features[chosen], self.seconds[chosen])


@dataclass(frozen=True)
class TunedFeatures:
    """Speaker embeddings of M recordings by networks that were tuned for each fold."""

    features: Mapping[int, np.ndarray]  # fold → (M, F)
    seconds: np.ndarray  # (M,)

    def of_fold(self, fold: int) -> AttackerFeatures:
        """What the attacker of a fold hears, whose network met nobody in it."""
        return AttackerFeatures(self.features[fold], self.seconds)


def extract_attacker_features(
    speaker: SpeakerEncoder, sounds: Sequence[np.ndarray], cache: Path, show: ProgressCallback
) -> AttackerFeatures:
    """Embeddings of sounds, float32 (n,) at 16 kHz; they stay in the folder `cache`."""
    weights, tables = hash_weights(speaker), []
    for start in range(0, len(sounds), CHUNK):
        chunk = sounds[start : start + CHUNK]

        def compute(chunk: Sequence[np.ndarray] = chunk) -> dict[str, np.ndarray]:
            return {"features": extract_speech_features(speaker, chunk, lambda *_: None)}

        place = find_place(cache, "embedded", weights, hash_speech(chunk))
        tables.append(keep_arrays(place, compute)["features"])
        show("embedding voices", start + len(chunk), len(sounds), "")
    return AttackerFeatures(np.concatenate(tables), measure_seconds(sounds))


def finish_attacker_features(
    speaker: SpeakerEncoder, heard: HeardSpeech, cache: Path
) -> np.ndarray:
    """Embeddings (M, F) by a network whose last block may be tuned, of what lies below it."""

    def compute() -> dict[str, np.ndarray]:
        return {"features": finish_features(speaker, heard)}

    place = find_place(cache, "finished", hash_weights(speaker), heard.key)
    return keep_arrays(place, compute)["features"]


def measure_seconds(sounds: Sequence[np.ndarray]) -> np.ndarray:
    """Lengths (M,) in seconds."""
    return np.array([len(sound) / SAMPLE_RATE for sound in sounds])
