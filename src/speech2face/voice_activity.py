"""Probability of speech in each 32 ms of a recording: Silero VAD 6.2.

The detector knows speech from music and noise. Its graph, `assets/speech_detector.onnx`, takes
many chunks at once, because that is 30 times faster than chunk by chunk: an hour of sound takes
less than 3 s of one core. `scripts/import_speech_detector.py` makes the file and describes it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from speech2face.model_folders import ASSETS
from speech2face.read_ahead import read_ahead
from speech2face.runtime import Session, open_session

CHUNK = 512  # samples judged at a time, 32 ms
CONTEXT = 64  # samples of the chunk before that are heard as well
STATE = CONTEXT + 2 * 128  # the context, then the output and the cell of the LSTM
ALONE, AHEAD = 2, 4  # blocks that are read before another thread reads on, and how far ahead
PART = 192  # chunks judged at once: what the network makes of more outgrows a core's cache
WARM_UP = 128  # chunks, 4 s: heard before each block, at whose beginning the LSTM is at rest

LISTENING_LEVEL = 10 ** (-24 / 20)  # RMS of the loud chunks: the detector misses quiet speech
GREATEST_GAIN = 100.0  # +40 dB
QUIET = 10 ** (-30 / 20)  # of the loud chunks' level: below it speech is missed
DIP = 31  # chunks, 1 s: what is quiet for less is a pause


def detect_speech(blocks: Iterable[np.ndarray]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Each block of a recording with the probability of speech in each of its chunks.

    Blocks are sound at 16 kHz, float32 (n,), each but the last of whole chunks; probabilities are
    float32 (k,) for k chunks, the last of which may be short. Of a recording longer than `ALONE`
    blocks, the next are read in another thread while one is judged.

    Raises ModelError where the detector is not installed properly, and what `blocks` raises.
    """
    before = np.zeros(CONTEXT, np.float32)  # the last samples of the blocks before, amplified
    with closing(read_ahead(blocks, ALONE, AHEAD)) as reading:
        for block in reading:
            levels = measure_chunks(block)
            chunks = split_chunks(block) * _gain(levels)
            sound = np.concatenate([before, chunks.ravel()])
            probabilities = _judge(sound)[-len(chunks) :]
            for part in _quiet_parts(levels):
                alone = judge_alone(block[part.start * CHUNK : part.stop * CHUNK])
                probabilities[part] = np.maximum(probabilities[part], alone)
            yield block, probabilities
            before = sound[-(CONTEXT + WARM_UP * CHUNK) :]


def split_chunks(block: np.ndarray) -> np.ndarray:
    """(n,) → (k, CHUNK), the last one filled up with zeros."""
    if missing := -len(block) % CHUNK:
        block = np.pad(block, (0, missing))
    return block.reshape(-1, CHUNK)


def measure_chunks(block: np.ndarray) -> np.ndarray:
    """The RMS of each chunk: (n,) → (k,)."""
    chunks = split_chunks(block)
    return np.sqrt(np.einsum("ij,ij->i", chunks, chunks) / CHUNK)  # squares without a copy


def _gain(levels: np.ndarray) -> np.float32:
    """Gain that brings the loud ones of a block's chunks, RMS (k,), to the level listened at."""
    loud = np.percentile(levels, 98)
    return np.float32(min(LISTENING_LEVEL / max(loud, 1e-9), GREATEST_GAIN))


def _quiet_parts(levels: np.ndarray) -> list[slice]:
    """Runs of a block's chunks, RMS (k,), 1 s and longer, so far below its loud ones that speech
    in them is missed: what follows a ring, a knock or music."""
    filled = _slide(np.min, _slide(np.max, levels, 0.0), np.inf)  # short dips filled, edges kept
    quiet = filled < QUIET * np.percentile(levels, 98)
    edges = np.flatnonzero(np.diff(quiet, prepend=False, append=False)).tolist()
    return [slice(a, b) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _slide(summary: Callable[..., np.ndarray], values: np.ndarray, beyond: float) -> np.ndarray:
    """The greatest or least value of the `DIP` around each: (k,) → (k,)."""
    padded = np.pad(values, DIP // 2, constant_values=beyond)
    return summary(sliding_window_view(padded, DIP), axis=1)


def judge_alone(sound: np.ndarray) -> np.ndarray:
    """A piece of sound (n,) as if it were all of a recording → probabilities (k,)."""
    chunks = split_chunks(sound) * _gain(measure_chunks(sound))
    return _judge(np.pad(chunks.ravel(), (CONTEXT, 0)))


def _judge(sound: np.ndarray) -> np.ndarray:
    """Whole chunks and the context of the first (CONTEXT + k CHUNK,) → probabilities (k,)."""
    state = np.zeros(STATE, np.float32)
    state[:CONTEXT] = sound[:CONTEXT]
    probabilities = []
    for first in range(CONTEXT, len(sound), PART * CHUNK):
        inputs = {"samples": sound[first : first + PART * CHUNK], "state": state}
        part, state = _open_detector().run(["probabilities", "next_state"], inputs)
        probabilities.append(part)
    return np.concatenate(probabilities)


@functools.cache
def _open_detector() -> Session:
    """Raises ModelError."""
    return open_session(ASSETS / "speech_detector.onnx", threads=1)
