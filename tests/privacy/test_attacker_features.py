"""Features of recordings as published: kept, and by the network of the fold under attack."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from speech2face.privacy.attacker_features import (
    AttackerFeatures,
    TunedFeatures,
    extract_attacker_features,
)


class Ear(torch.nn.Module):
    """Hears the mean and the length of a sound, and remembers how often it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = torch.nn.Parameter(torch.ones(()))
        self.asked = 0

    def forward(self, waveform: torch.Tensor) -> torch.Tensor:
        self.asked += len(waveform)
        length = torch.full_like(waveform[:, 0], waveform.shape[1])
        return torch.stack([waveform.mean(1) * self.gain, length], 1)


def sounds(count: int = 30) -> list[np.ndarray]:
    return [np.full(8000 + 160 * i, i, np.float32) for i in range(count)]


def extract(ear: Any, heard: list[np.ndarray], cache: Path) -> AttackerFeatures:
    return extract_attacker_features(ear, heard, cache, lambda *_: None)


def test_what_was_embedded_is_kept_by_sound_and_network(tmp_path: Path):
    ear = Ear()
    first = extract(ear, sounds(), tmp_path)
    np.testing.assert_allclose(first.features[:, 0], np.arange(30))
    assert first.seconds[1] == pytest.approx(0.51)
    again = extract(ear, sounds(), tmp_path)
    np.testing.assert_array_equal(first.features, again.features)
    assert ear.asked == 30
    extract(ear, [*sounds()[:-1], np.ones(8000, np.float32)], tmp_path)
    assert ear.asked == 40  # the file of the sound that changed
    torch.nn.init.constant_(ear.gain, 2.0)
    np.testing.assert_allclose(extract(ear, sounds(), tmp_path).features[:, 0], 2 * np.arange(30))


def test_each_fold_hears_by_its_own_network():
    plain = AttackerFeatures(np.zeros((2, 3)), np.ones(2))
    assert plain.of_fold(4) is plain
    tuned = TunedFeatures({0: np.zeros((2, 3)), 1: np.ones((2, 3))}, np.ones(2))
    assert tuned.of_fold(1).features.sum() == 6
    with pytest.raises(KeyError):
        tuned.of_fold(2)
