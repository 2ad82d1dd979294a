"""Disclosure of a voice for HTTP, as `speech2face audit` states it (audit_recording.py)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from speech2face.errors import ModelError
from speech2face.privacy.audit_recording import audit_voice
from speech2face.privacy.disguise_detection import find_disguise
from speech2face.privacy.leakage_estimate import (
    Calibration,
    FaceCovariance,
    infer_face_covariance,
    read_calibration,
)
from speech2face.reports.audit_text import format_disclosure

if TYPE_CHECKING:
    from speech2face.model_folders import Model
    from speech2face.reconstruct import Speech2Face, VoiceEmbedding


@dataclass(frozen=True)
class DisclosureEstimator:
    """A model's covariances and calibration, from which disclosure is estimated."""

    calibration: Calibration
    faces: FaceCovariance

    def estimate(self, voice: VoiceEmbedding, tags: Mapping[str, str]) -> dict[str, Any]:
        """The fields of `schemas.Confidence` on a voice and its file's tags; about 30 ms."""
        disguise = find_disguise(voice.speech.samples, tags)
        audit = audit_voice(voice, self.faces, self.calibration, disguise)
        sentences = list(format_disclosure(audit).values())
        bits = audit.bits
        return {
            "bits": _round(bits and bits.value),
            "low": _round(bits and bits.low),
            "high": _round(bits and bits.high),
            "disguised": disguise.as_json(),
            "calibrated_on": audit.calibrated_on,
            "words": " ".join(sentences[:3]),
            "notes": sentences[3:],
        }


def load_estimator(network: Speech2Face, model: Model) -> DisclosureEstimator | None:
    """None where the model's covariance does not depend on length.

    Raises ModelError where its calibration cannot be read.
    """
    calibration = read_calibration(model)
    try:
        return DisclosureEstimator(calibration, infer_face_covariance(network.encode))
    except ModelError:
        return None


def _round(bits: float | None) -> float | None:
    return None if bits is None else round(bits, 2)
