"""Features of an attacker: speaker embeddings of clips or their halves, anonymised or not.

Either half of a clip is anonymised for itself, with a seed of its own: two recordings of one
speaker whose secret draws differ. The embeddings of each anonymiser are kept; a run that was
stopped goes on.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from speech2face.array_cache import find_place, keep_arrays
from speech2face.console import ProgressCallback
from speech2face.data.pairs import LEAST_SECONDS
from speech2face.media import SAMPLE_RATE
from speech2face.training.checkpoint import hash_weights
from speech2face.training.clip_features import extract_speech_features, hash_speech

if TYPE_CHECKING:
    from speech2face.networks.voice_encoder import VoiceEncoder

LEAST_HALF = 1.0  # seconds
CHUNK = 20  # sounds after which their embeddings are saved

Anonymise = Callable[[np.ndarray, int], np.ndarray]
"""Mono sound, float32 (n,) at 16 kHz, and a seed → the same in another voice."""


@dataclass(frozen=True)
class Recording:
    """A sound with the name that its anonymiser's seed is made of."""

    name: str
    samples: np.ndarray  # float32 (n,), 16 kHz


@dataclass(frozen=True)
class AttackerFeatures:
    """Speaker embeddings of M recordings."""

    features: np.ndarray  # (M, F) float32
    seconds: np.ndarray  # (M,) after anonymising


def cut_halves(recordings: Sequence[Recording]) -> tuple[list[Recording], np.ndarray]:
    """Two halves of each recording, one after the other, and which it was (M,).

    Recordings whose halves were shorter than a second are left out.
    """
    long = [i for i, r in enumerate(recordings) if len(r.samples) >= 2 * LEAST_HALF * SAMPLE_RATE]
    halves = [
        Recording(f"{recordings[i].name} half {number}", half)
        for i in long
        for number, half in enumerate(np.array_split(recordings[i].samples, 2))
    ]
    return halves, np.repeat(np.array(long, int), 2)


def extract_attacker_features(
    network: VoiceEncoder,
    anonymise: Anonymise | None,
    recordings: Sequence[Recording],
    cache: Path,
    show: ProgressCallback,
    seed: int = 0,
) -> AttackerFeatures:
    """Embeddings of recordings, anonymised unless `anonymise` is None, by `network.speaker`.

    The name under which the result is kept holds the anonymiser's repr, with all its settings.
    """
    name = getattr(anonymise, "name", "original")
    weights = hash_weights(network.speaker)
    tables = []
    for start in range(0, len(recordings), CHUNK):
        chunk = recordings[start : start + CHUNK]
        sounds = hash_speech([r.samples for r in chunk])
        key = (repr(anonymise), seed, weights, [r.name for r in chunk], sounds)

        def compute(chunk: Sequence[Recording] = chunk) -> dict[str, np.ndarray]:
            return vars(_extract(network, anonymise, chunk, seed))

        kept = keep_arrays(find_place(cache, name, *key), compute)
        tables.append((kept["features"], kept["seconds"]))
        show(f"embedding voices, {name}", start + len(chunk), len(recordings), "")
    features, seconds = (np.concatenate(column) for column in zip(*tables, strict=True))
    return AttackerFeatures(features, seconds)


def _extract(
    network: VoiceEncoder, anonymise: Anonymise | None, chunk: Sequence[Recording], seed: int
) -> AttackerFeatures:
    sounds = []
    for recording in chunk:
        samples = recording.samples
        if anonymise:
            samples = anonymise(samples, zlib.crc32(f"{seed} {recording.name}".encode()))
        missing = round(LEAST_SECONDS * SAMPLE_RATE) - len(samples)
        sounds.append(np.pad(samples, (0, max(0, missing))).astype(np.float32))
    features = extract_speech_features(network.speaker, sounds, lambda *_: None)
    return AttackerFeatures(features, np.array([len(sound) / SAMPLE_RATE for sound in sounds]))
