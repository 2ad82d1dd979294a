"""How much a voice tells of the face, as `speech2face audit` states it (privacy/single.py)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from speech2face.errors import ModelError
from speech2face.privacy.disclosure import Calibration, Spread, learn_spread, read_calibration
from speech2face.privacy.single import state_voice, tell

if TYPE_CHECKING:
    from speech2face.reconstruct import Speech2Face, VoiceEmbedding
    from speech2face.weights import Model


@dataclass(frozen=True)
class Confidence:
    """What a model needs to know of itself to say it."""

    calibration: Calibration
    spread: Spread

    def of(self, voice: VoiceEmbedding) -> dict[str, Any]:
        """The facts of `answers.Confidence`; about 10 ms."""
        facts = state_voice(voice, self.spread, self.calibration)
        sentences = tell(facts)
        return {
            "bits": round(facts["bits"]["value"], 2),
            "low": _round(facts["bits"]["low"]),
            "high": _round(facts["bits"]["high"]),
            "calibrated_on": facts["calibrated_on"],
            "words": " ".join(sentences[:3]),
            "notes": sentences[3:],
        }


def load_confidence(network: Speech2Face, model: Model) -> Confidence | None:
    """None where the model's covariance does not depend on length.

    Raises ModelError where its calibration cannot be read.
    """
    calibration = read_calibration(model)
    try:
        return Confidence(calibration, learn_spread(network.encode))
    except ModelError:
        return None


def _round(bits: float | None) -> float | None:
    return None if bits is None else round(bits, 2)
