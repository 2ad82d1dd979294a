"""Turns: every moment of a recording is given to one of its speakers, whose disguise it gets.

Where two speak at once the sound goes once through one disguise, so nobody passes through plain.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from speech2face.media import SAMPLE_RATE
from speech2face.speakers import Speaker

MAIN = 1  # the number of who speaks most
EDGE = SAMPLE_RATE // 4  # samples around known speech that are the same speaker's: soft endings
PAUSE = SAMPLE_RATE  # samples up to which a pause is divided between those around it
SHORTEST = SAMPLE_RATE // 2  # samples: a shorter turn gets the disguise of the one before


@dataclass(frozen=True)
class Turns:
    """Turns of a recording: each lasts until the next begins, and the last until the end."""

    starts: tuple[int, ...]  # samples; the first is 0
    speakers: tuple[int, ...]  # the number of each

    def speaker_at(self, sample: int) -> int:
        """The number of the speaker whose disguise the sound at this sample gets."""
        return self.speakers[bisect_right(self.starts, sample) - 1]


def divide_turns(speakers: Sequence[Speaker]) -> Turns:
    """The turns of a recording, by when each of its speakers speaks.

    Where nobody is known to speak for longer than a second, it is the main speaker's.
    """
    known = sorted(
        (round(start * SAMPLE_RATE), round(end * SAMPLE_RATE), speaker.number)
        for speaker in speakers
        for start, end in speaker.segments
    )
    begun: list[tuple[int, int]] = [(0, MAIN)]  # where a turn begins, and whose it is
    before = None
    for start, end, number in known:
        pause = start - (before or 0)
        if pause > PAUSE:
            if before is not None:
                begun.append((before + EDGE, MAIN))
            begun.append((start - EDGE, number))
        else:
            begun.append((start - (pause // 2 if before is not None else pause), number))
        before = end
    if before is not None:
        begun.append((before + EDGE, MAIN))
    return _merge(begun)


def _merge(begun: Sequence[tuple[int, int]]) -> Turns:
    """Turns without those that are too short, nor two of one speaker after the other."""
    kept: list[tuple[int, int]] = []
    for place, (start, number) in enumerate(begun):
        last = place + 1 == len(begun)
        short = not last and begun[place + 1][0] - start < SHORTEST
        if short or (kept and kept[-1][1] == number):
            continue
        kept.append((start if kept else 0, number))
    return Turns(tuple(start for start, _ in kept), tuple(number for _, number in kept))
