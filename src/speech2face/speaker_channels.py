"""Finds the channel that holds the voice: in recorded calls each person has one."""

from __future__ import annotations

import numpy as np

APART = 10.0  # times the energy of any other channel: the voice is in this one alone
MOSTLY = 0.75  # of the speech, so that the channels hold different people
LEAST_SLOTS = 32  # 1 s: that a channel must hold alone
NONE = -1


def find_voice_channels(levels: np.ndarray | None, speech: np.ndarray) -> np.ndarray | None:
    """The channel that holds the voice in each slot of 32 ms: (n,), `NONE` where not one alone.

    `levels` (slots, channels) are mean squares, `speech` (n,) says where somebody speaks. None
    where the channels do not hold different people: one channel, or the same voice in several.
    """
    if levels is None:
        return None
    levels = levels[: len(speech)]
    if missing := len(speech) - len(levels):
        levels = np.pad(levels, ((0, missing), (0, 0)))
    ordered = np.sort(levels, axis=1)
    alone = speech & (ordered[:, -1] > APART * ordered[:, -2])
    channels = np.where(alone, levels.argmax(axis=1), NONE)
    counts = np.bincount(channels[alone], minlength=levels.shape[1])
    if alone.sum() < MOSTLY * speech.sum() or (counts >= LEAST_SLOTS).sum() < 2:
        return None
    return channels


def find_own_channel(channels: np.ndarray) -> int:
    """The one of `channels` (n,) that holds most of the slots; `NONE` where none does."""
    alone = channels[channels != NONE]
    if not len(alone):
        return NONE
    counts = np.bincount(alone)
    return int(counts.argmax()) if counts.max() >= MOSTLY * len(channels) else NONE
