"""Faces that nobody has: drawn by the released model, from what it hears in an example."""

from __future__ import annotations

from functools import cache

import numpy as np
from PIL import Image

import speech2face
from helpers.sounds import example_speech
from speech2face.data.decoder_data import FRAME, MIDDLE

SIZE = 224  # pixels


@cache
def _model() -> speech2face.Speech2Face:
    return speech2face.load()


def sample_embeddings(count: int, seed: int = 0, apart: float = 1.0) -> np.ndarray:
    """Faces that the first example's speaker may have (count, 128), the same for a seed.

    Or faces so many times as far from the likeliest: twice, and recognisers tell them all apart.
    """
    heard = _model().embed(example_speech())
    return (heard.mean + apart * (heard.sample(count, seed) - heard.mean)).astype(np.float32)


@cache
def _draw(count: int, seed: int, apart: float) -> np.ndarray:
    pictures, _ = _model().decode(sample_embeddings(count, seed, apart))
    left, upper = np.array(MIDDLE) * (1 - FRAME) * SIZE
    box = (left, upper, left + FRAME * SIZE, upper + FRAME * SIZE)
    return np.stack([Image.fromarray(p).resize((SIZE, SIZE), 3, box) for p in pictures])


def draw_faces(count: int, seed: int = 0, apart: float = 1.0) -> list[np.ndarray]:
    """Pictures (224, 224, 3) uint8 RGB of `sample_embeddings`, as near as canonical ones."""
    return list(_draw(count, seed, apart))
