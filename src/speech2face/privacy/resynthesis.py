"""Speech is recognised and spoken again by a synthetic voice: of the voice nothing is left.

The words are those a small recogniser hears (asr.py), which only English is; what it does not
understand becomes silence. The voice is espeak-ng's, a machine to the ear (espeak.py), or Kokoro's,
a natural one (kokoro.py). Each utterance begins when the original's does and lasts about as long,
so pauses and pace are the original's, and the length stays.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from speech2face.media import SAMPLE_RATE
from speech2face.privacy.asr import Utterance, transcribe
from speech2face.privacy.time_stretching import stretch_time

SHORTEST = 0.1  # s that an utterance lasts
STEEPEST = 1.25  # factor up to which an utterance is made slower to last as long as the original


class SyntheticVoice(Protocol):
    """Words and the seconds they should last → sound (n,) at 16 kHz of about that length.

    It begins with the first word and ends with the last.
    """

    def speak(self, words: str, seconds: float) -> np.ndarray: ...


@dataclass(frozen=True)
class Respoken:
    """A sound that was spoken again."""

    samples: np.ndarray  # float32 (n,), as long as the original
    lost: tuple[tuple[float, float], ...]  # start and end, s, of what was not understood


@dataclass(frozen=True)
class Resynthesis:
    """Speaks with one synthetic voice for everybody, so no seed matters."""

    name: str
    voice: SyntheticVoice

    def __call__(self, samples: np.ndarray, seed: int) -> np.ndarray:
        return self.speak_again(samples).samples

    def speak_again(self, samples: np.ndarray) -> Respoken:
        """Speak anew what is said in a sound (n,) at 16 kHz.

        Raises ModelError where the recogniser or the voice is not installed.
        """
        made = np.zeros(len(samples), np.float32)
        utterances = transcribe(samples)
        starts = [round(utterance.start * SAMPLE_RATE) for utterance in utterances]
        rooms = itertools.pairwise([*starts, len(made)])
        for utterance, (start, end) in zip(utterances, rooms, strict=True):
            if utterance.understood:
                spoken = self._say(utterance, end - start)
                made[start : start + len(spoken)] = spoken
        lost = tuple((each.start, each.end) for each in utterances if not each.understood)
        return Respoken(made.clip(-1, 1), lost)

    def _say(self, utterance: Utterance, room: int) -> np.ndarray:
        """An utterance (n,), as long as the original's where that sounds well, ≤ `room` samples."""
        seconds = max(utterance.end - utterance.start, SHORTEST)
        spoken = self.voice.speak(utterance.text, seconds)
        wanted = min(round(seconds * SAMPLE_RATE), round(STEEPEST * len(spoken)), room)
        return stretch_time(spoken, wanted) if len(spoken) else spoken
