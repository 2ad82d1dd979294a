"""What is made small: known values, masks, and the Gaussian likelihood."""

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch.distributions import MultivariateNormal

from helpers import contrastive_process, processes
from helpers.contrastive_process import Both, make_rows
from speech2face.networks.losses import (
    contrastive_loss,
    gaussian_nll,
    regression_loss,
)


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
    codes, _, complaint = processes.start(contrastive_process.main, tmp_path, count=2).finish()
    assert codes == [0, 0], complaint
    first, second = (load_file(tmp_path / f"{rank}.safetensors") for rank in range(2))
    one = Both()
    loss = one(*make_rows())
    loss.backward()
    mean = (first["loss"] + second["loss"]) / 2
    torch.testing.assert_close(mean, loss.detach(), atol=1e-5, rtol=0)
    assert (first["loss"] - loss).abs() > 1e-3  # each has its own rows' loss
    for name, parameter in one.named_parameters():
        for found in (first, second):
            torch.testing.assert_close(found[name], parameter.grad, atol=1e-5, rtol=1e-5)
