"""The voice encoder: speaker networks and the Gaussian head on them, in torch and as ONNX."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from beartype import beartype
from jaxtyping import Float, jaxtyped
from torch import nn

from helpers.numeric_voice import make_voice
from helpers.sounds import load_example
from speech2face.networks.voice_encoder import OLD_NAMES, GaussianHead, VoiceEncoder
from speech2face.reconstruct import load
from speech2face.training.recipes import voice_encoder_debug
from speech2face.training.voice_encoder import load_speaker


def fill(head: GaussianHead, seed: int = 0) -> GaussianHead:
    """A head with numbers in it, its covariances positive definite."""
    generator = torch.Generator().manual_seed(seed)
    size = len(head.average)
    for name in ("residual_covariance", "explained_covariance"):
        factor = torch.randn(size, size, generator=generator) / size**0.5
        getattr(head, name).copy_(factor @ factor.T + 0.1 * torch.eye(size))
    head.average.copy_(torch.randn(size, generator=generator))
    head.half_gain_seconds.fill_(0.7)
    head.unshrink.copy_(3 * torch.eye(size))
    return head.requires_grad_(False)


@pytest.fixture(scope="module")
def encoder() -> VoiceEncoder:
    encoder = load_speaker(voice_encoder_debug())
    torch.manual_seed(0)
    encoder.head.linear.reset_parameters()
    fill(encoder.head)
    return encoder.requires_grad_(False).eval()


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("seconds", [0.5, 2.0])
def test_shapes_and_positive_definite_covariances(encoder, batch, seconds):
    @jaxtyped(typechecker=beartype)
    def encode(
        waveform: Float[torch.Tensor, "b samples"],
    ) -> tuple[
        Float[torch.Tensor, "b 128"],
        Float[torch.Tensor, "b 128 128"],
        Float[torch.Tensor, "b 128"],
        Float[torch.Tensor, "b 128"],
    ]:
        return encoder(waveform)

    voices = np.stack([make_voice(seconds) * (0.5 + n) for n in range(batch)])
    mean, covariance, average, shown = encode(torch.tensor(voices))
    assert torch.isfinite(mean).all()
    torch.testing.assert_close(shown - average, 3 * (mean - average))
    torch.testing.assert_close(average, encoder.head.average.expand(batch, -1))
    torch.testing.assert_close(covariance, covariance.mT)
    assert torch.linalg.eigvalsh(covariance.double()).min() > 0


def test_seconds_are_counted_from_the_samples(encoder):
    """The same features in a longer clip would be trusted more: the gain is t / (t + a)."""
    for seconds in (0.5, 1.0, 4.0):
        waveform = torch.tensor(make_voice(seconds))[None]
        features = encoder.speaker(waveform)
        gain = seconds / (seconds + 0.7)
        mean, covariance, _, _ = encoder(waveform)
        head = encoder.head
        torch.testing.assert_close(mean, head.average + gain * head.linear(features))
        wanted = head.residual_covariance + (1 - gain) * head.explained_covariance
        torch.testing.assert_close(covariance[0], wanted)


def test_a_head_that_hears_for_ever_and_one_that_just_begins():
    head = fill(GaussianHead(6, 4))
    features = torch.randn(2, 6)
    mean, covariance = head(features, torch.tensor([1e9, 1e-9]))
    torch.testing.assert_close(mean[0], head.average + head.linear(features)[0])
    torch.testing.assert_close(covariance[0], head.residual_covariance)
    torch.testing.assert_close(mean[1], head.average)
    torch.testing.assert_close(covariance[1], head.residual_covariance + head.explained_covariance)


def test_a_new_head_knows_nothing_and_says_so():
    head = GaussianHead(6, 4)
    _, covariance = head(torch.randn(1, 6), torch.tensor([3.0]))
    torch.testing.assert_close(covariance[0], torch.eye(4))


def test_a_head_reads_what_older_versions_called_its_tensors():
    head, other = fill(GaussianHead(6, 4)), nn.ModuleDict({"head": GaussianHead(6, 4)})
    older = {new: old for old, new in OLD_NAMES.items()}
    tensors = {f"head.{older.get(name, name)}": value for name, value in head.state_dict().items()}
    other.load_state_dict(tensors)
    for name, value in head.state_dict().items():
        assert torch.equal(other["head"].state_dict()[name], value), name
    assert "head.stretch" in tensors  # the caller's own tensors stay as they are
    assert not any(name.endswith("stretch") for name in other.state_dict())


@pytest.mark.parametrize(("seconds", "most"), [(0.5, 0.2), (1.5, 0.1), (5, 0.08)])
def test_the_released_encoder_hears_what_floats_heard(seconds, most):
    """It has 8 bits; the golden embeddings are those of the network that it was made from."""
    golden = json.loads(Path(__file__).with_name("golden_voice_encoder.json").read_text())
    _, _, average, shown = load().encode(load_example("bella", seconds)[None])
    wanted = np.array(golden["bella"][f"{seconds:g}"])
    error = np.linalg.norm(shown[0] - wanted) / np.linalg.norm(wanted - average[0])
    assert error < most
