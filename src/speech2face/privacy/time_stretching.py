"""Speech becomes slower or faster while its pitch stays: FFmpeg's filter atempo."""

from __future__ import annotations

import numpy as np

from speech2face.media import SAMPLE_RATE

STEEPEST = 2.0  # factor at a time: beyond it the filter skips samples
FOLLOWED = SAMPLE_RATE // 10  # samples of silence put behind: the filter may keep the last of them


def stretch_time(samples: np.ndarray, length: int) -> np.ndarray:
    """Sound (n,) at 16 kHz, not empty → the same speech in exactly so many samples (length,)."""
    import av
    from av.error import BlockingIOError, EOFError
    from av.filter import Graph

    if len(samples) == length:
        return samples
    graph = Graph()
    first = graph.add_abuffer(sample_rate=SAMPLE_RATE, format="flt", layout="mono")
    last, left = first, len(samples) / length
    while left != 1:
        factor = min(max(left, 1 / STEEPEST), STEEPEST)
        step = graph.add("atempo", f"{factor:.9f}")
        last.link_to(step)
        last, left = step, left / factor
    sink = graph.add("abuffersink")
    last.link_to(sink)
    graph.configure()
    given = np.pad(samples, (0, FOLLOWED))[None].astype(np.float32)
    frame = av.AudioFrame.from_ndarray(given, "flt", "mono")
    frame.sample_rate, frame.pts = SAMPLE_RATE, 0
    graph.push(frame)
    graph.push(None)
    parts = []
    while True:
        try:
            parts.append(graph.pull().to_ndarray().ravel())
        except (BlockingIOError, EOFError):
            break
    made = np.concatenate(parts)[:length]
    return np.pad(made, (0, length - len(made)))
