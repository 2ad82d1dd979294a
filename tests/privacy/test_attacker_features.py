"""Features of recordings: halves, seeds, what is kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from speech2face.privacy.attacker_features import (
    AttackerFeatures,
    Recording,
    cut_halves,
    extract_attacker_features,
)

RATE = 16_000


class Ear(torch.nn.Module):
    """Hears the mean and the length of a sound."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = torch.nn.Parameter(torch.ones(()))

    def forward(self, waveform: torch.Tensor) -> torch.Tensor:
        length = torch.full_like(waveform[:, 0], waveform.shape[1])
        return torch.stack([waveform.mean(1) * self.gain, length], 1)


class Network:
    speaker = Ear()


class Raised:
    """Adds a number that its seed draws, and remembers being asked."""

    name = "raised"

    def __init__(self) -> None:
        self.seeds: list[int] = []

    def __repr__(self) -> str:
        return "Raised()"

    def __call__(self, samples: np.ndarray, seed: int) -> np.ndarray:
        self.seeds.append(seed)
        return samples + np.float32(np.random.default_rng(seed).random())


def recordings(count: int = 3, seconds: float = 2.5) -> list[Recording]:
    length = round(seconds * RATE)
    return [Recording(f"clip {i}", np.full(length, i, np.float32)) for i in range(count)]


def extract(anonymise: Any, spoken: list[Recording], cache: Path) -> AttackerFeatures:
    network: Any = Network()
    return extract_attacker_features(network, anonymise, spoken, cache, lambda *_: None)


def test_halves_follow_each_other_and_short_clips_have_none():
    short = Recording("short", np.zeros(round(1.9 * RATE), np.float32))
    halves, clip = cut_halves([recordings(1)[0], short, recordings(2)[1]])
    assert clip.tolist() == [0, 0, 2, 2]
    assert [len(half.samples) for half in halves] == [20_000] * 4
    assert len({half.name for half in halves}) == 4


def test_without_an_anonymiser_recordings_are_heard_as_they_are(tmp_path: Path):
    extracted = extract(None, recordings(), tmp_path)
    np.testing.assert_allclose(extracted.features[:, 0], [0, 1, 2])
    assert extracted.seconds == pytest.approx([2.5] * 3)


def test_each_half_has_a_secret_of_its_own(tmp_path: Path):
    halves, _ = cut_halves(recordings(4))
    anonymiser = Raised()
    extracted = extract(anonymiser, halves, tmp_path)
    assert len(set(anonymiser.seeds)) == 8
    assert len(set((extracted.features[:, 0] % 1).round(5).tolist())) == 8


def test_what_was_heard_is_kept(tmp_path: Path):
    first = extract(Raised(), recordings(), tmp_path)
    again = Raised()
    second = extract(again, recordings(), tmp_path)
    np.testing.assert_array_equal(first.features, second.features)
    assert again.seeds == []
    other = [Recording(r.name, r.samples + 1) for r in recordings()]
    extract(again, other, tmp_path)  # other sounds under the same names
    assert len(again.seeds) == 3


def test_an_anonymiser_that_leaves_nothing_leaves_silence(tmp_path: Path):
    extracted = extract(lambda samples, seed: samples[:0], recordings(1), tmp_path)
    assert extracted.features[0, 0] == 0
    assert extracted.seconds == pytest.approx([0.5])
