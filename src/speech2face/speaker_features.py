"""Speaker embeddings by the networks of the released voice encoder, to compare voices.

Its inner layer, before a face is read off it, holds the embeddings of two speaker networks; that of
CAM++ (Wang et al., 2023) tells people apart best. Needs the package onnx, which cuts the network.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from speech2face.errors import ModelError
from speech2face.media import SAMPLE_RATE
from speech2face.model_folders import find_model
from speech2face.onnx_rewriting import open_model

READER = "head.linear.weight"  # of the layer that reads a face off what is heard
CAMPPLUS = 192  # numbers of the first network's embedding, which come first
SHORTEST = SAMPLE_RATE // 2  # samples that the networks take


class SpeakerFeatures:
    """The first half of a voice encoder."""

    def __init__(self, model: str | Path = "default") -> None:
        """Raises ModelError where the model is not there, or its encoder is of another kind."""
        import onnx

        path = find_model(model).voice_encoder
        graph = onnx.load(str(path))
        nodes = {name: node for node in graph.graph.node for name in node.input}
        if READER not in nodes:
            raise ModelError(f"{path}: a voice encoder without speaker networks")
        features = nodes[READER].input[0]
        del graph.graph.output[:]
        output = onnx.helper.make_tensor_value_info(features, onnx.TensorProto.FLOAT, None)
        graph.graph.output.append(output)
        self._session = open_model(graph)

    def embed(self, speech: np.ndarray) -> np.ndarray:
        """Speech (n,) at 16 kHz → embedding of the speaker (192,), of length 1."""
        if len(speech) < SHORTEST:
            speech = np.resize(speech, SHORTEST)
        waveform = {"waveform": speech[None].astype(np.float32)}
        features = self._session.run(None, waveform)[0][0, :CAMPPLUS]
        return features / max(float(np.linalg.norm(features)), 1e-9)
