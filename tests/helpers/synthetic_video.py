"""Videos of people that nobody is: drawn faces whose mouths open with a synthetic voice."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import soundfile

from helpers.sounds import EXAMPLES, RATE

SECONDS = 2.4
LIPS = (112, 163)  # where they meet on a drawn face, px
WIDEST = 13  # px


def voice(name: str = "emma", start: float = 0.4) -> np.ndarray:
    """Speech of one of the examples: float32 (n,) at 16 kHz, with a pause at either end."""
    samples, rate = soundfile.read(EXAMPLES / f"{name}.flac", dtype="float32")
    assert rate == RATE
    pause = np.zeros(round(0.35 * RATE), np.float32)
    length = round(SECONDS * RATE) - 2 * len(pause)
    return np.concatenate([pause, samples[round(start * RATE) :][:length], pause])


def loudness(samples: np.ndarray, times: np.ndarray) -> np.ndarray:
    """How loud a voice is at some times: (n,) and (T,) → (T,) in [0, 1]."""
    power = np.convolve(samples**2, np.ones(1280) / 1280, "same")
    level = np.sqrt(power)[np.clip(np.round(times * RATE).astype(int), 0, len(samples) - 1)]
    return np.minimum(level / np.percentile(np.sqrt(power), 95), 1)


def open_mouth(face: np.ndarray, opening: float) -> np.ndarray:
    """A drawn face (224, 224, 3) with its lower lip and chin moved down; opening in [0, 1]."""
    x, y = LIPS
    rows, columns = np.mgrid[:224, :224].astype(np.float32)
    across = np.cos(np.clip((columns - x) / 44, -1, 1) * np.pi / 2) ** 2
    gap = opening * WIDEST * np.clip(1 - ((columns - x) / 17) ** 2, 0, 1)
    below = np.clip(1 - (rows - y) / 60, 0, 1) * (rows > y)
    source = np.where(rows > y, np.maximum(rows - opening * WIDEST * across * below, y), rows)
    moved = cv2.remap(face, columns, source.astype(np.float32), cv2.INTER_LINEAR)
    inside = ((rows > y) & (rows < y + gap)).astype(np.float32)
    inside = cv2.GaussianBlur(inside, (0, 0), 0.8)[..., None]
    return np.round(moved * (1 - inside) + np.array([60, 20, 20]) * inside).astype(np.uint8)


def sway(picture: np.ndarray, seconds: float) -> np.ndarray:
    """As a head that is held in no clamp."""
    x, y = 1.5 * np.sin(2.1 * seconds), np.sin(3.3 * seconds + 1)
    matrix = np.array([[1, 0, x], [0, 1, y]])
    return np.asarray(
        cv2.warpAffine(picture, matrix, picture.shape[1::-1], borderMode=cv2.BORDER_REPLICATE)
    )


def even_times(rate: float = 25) -> np.ndarray:
    return np.arange(round(SECONDS * rate)) / rate


def film(face: np.ndarray, openings: np.ndarray, times: np.ndarray) -> list[np.ndarray]:
    """Frames (224, 224, 3) of a face at some times with its mouth so far open."""
    pairs = zip(openings, times, strict=True)
    return [sway(open_mouth(face, opening), seconds) for opening, seconds in pairs]


def beside(*films: list[np.ndarray]) -> list[np.ndarray]:
    """Several films as one picture."""
    return [np.hstack(frames) for frames in zip(*films, strict=True)]


def write_video(
    path: Path,
    frames: Sequence[np.ndarray],
    times: np.ndarray,
    sound: np.ndarray | None,
    *,
    turned: int = 0,
    container: str | None = None,
    begins: float = 0.0,
) -> Path:
    """A file with frames (H, W, 3) shown at `times`, s, and sound (n,) at 16 kHz from 0 s on.

    `turned` is how far a player has to turn the frames, degrees counter-clockwise. What is shown
    at 0 s comes after `begins` seconds.
    """
    clock = Fraction(1, 1000)
    with av.open(str(path), "w", format=container) as output:
        pictures = output.add_stream("mpeg4", rate=25)
        pictures.height, pictures.width = frames[0].shape[:2]
        pictures.pix_fmt = "yuv420p"
        pictures.bit_rate = 3_000_000
        pictures.codec_context.time_base = clock
        if turned:
            pictures.set_display_rotation(turned)
        voice = output.add_stream("aac", rate=RATE, layout="mono") if sound is not None else None
        if begins:
            times, frames = np.append(0, times + begins), [frames[0], *frames]
        for image, seconds in zip(frames, times, strict=True):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = round(seconds * 1000), clock
            output.mux(pictures.encode(frame))
        output.mux(pictures.encode(None))
        if voice and sound is not None:
            for place in range(0, len(sound), 1024):
                block = sound[None, place : place + 1024].astype(np.float32)
                piece = av.AudioFrame.from_ndarray(block, format="fltp", layout="mono")
                piece.sample_rate = RATE
                piece.pts, piece.time_base = place + round(begins * RATE), Fraction(1, RATE)
                output.mux(voice.encode(piece))
            output.mux(voice.encode(None))
    return path
