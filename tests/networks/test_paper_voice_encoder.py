import warnings

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from helpers.numeric_voice import make_voice
from speech2face.networks.paper_voice_encoder import PaperVoiceEncoder, PaperVoiceEncoderConfig
from speech2face.networks.voice_encoder import PointVoiceEncoder
from speech2face.training.package_model import export_encoder

TINY = PaperVoiceEncoderConfig(
    channels=(4, 4, 4, 4, 4, 4, 8, 8, 8), hidden=12, embedding_size=16, least_seconds=3.0
)


@pytest.fixture(scope="module")
def tiny() -> PaperVoiceEncoder:
    torch.manual_seed(0)
    return PaperVoiceEncoder(TINY).eval().requires_grad_(False)


def test_shapes_and_parameters_are_those_of_the_paper():
    shapes = []
    with torch.device("meta"):  # shapes without numbers: 148 M parameters in no memory
        encoder = PaperVoiceEncoder()
        for layer in encoder.convolutions:
            if isinstance(layer, nn.Conv2d | nn.MaxPool2d):
                layer.register_forward_hook(lambda _, __, output: shapes.append(output.shape[1:]))
        embedding = encoder(torch.zeros(2, 96_000))
    assert embedding.shape == (2, 4096)
    assert [tuple(shape) for shape in shapes] == [
        (64, 595, 254),
        (64, 592, 251),
        (128, 589, 248),
        (128, 294, 248),
        (128, 291, 245),
        (128, 145, 245),
        (128, 142, 242),
        (128, 71, 242),
        (256, 68, 239),
        (256, 34, 239),
        (512, 31, 236),
        (512, 14, 117),
        (512, 6, 57),
    ]
    # The published count takes in the statistics of batch normalisation.
    saved = [v for name, v in encoder.state_dict().items() if not name.endswith("tracked")]
    assert round(sum(tensor.numel() for tensor in saved) / 1e6, 2) == 148.07


def test_order_is_convolution_relu_norm():
    with torch.device("meta"):
        layers = [type(layer).__name__ for layer in PaperVoiceEncoder().convolutions]
    block = ["Conv2d", "ReLU", "BatchNorm2d"]
    assert layers == block * 2 + [*block, "MaxPool2d"] * 4 + block * 2 + ["Conv2d"]


def test_short_clips_are_repeated(tiny):
    clip = torch.from_numpy(make_voice(1.3))[None]
    repeated = torch.cat([clip, clip, clip], dim=1)[:, :48_000]
    torch.testing.assert_close(tiny(clip), tiny(repeated))


def test_onnx_computes_the_same_with_a_gaussian_around_it(tiny, tmp_path):
    torch.manual_seed(0)
    path, size = tmp_path / "paper.onnx", TINY.embedding_size
    encoder = PointVoiceEncoder(tiny, size).eval().requires_grad_(False)
    factor = torch.randn(size, 2 * size)
    encoder.head.residual_covariance.copy_(factor @ factor.T / size)
    encoder.head.explained_covariance.copy_(factor[:, :8] @ factor[:, :8].T / size)
    encoder.head.average.copy_(torch.randn(size))
    encoder.head.half_gain_seconds.fill_(0.7)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning)  # of torch, to itself
        warnings.filterwarnings("ignore", category=FutureWarning)
        export_encoder(encoder, path, {"network": "paper_voice_encoder"})
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for seconds in (0.5, 3.001, 4.3):
        for batch in (1, 3):
            clips = np.stack([make_voice(seconds)] * batch) * np.ones((batch, 1), np.float32)
            told = session.run(None, {"waveform": clips})
            for one, expected in zip(told, encoder(torch.from_numpy(clips)), strict=True):
                np.testing.assert_allclose(one, expected, atol=1e-4)
