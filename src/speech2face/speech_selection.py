"""Selects the stretches of speech that are taken from a recording."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from speech2face.media import SAMPLE_RATE
from speech2face.voice_activity import CHUNK, split_chunks

KEPT_SECONDS = 120.0  # of candidates, whatever the length of the recording
ENOUGH_SECONDS = 10.0  # beyond which nothing much less clear than the best is taken
EQUAL = 0.15  # stretches less clear than the best by no more than this are about equally clear
PIECE = 94  # chunks, 3 s: what a long stretch is cut into where several people may speak
FAR, FAR_COST = 6.0, 0.02  # dB below the loudest, and what each dB beyond costs: someone far away
WINDOW = np.hanning(CHUNK).astype(np.float32)
# Of a spectrum, in lines of 31.25 Hz: 60 Hz to 7.7 kHz, wider from 400 Hz on.
BANDS = np.r_[2:14:2, 14, 17, 20, 24, 28, 33, 39, 46, 54, 64, 76, 90, 107, 127, 150, 177, 209, 247]


@dataclass(frozen=True)
class Stretch:
    """Speech without a long pause."""

    start: int  # samples from the beginning of the recording
    samples: np.ndarray  # float32 (n,), k chunks of it, the last perhaps short
    probabilities: np.ndarray  # float32 (k,)

    @property
    def end(self) -> int:
        return self.start + len(self.samples)

    @cached_property
    def level(self) -> float:  # dBFS
        return float(10 * np.log10(np.mean(self.samples**2) + 1e-12))

    @cached_property
    def clearness(self) -> float:  # mean probability
        return float(self.probabilities.mean())

    @property
    def seconds(self) -> float:
        return len(self.samples) / SAMPLE_RATE

    @cached_property
    def pieces(self) -> list[Stretch]:
        """Parts of about `PIECE` chunks: where nobody pauses, one voice may follow another."""
        chunks = len(self.probabilities)
        count = max(round(chunks / PIECE), 1)
        edges = np.linspace(0, chunks, count + 1).round().astype(int).tolist()
        if count == 1:
            return [self]
        return [self.part(a, b) for a, b in itertools.pairwise(edges)]

    def part(self, first: int, last: int) -> Stretch:
        """The part of it from one chunk up to another."""
        return Stretch(
            self.start + first * CHUNK,
            self.samples[first * CHUNK : last * CHUNK],
            self.probabilities[first:last],
        )

    def copy(self) -> Stretch:
        """The same, without keeping in memory what it is a part of."""
        return Stretch(self.start, self.samples.copy(), self.probabilities.copy())

    def extended_by(self, after: Stretch) -> Stretch:
        """It and what follows it at once."""
        return Stretch(
            self.start,
            np.concatenate([self.samples, after.samples]),
            np.concatenate([self.probabilities, after.probabilities]),
        )

    @cached_property
    def voice(self) -> np.ndarray:
        """Level of each of `BANDS` in the louder half, against their mean: (bands,), dB.

        Voices differ in it; so do microphones and rooms. Every other chunk is enough to tell.
        """
        spectra = np.fft.rfft(split_chunks(self.samples)[::2] * WINDOW)  # (k / 2, 257)
        power = spectra.real**2 + spectra.imag**2
        energies = power.sum(axis=1)
        middle = len(energies) // 2
        loud = power[energies >= np.partition(energies, middle)[middle]]  # its median and more
        bands = np.add.reduceat(loud, BANDS, axis=1)[:, :-1]
        levels = 10 * np.log10(bands + 1e-12).mean(axis=0)
        return levels - levels.mean()


class Candidates:
    """The best speech of a recording given block by block: `KEPT_SECONDS` of it are kept.

    Within one block the best is the clearest. In a longer recording several people may speak, and
    whose seconds are the very clearest is chance: of those about equally clear, the best is what
    sounds most like the usual speech of the recording, its median. That is mostly the voice that
    speaks most; no voice is told from another, and where none prevails, several may be taken.
    """

    def __init__(self) -> None:
        self._kept: list[Stretch] = []
        self._blocks = 0
        self._voices: list[np.ndarray] = []  # of all speech, 180 bytes for 3 s

    def add(self, stretches: list[Stretch]) -> None:
        """The speech of the next block."""
        self._blocks += 1
        self._voices += [piece.voice for stretch in stretches for piece in stretch.pieces]
        self._kept += stretches
        if self._blocks > 1:
            self._kept = [piece for stretch in self._kept for piece in stretch.pieces]
        self._kept = self.choose(KEPT_SECONDS)

    def choose(self, seconds: float) -> list[Stretch]:
        """The best that together last at most `seconds`, in time order.

        The last one chosen is cut to its clearest part. What is not about as clear as the best is
        chosen only up to `ENOUGH_SECONDS`.
        """
        chosen, taken = [], 0
        for stretch, clear in self._rank():
            most = seconds if clear else min(seconds, ENOUGH_SECONDS)
            room = int(most * SAMPLE_RATE) - taken
            if chosen and room < SAMPLE_RATE // 2:
                break
            if len(stretch.samples) > room:
                stretch = _clearest_part(stretch, room)
            chosen.append(stretch)
            taken += len(stretch.samples)
        return sorted(chosen, key=lambda s: s.start)

    def _rank(self) -> list[tuple[Stretch, bool]]:
        """Best first, and whether each is about as clear as the clearest."""
        if not self._kept:
            return []
        loudest = _loud_level(self._kept, 0.0 if self._blocks == 1 else 0.1)
        quality = [s.clearness - FAR_COST * max(0.0, loudest - s.level - FAR) for s in self._kept]
        least = max(quality) - EQUAL

        usual = np.median(self._voices, axis=0)

        def key(index: int) -> tuple[bool, float]:
            if self._blocks == 1 or quality[index] < least:
                return True, -quality[index]
            difference = self._kept[index].voice - usual
            return False, float(difference @ difference)

        order = sorted(range(len(self._kept)), key=key)
        return [(self._kept[index], quality[index] >= least) for index in order]


def _loud_level(stretches: list[Stretch], share: float) -> float:
    """The level that this share of the speech reaches, dBFS: a single shout is no measure."""
    ordered = sorted(stretches, key=lambda s: -s.level)
    seconds = np.cumsum([s.seconds for s in ordered])
    return ordered[int(np.searchsorted(seconds, share * seconds[-1]))].level


def _clearest_part(stretch: Stretch, length: int) -> Stretch:
    """The `length` samples of a longer stretch in which speech is most probable."""
    chunks = -(-length // CHUNK)
    first = int(np.convolve(stretch.probabilities, np.ones(chunks), "valid").argmax())
    start = min(first * CHUNK, len(stretch.samples) - length)
    return Stretch(
        stretch.start + start,
        stretch.samples[start : start + length],
        stretch.probabilities[first : first + chunks],
    )
