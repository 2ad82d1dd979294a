"""Speech is recognised and spoken again by a synthetic voice: of the voice nothing is left.

The words are those a small recogniser hears (asr.py), the voice is espeak-ng's, a program of
its own and a machine to the ear. What remains is what was said, as far as it was understood, which
only English is. Pauses and pace are espeak-ng's, so the length changes.
"""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass

import numpy as np

from speech2face.errors import ModelError
from speech2face.media import load_audio
from speech2face.privacy.asr import recognise

SPEAKER = "espeak-ng"
SECONDS = 120  # that espeak-ng is given; it needs well below one


@dataclass(frozen=True)
class Resynthesis:
    """Speaks with one synthetic voice for everybody, so no seed matters."""

    name: str
    voice: str

    def __call__(self, samples: np.ndarray, seed: int) -> np.ndarray:
        words = recognise(samples)
        return speak(words, self.voice) if words else np.zeros(len(samples), np.float32)


def speak(words: str, voice: str) -> np.ndarray:
    """Speak words by espeak-ng → sound (n,) at 16 kHz. Raises ModelError where it cannot."""
    program = shutil.which(SPEAKER)
    if program is None:
        raise ModelError(f"{SPEAKER} is not installed: apt install espeak-ng (or brew, dnf …).")
    try:
        done = subprocess.run(
            [program, "-v", voice, "--stdin", "--stdout"],
            input=words.encode(),
            capture_output=True,
            timeout=SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise ModelError(f"{SPEAKER} failed ({error}).") from None
    return load_audio(done.stdout).samples
