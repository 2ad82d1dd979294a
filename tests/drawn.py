"""Faces that nobody has: drawn by the released model, from what it hears in an example."""

from __future__ import annotations

from functools import cache

import numpy as np

import speech2face
from sounds import example_speech


@cache
def _model() -> speech2face.Speech2Face:
    return speech2face.load()


def sample_embeddings(count: int, seed: int = 0) -> np.ndarray:
    """Faces that the first example's speaker may have (count, 128), the same for a seed."""
    return _model().embed(example_speech()).sample(count, seed)


@cache
def _draw(count: int, seed: int) -> np.ndarray:
    pictures, _ = _model().decode(sample_embeddings(count, seed))
    return pictures


def draw_faces(count: int, seed: int = 0) -> list[np.ndarray]:
    """Pictures (224, 224, 3) uint8 RGB of `sample_embeddings`."""
    return list(_draw(count, seed))
