"""Voices are told apart by what the released encoder hears."""

from __future__ import annotations

import numpy as np
import pytest

from helpers.sounds import EXAMPLES
from speech2face.errors import ModelError
from speech2face.media import load_audio
from speech2face.speaker_features import CAMPPLUS, SpeakerFeatures


def test_a_voice_is_nearer_to_itself_than_to_others():
    features = SpeakerFeatures()
    halves = []
    for name in ("emma", "george", "michael"):
        speech = load_audio(str(EXAMPLES / f"{name}.flac")).samples
        halves.append([features.embed(part) for part in np.array_split(speech, 2)])
    first, second = np.array(halves).transpose(1, 0, 2)
    assert first.shape == (3, CAMPPLUS)
    np.testing.assert_allclose(np.linalg.norm(first, axis=1), 1, rtol=1e-5)
    alike = first @ second.T
    assert (alike.diagonal() > alike.max(0, where=~np.eye(3, dtype=bool), initial=-1)).all()
    assert features.embed(np.ones(100, np.float32)).shape == (CAMPPLUS,)


def test_an_encoder_without_speaker_networks_is_refused(tmp_path):
    with pytest.raises(ModelError):
        SpeakerFeatures(tmp_path)
