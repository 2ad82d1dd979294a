"""A line of a table → one sample: its sound and its face are given, so nobody is tracked.

Nor is anybody refused for the pose; the yaw of a profile, where no mesh is seen, is not known.
Found, aligned and embedded the same way as by training from the table itself (`data/pairs.py`).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from speech2face.data.pairs import LEAST_SECONDS, load_speech
from speech2face.data.samples import Quality, Refusal, Sample, SampleSource
from speech2face.errors import NoSpeechError, UnreadableMediaError
from speech2face.media import SAMPLE_RATE
from speech2face.photographs import load_image
from speech2face.preparation import Refused
from speech2face.preparation.clip_to_sample import Models, StageTimer, attempt
from speech2face.preparation.frame_selection import measure_view
from speech2face.preparation.video import Frame


def take_sample(
    source: SampleSource, audio: Path, face: Path, models: Models
) -> tuple[Sample | Refusal, dict[str, float]]:
    """The sample of one recording and one picture, or why not; and seconds by stage.

    No file makes this raise.
    """
    return attempt(source, lambda timer: _take(source, audio, face, models, timer))


def _take(
    source: SampleSource, audio: Path, face: Path, models: Models, timer: StageTimer
) -> Sample:
    with timer.timing("speech"):
        speech = _load_speech(audio)
    with timer.timing("decode"):
        try:
            image = load_image(face)
        except UnreadableMediaError as error:
            raise Refused("decode", format_reason(error, face)) from None
    with timer.timing("detect"):
        face_seen = models.detector.largest(image)
        if face_seen is None:
            raise Refused("detect", "no face")
    with timer.timing("mesh"):
        mesh = models.mesh.landmarks(image, face_seen.landmarks)
        view = measure_view(Frame(0.0, image), face_seen.landmarks, mesh)
    with timer.timing("embed"):
        embedding, further = models.embed(image, face_seen.landmarks)
    seconds = len(speech) / SAMPLE_RATE
    quality = Quality(
        frame_seconds=float("nan"),
        yaw=view.yaw,
        eyes_open=view.eyes_open,
        sharpness=view.sharpness,
        face_pixels=view.face_pixels,
        speech_seconds=seconds,
        agreement=float("nan"),
        inside=view.inside,
    )
    return Sample(source, speech, view.face, embedding, quality, further)


def _load_speech(audio: Path) -> np.ndarray:
    """The speech of a recording. Refused where it is no sound, silent or short."""
    try:
        speech, _ = load_speech(audio)
    except UnreadableMediaError as error:
        raise Refused("decode", format_reason(error, audio)) from None
    except NoSpeechError as error:
        raise Refused("speech", format_reason(error, audio)) from None
    if len(speech) < LEAST_SECONDS * SAMPLE_RATE:
        raise Refused("speech", f"only {len(speech) / SAMPLE_RATE:.2f} s of sound")
    return speech


def format_reason(error: Exception, path: Path) -> str:
    """The reason of an error without the file's path: many files have one reason."""
    return str(error).removeprefix(str(path)).lstrip(": ")
