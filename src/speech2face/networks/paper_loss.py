"""The loss of "Speech2Face: Learning the Face Behind a Voice", by which its voice encoder learns.

Oh, Dekel, Kim, Mosseri, Freeman, Rubinstein and Matusik, CVPR 2019, section 3, equation 1. Of the
face v_f that belongs to a voice and the face v_s that was heard, each example costs

    decoder                     |d(v_f) - d(v_s)|          d: the face decoder's first layer
    direction      lambda_1  *  |u(v_f) - u(v_s)|^2        u: to unit length
    distillation   lambda_2  *  - sum p(v_f) log p(v_s)    p: softmax of the recogniser's last
                                                              layer's outputs over T = 2

with the sum of absolute values in the first line; the batch costs their mean. Without one of the
two layers its term falls away. The paper chose the lambdas such that in its space, 4096 numbers of
VGG-Face, the gradients of the terms at v_s are of like size; `balance` does so in any space.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from speech2face.errors import ModelError


@dataclass(frozen=True)
class PaperLossConfig:
    """The weight of each term, and the temperature of the distillation."""

    decoder: float = 1.0  # weight of the distance in the decoder's first layer
    direction: float = 0.025  # weight of the distance of directions
    distillation: float = 200.0  # weight of the recogniser's classes
    temperature: float = 2.0  # T of those classes' softmax


class PaperLoss(nn.Module):
    """Frozen layers and what they make of faces; it has nothing to learn."""

    def __init__(
        self,
        config: PaperLossConfig | None = None,
        decoder: nn.Linear | None = None,
        recogniser: nn.Linear | None = None,
    ) -> None:
        """`decoder` and `recogniser` are the two layers, from D numbers each."""
        super().__init__()
        self.config = config or PaperLossConfig()
        self.decoder, self.recogniser = decoder, recogniser
        self.requires_grad_(False)

    def forward(self, predicted: Tensor, true: Tensor) -> dict[str, Tensor]:
        """v_s and v_f, both (B, D) -> each term, weighted; their sum is the loss."""
        terms = {}
        if self.decoder:
            error = self.decoder(true) - self.decoder(predicted)
            terms["decoder"] = self.config.decoder * error.abs().sum(1).mean()
        turn = F.normalize(true, dim=1) - F.normalize(predicted, dim=1)
        terms["direction"] = self.config.direction * turn.square().sum(1).mean()
        if self.recogniser:
            temperature = self.config.temperature
            wanted = (self.recogniser(true) / temperature).softmax(1)
            distillation = F.cross_entropy(self.recogniser(predicted) / temperature, wanted)
            terms["distillation"] = self.config.distillation * distillation
        return terms

    def share_gradient(self, predicted: Tensor, true: Tensor) -> dict[str, float]:
        """v_s and v_f, both (B, D) -> how much each term has to say: its part of the gradient at
        v_s, as the mean of its norm over examples; the parts add up to 1."""
        norms = self._gradient_norms(predicted, true)
        return {name: norm / sum(norms.values()) for name, norm in norms.items()}

    def balance(self, predicted: Tensor, true: Tensor) -> PaperLossConfig:
        """v_s and v_f, both (B, D) -> weights at which each term has as much to say there.

        The decoder's term keeps its weight, or where there is none the direction's does. Raises
        ModelError where a term has no gradient to be balanced.
        """
        norms = self._gradient_norms(predicted, true)
        if not min(norms.values()) > 0:
            raise ModelError(f"a term of the loss without gradient cannot be balanced: {norms}.")
        meant = norms.get("decoder", norms["direction"])
        return replace(
            self.config, **{k: getattr(self.config, k) * meant / norm for k, norm in norms.items()}
        )

    def _gradient_norms(self, predicted: Tensor, true: Tensor) -> dict[str, float]:
        with torch.enable_grad():
            at = predicted.detach().requires_grad_()
            terms = self(at, true.detach())
            # The mean over the batch leaves each example 1/B of its own gradient.
            return {
                name: len(at) * torch.autograd.grad(term, at)[0].norm(dim=1).mean().item()
                for name, term in terms.items()
            }


def load_linear(path: Path) -> nn.Linear:
    """The layer of a safetensors file with `weight` (N, D) and `bias` (N,), in float32.

    Raises ModelError where the file is none or its shapes are others.
    """
    try:
        tensors = load_file(path)
        weight, bias = tensors["weight"], tensors["bias"]
    except (OSError, SafetensorError, KeyError) as error:
        raise ModelError(f"{path}: no linear layer with weight and bias ({error}).") from None
    if weight.ndim != 2 or bias.shape != weight.shape[:1]:
        raise ModelError(
            f"{path}: weight {tuple(weight.shape)} and bias {tuple(bias.shape)} are no layer; "
            "wanted (N, D) and (N,)."
        )
    layer = nn.Linear(weight.shape[1], len(weight))
    layer.load_state_dict({"weight": weight, "bias": bias})
    return layer
