"""Sounds for tests: noises, hum, tones and music that hold no speech; recordings that do."""

from __future__ import annotations

import io
from pathlib import Path

import av
import numpy as np

from speech2face.media import load_audio

RATE = 16_000
EXAMPLES = Path(__file__).parents[2] / "examples"


def example_speech() -> tuple[np.ndarray, int]:
    """The first recording of `examples/`: float32 (n,) within ±1, and its rate in Hz."""
    import soundfile

    samples, rate = soundfile.read(sorted(EXAMPLES.glob("*.flac"))[0], dtype="float32")
    return samples if samples.ndim == 1 else samples.mean(axis=1), rate


def load_example(name: str, seconds: float | None = None) -> np.ndarray:
    """An example, RMS 0.05."""
    samples = load_audio(EXAMPLES / f"{name}.flac").samples
    samples = samples if seconds is None else np.resize(samples, round(seconds * RATE))
    return samples / samples.std() * np.float32(0.05)


def talk(*turns: tuple[str, float], pause: float = 0.3) -> tuple[np.ndarray, list[float]]:
    """People one after the other → the recording, and where each turn begins and the last ends."""
    parts, starts, place = [], [], 0.0
    for name, seconds in turns:
        parts += [load_example(name, seconds), np.zeros(round(pause * RATE), np.float32)]
        starts.append(place)
        place += seconds + pause
    return np.concatenate(parts), [*starts, place]


def noise(seconds: float, slope: float = 0.0, seed: int = 0, rate: int = RATE) -> np.ndarray:
    """Noise whose power falls as 1/f**slope (0 white, 1 pink, 2 brown): float32 (n,), peak 0.5."""
    n = round(seconds * rate)
    spectrum = np.fft.rfft(np.random.default_rng(seed).normal(size=n))
    spectrum[1:] /= np.arange(1, len(spectrum)) ** (slope / 2)
    spectrum[0] = 0
    return _scale(np.fft.irfft(spectrum, n))


def tones(seconds: float, *hertz: float, rate: int = RATE) -> np.ndarray:
    """Steady sine tones, each weaker than the one before: float32 (n,), peak 0.5."""
    times = np.arange(round(seconds * rate)) / rate
    return _scale(sum(np.sin(2 * np.pi * f * times) / (i + 1) for i, f in enumerate(hertz)))


def music(seconds: float, seed: int = 0, rate: int = RATE) -> np.ndarray:
    """Chords, an arpeggio and drums, different for each seed: float32 (n,), peak 0.5."""
    random = np.random.default_rng(seed)
    n, beat = round(seconds * rate), 60 / random.integers(80, 150)
    sound = np.zeros(n + 5 * rate)
    scale = 110 * 2 ** (random.integers(0, 12) / 12 + np.array([0, 2, 4, 5, 7, 9, 11]) / 12)

    def play(note: np.ndarray, start: float) -> None:
        sound[round(start * rate) :][: len(note)] += note

    for number in range(int(seconds / beat) + 1):
        if number % 4 == 0:
            for degree in (0, 2, 4):
                pitch = scale[(random.integers(0, 7) // 2 * 2 + degree) % 7]
                play(0.3 * _note(pitch, 4 * beat, rate), number * beat)
        for half in (0.0, 0.5):
            pitch = 2 * scale[random.integers(0, 7)] * random.choice([1, 2])
            play(0.4 * _note(pitch, beat, rate), (number + half) * beat)
        drum = random.normal(size=round(0.15 * rate)) if number % 2 else _note(55, 0.15, rate)
        play(0.8 * drum * np.exp(-30 * np.arange(len(drum)) / rate), number * beat)
    return _scale(sound[:n])


def _note(hertz: float, seconds: float, rate: int) -> np.ndarray:
    times = np.arange(round(seconds * rate)) / rate
    partials = sum(np.sin(2 * np.pi * hertz * k * times) / k**1.5 for k in range(1, 7))
    return partials * np.exp(-3 * times) * np.minimum(1, times / 0.01)


def _scale(sound: np.ndarray) -> np.ndarray:
    return (0.5 * sound / np.abs(sound).max()).astype(np.float32)


def encode(
    samples: np.ndarray,
    rate: int,
    container: str,
    codec: str,
    *,
    sample_format: str | None = None,
    layout: str = "mono",
    video: bool = False,
) -> bytes:
    """The bytes of a media file holding `samples`, float32 (n,) or (channels, n).

    Where `video` is true a few grey frames lie beside the sound; without samples, alone.
    """
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        pictures = output.add_stream("mpeg4", rate=10) if video else None
        sound = output.add_stream(codec, rate=rate, layout=layout) if samples.size else None
        if sound:
            sound.format = sample_format or sound.codec.audio_formats[0].name
        if pictures:
            pictures.width = pictures.height = 64
            pictures.pix_fmt = "yuv420p"
            for _ in range(10):
                image = np.full((64, 64, 3), 128, np.uint8)
                output.mux(pictures.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
            output.mux(pictures.encode(None))
        if sound:
            frame = av.AudioFrame.from_ndarray(
                np.atleast_2d(samples).astype(np.float32), format="fltp", layout=layout
            )
            frame.sample_rate = rate
            converted = av.AudioResampler(sound.format, layout, rate, sound.frame_size or None)
            for part in [*converted.resample(frame), *converted.resample(None)]:
                output.mux(sound.encode(part))
            output.mux(sound.encode(None))
    return file.getvalue()
