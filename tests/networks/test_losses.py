"""What is made small: known values, masks, and the Gaussian likelihood."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from contrast import Both, make_rows
from safetensors.torch import load_file
from torch.distributions import MultivariateNormal

from speech2face.networks.face_decoder import RGB_OF_COLOURS
from speech2face.networks.losses import (
    COLOURS_OF_RGB,
    contrastive_loss,
    detail_loss,
    edge_loss,
    gaussian_nll,
    landmark_loss,
    lightness_detail,
    likeness_loss,
    regression_loss,
    texture_loss,
)


def test_texture_loss_is_the_mean_error_under_the_mask():
    true = torch.zeros(2, 3, 40, 40)
    drawn = torch.full_like(true, 0.9)
    mask = torch.zeros(2, 1, 40, 40)
    mask[:, :, :20] = 1
    drawn[:, :, :20] = 0.25
    for loss, columns in ((texture_loss, 3), (detail_loss, 1)):
        here, there = drawn[:, :columns], true[:, :columns]
        assert loss(here, there, mask).item() == pytest.approx(0.25, rel=1e-3)
        assert loss(there, there, mask).item() == 0
        assert loss(here, there, mask * 0).item() == 0  # nothing known: no NaN


def test_texture_loss_adds_up_what_is_wrong_in_lightness_and_in_colour():
    colours = torch.tensor(RGB_OF_COLOURS)
    there_and_back = torch.tensor(COLOURS_OF_RGB) @ colours
    torch.testing.assert_close(there_and_back, torch.eye(3), atol=1e-5, rtol=0)
    drawn = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    mask = torch.ones(2, 1, 16, 16)
    for wrong in ((0.2, 0.0, 0.0), (0.0, -0.1, 0.0), (0.2, -0.1, 0.04)):
        true = drawn + (colours @ torch.tensor(wrong)).view(3, 1, 1)
        wanted = sum(map(abs, wrong))
        assert texture_loss(drawn, true, mask).item() == pytest.approx(wanted, rel=0.01)


def test_edge_loss_sees_edges_and_no_level():
    mask = torch.ones(1, 1, 32, 32)
    flat = torch.full((1, 3, 32, 32), 0.3)
    assert edge_loss(flat + 0.2, flat, mask).item() == pytest.approx(0, abs=1e-6)
    stripes = flat.clone()
    stripes[..., 16:] += 0.31  # one step of 0.31 in 31 at full size, 15 at half
    wanted = 0.31 / 31 + 0.31 / 15
    assert edge_loss(stripes, flat, mask).item() == pytest.approx(wanted, rel=1e-4)
    turned = stripes.transpose(2, 3)
    assert edge_loss(turned, flat, mask).item() == pytest.approx(wanted, rel=1e-4)
    assert edge_loss(stripes, stripes, mask).item() == 0


def test_detail_is_what_is_finer_than_light_and_colour():
    line = torch.linspace(0, 1, 112)
    shade = (0.2 + 0.5 * line).expand(1, 3, 112, 112)  # light from the right
    assert lightness_detail(shade).shape == (1, 1, 112, 112)
    assert lightness_detail(shade)[..., 8:-8].abs().max() < 1e-3
    dots = torch.zeros(1, 1, 112, 112)
    dots[..., ::4, ::4] = 0.3
    seen = lightness_detail(shade + dots)[..., 8:-8, 8:-8]
    torch.testing.assert_close(seen, (dots - dots.mean())[..., 8:-8, 8:-8], atol=2e-3, rtol=0)
    tinted = shade + dots * torch.tensor([1.0, 0, 0]).view(1, 3, 1, 1)
    red = lightness_detail(tinted)[..., 8:-8, 8:-8]
    torch.testing.assert_close(red, 0.299 * seen, atol=2e-3, rtol=0)


@pytest.mark.parametrize("loss", [texture_loss, edge_loss])
def test_masked_pixels_have_no_gradient(loss):
    torch.manual_seed(0)
    drawn = torch.rand(2, 3, 32, 32, requires_grad=True)
    true = torch.rand(2, 3, 32, 32)
    mask = torch.zeros(2, 1, 32, 32)
    mask[:, :, 8:20, 4:28] = 1
    loss(drawn, true, mask).backward()
    known = mask.expand_as(drawn).bool()
    assert drawn.grad is not None
    assert (drawn.grad[~known] == 0).all()
    # Along a border two steps may cancel; nearly all known pixels learn.
    assert (drawn.grad[known] != 0).float().mean() > 0.5


def test_landmark_loss_is_in_square_per_cent():
    true = torch.zeros(3, 66, 2)
    assert landmark_loss(true + 0.02, true).item() == pytest.approx(4)
    one = true.clone()
    one[0, 0, 0] = 0.01
    assert landmark_loss(one, true).item() == pytest.approx(1 / (3 * 66 * 2))


def test_likeness_is_seen_from_the_average_face():
    average = torch.tensor([5.0, 5.0])  # far from the origin, as all faces are
    meant = average + torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    assert likeness_loss(meant, meant, average).item() == pytest.approx(0, abs=1e-6)
    weaker = average + 0.1 * (meant - average)
    assert likeness_loss(weaker, meant, average).item() == pytest.approx(0, abs=1e-5)
    across = average + torch.tensor([[0.0, 1.0], [1.0, 0.0]])
    assert likeness_loss(across, meant, average).item() == pytest.approx(1)
    opposite = 2 * average - meant
    assert likeness_loss(opposite, meant, average).item() == pytest.approx(2)


def test_gaussian_nll_is_that_of_torch_without_the_constant():
    torch.manual_seed(0)
    factor = torch.randn(5, 8, 8, dtype=torch.float64)
    covariance = factor @ factor.transpose(1, 2) + 0.1 * torch.eye(8)
    mean, target = torch.randn(2, 5, 8, dtype=torch.float64)
    known = -MultivariateNormal(mean, covariance).log_prob(target).mean() / 8
    constant = 0.5 * torch.log(torch.tensor(2 * torch.pi, dtype=torch.float64))
    found = gaussian_nll(mean, covariance, target)
    torch.testing.assert_close(found, known - constant)


def test_gaussian_nll_is_least_at_the_true_mean_and_spread():
    torch.manual_seed(0)
    target = torch.tensor([1.0, -2.0]) + 0.5 * torch.randn(4000, 2)

    def nll(shift: float, spread: float) -> float:
        mean = (torch.tensor([1.0, -2.0]) + shift).expand(4000, 2)
        return gaussian_nll(mean, spread**2 * torch.eye(2).expand(4000, 2, 2), target).item()

    best = nll(0, 0.5)
    assert all(best < nll(*other) for other in ((0.2, 0.5), (-0.2, 0.5), (0, 0.4), (0, 0.62)))


def test_regression_is_the_mean_of_squared_distances():
    true = torch.zeros(2, 3)
    predicted = torch.tensor([[1.0, 2.0, 2.0], [0.0, 0.0, 3.0]])
    assert regression_loss(predicted, true).item() == pytest.approx((9 + 9) / 2)
    assert regression_loss(true, true).item() == 0


def make_embeddings(batch: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    return tuple(torch.randn(2, batch, 5, generator=torch.Generator().manual_seed(2)))


def test_contrast_is_the_cross_entropy_of_both_directions():
    voices, faces = make_embeddings()
    average = torch.full((5,), 0.3)
    total = 0.0
    for some, others in ((voices, faces), (faces, voices)):
        for row in range(6):
            scores = [
                F.cosine_similarity(some[row] - average, other - average, dim=0) / 0.1
                for other in others
            ]
            total += (torch.stack(scores).logsumexp(0) - scores[row]).item()
    found = contrastive_loss(voices, faces, torch.arange(6), average, temperature=0.1)
    assert found.item() == pytest.approx(total / 12, rel=1e-4)


def test_contrast_is_seen_from_the_average_face():
    voices, faces = make_embeddings()
    people, nowhere = torch.arange(6), torch.zeros(5)
    near = contrastive_loss(voices, faces, people, nowhere)
    far = torch.full((5,), 100.0)
    torch.testing.assert_close(
        contrastive_loss(voices + far, faces + far, people, far), near, rtol=1e-3, atol=1e-3
    )
    from_the_origin = contrastive_loss(voices + far, faces + far, people, nowhere)
    assert from_the_origin.item() == pytest.approx(torch.tensor(6.0).log().item(), rel=0.01)


def test_other_clips_of_the_same_person_are_no_wrong_answers():
    voices, faces = make_embeddings()
    people, average = torch.tensor([3, 1, 3, 2, 5, 4]), torch.zeros(5)
    found = contrastive_loss(voices, faces, people, average, temperature=0.1)
    logits = F.normalize(voices, dim=1) @ F.normalize(faces, dim=1).T / 0.1
    logits[0, 2] = logits[2, 0] = -1e9
    wanted = (
        F.cross_entropy(logits, torch.arange(6)) + F.cross_entropy(logits.T, torch.arange(6))
    ) / 2
    torch.testing.assert_close(found, wanted)
    voices.requires_grad_()
    alone = contrastive_loss(voices, faces, torch.ones(6, dtype=torch.int64), average)
    assert alone.item() == 0  # no other person: nothing to tell apart, and no NaN
    alone.backward()
    assert voices.grad is not None
    assert torch.isfinite(voices.grad).all()


def test_processes_that_share_a_batch_learn_as_one(tmp_path):
    program = Path(__file__).with_name("contrast.py")
    outs = [tmp_path / f"{rank}.safetensors" for rank in range(2)]
    started = [
        subprocess.Popen(
            [sys.executable, program, tmp_path / "meeting", str(rank), "2", out],
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank, out in enumerate(outs)
    ]
    for process in started:
        _, complaint = process.communicate(timeout=120)
        assert process.returncode == 0, complaint
    first, second = (load_file(out) for out in outs)
    one = Both()
    loss = one(*make_rows())
    loss.backward()
    mean = (first["loss"] + second["loss"]) / 2
    torch.testing.assert_close(mean, loss.detach(), atol=1e-5, rtol=0)
    assert (first["loss"] - loss).abs() > 1e-3  # each has its own rows' loss
    for name, parameter in one.named_parameters():
        for found in (first, second):
            torch.testing.assert_close(found[name], parameter.grad, atol=1e-5, rtol=1e-5)
