"""Recordings as they are published: disguised, each with a secret of its own, in 16 bits.

Either half of a clip is disguised for itself: two recordings of one speaker whose secret draws
differ. The sounds of each anonymiser are kept; a run that was stopped goes on.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from speech2face.array_cache import find_place, keep_arrays
from speech2face.console import ProgressCallback
from speech2face.data.pairs import LEAST_SECONDS
from speech2face.media import SAMPLE_RATE
from speech2face.training.clip_features import hash_speech

LEAST_HALF = 1.0  # seconds
CHUNK = 20  # sounds in a file of the cache
FULL_SCALE = 32767  # of 16 bits

Anonymise = Callable[[np.ndarray, int], np.ndarray]
"""Mono sound, float32 (n,) at 16 kHz, and a seed → the same in another voice."""


@dataclass(frozen=True)
class Recording:
    """A sound with the name that its anonymiser's seed is made of."""

    name: str
    samples: np.ndarray  # float32 (n,), 16 kHz


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


def publish(
    anonymise: Anonymise | None,
    recordings: Sequence[Recording],
    cache: Path,
    show: ProgressCallback,
    seed: int = 0,
) -> list[np.ndarray]:
    """The sounds, float32 (n,) at 16 kHz, disguised unless `anonymise` is None.

    Each lasts half a second at least, if need be of silence. The name under which a result is kept
    holds the anonymiser's repr, with all its settings.
    """
    if anonymise is None:
        return [_lengthen(recording.samples) for recording in recordings]
    sounds = []
    name = getattr(anonymise, "name", "command")
    for start in range(0, len(recordings), CHUNK):
        chunk = recordings[start : start + CHUNK]

        def compute(chunk: Sequence[Recording] = chunk) -> dict[str, np.ndarray]:
            made = [_disguise(anonymise, recording, seed) for recording in chunk]
            return {str(i): levels for i, levels in enumerate(made)}

        heard = hash_speech([recording.samples for recording in chunk])
        key = (repr(anonymise), seed, [recording.name for recording in chunk], heard)
        kept = keep_arrays(find_place(cache / "published", name, *key), compute)
        sounds += [_lengthen(levels / np.float32(FULL_SCALE)) for levels in kept.values()]
        show("disguising voices", len(sounds), len(recordings), name)
    return sounds


def _disguise(anonymise: Anonymise, recording: Recording, seed: int) -> np.ndarray:
    """Levels of 16 bits, int16 (n,)."""
    made = anonymise(recording.samples, zlib.crc32(f"{seed} {recording.name}".encode()))
    return np.round(made.clip(-1, 1) * FULL_SCALE).astype(np.int16)


def _lengthen(samples: np.ndarray) -> np.ndarray:
    missing = round(LEAST_SECONDS * SAMPLE_RATE) - len(samples)
    return np.pad(samples, (0, max(0, missing))).astype(np.float32)
