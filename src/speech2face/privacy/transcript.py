"""Transcribes a recording while its pieces go by, so that it is read once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np

from speech2face.media import SAMPLE_RATE
from speech2face.privacy.asr import Utterance, transcribe
from speech2face.privacy.chunking import MOMENT


def transcribe_pieces(
    pieces: Iterable[np.ndarray], transcript: list[Utterance]
) -> Iterator[np.ndarray]:
    """The pieces of `cut_pieces`, unchanged; what is said in them is added to `transcript`.

    Raises ModelError where the recogniser is not installed.
    """
    start = 0
    for piece in pieces:
        seconds = start / SAMPLE_RATE
        transcript += [
            replace(said, start=said.start + seconds, end=said.end + seconds)
            for said in transcribe(piece)
        ]
        start += len(piece) - MOMENT
        yield piece
