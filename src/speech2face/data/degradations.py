"""Degradations of a recording: noise, telephone, codecs, rooms, overload.

Each function takes mono sound at 16 kHz, float32 (n,), and returns as much of the same kind; what
leaves chance a part takes a seed, and the same seed gives the same sound. Noise, reverberation and
gain may lead beyond full scale (±1).

noise           signal-to-noise ratio in dB: power of the speech, pauses left out, over the noise's
telephone       300 to 3,400 Hz (ITU-T G.712), at 8 kHz and back
mp3, opus       encoded at so many kbit/s and decoded again
reverberation   RT60, the seconds in which a room's sound falls by 60 dB (ISO 3382), and the
                direct-to-reverberant ratio in dB
clipping        share of the samples beyond full scale
gain            dB
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Literal

import numpy as np

from speech2face.media import SAMPLE_RATE, load_audio

FRAME = 512  # samples, 32 ms, in which the level is measured
PAUSE = 30.0  # dB below the loudest frame; what is quieter is no speech
DEEPEST = 50  # Hz: below it pink noise has nothing; it would count, but not be heard
PHONE_RATE, PHONE_BAND, PHONE_EDGE = 8_000, (300, 3_400), 100  # Hz
ENCODERS = {"mp3": ("mp3", "libmp3lame"), "opus": ("ogg", "libopus")}  # container and codec

Colour = Literal["white", "pink", "speech"]


def speech_power(waveform: np.ndarray) -> float:
    """Mean power of the frames within 30 dB of the loudest one, so that pauses do not count."""
    frames = np.array_split(waveform.astype(np.float64), max(1, len(waveform) // FRAME))
    powers = np.array([np.mean(frame**2) if len(frame) else 0.0 for frame in frames])
    return float(powers[powers >= powers.max() * 10 ** (-PAUSE / 10)].mean())


def add_noise(
    waveform: np.ndarray, decibels: float, seed: int = 0, colour: Colour = "pink"
) -> np.ndarray:
    """Steady noise beside speech that is `decibels` stronger; silence stays silent.

    `white`: the same power at all frequencies. `pink`: the same in all octaves from 50 Hz on, near
    that of rooms. `speech`: the recording's own spectrum, which the babble of many would have.
    """
    if not len(waveform):
        return waveform.copy()
    rng = np.random.default_rng(seed)
    noise = np.fft.rfft(rng.normal(size=len(waveform)))
    if colour == "pink":
        hertz = np.fft.rfftfreq(len(waveform), 1 / SAMPLE_RATE)
        noise *= (hertz >= DEEPEST) / np.sqrt(np.maximum(hertz, DEEPEST))
    elif colour == "speech":
        noise *= np.abs(np.fft.rfft(waveform))
    sound = np.fft.irfft(noise, len(waveform))
    power = speech_power(waveform) / 10 ** (decibels / 10)
    scale = np.sqrt(power / max(np.mean(sound**2), np.finfo(float).tiny))
    return (waveform + scale * sound).astype(np.float32)


def telephone(waveform: np.ndarray) -> np.ndarray:
    """A line's 300 to 3,400 Hz, with edges 100 Hz wide, by way of 8 kHz."""
    import soxr

    if not len(waveform):
        return waveform.copy()
    narrow = soxr.resample(waveform, SAMPLE_RATE, PHONE_RATE)
    hertz = np.fft.rfftfreq(len(narrow) + PHONE_RATE, 1 / PHONE_RATE)
    low, high = PHONE_BAND
    inside = np.minimum(hertz - low, high - hertz) / PHONE_EDGE + 1  # 0 … 1 along the edges
    gain = np.sin(np.pi / 2 * inside.clip(0, 1)) ** 2
    # A second of silence behind, so that the filter does not lead the end into the beginning.
    padded = np.fft.rfft(narrow, len(narrow) + PHONE_RATE)
    passed = np.fft.irfft(padded * gain, len(narrow) + PHONE_RATE)[: len(narrow)]
    return _fit(soxr.resample(passed.astype(np.float32), PHONE_RATE, SAMPLE_RATE), len(waveform))


def encode(waveform: np.ndarray, codec: Literal["mp3", "opus"], kilobits: float) -> bytes:
    """Encode the sound as the bytes of an mp3 or ogg/opus file, at so many kbit/s."""
    import av

    container, encoder = ENCODERS[codec]
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        track: Any = output.add_stream(encoder, rate=SAMPLE_RATE, layout="mono")
        track.bit_rate = round(1_000 * kilobits)
        track.format = track.codec.audio_formats[0].name
        frame = av.AudioFrame.from_ndarray(waveform[None], format="fltp", layout="mono")
        frame.sample_rate, frame.pts = SAMPLE_RATE, 0
        track.open()
        convert = av.AudioResampler(track.format, "mono", SAMPLE_RATE, track.frame_size)
        for part in [*convert.resample(frame), *convert.resample(None)]:
            output.mux(track.encode(part))
        output.mux(track.encode(None))
    return file.getvalue()


def encode_and_decode(
    waveform: np.ndarray, codec: Literal["mp3", "opus"], kilobits: float
) -> np.ndarray:
    """Encode and decode, in time: the file tells the encoder's delay, and decoding takes it off.

    A constant offset is lost, as from every recording that is read.
    """
    if not len(waveform):
        return waveform.copy()
    return _fit(load_audio(encode(waveform, codec, kilobits)).samples, len(waveform))


def room_response(rt60: float, direct_to_reverberant: float, seed: int = 0) -> np.ndarray:
    """A made-up room's impulse response (k,): a one, then noise that falls by 60 dB in `rt60` s.

    The one's power is `direct_to_reverberant` dB above that of all the rest (Polack, 1988).
    """
    count = max(2, round(rt60 * SAMPLE_RATE))
    response = np.random.default_rng(seed).normal(size=count)
    response *= 10 ** (-3 * np.arange(count) / (rt60 * SAMPLE_RATE))
    response[0] = 0
    response *= np.sqrt(10 ** (-direct_to_reverberant / 10) / (response**2).sum())
    response[0] = 1
    return response


def reverberate(
    waveform: np.ndarray, rt60: float, direct_to_reverberant: float, seed: int = 0
) -> np.ndarray:
    """The sound in a made-up room; the direct sound stays where and as it was."""
    response = room_response(rt60, direct_to_reverberant, seed)
    size = len(waveform) + len(response)
    sound = np.fft.irfft(np.fft.rfft(waveform, size) * np.fft.rfft(response, size), size)
    return sound[: len(waveform)].astype(np.float32)


def overload(waveform: np.ndarray, share: float) -> np.ndarray:
    """Amplify until `share` of the samples (0 … 1) would leave full scale, and cut off there."""
    ceiling = np.quantile(np.abs(waveform), 1 - share) if len(waveform) else 0.0
    return np.clip(waveform / ceiling, -1, 1).astype(np.float32) if ceiling else waveform.copy()


def change_gain(waveform: np.ndarray, decibels: float) -> np.ndarray:
    return (waveform * 10 ** (decibels / 20)).astype(np.float32)


Degradation = Callable[[np.ndarray, int], np.ndarray]
"""Sound (n,) and a seed → what became of it, as long."""

DEGRADATIONS: Mapping[str, Degradation] = MappingProxyType(
    {
        "noise_20_db": lambda sound, seed: add_noise(sound, 20, seed),
        "noise_10_db": lambda sound, seed: add_noise(sound, 10, seed),
        "noise_0_db": lambda sound, seed: add_noise(sound, 0, seed),
        "white_noise_10_db": lambda sound, seed: add_noise(sound, 10, seed, "white"),
        "babble_10_db": lambda sound, seed: add_noise(sound, 10, seed, "speech"),
        "telephone": lambda sound, _: telephone(sound),
        "mp3_32_kbps": lambda sound, _: encode_and_decode(sound, "mp3", 32),
        "opus_12_kbps": lambda sound, _: encode_and_decode(sound, "opus", 12),
        "reverberation_600_ms": lambda sound, seed: reverberate(sound, 0.6, 0, seed),
        "clipping_10_percent": lambda sound, _: overload(sound, 0.1),
        "gain_minus_30_db": lambda sound, _: change_gain(sound, -30),
    }
)
"""Name → function of sound, float32 (n,) at 16 kHz, and seed → sound of the same length."""


def _fit(sound: np.ndarray, length: int) -> np.ndarray:
    """Cut, or filled up with silence, to `length` samples."""
    return np.pad(sound[:length], (0, max(0, length - len(sound)))).astype(np.float32)
