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
        self._rest = np.empty((0, 0))  # of a slot that is not full yet
        self._rate = 0.0
        self._begun = 0  # slots of this rate

    def add(self, sound: np.ndarray, rate: float) -> None:
        """The next sound (channels, n)."""
        if (len(sound), rate) != (len(self._rest), self._rate):
            self._rest, self._rate, self._begun = sound[:, :0], rate, 0
        sound = np.concatenate([self._rest, sound], axis=1)
        length = SLOT * rate  # of a slot, in samples, seldom a whole number
        origin = round(self._begun * length)
        slots = int((origin + sound.shape[1]) / length) - self._begun
        edges = np.round((self._begun + np.arange(slots + 1)) * length).astype(int) - origin
        if slots > 0:
            squares = np.square(sound[:, : edges[-1]])
            self._energies.append(np.add.reduceat(squares, edges[:-1], axis=1) / np.diff(edges))
            self._begun += slots
        self._rest = sound[:, edges[-1] :]

    def read(self) -> np.ndarray | None:
        """The mean squares so far (slots, channels); None where there are not several channels."""
        counts = {len(energies) for energies in self._energies}
        if len(counts) != 1 or counts == {1}:
            return None
        return np.concatenate(self._energies, axis=1).T
