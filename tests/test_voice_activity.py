"""The detector: as Silero has it, in one block or in many, and where a block is very uneven."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest

from helpers.sounds import RATE, example_speech, noise, tones
from speech2face import voice_activity
from speech2face.errors import ModelError
from speech2face.media import load_audio
from speech2face.model_folders import ASSETS
from speech2face.runtime import open_session
from speech2face.voice_activity import CHUNK, STATE, detect_speech

SPOKEN = 0.4  # probability

# What Silero's own graph (silero_vad_16k_op15.onnx of silero-vad 6.2.0), run chunk by chunk, gives
# for each eighth chunk of `voice`, amplified as here.
SILERO = [0.0038, 0.9999, 0.9999, 1.0, 1.0, 1.0, 0.9991, 1.0, 1.0, 0.6348]
SILERO += [0.9999, 1.0, 1.0, 0.9999, 1.0, 1.0, 1.0, 1.0, 0.9999, 0.9996]


@pytest.fixture(scope="module")
def voice() -> np.ndarray:
    """5 s of a recording, float32 (n,) at 16 kHz."""
    return load_audio(example_speech()).samples[: 5 * RATE // CHUNK * CHUNK]


def detect(sound: np.ndarray, chunks: int = 1000) -> np.ndarray:
    blocks = [sound[i : i + chunks * CHUNK] for i in range(0, len(sound), chunks * CHUNK)]
    return np.concatenate([probabilities for _, probabilities in detect_speech(blocks)])


def test_it_agrees_with_silero(voice: np.ndarray) -> None:
    np.testing.assert_allclose(detect(voice)[::8], SILERO, atol=1e-3)


def test_the_graph_gives_the_same_for_many_chunks_as_for_one_at_a_time(voice: np.ndarray) -> None:
    graph = open_session(ASSETS / "speech_detector.onnx", threads=1)
    state = np.zeros(STATE, np.float32)
    whole, last = graph.run(None, {"samples": voice, "state": state})
    assert last.shape == (STATE,)
    np.testing.assert_array_equal(last[: voice_activity.CONTEXT], voice[-voice_activity.CONTEXT :])
    for size in (CHUNK, 7 * CHUNK):
        parts, held = [], state
        for start in range(0, len(voice), size):
            part, held = graph.run(None, {"samples": voice[start : start + size], "state": held})
            parts.append(part)
        np.testing.assert_allclose(np.concatenate(parts), whole, atol=1e-4)
        np.testing.assert_allclose(held, last, atol=1e-3)
    rested, _ = graph.run(None, {"samples": voice[-10 * CHUNK :], "state": state})
    assert np.abs(rested - whole[-10:]).max() > 0.01  # the state matters


def test_the_graph_is_one_that_browsers_run() -> None:
    graph = onnx.load(ASSETS / "speech_detector.onnx")
    (opset,) = graph.opset_import
    assert (opset.domain, opset.version <= 20) == ("", True)
    assert {node.domain for node in graph.graph.node} == {""}


def test_many_blocks_are_judged_as_one(voice: np.ndarray) -> None:
    sound = np.tile(voice, 16)  # in blocks of 4.8 s
    whole, parts = detect(sound, chunks=len(sound) // CHUNK), detect(sound, chunks=150)
    assert len(parts) == len(whole)
    assert np.abs(parts - whole).mean() < 0.02
    assert ((parts >= SPOKEN) != (whole >= SPOKEN)).mean() < 0.01


def test_a_block_is_judged_after_what_came_before_it(
    monkeypatch: pytest.MonkeyPatch, voice: np.ndarray
) -> None:
    monkeypatch.setattr(voice_activity, "_gain", lambda levels: np.float32(1))
    voice = voice[: voice_activity.WARM_UP * CHUNK]
    together, apart = detect(voice), detect(voice, chunks=20)
    np.testing.assert_allclose(apart, together, atol=1e-4)
    alone = np.concatenate([detect(voice[i : i + 20 * CHUNK]) for i in (0, 20 * CHUNK)])
    assert np.abs(alone - together[:40]).max() > 0.05


def test_what_reading_raises_is_raised(voice: np.ndarray) -> None:
    def blocks() -> Iterator[np.ndarray]:
        for _ in range(voice_activity.ALONE + voice_activity.AHEAD + 2):
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
    spoken = detect(np.concatenate([start, quiet.astype(np.float32)]))[-len(alone) :] >= SPOKEN
    assert spoken.sum() > 0.9 * alone.sum()


def test_a_missing_detector_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, voice: np.ndarray
) -> None:
    monkeypatch.setattr(voice_activity, "ASSETS", tmp_path)
    voice_activity._open_detector.cache_clear()
    with pytest.raises(ModelError, match=r"speech_detector\.onnx"):
        detect(voice)
    voice_activity._open_detector.cache_clear()
