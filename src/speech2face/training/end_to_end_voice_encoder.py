"""Training of a voice encoder from waveform to embedding, all of it by gradient steps.

The network may be the paper's own, one with attention, or the released one, which gives a Gaussian.
What is asked of it is the paper's loss or a newer one, or several together. Some people are held
out; on them it is measured between steps.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call

from speech2face import __version__
from speech2face.console import ProgressCallback
from speech2face.data.shard_index import read_index
from speech2face.data.splits import split_shares
from speech2face.data.voice_encoder_data import Voices, hash_shards, read_voices
from speech2face.errors import UsageError
from speech2face.face_encoders import identify_face_encoder
from speech2face.media import SAMPLE_RATE
from speech2face.metrics.matching import average_people, centred_cosine, two_way
from speech2face.networks.losses import contrastive_loss, gaussian_nll, regression_loss
from speech2face.networks.paper_loss import PaperLoss, PaperLossConfig
from speech2face.networks.voice_encoder import VoiceEncoder, VoiceEncoderConfig
from speech2face.training.batches import BatchSource, HeldBatches, StreamedBatches, average_face
from speech2face.training.checkpoint import hash_weights, save_weights
from speech2face.training.distributed import SINGLE_PROCESS, Processes
from speech2face.training.encoder_factory import KINDS, Network, fit_size, make_network
from speech2face.training.loop import LoopConfig, RunOptions, fit, report_progress
from speech2face.training.shard_dataset import Augmentation, Batch, Reading, crop
from speech2face.training.voice_encoder import (
    VoiceEncoderRecipe,
    load_speaker,
    prepare_clips,
    set_head,
    solve,
)

MOST_HEARD = 2000  # clips of a set for which the head is solved that training begins with


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

    name: str
    network: Network  # that gives as many numbers as the faces have, whatever stands here
    loop: LoopConfig
    weights: LossWeights
    start: VoiceEncoderRecipe | None = None  # the encoder it begins with; None: it knows nothing
    from_average: bool = False  # knowing nothing, it begins by saying the average face of everybody
    paper: PaperLossConfig = field(default_factory=PaperLossConfig)
    balanced: bool = False  # the paper's terms, on the first batch as the network begins
    temperature: float = 0.07  # of the contrastive loss
    batch: int = 16  # clips, of one process
    seconds: tuple[float, float] = (3.0, 6.0)  # of crops, from and to
    augmentation: Augmentation | None = None
    held_out: float = 0.1  # share of people; a set of shards has its side val instead
    held_clips: int = 1000  # at most, of the side val
    workers: int = 2  # that read shards; they decide the order of samples
    face_encoder: str = "dlib"
    seed: int = 0


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
        mean, covariance = _split(self.network(speech))
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
            _split(self.network(self._cut(rows[first : first + size])))
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
            mean, _ = _split(functional_call(self.network, buffers, (speech,)))
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


def train_end_to_end(
    recipe: EndToEndRecipe,
    source: Voices | Path,
    folder: Path,
    show: ProgressCallback,
    *,
    speaker: Path | None = None,
    decoder: nn.Linear | None = None,
    recogniser: nn.Linear | None = None,
    options: RunOptions | None = None,
    processes: Processes = SINGLE_PROCESS,
    device: str = "cpu",
) -> Path:
    """Train by a recipe; return the path of the weights, `folder`/voice_encoder.safetensors.

    `source` is clips in memory or the folder of a set of shards with the sides train and val;
    `speaker` the speaker networks to start from, where the recipe does so; `decoder` and
    `recogniser` are the layers of the paper's loss. Raises UsageError where recipe and data do not
    go together.
    """
    train, held_out, average, origin = _split_people(recipe, source, show)
    recipe = replace(recipe, network=fit_size(recipe.network, len(average)))
    paper = PaperLoss(recipe.paper, decoder, recogniser)
    reading = Reading(
        recipe.batch,
        recipe.seconds,
        recipe.augmentation,
        seed=recipe.seed,
        rank=processes.rank,
        ranks=processes.count,
    )
    batches = _open(train, reading, recipe.workers)
    if recipe.start:
        space = {"network": recipe.network, "face_encoder": recipe.face_encoder}
        start, cache = replace(recipe.start, **space), folder / "cache"
        network = processes.run_on_rank_zero(
            lambda: _prepare_start(start, train, speaker, cache, show)
        )
    else:
        network = make_network(recipe.network, recipe.seed)
    metadata: dict[str, Any] = {
        "network": KINDS[type(recipe.network)],
        "recipe": asdict(recipe),
        "face_encoder": identify_face_encoder(recipe.face_encoder),
        **origin,
        "start": hash_weights(network.speaker) if isinstance(network, VoiceEncoder) else None,
        "layers": [layer and hash_weights(layer) for layer in (decoder, recogniser)],
        "processes": processes.count,
        "version": __version__,
    }
    task = EndToEndTask(recipe, network, batches, held_out, average, paper, device)
    if recipe.from_average:
        _say_always(network, average)
    if recipe.balanced:
        task.balance(_open(train, replace(reading, rank=0), workers=0).batch(0))
    report = report_progress(show, "training the voice encoder")
    fit(task, recipe.loop, folder / "end-to-end", metadata, report, options, processes)
    path = folder / "voice_encoder.safetensors"
    if processes.first:
        # Not in the metadata that a resumed run compares: another machine balances to other last
        # digits.
        save_weights(path, network.cpu().state_dict(), {**metadata, "paper": asdict(task.paper)})
    return path


def _split(heard: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
    """A network's output -> mean (B, D), covariance (B, D, D) or (B, 0, 0) for none; float32."""
    if isinstance(heard, Tensor):
        return heard.float(), heard.new_zeros(len(heard), 0, 0)
    return heard[0].float(), heard[1].float()


def _split_people(
    recipe: EndToEndRecipe, source: Voices | Path, show: ProgressCallback
) -> tuple[Voices | Path, Voices, np.ndarray, dict[str, Any]]:
    """Data to learn from, clips held out, the average face (D,), and metadata of the data."""
    if isinstance(source, Path):
        index = read_index(source)
        if "val" not in index.people:
            raise UsageError(f"{source}: nobody is held out; prepare it again with --split 90/10.")
        held_out = read_voices(source, recipe.face_encoder, show, "val", recipe.held_clips)
        return source, held_out, average_face(source), {"data": hash_shards(index.shards)}
    if not 0 < recipe.held_out < 1:
        raise UsageError(f"{recipe.held_out} is no share of people to hold out; give 0.1, say.")
    sides = split_shares(source.people, (1 - recipe.held_out, recipe.held_out), recipe.seed)
    train, held_out = (source.take(np.flatnonzero(sides == side)) for side in (0, 1))
    average = average_people(train.faces, np.array(train.people))
    return train, held_out, average, source.origin


def _open(train: Voices | Path, reading: Reading, workers: int) -> BatchSource:
    if isinstance(train, Path):
        return StreamedBatches(train, reading, workers)
    return HeldBatches(train, reading)


def _prepare_start(
    start: VoiceEncoderRecipe,
    train: Voices | Path,
    speaker: Path | None,
    cache: Path,
    show: ProgressCallback,
) -> nn.Module:
    """Pretrained speaker networks, and a head that is solved for the training side."""
    if isinstance(train, Path):
        train = read_voices(train, start.face_encoder, show, most=MOST_HEARD)
    network = load_speaker(start, speaker)
    clips = prepare_clips(start, network, train, cache, show)
    set_head(network, solve(start, clips, np.ones(len(train), bool)))
    return network


def _say_always(network: nn.Module, face: np.ndarray) -> None:
    """Let a network's last layer say one face (D,), whatever it hears."""
    last = cast(nn.Linear, cast(nn.Sequential, network.embed)[-1])
    nn.init.zeros_(last.weight)
    last.bias.data.copy_(torch.tensor(face))


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
