"""Faces that nobody has: drawn by the released model, from what it hears in an example."""

from __future__ import annotations

from functools import cache

import numpy as np
from PIL import Image

import speech2face
from helpers.sounds import example_speech
from speech2face.data.decoder_data import FRAME, MIDDLE

SIZE = 224  # pixels
APART = 3.0  # of strangers, over the distance of faces that one voice may have
UNLIKE = 0.49  # cosine by SFace; from .52 on two faces are held for one person


@cache
def _model() -> speech2face.Speech2Face:
    return speech2face.load()


def sample_embeddings(count: int, seed: int = 0, apart: float = 1.0) -> np.ndarray:
    """Faces that the first example's speaker may have (count, 128), the same for a seed.

    Or faces so many times as far from the likeliest.
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


@cache
def _choose_strangers(count: int, seed: int) -> list[int]:
    from speech2face.face_detection import FaceDetector
    from speech2face.face_encoders import load_face_encoder

    detector, encoder = FaceDetector(), load_face_encoder("sface")
    chosen: list[int] = []
    kept: list[np.ndarray] = []
    for number, picture in enumerate(draw_faces(6 * count, seed, APART)):
        face = detector.largest(picture)
        assert face is not None
        embedding = encoder.embed(picture, face.landmarks)
        embedding /= np.linalg.norm(embedding)
        if all(embedding @ other < UNLIKE for other in kept):
            kept.append(embedding)
            chosen.append(number)
        if len(chosen) == count:
            return chosen
    raise AssertionError(f"only {len(chosen)} of {count} faces are unlike each other")


def draw_strangers(count: int, seed: int = 0) -> tuple[list[np.ndarray], np.ndarray]:
    """Pictures of faces that no recogniser takes for one person, and their embeddings."""
    chosen = _choose_strangers(count, seed)
    pictures = draw_faces(6 * count, seed, APART)
    return [pictures[n] for n in chosen], sample_embeddings(6 * count, seed, APART)[chosen]
