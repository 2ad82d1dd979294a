"""Files that nobody should send: mutations of good recordings, and small files that grow."""

from __future__ import annotations

import functools
import io
import struct
from collections.abc import Iterator
from fractions import Fraction

import av
import numpy as np

from helpers.sounds import RATE, encode, example_speech

FORMATS = {
    "wav": ("wav", "pcm_s16le"),
    "flac": ("flac", "flac"),
    "mp3": ("mp3", "libmp3lame"),
    "ogg": ("ogg", "libopus"),
    "m4a": ("mp4", "aac"),
    "webm": ("webm", "libopus"),
    "mkv": ("matroska", "aac"),
    "aiff": ("aiff", "pcm_s16be"),
    "wv": ("wv", "wavpack"),
    "aac": ("adts", "aac"),
}
KINDS = ("bits", "cut", "header", "length", "splice", "repeat", "zeros", "insert")
LENGTHS = (0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFFFFF0, 0x10000000, 0x00FFFFFF)


@functools.cache
def good_files() -> dict[str, bytes]:
    """Two seconds of speech in each format, and with a picture beside it."""
    samples, _ = example_speech()
    samples = samples[RATE : 3 * RATE]
    files = {name: encode(samples, RATE, *how) for name, how in FORMATS.items()}
    files["mp4"] = encode(samples, RATE, "mp4", "aac", video=True)
    return files


def mutations(count: int, seed: int) -> Iterator[tuple[str, str, bytes]]:
    """`count` of (format, kind, bytes), the same for the same seed."""
    random = np.random.default_rng(seed)
    files = good_files()
    for number in range(count):
        name = sorted(files)[number % len(files)]
        kind = KINDS[number % len(KINDS)]  # 11 formats, 8 kinds: all pairs in turn
        other = files[str(random.choice(sorted(files)))]
        yield name, kind, _mutate(files[name], kind, other, random)


def _mutate(data: bytes, kind: str, other: bytes, random: np.random.Generator) -> bytes:
    changed = bytearray(data)
    early = bool(random.integers(2))  # where formats keep what they promise

    def somewhere() -> int:
        return int(random.integers(min(len(data), 512) if early else len(data)))

    match kind:
        case "bits":
            for _ in range(2 ** int(random.integers(0, 9))):
                changed[somewhere()] ^= 1 << int(random.integers(8))
        case "cut":
            del changed[somewhere() :]
        case "header":
            size = int(random.integers(1, 65))
            changed[:size] = other[:size] if early else random.bytes(size)
        case "length":
            for _ in range(int(random.integers(1, 4))):
                order = random.choice(["<I", ">I"])
                at = int(random.integers(max(1, min(len(data), 512) - 4)))
                changed[at : at + 4] = struct.pack(order, LENGTHS[random.integers(len(LENGTHS))])
        case "splice":
            changed[somewhere() :] = other[int(random.integers(len(other))) :]
        case "repeat":
            at, size = somewhere(), int(random.integers(1, 4096))
            changed[at:at] = changed[at : at + size] * int(random.integers(1, 200))
        case "zeros":
            at, size = somewhere(), int(random.integers(1, 4096))
            changed[at : at + size] = bytes(len(changed[at : at + size]))
        case "insert":
            at = somewhere()
            changed[at:at] = random.bytes(int(random.integers(1, 1024)))
    return bytes(changed)


def bombs(hours: float) -> Iterator[tuple[str, bytes]]:
    """Small files that become long, wide or dense sound."""
    yield "opus silence", _repeat_packet("ogg", "libopus", 48_000, hours)
    yield "webm silence", _repeat_packet("webm", "libopus", 48_000, hours)
    yield "flac silence", _repeat_packet("matroska", "flac", 44_100, hours)
    yield "flac at 192 kHz", _repeat_packet("matroska", "flac", 192_000, hours / 4)
    yield "wav of 65535 channels", _wav(65_535, 16_000, 30 * 2**20)
    yield "wav at 768 kHz", _wav(1, 768_000, 30 * 2**20)
    yield "wav of 8-bit zeros", _wav(1, 4_000, 30 * 2**20, bits=8)
    yield "wav that promises 4 GiB", _wav(2, 48_000, 1000, promised=2**32 - 1)
    yield "zeros", bytes(30 * 2**20)


def _repeat_packet(container: str, codec: str, rate: int, hours: float) -> bytes:
    """One encoded frame of silence, again and again."""
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        track = output.add_stream(codec, rate=rate, layout="mono")
        track.format = track.codec.audio_formats[0].name
        track.codec_context.open()
        size = track.codec_context.frame_size
        silence = np.zeros((1, size * 8), np.float32)
        frame = av.AudioFrame.from_ndarray(silence, format="fltp", layout="mono")
        frame.sample_rate = rate
        packets = []
        for part in av.AudioResampler(track.format, "mono", rate, size).resample(frame):
            packets += track.encode(part)
        payload = bytes(packets[-1])
        for number in range(round(hours * 3600 * rate / size)):
            packet = av.Packet(payload)
            packet.stream, packet.time_base = track, Fraction(1, rate)
            packet.pts = packet.dts = number * size
            packet.duration = size
            output.mux(packet)
    return file.getvalue()


def _wav(channels: int, rate: int, size: int, bits: int = 16, promised: int = 0) -> bytes:
    frame = channels * bits // 8
    described = struct.pack("<HHIIHH", 1, channels, rate, rate * frame % 2**32, frame % 2**16, bits)
    length = promised or size
    riff = struct.pack("<4sI4s4sI", b"RIFF", min(length + 36, 2**32 - 1), b"WAVE", b"fmt ", 16)
    return riff + described + struct.pack("<4sI", b"data", length) + bytes(size)
