"""A loaded face decoder's pictures, and the hair that is chosen for them."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from speech2face.cartoon import draw_cartoon
from speech2face.check_numbers import check_whole
from speech2face.errors import UsageError
from speech2face.name_suggestions import suggest

if TYPE_CHECKING:
    from PIL.Image import Image

    from speech2face.runtime import Session

CERTAIN = 1e4  # added to a logarithm of how likely hair is: no other kind comes near


@dataclass(frozen=True)
class HairChoice:
    """The hair of drawn faces: `shape` is None for the one that suits each face, 0 for no hair,
    else the number of a shape. `seed` 0 leaves a face its own hair, others give it another typical
    one."""

    shape: int | None = None
    seed: int = 0

    @property
    def name(self) -> str:
        """The name that callers give: typical, none, or the number."""
        return "typical" if self.shape is None else str(self.shape or "none")


def check_hair(hair: Any, seed: Any, shapes: int) -> HairChoice:
    """Check that `hair` is typical, none, or 1 to `shapes`, as int or text, and `seed` 0 or more.

    Raises UsageError where they are not, or hair is a choice and the model has none (`shapes` 0).
    """
    seed = check_whole("seed", seed, 0)
    choices = {"typical": None, "none": 0} | {str(n): n for n in range(1, shapes + 1)}
    name = hair if isinstance(hair, str) else _write_whole(hair)
    if not shapes and name != "typical":
        raise UsageError(
            f"hair cannot be chosen with this model, which has one kind: typical, not {hair!r:.60}."
        )
    if name not in choices:
        raise UsageError(
            f"hair is typical, none, or a number from 1 to {shapes}, not {hair!r:.60}."
            f"{suggest(hair, ('typical', 'none'))}"
        )
    return HairChoice(choices[name], seed)


def _write_whole(number: Any) -> str:
    """A whole number as text; nothing for what is none."""
    try:
        return "" if isinstance(number, bool) else str(operator.index(number))
    except TypeError:
        return ""


def draw_faces(
    decoder: Session, embeddings: np.ndarray, hair: HairChoice | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Embeddings float32 (B, D) → pictures (B, S, S, 3), uint8 RGB, and landmarks (B, K, 2).

    Decoders of versions up to 0.2 have no choice of hair.
    """
    hair, count = hair or HairChoice(), len(embeddings)
    inputs = {"embedding": embeddings}
    for wanted in decoder.get_inputs()[1:]:
        row = np.zeros(int(wanted.shape[1]), np.float32)  # of each kind: none, shapes, colours
        if wanted.name == "hair" and hair.shape is not None:
            row[hair.shape] = CERTAIN
        if wanted.name == "turn" and hair.seed:
            row[:] = np.random.default_rng(hair.seed).uniform(0, 2, len(row))
        inputs[wanted.name] = np.tile(row, (count, 1))
    pixels, landmarks = (np.asarray(output) for output in decoder.run(None, inputs))
    pictures = np.round(np.clip(pixels, 0, 1) * 255).astype(np.uint8).transpose(0, 2, 3, 1)
    return pictures, landmarks


def finish_picture(pixels: np.ndarray, landmarks: np.ndarray, size: int, style: str) -> Image:
    """One of these pictures and its landmarks → a picture of `size` pixels a side, in a style."""
    from PIL import Image

    picture = Image.fromarray(pixels)
    if style == "cartoon":
        return draw_cartoon(picture, landmarks, size)
    if size != picture.width:
        picture = picture.resize((size, size), Image.Resampling.LANCZOS)
    return picture
