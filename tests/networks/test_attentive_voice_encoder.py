"""Attentive statistics: weighted moments by hand, and a network that learns which frames tell."""

import pytest
import torch

from helpers.numeric_voice import make_voice
from speech2face.networks.attentive_voice_encoder import (
    AttentiveEncoder,
    AttentiveEncoderConfig,
    AttentivePooling,
)

TINY = AttentiveEncoderConfig(channels=(8, 8, 8, 8, 12), attention=4, hidden=8, embedding_size=16)


def test_moments_are_weighted_by_attention():
    torch.manual_seed(0)
    pool, frames = AttentivePooling(3, 4), torch.randn(2, 3, 7)
    scores = pool.weigh(frames)[:, 0]
    weights = scores.exp() / scores.exp().sum(1, keepdim=True)  # (2, 7)
    mean = torch.einsum("bt,bct->bc", weights, frames)
    second = torch.einsum("bt,bct->bc", weights, frames**2)
    torch.testing.assert_close(pool(frames), torch.cat([mean, (second - mean**2).sqrt()], dim=1))


def test_even_attention_gives_mean_and_deviation():
    pool, frames = AttentivePooling(3, 4), torch.randn(2, 3, 7)
    torch.nn.init.zeros_(pool.weigh[2].weight)
    wanted = torch.cat([frames.mean(2), frames.std(2, correction=0)], dim=1)
    torch.testing.assert_close(pool(frames), wanted)


def test_still_frames_have_a_finite_gradient():
    pool = AttentivePooling(3, 4)
    frames = torch.ones(2, 3, 7, requires_grad=True)
    pool(frames).sum().backward()
    assert torch.isfinite(frames.grad).all()


def test_attention_learns_which_frames_tell():
    """What is asked for stands in a fifth of the frames, the rest are noise; a flag says which."""
    torch.manual_seed(0)
    pool, read = AttentivePooling(2, 8), torch.nn.Linear(2, 1)
    optimiser = torch.optim.Adam([*pool.parameters(), *read.parameters()], lr=0.1)
    for _ in range(200):
        wanted = torch.randn(64, 1)
        tells = torch.rand(64, 20) < 0.2
        tells[:, 0] = True
        frames = torch.stack([torch.where(tells, wanted, torch.randn(64, 20)), tells.float()], 1)
        error = (read(pool(frames)[:, :2]) - wanted).square().mean()
        optimiser.zero_grad()
        error.backward()
        optimiser.step()
    told = pool.weigh(frames).softmax(2)[:, 0][tells].sum() / 64
    assert told > 0.9  # of a clip's attention; evenly it would be a fifth
    assert error < 0.05


def test_the_default_is_a_small_part_of_the_paper_s_size():
    with torch.device("meta"):
        encoder = AttentiveEncoder()
    assert sum(p.numel() for p in encoder.parameters()) == pytest.approx(4.6e6, rel=0.02)


@pytest.mark.parametrize("seconds", [0.2, 0.5, 3.0])
def test_clips_of_any_length_give_an_embedding(seconds):
    torch.manual_seed(0)
    encoder = AttentiveEncoder(TINY).eval()
    clip = torch.from_numpy(make_voice(seconds))[None]
    assert encoder(clip.expand(3, -1)).shape == (3, 16)
    assert torch.isfinite(encoder(clip)).all()
