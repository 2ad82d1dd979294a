"""The paper's loss: by hand, by a loop over examples, and not by norms over the whole batch."""

import math
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from speech2face.errors import ModelError
from speech2face.networks.paper_loss import PaperLoss, PaperLossConfig, load_linear

TERMS = ("decoder", "direction", "distillation")


def make_loss(config: PaperLossConfig | None = None) -> PaperLoss:
    torch.manual_seed(0)
    return PaperLoss(config, nn.Linear(6, 9), nn.Linear(6, 7))


def make_faces(batch: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    predicted, true = torch.randn(2, batch, 6, generator=torch.Generator().manual_seed(1))
    return predicted, 3 * true


def linear(weight: list[list[float]], bias: list[float]) -> nn.Linear:
    layer = nn.Linear(len(weight[0]), len(weight))
    layer.load_state_dict({"weight": torch.tensor(weight), "bias": torch.tensor(bias)})
    return layer


def test_terms_are_those_computed_by_hand():
    decoder = linear([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]], [5.0, 5.0, 5.0])
    recogniser = linear([[2.0, 0.0], [0.0, 2.0]], [0.0, 0.0])
    loss = PaperLoss(None, decoder, recogniser)
    predicted = torch.tensor([[0.0, 2.0], [3.0, 4.0]])
    true = torch.tensor([[1.0, 0.0], [3.0, 4.0]])
    terms = loss(predicted, true)
    assert list(terms) == list(TERMS)
    # The first face is off by 1, -2 and -1; the second is right.
    assert terms["decoder"].item() == pytest.approx((1 + 2 + 1) / 2)
    # At right angles, so the squared distance of unit vectors is 2.
    assert terms["direction"].item() == pytest.approx(0.025 * 2 / 2)
    # At T = 2 the outputs are the faces' own numbers: softmax of (1, 0) against that of (0, 2),
    # and the entropy of the softmax of (3, 4).
    p = 1 / (1 + math.exp(-1))
    first = -p * -math.log(1 + math.exp(2)) - (1 - p) * (2 - math.log(1 + math.exp(2)))
    second = -p * math.log(p) - (1 - p) * math.log(1 - p)
    assert terms["distillation"].item() == pytest.approx(200 * (first + second) / 2, rel=1e-5)


def test_the_batch_costs_the_mean_of_its_examples():
    loss, (predicted, true) = make_loss(), make_faces()
    terms = loss(predicted, true)
    one_by_one = [loss(p[None], t[None]) for p, t in zip(predicted, true, strict=True)]
    for name in TERMS:
        torch.testing.assert_close(terms[name], torch.stack([o[name] for o in one_by_one]).mean())


def test_each_example_is_brought_to_unit_length_by_itself():
    """Copies of the paper that divide by the norm of the whole batch get another loss."""
    loss, (predicted, true) = make_loss(PaperLossConfig(direction=1.0)), make_faces()
    found = loss(predicted, true)["direction"]
    each = [
        (t / t.norm() - p / p.norm()).square().sum() for p, t in zip(predicted, true, strict=True)
    ]
    torch.testing.assert_close(found, torch.stack(each).mean())
    over_the_batch = (true / true.norm() - predicted / predicted.norm()).square().sum()
    assert (found - over_the_batch).abs() > 0.1
    longer = torch.tensor([[1.0], [1.0], [50.0], [1.0], [1.0]])
    torch.testing.assert_close(loss(longer * predicted, true)["direction"], found)


def test_only_the_voice_learns():
    loss, (predicted, true) = make_loss(), make_faces()
    predicted.requires_grad_()
    sum(loss(predicted, true).values()).backward()
    assert predicted.grad is not None
    assert predicted.grad.abs().min() > 0
    assert not any(p.requires_grad for p in loss.parameters())


def test_without_a_layer_its_term_falls_away():
    predicted, true = make_faces()
    assert list(PaperLoss()(predicted, true)) == ["direction"]
    assert list(PaperLoss(None, nn.Linear(6, 9))(predicted, true)) == ["decoder", "direction"]


def test_shares_are_those_of_the_gradients_of_examples():
    loss, (predicted, true) = make_loss(), make_faces()
    norms = dict.fromkeys(TERMS, 0.0)
    for p, t in zip(predicted, true, strict=True):
        for name in TERMS:
            at = p[None].clone().requires_grad_()
            loss(at, t[None])[name].backward()
            assert at.grad is not None
            norms[name] += at.grad.norm().item()
    with torch.no_grad():  # it may be asked in the midst of validation
        shares = loss.share_gradient(predicted, true)
    assert sum(shares.values()) == pytest.approx(1)
    for name in TERMS:
        assert shares[name] == pytest.approx(norms[name] / sum(norms.values()), rel=1e-4)


def test_balanced_terms_have_as_much_to_say():
    loss, (predicted, true) = make_loss(), make_faces()
    assert max(loss.share_gradient(predicted, true).values()) > 0.9
    loss.config = balanced = loss.balance(predicted, true)
    for share in loss.share_gradient(predicted, true).values():
        assert share == pytest.approx(1 / 3, rel=1e-4)
    assert balanced.decoder == 1  # the other two are weighed against it
    assert balanced.temperature == 2


def test_a_term_without_gradient_cannot_be_balanced():
    loss, (predicted, true) = make_loss(replace(PaperLossConfig(), direction=0.0)), make_faces()
    with pytest.raises(ModelError, match="without gradient cannot be balanced"):
        loss.balance(predicted, true)


def test_a_layer_is_read_from_its_file(tmp_path):
    path, layer = tmp_path / "layer.safetensors", nn.Linear(6, 9)
    save_file({k: v.half() for k, v in layer.state_dict().items()}, path)
    read = load_linear(path)
    x = torch.randn(3, 6)
    torch.testing.assert_close(read(x), layer(x), atol=1e-2, rtol=1e-2)
    assert read.weight.dtype == torch.float32


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"weight": (9, 6), "bias": (8,)}, r"weight \(9, 6\) and bias \(8,\) are no layer"),
        ({"weight": (9, 6, 1), "bias": (9,)}, "are no layer"),
        ({"weight": (6,), "bias": (6,)}, "are no layer"),
        ({"weight": (9, 6), "bias": ()}, "are no layer"),
        ({"weight": (9, 6)}, "no linear layer with weight and bias"),
        (None, "no linear layer with weight and bias"),
    ],
)
def test_files_that_hold_no_such_layer_are_refused(tensors, message, tmp_path):
    path = tmp_path / "layer.safetensors"
    if tensors:
        save_file({name: torch.zeros(shape) for name, shape in tensors.items()}, path)
    with pytest.raises(ModelError, match=rf"layer\.safetensors: .*{message}") as error:
        load_linear(path)
    assert "\n" not in str(error.value)
