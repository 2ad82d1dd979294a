"""How much a voice tells of the face, as `speech2face audit` states it (audit_recording.py)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from speech2face.errors import ModelError
from speech2face.privacy.audit_recording import state_voice, tell
from speech2face.privacy.disguise_detection import find_disguise
from speech2face.privacy.leakage_estimate import Calibration, Spread, learn_spread, read_calibration

if TYPE_CHECKING:
    from speech2face.reconstruct import Speech2Face, VoiceEmbedding
    from speech2face.weights import Model


@dataclass(frozen=True)
class DisclosureEstimator:
    """What a model needs to know of itself to say it."""

    calibration: Calibration
    spread: Spread

    def estimate(self, voice: VoiceEmbedding, tags: Mapping[str, str]) -> dict[str, Any]:
        """The fields of `schemas.Confidence` on a voice and its file's tags; about 30 ms."""
        disguise = find_disguise(voice.speech.samples, tags)
        statement = state_voice(voice, self.spread, self.calibration, disguise)
        sentences = tell(statement)
        bits = statement["bits"] or dict.fromkeys(("value", "low", "high"))
        return {
            "bits": _round(bits["value"]),
            "low": _round(bits["low"]),
            "high": _round(bits["high"]),
            "disguised": statement["disguised"],
            "calibrated_on": statement["calibrated_on"],
            "words": " ".join(sentences[:3]),
            "notes": sentences[3:],
        }


def load_estimator(network: Speech2Face, model: Model) -> DisclosureEstimator | None:
    """None where the model's covariance does not depend on length.

    Raises ModelError where its calibration cannot be read.
    """
    calibration = read_calibration(model)
    try:
        return DisclosureEstimator(calibration, learn_spread(network.encode))
    except ModelError:
        return None


def _round(bits: float | None) -> float | None:
    return None if bits is None else round(bits, 2)
