"""A sample: the speech of one person and one frame of that person's face, which training reads."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Literal

import numpy as np


@dataclass(frozen=True)
class SampleSource:
    """The origin of a sample: a stretch of a file, and who speaks in it."""

    clip: str  # unique in its set; names the sample
    path: str  # of the file, below the set's folder
    start: float  # seconds in that file
    end: float
    person: str  # who speaks, as far as the set says; by default the file


@dataclass(frozen=True)
class Quality:
    """Measurements of the frame and the speech that the stages chose."""

    frame_seconds: float  # where the frame lies in the file
    yaw: float  # `yaw_of`: 0 is frontal
    eyes_open: float  # opening by width, mean of both eyes
    sharpness: float  # variance of the Laplacian at 112 px
    face_pixels: float  # distance of the eyes, pixels
    speech_seconds: float
    agreement: float  # of mouth and sound, see preparation/lip_sync.py
    lag: float = math.nan  # s by which the sound comes after the mouth
    inside: float = math.nan  # share of the face's picture that its frame shows; the rest is black
    trusted: bool = False  # whoever is seen was taken for the speaker
    frames: int = 1  # that the mean embedding is of
    spread: float = math.nan  # root mean square distance of theirs from it


@dataclass(frozen=True)
class Sample:
    source: SampleSource
    speech: np.ndarray  # float32 (n,), 16 kHz, 0.5 to 10 s
    face: np.ndarray  # uint8 (224, 224, 3), RGB, on the canvas template
    embedding: np.ndarray  # float32 (D,)
    quality: Quality
    further: Mapping[str, np.ndarray] = field(default_factory=dict)
    """Embeddings (D,) by recognisers that tell who is the same person, but for the set's own."""
    mean: np.ndarray | None = None  # float32 (D,), over good frames of the video; None of a picture

    def embeddings(self, face_encoder: str) -> dict[str, np.ndarray]:
        """All that the sample has, by recogniser; its own one is `face_encoder`."""
        return {face_encoder: self.embedding, **self.further}

    def target(self, frames: Literal["best", "mean"]) -> np.ndarray:
        """The embedding (D,) to learn: of the best frame, or the mean where there is one."""
        return self.embedding if frames == "best" or self.mean is None else self.mean

    def describe(self) -> dict[str, dict[str, str | float | bool]]:
        return {"source": asdict(self.source), "quality": asdict(self.quality)}


@dataclass(frozen=True)
class Refusal:
    """A clip that gives no sample, and why, in words for the ledger."""

    source: SampleSource
    stage: str
    reason: str
