"""What end-to-end training asks of a voice encoder: its recipe, and the losses of each step.

The network may be the paper's own, one with attention, or the released one, which gives a Gaussian.
What is asked of it is the paper's loss or a newer one, or several together. Between steps it is
measured on people who are held out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call

from speech2face.data.voice_encoder_data import Voices
from speech2face.errors import UsageError
from speech2face.media import SAMPLE_RATE
from speech2face.metrics.matching import average_people, centred_cosine, two_way
from speech2face.networks.losses import contrastive_loss, gaussian_nll, regression_loss
from speech2face.networks.paper_loss import PaperLoss, PaperLossConfig
from speech2face.networks.voice_encoder import VoiceEncoderConfig
from speech2face.training.batches import BatchSource
from speech2face.training.encoder_factory import Network
from speech2face.training.field_checks import check_at_least_one, check_lengths
from speech2face.training.loop import LoopConfig
from speech2face.training.shard_dataset import Augmentation, Batch, crop
from speech2face.training.voice_encoder import VoiceEncoderRecipe


@dataclass(frozen=True)
class LossWeights:
    """Weight of each loss; 0 leaves it out."""

    paper: float = 0.0  # networks/paper_loss.py, whose terms have weights of their own
    distance: float = 0.0  # squared, of the embeddings
    nll: float = 0.0  # of the Gaussian; only for a network that gives one
    contrastive: float = 0.0  # InfoNCE in both directions, seen from the average face


@dataclass(frozen=True)
class EndToEndRecipe:
    """Settings that make an encoder: everything but the data."""

    name: str  # of the recipe, in cards and messages
    network: Network  # its sizes; it gives as many numbers as faces have, whatever stands there
    loop: LoopConfig  # the steps of training
    weights: LossWeights  # of the losses
    start: VoiceEncoderRecipe | None = None  # the encoder it begins with; None: it knows nothing
    from_average: bool = False  # knowing nothing, it begins by saying the average face of everybody
    paper: PaperLossConfig = field(default_factory=PaperLossConfig)  # terms of the paper's loss
    balanced: bool = False  # the paper's terms, on the first batch as the network begins
    temperature: float = 0.07  # of the contrastive loss
    batch: int = 16  # clips, of one process
    seconds: tuple[float, float] = (3.0, 6.0)  # of crops, from and to
    augmentation: Augmentation | None = None  # degradations of what is heard; None: it is clean
    frames: Literal["best", "mean"] = "best"  # of a video, whose face is learned
    held_out: float = 0.1  # share of people; a set of shards has its side val instead
    held_clips: int = 1000  # at most, of the side val
    crop_seconds: tuple[float, ...] = (0.5, 1.0, 2.0, 3.0)  # of clips held out, for the Gaussian
    workers: int = 2  # that read shards; they decide the order of samples
    face_encoder: str = "dlib"  # recogniser whose embedding of the face is predicted
    seed: int = 0  # of who is held out, of clips and crops, and of what the network begins with

    def __post_init__(self) -> None:
        check_at_least_one({"batch": self.batch, "held_clips": self.held_clips})
        check_lengths(self.seconds, "seconds")
        check_lengths(self.crop_seconds, "crop_seconds")
        if self.seconds[0] > self.seconds[1]:
            raise ValueError(f"seconds: from the shorter to the longer, not {self.seconds}")
        if self.workers < 0 or self.temperature <= 0:
            raise ValueError("workers is 0 or more, temperature more than 0")


class EndToEndTask:
    """Batches, forward pass and losses of end-to-end training."""

    def __init__(
        self,
        recipe: EndToEndRecipe,
        network: nn.Module,
        source: BatchSource,
        held_out: Voices,
        average: np.ndarray,
        paper: PaperLoss | None = None,
        device: str = "cpu",
    ) -> None:
        """`average` (D,) is the average face, `paper` the paper's loss with its layers.

        Raises UsageError where the recipe asks for no loss, or for one that network or layers have
        no answer to, and where fewer than two people are held out.
        """
        paper = paper or PaperLoss(recipe.paper)
        _check(recipe, paper, held_out, len(average))
        self.network = network.to(device)
        self._recipe, self._source, self._held_out = recipe, source, held_out
        self._average = torch.tensor(average, dtype=torch.float32, device=device)
        self._paper = paper.to(device)
        self._device = torch.device(device)

    @property
    def clips(self) -> int:
        """Number of clips in a batch."""
        return self._recipe.batch

    @property
    def paper(self) -> PaperLossConfig:
        """The weights of the paper's terms."""
        return self._paper.config

    def batch(self, step: int, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Speech (B, n), faces (B, D) and who it is, as whole numbers (B,); the step alone, not
        `rng`, says which."""
        return self._move(self._source.batch(step))

    def losses(self, batch: tuple[Tensor, Tensor, Tensor]) -> dict[str, Tensor]:
        speech, faces, people = batch
        mean, covariance = split_gaussian(self.network(speech))
        with torch.autocast(self._device.type, enabled=False):
            return self._compare(mean, covariance, faces, people, gather=True)

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Measure on the people held out: loss, two-way matching, gradient of the paper's terms.

        The network has to be in evaluation mode; no other process is asked.
        """
        voices, size = self._held_out, self._recipe.batch
        rows = np.arange(len(voices))
        heard = [
            split_gaussian(self.network(self._cut(rows[first : first + size])))
            for first in range(0, len(voices), size)
        ]
        mean, covariance = (torch.cat(part) for part in zip(*heard, strict=True))
        faces = torch.tensor(voices.faces, dtype=torch.float32, device=self._device)
        people = _number(voices.people).to(self._device)
        terms = self._compare(mean, covariance, faces, people, gather=False)
        names = np.array(voices.people)
        wins = two_way(centred_cosine(mean.cpu().numpy(), voices.faces), names)
        found = {
            "loss": sum(term.item() for term in terms.values()),
            "two_way": float(average_people(wins, names)),
        }
        if self._recipe.weights.paper:
            shares = self._paper.share_gradient(mean, faces)
            found |= {f"share of {name}": share for name, share in shares.items()}
        return found

    def balance(self, batch: Batch) -> None:
        """Weigh the paper's terms such that each has as much to say about this batch."""
        speech, faces, _ = self._move(batch)
        buffers = {k: v.clone() for k, v in self.network.named_buffers()}  # norms count on these
        with torch.no_grad():
            mean, _ = split_gaussian(functional_call(self.network, buffers, (speech,)))
        self._paper.config = self._paper.balance(mean, faces)

    def _move(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        speech, faces = (
            torch.as_tensor(x, dtype=torch.float32, device=self._device)
            for x in (batch.speech, batch.embedding)
        )
        return speech, faces, _number(batch.person).to(self._device)

    def _cut(self, rows: np.ndarray) -> Tensor:
        """The longest crops of clips held out (M, n), the same at each validation."""
        length, seed = round(self._recipe.seconds[1] * SAMPLE_RATE), self._recipe.seed
        crops = [
            crop(self._held_out.speech[row], length, np.random.default_rng([seed, row]))
            for row in rows
        ]
        return torch.tensor(np.array(crops), device=self._device)

    def _compare(
        self, mean: Tensor, covariance: Tensor, faces: Tensor, people: Tensor, gather: bool
    ) -> dict[str, Tensor]:
        weights, average, terms = self._recipe.weights, self._average, {}
        if weights.paper:
            terms |= {k: weights.paper * v for k, v in self._paper(mean, faces).items()}
        if weights.distance:
            terms["distance"] = weights.distance * regression_loss(mean, faces)
        if weights.nll:
            terms["nll"] = weights.nll * gaussian_nll(mean, covariance, faces)
        if weights.contrastive:
            terms["contrastive"] = weights.contrastive * contrastive_loss(
                mean, faces, people, average, self._recipe.temperature, gather
            )
        return terms


def split_gaussian(heard: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
    """A network's output -> mean (B, D), covariance (B, D, D) or (B, 0, 0) for none; float32."""
    if isinstance(heard, Tensor):
        return heard.float(), heard.new_zeros(len(heard), 0, 0)
    return heard[0].float(), heard[1].float()


def _check(recipe: EndToEndRecipe, paper: PaperLoss, held_out: Voices, faces: int) -> None:
    asked = [name for name, weight in asdict(recipe.weights).items() if weight]
    if not asked:
        raise UsageError(f"recipe {recipe.name}: no loss has a weight; nothing would be learned.")
    if "nll" in asked and not isinstance(recipe.network, VoiceEncoderConfig):
        raise UsageError(f"recipe {recipe.name}: nll needs a network that gives a covariance.")
    if recipe.from_average and isinstance(recipe.network, VoiceEncoderConfig):
        raise UsageError(f"recipe {recipe.name}: from_average is for networks that give a point.")
    for layer in (paper.decoder, paper.recogniser):
        if layer and layer.in_features != faces:
            raise UsageError(
                f"a layer of the paper's loss takes {layer.in_features} numbers, faces are {faces}."
            )
    if len(set(held_out.people)) < 2:
        raise UsageError("fewer than two people are held out: give more people or a larger share.")


def _number(people: Sequence[str]) -> Tensor:
    """Names -> whole numbers (N,), the same in all processes."""
    digests = (hashlib.sha256(name.encode()).digest() for name in people)
    return torch.tensor([int.from_bytes(digest[:8], signed=True) for digest in digests])
