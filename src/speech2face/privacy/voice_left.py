"""Measures what is left of one speaker's voice after a disguise, to whoever knows the method."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from speech2face.metrics.audit_results import StatedBits
from speech2face.metrics.protection_results import AttackFound, VoiceLeft
from speech2face.model_folders import Model
from speech2face.privacy.audit_recording import audit_voice
from speech2face.privacy.disguise_detection import PLAIN
from speech2face.privacy.leakage_estimate import STRANGERS, infer_face_covariance, read_calibration
from speech2face.privacy.remaining_disclosure import state_bits_left
from speech2face.privacy.trained_attackers import (
    HeardRecording,
    Hearing,
    TrainedAttacker,
    load_attacker,
)
from speech2face.reconstruct import Speech2Face
from speech2face.speech import Speech

CHOOSER: Hearing = "campplus"  # the attacker by whom methods are chosen
JUDGE: Hearing = "ge2e"  # one that has learned apart from it


@dataclass(frozen=True)
class PlainVoice:
    """One speaker's plain speech, and what it discloses of the face."""

    speech: Speech
    bits: StatedBits

    @property
    def number(self) -> int:
        assert self.speech.speaker is not None  # since speakers were told apart
        return self.speech.speaker

    @cached_property
    def heard(self) -> HeardRecording:
        return HeardRecording.hear(self.speech.samples)


class VoiceMeter:
    """Measures voices by one model, which is loaded once."""

    def __init__(self, model: Model) -> None:
        self._network = Speech2Face(model)
        self._calibration = read_calibration(model)
        self._faces = infer_face_covariance(self._network.encode)

    def state_bits(self, speech: Speech) -> PlainVoice:
        """A speaker's plain speech with the bits of the face that it discloses."""
        voice = self._network.embed(speech)
        bits = audit_voice(voice, self._faces, self._calibration, PLAIN).bits
        assert bits  # of a voice that is taken for plain
        return PlainVoice(speech, bits)

    def measure(self, voice: PlainVoice, disguised: np.ndarray, method: str | None) -> VoiceLeft:
        """What is left of a voice after `method`, None for one that is not known.

        `disguised` (n,) is the same speech, 0.5 s or more. Raises ModelError where the released
        attackers are missing or damaged.
        """
        left = state_bits_left(voice.bits, method)
        chooser, judge = load_attacker(method or "", CHOOSER), load_attacker(method or "", JUDGE)
        if chooser is None or judge is None:
            return VoiceLeft(voice.number, voice.bits, left, None, None)
        hidden = HeardRecording.hear(disguised)
        return VoiceLeft(
            voice.number,
            voice.bits,
            left,
            _attack(chooser, voice.heard, hidden),
            _attack(judge, voice.heard, hidden),
        )


def _attack(
    attacker: TrainedAttacker, plain: HeardRecording, hidden: HeardRecording
) -> AttackFound:
    found = attacker.measure_heard(plain, hidden)
    strangers = round(STRANGERS * found.voice_rank)
    return AttackFound(attacker.hearing, round(found.bits, 3), found.place, strangers)
