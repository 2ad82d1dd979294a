"""Speaker embeddings by the networks of the released voice encoder, to compare voices.

Its inner layer, before a face is read off it, holds the embeddings of two speaker networks; that of
CAM++ (Wang et al., 2023) tells people apart best, and is computed alone here.
"""

from __future__ import annotations

import functools
import threading
from contextlib import suppress
from pathlib import Path

import numpy as np

from speech2face.errors import ModelError
from speech2face.media import SAMPLE_RATE
from speech2face.model_folders import ASSETS, FILES
from speech2face.network_cutting import Node, cut_network
from speech2face.runtime import THREADS, open_session

RELEASED = ASSETS / "default" / FILES[0]
READER = "head.linear.weight"  # of the layer that reads a face off what is heard
WIDTH = 192  # numbers of an embedding
SHORTEST = SAMPLE_RATE // 2  # samples that the network takes
BATCH = 4  # waveforms at a time: more is no faster, and takes memory


class SpeakerFeatures:
    """The speaker network CAM++ of a voice encoder; safe to use from several threads."""

    def __init__(self, voice_encoder: Path = RELEASED, threads: int = THREADS) -> None:
        """Raises ModelError where the file is missing, or is an encoder of another kind."""
        self._session = open_session(voice_encoder, threads, keep_campplus)

    def embed(self, speech: np.ndarray) -> np.ndarray:
        """Speech (n,) at 16 kHz → embedding of the speaker (192,), of length 1."""
        if len(speech) < SHORTEST:
            speech = np.resize(speech, SHORTEST)
        return self.embed_batch(speech[None])[0]

    def embed_batch(self, speech: np.ndarray) -> np.ndarray:
        """Speech (B, n) at 16 kHz, 0.5 s or longer → embeddings (B, 192), each of length 1."""
        waveforms = speech.astype(np.float32, copy=False)
        # Two or more in each part: a waveform alone is computed otherwise, with other digits.
        side_by_side = min(self._session.threads, len(waveforms) // 2)
        parts = np.array_split(waveforms, max(-(-len(waveforms) // BATCH), side_by_side, 1))
        embeddings = self._session.run_each(None, [{"waveform": part} for part in parts])
        features = np.concatenate([one for (one,) in embeddings])
        return features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-9)


def open_speaker_features() -> SpeakerFeatures:
    """Open the speaker features of the model in the package, once. Raises ModelError."""
    with _OPENING:
        return _open()


def open_early() -> None:
    """Begin to open it in another thread, while something else is loaded."""

    def work() -> None:
        with suppress(ModelError):  # raised where it is needed
            open_speaker_features()

    threading.Thread(target=work, name="opening").start()


_OPENING = threading.Lock()  # held while one thread opens it for all


@functools.cache
def _open() -> SpeakerFeatures:
    return SpeakerFeatures()


def keep_campplus(encoder: bytes) -> bytes:
    """The speaker network CAM++ of a voice encoder's ONNX file, as one of its own.

    Raises ModelError where it is an encoder of another kind.
    """
    return cut_network(encoder, lambda nodes: _find_maker(nodes, _find_features(nodes)).inputs[0])


def keep_features(encoder: bytes) -> bytes:
    """The part of a voice encoder's ONNX file before its head: both networks' embeddings (B, 448).

    Raises ModelError where it is an encoder of another kind.
    """
    return cut_network(encoder, _find_features)


def _find_features(nodes: list[Node]) -> str:
    """The two embeddings, side by side, which the reader is given."""
    for node in nodes:
        if READER in node.inputs:
            return node.inputs[0]
    raise ModelError("a voice encoder without speaker networks")


def _find_maker(nodes: list[Node], value: str) -> Node:
    return next(node for node in nodes if value in node.outputs)
