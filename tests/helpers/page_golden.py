"""Recordings, and what Python answers on them: the page's own engine has to answer the same.

python tests/helpers/page_golden.py

It writes page_golden.json beside this program, which the tests of Python and those in JavaScript
(tests/serving/device/) read. It is written again when answers are meant to change.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr
from PIL import Image

import speech2face
from helpers.sounds import EXAMPLES, RATE, music, noise
from speech2face import Speech2Face
from speech2face.errors import NoSpeechError
from speech2face.model_folders import find_model
from speech2face.privacy.disguise_metadata import make_mark
from speech2face.privacy.mcadams import move_formants
from speech2face.serving.disclosure import load_estimator
from speech2face.serving.inference import InferenceTask, infer

GOLDEN = Path(__file__).with_name("page_golden.json")
VOICES = [path.stem for path in sorted(EXAMPLES.glob("*.flac"))]
PICTURES = {"size": 448, "samples": 2}
# How pictures are drawn, in turn over the cases.
CHOICES: tuple[dict[str, Any], ...] = (
    {"style": "plain", "strength": 1.0, "hair": "typical"},
    {"style": "plain", "strength": 0.5, "hair": "3"},
    {"style": "cartoon", "strength": 1.0, "hair": "typical"},
    {"style": "plain", "strength": 1.5, "hair": "none", "seed": 7},
)
BLOCKS = 32  # along each side of a picture, whose mean colours are kept

Answer = dict[str, Any]


def make_recordings() -> dict[str, tuple[np.ndarray, int]]:
    """By name: samples (n,) or (n, channels), float within ±1, and their rate in Hz."""
    voices = {name: soundfile.read(EXAMPLES / f"{name}.flac")[0] for name in VOICES}
    alex, bella, emma, george = (voices[name] for name in ("alex", "bella", "emma", "george"))
    pause = np.zeros(RATE // 2)
    call = np.zeros((len(alex) + len(bella), 2))
    call[: len(alex), 0], call[len(alex) :, 1] = alex, bella
    long = np.concatenate([part for _ in range(3) for part in (emma, pause, pause)] + [george])
    return {
        **{name: (samples, RATE) for name, samples in voices.items()},
        "two speakers": (np.concatenate([bella, pause, george, pause, bella, george]), RATE),
        "a call in two channels": (np.concatenate([call, call[::-1]]), RATE),
        "longer than a block": (np.concatenate([long, noise(9), george]), RATE),
        "out of phase": (np.stack([emma, -0.9 * emma], 1), RATE),
        # Not emma: two kinds of hair suit her alike, and a rounding decides.
        "44.1 kHz, with an offset": (0.08 + 0.8 * soxr.resample(alex, RATE, 44_100), 44_100),
        "a telephone": (soxr.resample(george, RATE, 8_000), 8_000),
        "quiet after a knock": (np.concatenate([noise(0.1), pause, 0.004 * bella]), RATE),
        "in louder noise": (cover(emma, 0), RATE),
        "in louder rustling": (cover(george, 1), RATE),
        "disguised": (move_formants(george, 0.8), RATE),
        "marked as disguised": (emma, RATE),
        "noise": (noise(4), RATE),
        "music": (music(4), RATE),
        "silence": (np.zeros(3 * RATE), RATE),
        "too short": (emma[2 * RATE : 2 * RATE + 5_000], RATE),
    }


def cover(voice: np.ndarray, slope: float) -> np.ndarray:
    """4 s of a voice with noise that is 11 dB louder."""
    voice, other = voice[: 4 * RATE], noise(4, slope)
    mixed = voice / voice.std() + 10 ** (11 / 20) * other / other.std()
    return 0.5 * mixed / np.abs(mixed).max()


def encode_case(name: str, samples: np.ndarray, rate: int) -> bytes:
    """A WAV file, with what its metadata say in the case of a mark."""
    comment = make_mark("mcadams")["comment"] if name == "marked as disguised" else ""
    return encode_wav(samples, rate, comment)


def encode_wav(samples: np.ndarray, rate: int, comment: str = "") -> bytes:
    file = io.BytesIO()
    channels = 1 if samples.ndim == 1 else samples.shape[1]
    with soundfile.SoundFile(file, "w", rate, channels, "PCM_16", format="WAV") as wav:
        if comment:
            wav.comment = comment
        wav.write(samples)
    return file.getvalue()


def choose(number: int) -> dict[str, Any]:
    """How the pictures of the case of this number are drawn."""
    return {**PICTURES, **CHOICES[number % len(CHOICES)]}


def make_answerer(network: Speech2Face | None = None) -> Callable[[bytes, dict[str, Any]], Answer]:
    """What answers on a recording (a file's bytes) and choices as the server does."""
    network = network or speech2face.load()
    estimator = load_estimator(network, find_model())

    def answer(recording: bytes, choices: dict[str, Any]) -> Answer:
        drawn = InferenceTask(**choices)
        try:
            found = infer(network, estimator, 600.0, drawn, recording)
        except NoSpeechError as error:
            return {"problem": str(error)}
        heard = infer(network, estimator, 600.0, InferenceTask(wanted="embedding"), recording)
        mean = [round(value, 5) for value in heard.fields["mean"]]
        return {**found.fields, "mean": mean, "pictures": [*map(shrink, found.pictures)]}

    return answer


def shrink(png: bytes) -> str:
    """A picture's mean colours in blocks, as base64 of bytes."""
    pixels = np.asarray(Image.open(io.BytesIO(png)).convert("RGB"), float)
    side = len(pixels) // BLOCKS
    means = pixels.reshape(BLOCKS, side, BLOCKS, side, 3).mean((1, 3))
    return base64.b64encode(means.round().astype(np.uint8).tobytes()).decode()


def write() -> None:
    answer = make_answerer()
    cases = {
        name: {"choices": choose(i), "answer": answer(encode_case(name, *recording), choose(i))}
        for i, (name, recording) in enumerate(make_recordings().items())
    }
    GOLDEN.write_text(json.dumps(cases, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write()
