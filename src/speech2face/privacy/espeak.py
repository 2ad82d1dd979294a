"""espeak-ng, a program of its own: English words become a machine's voice, or phonemes."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from speech2face.errors import ModelError
from speech2face.media import SAMPLE_RATE, load_audio

PROGRAM = "espeak-ng"
# It opens PulseAudio even where it is not to play, which makes folders, and a file in memory that a
# process with a limit of 0 on files is killed for.
SILENT = {
    "PULSE_SERVER": "unix:/nonexistent",
    "PULSE_CLIENTCONFIG": str(Path(__file__).with_name("silent_pulse.conf")),
}
PATIENCE = 120  # s; it needs well below one
PACE = 175  # words a minute, as it calls its normal pace
SLOWEST, FASTEST = 80, 450  # between these it is clear
LOUDEST_PART = 0.02  # of the loudest sample: what is below it at both ends is silence


@dataclass(frozen=True)
class EspeakVoice:
    """The voice of espeak-ng, a machine to the ear."""

    voice: str  # as espeak-ng names it

    def speak(self, words: str, seconds: float) -> np.ndarray:
        """Words → sound (n,) at 16 kHz of about so many seconds, without silence at its ends.

        Raises ModelError where espeak-ng is not installed or fails.
        """
        usual = self._speak(words, PACE)
        pace = round(PACE * len(usual) / SAMPLE_RATE / seconds)
        return self._speak(words, min(max(pace, SLOWEST), FASTEST))

    def _speak(self, words: str, pace: int) -> np.ndarray:
        sound = run_espeak(words, "-v", self.voice, "-s", str(pace), "--stdout")
        return trim_silence(load_audio(sound).samples)


def run_espeak(words: str, *options: str) -> bytes:
    """What espeak-ng writes for words; raises ModelError where it cannot."""
    program = shutil.which(PROGRAM)
    if program is None:
        raise ModelError(f"{PROGRAM} is not installed: apt install espeak-ng (or brew, dnf …).")
    try:
        done = subprocess.run(
            [program, *options, "--stdin"],
            input=words.encode(),
            capture_output=True,
            timeout=PATIENCE,
            check=True,
            env=os.environ | SILENT,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise ModelError(f"{PROGRAM} failed ({error}).") from None
    return done.stdout


def trim_silence(samples: np.ndarray) -> np.ndarray:
    """Sound (n,) without the silence at its ends."""
    loud = np.flatnonzero(np.abs(samples) > LOUDEST_PART * np.abs(samples).max(initial=0))
    return samples[loud[0] : loud[-1] + 1] if len(loud) else samples[:0]
