"""A second look for speech in music or noise, at recordings in which the detector found too little.

The detector misses speech over steady sound, and voices that are high and hold their notes. So it
is asked again, about the sound without what is steady in it (spectral subtraction: Boll, IEEE
Trans. ASSP 1979), and then about the sound slowed down, which brings high voices to where voices
usually lie. Each look asks for surer or longer speech than the first, since music is searched here.
The limits were chosen on half of the people and of the recipes of benchmarks/refusals.py, whose
figures are of the other half. What a look finds is cut from the recording as it is.

Of a long recording only the `MOST_BLOCKS` blocks are kept and looked at in which speech was most
probable at first, so that time and memory do not grow with its length.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from speech2face.media import SAMPLE_RATE
from speech2face.speech_selection import Stretch
from speech2face.speech_stretches import cut_stretches
from speech2face.voice_activity import CHUNK, judge_alone

MOST_BLOCKS = 8  # of 32 s

WINDOW, HOP = 1024, 256  # samples of a frame: 64 ms, every 16 ms
MEMORY = 375  # frames, 6 s: about as long a sound has to be there to be called steady
STEADY = 2.0  # times the median magnitude at a frequency, which is taken away from it
FLOOR = 0.05  # share of each magnitude that is left at least


@dataclass(frozen=True)
class Look:
    """A way to ask the detector again."""

    steady: bool  # whether what is steady is heard, too
    slowdowns: tuple[float, ...]  # times slower; what is most probable at any of them counts
    begin: float  # probability at which speech begins
    least_voiced: int = 16  # chunks that are as probable: less than 0.5 s is not believed

    def judge(self, block: np.ndarray) -> np.ndarray:
        """Sound at 16 kHz (n,) → probability of speech in each of its chunks (k,)."""
        sound = block if self.steady else remove_steady(block)
        return np.max([_judge_slowed(sound, slowdown) for slowdown in self.slowdowns], axis=0)


LOOKS = (
    Look(steady=False, slowdowns=(1.1,), begin=0.7),
    Look(steady=True, slowdowns=(1.6, 1.8), begin=0.4),
)


class UnclearBlocks:
    """The blocks of a recording in which speech is most probable, though none was found."""

    def __init__(self) -> None:
        self._kept: list[tuple[float, int, np.ndarray]] = []

    def add(self, block: np.ndarray, probabilities: np.ndarray, start: int) -> None:
        """The next block, which begins at sample `start` of the recording, and its chunks'
        probability of speech."""
        self._kept.append((float(probabilities.mean()), start, block))
        if len(self._kept) > MOST_BLOCKS:
            self._kept.remove(min(self._kept, key=lambda kept: kept[0]))

    def clear(self) -> None:
        """Speech was found: nothing is kept any more."""
        self._kept.clear()

    def look_again(self, look: Look) -> Iterator[list[Stretch]]:
        """The speech that the look finds in each block, in time order.

        Raises ModelError where the detector is not installed properly.
        """
        for _, start, block in self._kept:
            yield cut_stretches(block, look.judge(block), start, look.begin, look.least_voiced)


def remove_steady(sound: np.ndarray) -> np.ndarray:
    """Sound (n,) float32 without what is there most of the time at each frequency: (n,)."""
    shape = np.sqrt(np.hanning(WINDOW + 1)[:-1]).astype(np.float32)
    padded = np.pad(sound, (WINDOW, 2 * WINDOW))
    spectra = np.fft.rfft(sliding_window_view(padded, WINDOW)[::HOP] * shape)  # (frames, 513)
    for part in np.array_split(spectra, max(round(len(spectra) / MEMORY), 1)):
        magnitudes = np.abs(part)
        left = magnitudes - np.float32(STEADY) * np.median(magnitudes, axis=0)
        np.maximum(left, np.float32(FLOOR) * magnitudes, out=left)
        part *= left / np.maximum(magnitudes, np.float32(1e-9))  # in place
    frames = np.fft.irfft(spectra, WINDOW) * shape
    joined = np.zeros(len(frames) * HOP + WINDOW, np.float32)
    for first in range(WINDOW // HOP):
        part = frames[first :: WINDOW // HOP].ravel()
        joined[first * HOP :][: len(part)] += part
    return joined[WINDOW : WINDOW + len(sound)] / np.float32(WINDOW / HOP / 2)


def _judge_slowed(sound: np.ndarray, slowdown: float) -> np.ndarray:
    """Probability of speech in each chunk of the sound (n,), judged from it slowed down: (k,)."""
    import soxr

    slowed = soxr.resample(sound, SAMPLE_RATE, SAMPLE_RATE * slowdown)
    probabilities = judge_alone(slowed)
    middles = (np.arange(-(-len(sound) // CHUNK)) + 0.5) * slowdown
    return probabilities[np.minimum(middles.astype(int), len(probabilities) - 1)]
