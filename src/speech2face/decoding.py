"""A loaded face decoder's pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from speech2face.runtime import Session


def draw_faces(
    decoder: Session, embeddings: np.ndarray, hair: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Embeddings float32 (B, D) → pictures (B, S, S, 3), uint8 RGB, and landmarks (B, K, 2).

    `hair` float32 (B, kinds) is added to how much each kind of hair suits: none, the shapes, the
    colours; by default nothing is. Decoders of versions up to 0.2 have no choice of hair.
    """
    given = {"embedding": embeddings}
    for wanted in decoder.get_inputs()[1:]:
        given[wanted.name] = hair if hair is not None else _nothing(len(embeddings), wanted.shape)
    pixels, landmarks = (np.asarray(output) for output in decoder.run(None, given))
    pictures = np.round(np.clip(pixels, 0, 1) * 255).astype(np.uint8).transpose(0, 2, 3, 1)
    return pictures, landmarks


def _nothing(count: int, shape: Sequence[Any]) -> np.ndarray:
    return np.zeros((count, int(shape[1])), np.float32)
