"""A line of a table → one sample: its sound and its face are given, so nobody is tracked.

Nor is anybody refused for the pose; the yaw of a profile, where no mesh is seen, is not known.
Found, aligned and embedded the same way as by training from the table itself (`data/pairs.py`).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from speech2face.data.pairs import LEAST_SECONDS, hear
from speech2face.data.samples import Quality, Refusal, Sample, Source
from speech2face.errors import UnreadableMediaError
from speech2face.media import SAMPLE_RATE
from speech2face.photographs import load_image
from speech2face.preparation import Refused
from speech2face.preparation.choosing import measure_view
from speech2face.preparation.decoding import Frame
from speech2face.preparation.sampling import Models, Watch


def take_sample(
    source: Source, audio: Path, face: Path, models: Models
) -> tuple[Sample | Refusal, dict[str, float]]:
    """The sample of one recording and one picture, or why not; and seconds by stage.

    No file makes this raise.
    """
    watch = Watch()
    try:
        return _take(source, audio, face, models, watch), watch.seconds
    except Refused as refused:
        return Refusal(source, refused.stage, refused.reason), watch.seconds


def _take(source: Source, audio: Path, face: Path, models: Models, watch: Watch) -> Sample:
    with watch.timing("speech"):
        speech = _hear(audio)
    with watch.timing("detect"):
        try:
            image = load_image(face)
        except UnreadableMediaError as error:
            raise Refused("decode", str(error)) from None
        found = models.detector.largest(image)
        if found is None:
            raise Refused("detect", "no face")
    with watch.timing("mesh"):
        mesh = models.mesh.landmarks(image, found.landmarks)
        view = measure_view(Frame(0.0, image), found.landmarks, mesh)
    with watch.timing("embed"):
        embedding = models.encoder.embed(image, found.landmarks)
    seconds = len(speech) / SAMPLE_RATE
    quality = Quality(
        frame_seconds=float("nan"),
        yaw=view.yaw,
        eyes_open=view.eyes_open,
        sharpness=view.sharpness,
        face_pixels=view.face_pixels,
        speech_seconds=seconds,
        agreement=float("nan"),
    )
    return Sample(source, speech, view.face, embedding, quality)


def _hear(audio: Path) -> np.ndarray:
    """The speech of a recording. Refused where it is no sound, or short."""
    try:
        speech, _ = hear(audio)
    except UnreadableMediaError as error:
        raise Refused("decode", str(error)) from None
    if len(speech) < LEAST_SECONDS * SAMPLE_RATE:
        raise Refused("speech", f"only {len(speech) / SAMPLE_RATE:.2f} s of sound")
    return speech
