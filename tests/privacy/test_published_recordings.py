"""Recordings as published: halves, secrets, what is kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from speech2face.privacy.published_recordings import Recording, cut_halves, publish

RATE = 16_000


class Raised:
    """Adds a number that its seed draws, and remembers being asked."""

    name = "raised"

    def __init__(self) -> None:
        self.seeds: list[int] = []

    def __repr__(self) -> str:
        return "Raised()"

    def __call__(self, samples: np.ndarray, seed: int) -> np.ndarray:
        self.seeds.append(seed)
        return samples + np.float32(0.5 * np.random.default_rng(seed).random())


def recordings(count: int = 3, seconds: float = 2.5) -> list[Recording]:
    length = round(seconds * RATE)
    return [Recording(f"clip {i}", np.full(length, i / 10, np.float32)) for i in range(count)]


def disguise(anonymise: Any, spoken: list[Recording], cache: Path) -> list[np.ndarray]:
    return publish(anonymise, spoken, cache, lambda *_: None)


def test_halves_follow_each_other_and_short_clips_have_none():
    short = Recording("short", np.zeros(round(1.9 * RATE), np.float32))
    halves, clip = cut_halves([recordings(1)[0], short, recordings(2)[1]])
    assert clip.tolist() == [0, 0, 2, 2]
    assert [len(half.samples) for half in halves] == [20_000] * 4
    assert len({half.name for half in halves}) == 4


def test_without_an_anonymiser_recordings_are_as_they_were_spoken(tmp_path: Path):
    for given, made in zip(recordings(), disguise(None, recordings(), tmp_path), strict=True):
        np.testing.assert_array_equal(given.samples, made)


def test_each_half_has_a_secret_of_its_own(tmp_path: Path):
    halves, _ = cut_halves(recordings(4))
    anonymiser = Raised()
    made = disguise(anonymiser, halves, tmp_path)
    assert len(set(anonymiser.seeds)) == 8
    added = [float((one - half.samples).mean()) for one, half in zip(made, halves, strict=True)]
    assert len({round(number, 4) for number in added}) == 8


def test_what_is_published_has_sixteen_bits_and_is_kept(tmp_path: Path):
    first = disguise(Raised(), recordings(), tmp_path)
    np.testing.assert_allclose(first[1] * 32767, np.round(first[1] * 32767), atol=1e-2)
    again = Raised()
    for one, other in zip(first, disguise(again, recordings(), tmp_path), strict=True):
        np.testing.assert_array_equal(one, other)
    assert again.seeds == []
    other = [Recording(r.name, r.samples + 0.1) for r in recordings()]
    disguise(again, other, tmp_path)  # other sounds under the same names
    assert len(again.seeds) == 3


def test_an_anonymiser_that_leaves_nothing_leaves_silence(tmp_path: Path):
    (made,) = disguise(lambda samples, seed: samples[:0], recordings(1), tmp_path)
    assert len(made) == RATE // 2
    assert not made.any()
