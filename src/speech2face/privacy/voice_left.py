"""Measures what is left of one speaker's voice after a disguise, to whoever knows the method."""

from __future__ import annotations

import numpy as np

from speech2face.metrics.audit_results import StatedBits
from speech2face.metrics.protection_results import VoiceLeft
from speech2face.model_folders import Model
from speech2face.privacy.audit_recording import audit_voice
from speech2face.privacy.disguise_detection import PLAIN
from speech2face.privacy.leakage_estimate import infer_face_covariance, read_calibration
from speech2face.privacy.remaining_disclosure import state_bits_left
from speech2face.reconstruct import Speech2Face
from speech2face.speaker_features import open_speaker_features
from speech2face.speech import Speech


class VoiceMeter:
    """Measures voices by one model, which is loaded once."""

    def __init__(self, model: Model) -> None:
        self._network = Speech2Face(model)
        self._calibration = read_calibration(model)
        self._faces = infer_face_covariance(self._network.encode)

    def state_bits(self, speech: Speech) -> StatedBits:
        """The bits of the face that a plain voice discloses."""
        voice = self._network.embed(speech)
        bits = audit_voice(voice, self._faces, self._calibration, PLAIN).bits
        assert bits  # of a voice that is taken for plain
        return bits

    def measure(
        self, speech: Speech, bits: StatedBits, disguised: np.ndarray, method: str | None
    ) -> VoiceLeft:
        """What is left of a speaker's plain `speech`, which discloses `bits`.

        `disguised` (n,) is the same speech after `method`; None is one that is not known.
        """
        features = open_speaker_features()
        likeness = features.embed(speech.samples) @ features.embed(disguised)
        assert speech.speaker is not None
        return VoiceLeft(
            speech.speaker, bits, state_bits_left(bits, method), round(float(likeness), 3)
        )
