"""Cuts the same moments out of two recordings: of each speaker the speech that is measured."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from speech2face.media import SAMPLE_RATE
from speech2face.speech import crossfade, level_speech

Segments = Sequence[tuple[float, float]]


def cut_excerpts(blocks: Iterable[np.ndarray], wanted: Sequence[Segments]) -> list[np.ndarray]:
    """Blocks of a recording → for each of `wanted` the sound of its segments, in s, joined.

    Float32 (n,) at 16 kHz, at the level that `find_speech` gives; nothing where there is none.
    """
    spans = [[_to_samples(segment) for segment in segments] for segments in wanted]
    parts: list[list[list[np.ndarray]]] = [[[] for _ in segments] for segments in wanted]
    place = 0
    for block in blocks:
        for own, found in zip(spans, parts, strict=True):
            for (start, end), pieces in zip(own, found, strict=True):
                if start < place + len(block) and end > place:
                    pieces.append(block[max(0, start - place) : end - place].copy())
        place += len(block)
    return [_join([np.concatenate(p) for p in found if p]) for found in parts]


def _to_samples(segment: tuple[float, float]) -> tuple[int, int]:
    return round(segment[0] * SAMPLE_RATE), round(segment[1] * SAMPLE_RATE)


def _join(parts: Sequence[np.ndarray]) -> np.ndarray:
    if not parts:
        return np.empty(0, np.float32)
    joined = parts[0]
    for part in parts[1:]:
        joined = crossfade(joined, part)
    return level_speech(joined)
