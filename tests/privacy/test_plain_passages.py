"""No disguise lets the original through, and where another program does it is found."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest

from helpers.sounds import RATE, encode, load_example
from speech2face.media import load_audio
from speech2face.privacy.anonymisers import ANONYMISERS, load_anonymiser
from speech2face.privacy.disguise_metadata import SPOKEN_ANEW
from speech2face.privacy.plain_passages import correlate_frames, find_plain_passages

OWN_WORDS = [name for name in ANONYMISERS if name not in SPOKEN_ANEW]
NEEDS_WORLD = pytest.mark.skipif(not find_spec("pyworld"), reason="not installed")


@pytest.fixture(scope="module")
def speech() -> np.ndarray:
    return load_example("alex")


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=NEEDS_WORLD if name in ("pitch-formant", "whisper") else ())
        for name in OWN_WORDS
    ],
)
def test_no_method_lets_20_ms_through(name: str, speech: np.ndarray) -> None:
    disguised = load_anonymiser(name)(speech, 7)
    found = correlate_frames(speech, disguised)
    assert np.isfinite(found).sum() > 150
    assert np.nanmax(found) < 0.995
    assert not find_plain_passages([speech], [disguised])


@pytest.mark.parametrize("shift", [0, 700, -700])
def test_a_plain_passage_is_found_wherever_it_lies(shift: int, speech: np.ndarray) -> None:
    disguised = load_anonymiser("mcadams-random")(speech, 7)
    disguised[2 * RATE : 3 * RATE] = 0.3 * speech[2 * RATE : 3 * RATE]
    disguised = np.roll(disguised, shift)
    ((start, end),) = find_plain_passages([speech], [disguised])
    assert start == pytest.approx(2.0, abs=0.1)
    assert end == pytest.approx(3.0, abs=0.1)


def test_a_passage_over_two_blocks_is_one(speech: np.ndarray) -> None:
    half = 5 * RATE // 2
    blocks = [speech[:half], speech[half : 2 * half]]
    others = [load_anonymiser("mcadams")(block, 0) for block in blocks]
    for block, other, part in zip(blocks, others, (slice(-RATE, None), slice(RATE)), strict=True):
        other[part] = block[part]
    spans = find_plain_passages(blocks, others)
    assert len(spans) == 1
    assert spans[0][0] == pytest.approx(1.5, abs=0.2)
    assert spans[0][1] == pytest.approx(3.5, abs=0.2)


def test_a_codec_is_no_disguise(speech: np.ndarray) -> None:
    coded = load_audio(encode(speech, RATE, "mp4", "aac")).samples
    spans = find_plain_passages([speech], [coded])
    assert sum(end - start for start, end in spans) > 0.5 * len(speech) / RATE
