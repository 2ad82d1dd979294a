"""Sound of any length becomes pieces that end where it is quiet, and pieces become sound again.

Pieces overlap by a moment, in which they are cross-faded when they are joined.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from speech2face.media import SAMPLE_RATE

LONGEST = 20 * SAMPLE_RATE  # samples of a piece
SEARCHED = 5 * SAMPLE_RATE  # samples at a piece's end in which a quiet moment is looked for
MOMENT = SAMPLE_RATE // 50  # samples, 20 ms: how long it lasts, and the overlap


def cut_pieces(blocks: Iterable[np.ndarray], starts: Sequence[int] = ()) -> Iterator[np.ndarray]:
    """Blocks of sound, one after the other → overlapping pieces of at most 20 s.

    At each of `starts`, samples in rising order, a piece begins as well.
    """
    held = np.empty(0, np.float32)
    place, due = 0, deque(start for start in starts if start > 0)  # place of what is held
    for block in blocks:
        held = np.concatenate([held, block])
        while True:
            next_end = due[0] - place + MOMENT if due else LONGEST + 1
            if next_end <= min(LONGEST, len(held)):
                end = next_end
                due.popleft()
            elif len(held) > LONGEST:
                end = _find_quiet(held[:LONGEST])
            else:
                break
            yield held[:end]
            held, place = held[end - MOMENT :], place + end - MOMENT
    yield held


def join_pieces(pieces: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Processed pieces of `cut_pieces` → sound without the overlaps, block by block."""
    fade = np.linspace(0, 1, MOMENT, dtype=np.float32)
    held = None
    for piece in pieces:
        if held is None:
            held = piece
            continue
        common = min(MOMENT, len(held), len(piece))
        yield held[: len(held) - common]
        piece = piece.copy()
        piece[:common] *= fade[:common]
        piece[:common] += held[len(held) - common :] * (1 - fade[:common])
        held = piece
    if held is not None:
        yield held


def _find_quiet(samples: np.ndarray) -> int:
    """The end of the quietest moment in the last seconds of a sound."""
    searched = samples[-SEARCHED:]
    energies = (searched.reshape(-1, MOMENT) ** 2).sum(1)
    return len(samples) - SEARCHED + MOMENT * (int(energies.argmin()) + 1)
