"""Transcribes a recording while its pieces go by, so that it is read once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from speech2face.media import SAMPLE_RATE
from speech2face.privacy.asr import recognise
from speech2face.privacy.chunking import MOMENT
from speech2face.privacy.telling_words import Said


def transcribe_pieces(
    pieces: Iterable[np.ndarray], transcript: list[Said]
) -> Iterator[np.ndarray]:
    """The pieces of `cut_pieces`, unchanged; what is said in them is added to `transcript`.

    Raises ModelError where the recogniser is not installed.
    """
    start = 0
    for piece in pieces:
        if text := recognise(piece):
            end = start + len(piece)
            transcript.append(Said(start / SAMPLE_RATE, end / SAMPLE_RATE, text))
        start += len(piece) - MOMENT
        yield piece
