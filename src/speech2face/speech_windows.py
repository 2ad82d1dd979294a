"""Speech longer than ten seconds is heard in windows of ten, and what they say is averaged.

Networks are trained on clips of ten seconds at most. Of one person's speech their mean over windows
tells faces apart as well as the networks do over all of it at once, in memory that does not grow
with its length (benchmarks/speech_length.json). More of one recording was not found to say
measurably more than ten seconds of it: so no more certainty is claimed of it.
"""

from __future__ import annotations

import numpy as np

from speech2face.media import SAMPLE_RATE

WINDOW_SECONDS = 10.0  # the longest clips that networks are trained on
WINDOW = round(WINDOW_SECONDS * SAMPLE_RATE)


def cut_windows(waveforms: np.ndarray) -> list[np.ndarray]:
    """Cut waveforms (B, n) into as few windows (B, `WINDOW`) as hear all, evenly over them.

    Waveforms that are no longer than a window are their only one.
    """
    room = max(waveforms.shape[1] - WINDOW, 0)
    count = 1 + -(-room // WINDOW)
    firsts = np.linspace(0, room, count).round().astype(int).tolist()
    return [waveforms[:, first : first + WINDOW] for first in firsts]
