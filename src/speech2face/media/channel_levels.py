"""Level of each channel of a recording, measured while its channels become one.

A recorded call often holds one person in each channel.
"""

from __future__ import annotations

import numpy as np

SLOT = 0.032  # s


class ChannelLevels:
    """Measures sound piece by piece; keeps 8 bytes a channel for each 32 ms."""

    def __init__(self) -> None:
        self._energies: list[np.ndarray] = []  # (channels, slots): mean squares
        self._open = np.zeros(0)  # (channels,): the sum of squares in a slot that is not full yet
        self._rate = 0.0
        self._begun = self._samples = 0  # slots and samples of this rate

    def add(self, sound: np.ndarray, rate: float, channels: int) -> None:
        """The next sound (channels, n), or (1, n) where all channels hold the same."""
        if (channels, rate) != (len(self._open), self._rate):
            self._open, self._rate = np.zeros(channels, sound.dtype), rate
            self._begun = self._samples = 0
        length = SLOT * rate  # of a slot, in samples, seldom a whole number
        before, self._samples = self._samples, self._samples + sound.shape[1]
        numbers = np.arange(self._begun, self._samples // int(length) + 1)
        edges = np.round(numbers * length).astype(int)
        edges = edges[edges <= self._samples]  # beginnings: of the open slot, and of those after it
        starts = np.maximum(edges - before, 0)
        sums = np.zeros((channels, len(edges)), sound.dtype)
        begun = starts < sound.shape[1]  # the last one may be empty
        sums[:, begun] = np.add.reduceat(np.square(sound), starts[begun], axis=1)
        sums[:, 0] += self._open
        self._open = sums[:, -1]
        if len(edges) > 1:
            self._energies.append(sums[:, :-1] / np.diff(edges))
            self._begun += len(edges) - 1

    def read(self) -> np.ndarray | None:
        """The mean squares so far (slots, channels); None where there are not several channels."""
        counts = {len(energies) for energies in self._energies}
        if len(counts) != 1 or counts == {1}:
            return None
        return np.concatenate(self._energies, axis=1).T
