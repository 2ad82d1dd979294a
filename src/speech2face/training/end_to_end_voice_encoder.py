"""Training of a voice encoder from waveform to embedding, all of it by gradient steps.

Some people are held out. On them the network is measured between steps, and at the end what it
misses of their faces makes its Gaussian.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import nn

from speech2face import __version__
from speech2face.console import ProgressCallback
from speech2face.data.shard_index import read_index
from speech2face.data.splits import split_shares
from speech2face.data.voice_encoder_data import Voices, hash_shards, read_voices
from speech2face.errors import UsageError
from speech2face.face_encoders import identify_face_encoder
from speech2face.metrics.matching import average_people
from speech2face.networks.paper_loss import PaperLoss
from speech2face.networks.voice_encoder import GaussianEncoder, PointVoiceEncoder, VoiceEncoder
from speech2face.training.batches import BatchSource, HeldBatches, StreamedBatches, read_faces
from speech2face.training.checkpoint import hash_weights, save_weights
from speech2face.training.clip_features import hear_clips
from speech2face.training.distributed import SINGLE_PROCESS, Processes
from speech2face.training.encoder_factory import KINDS, fit_size, make_network
from speech2face.training.end_to_end_task import EndToEndRecipe, EndToEndTask
from speech2face.training.gaussian_head import HeadSolution, solve_head_of_points
from speech2face.training.init_weights import InitWeights
from speech2face.training.loop import RunOptions, fit, report_progress
from speech2face.training.shard_dataset import Reading
from speech2face.training.voice_encoder import (
    WEIGHTS,
    VoiceEncoderRecipe,
    load_speaker,
    prepare_clips,
    set_head,
    solve,
)

log = logging.getLogger(__name__)

MOST_HEARD = 2000  # clips of a set for which the head is solved that training begins with
FEW = 20  # people held out, on whom a Gaussian does not rest well


@dataclass(frozen=True)
class LearningData:
    """The data of a training: what is learned from, and who is held out."""

    train: Voices | Path  # in memory, or a set of shards
    held_out: Voices
    faces: np.ndarray  # (M, D) of clips that are learned from; of a set not of all
    average: np.ndarray  # (D,) the average face
    origin: Mapping[str, Any]  # metadata of the data


@dataclass(frozen=True)
class TrainedEncoder:
    """A trained encoder with its Gaussian, on the CPU."""

    network: GaussianEncoder
    head: HeadSolution  # which the network has in float32
    metadata: Mapping[str, Any]

    def save(self, folder: Path) -> Path:
        """Write the weights, `folder`/voice_encoder.safetensors; return their path."""
        path = folder / WEIGHTS
        save_weights(path, self.network.state_dict(), self.metadata)
        return path


def train_end_to_end(
    recipe: EndToEndRecipe,
    source: Voices | Path,
    folder: Path,
    show: ProgressCallback,
    *,
    speaker: Path | None = None,
    init: InitWeights | None = None,
    decoder: nn.Linear | None = None,
    recogniser: nn.Linear | None = None,
    options: RunOptions | None = None,
    processes: Processes = SINGLE_PROCESS,
    device: str = "cpu",
    facts: Mapping[str, Any] | None = None,
) -> TrainedEncoder | None:
    """Train by a recipe; `folder` keeps the run, which goes on there where it was stopped.

    `source` is clips in memory or the folder of a set of shards with the sides train and val;
    `speaker` the speaker networks to start from, where the recipe does so, `init` earlier weights
    of the whole; `decoder` and `recogniser` are the layers of the paper's loss; `facts` go into
    the metadata. None on other processes than the first. Raises UsageError where recipe and data
    do not go together.
    """
    data = split_people(recipe, source, show)
    recipe = replace(recipe, network=fit_size(recipe.network, len(data.average)))
    paper = PaperLoss(recipe.paper, decoder, recogniser)
    reading = Reading(
        recipe.batch,
        recipe.seconds,
        recipe.augmentation,
        recipe.frames,
        seed=recipe.seed,
        rank=processes.rank,
        ranks=processes.count,
    )
    batches = _open(data.train, reading, recipe.workers)
    cache = folder / "cache"
    if recipe.start:
        start = replace(
            recipe.start,
            network=recipe.network,
            face_encoder=recipe.face_encoder,
            frames=recipe.frames,
        )
        network = processes.run_on_rank_zero(
            lambda: _prepare_start(start, data.train, speaker, init, cache, show)
        )
    else:
        network = make_network(recipe.network, recipe.seed)
    metadata: dict[str, Any] = {
        "network": KINDS[type(recipe.network)],
        "recipe": asdict(recipe),
        "face_encoder": identify_face_encoder(recipe.face_encoder),
        **data.origin,
        "start": hash_weights(network.speaker) if isinstance(network, VoiceEncoder) else None,
        **({"init": init.describe()} if init else {}),
        "layers": [layer and hash_weights(layer) for layer in (decoder, recogniser)],
        "processes": processes.count,
        "version": __version__,
        **(facts or {}),
    }
    task = EndToEndTask(recipe, network, batches, data.held_out, data.average, paper, device)
    if recipe.from_average:
        _say_always(network, data.average)
    if init:
        init.put_into(network)
    if recipe.balanced:
        task.balance(_open(data.train, replace(reading, rank=0), workers=0).batch(0))
    report = report_progress(show, "training the voice encoder")
    fit(task, recipe.loop, folder / "end-to-end", metadata, report, options, processes)
    # Not in the metadata that a resumed run compares: another machine balances to other last
    # digits.
    metadata |= {
        "paper": asdict(task.paper),
        "held_out": {"people": len(set(data.held_out.people)), "clips": len(data.held_out)},
    }
    trained: list[TrainedEncoder] = []  # which is too large to be handed to all processes
    processes.run_on_rank_zero(
        lambda: trained.append(_add_gaussian(network, recipe, data, metadata, cache, show))
    )
    return trained[0] if trained else None


def _add_gaussian(
    network: nn.Module,
    recipe: EndToEndRecipe,
    data: LearningData,
    metadata: Mapping[str, Any],
    cache: Path,
    show: ProgressCallback,
) -> TrainedEncoder:
    """Put a head on the network, solved for the people held out."""
    held_out = data.held_out
    if (people := len(set(held_out.people))) < FEW:
        log.warning("only %d people are held out: the Gaussian is a rough one", people)
    encoder = network
    if not isinstance(encoder, GaussianEncoder):
        encoder = PointVoiceEncoder(network, len(data.average))
    encoder.eval()
    clips = hear_clips(encoder.ear, held_out, recipe.crop_seconds, recipe.seed, cache, show)
    encoder.cpu()
    solution = solve_head_of_points(
        encoder.head.linear.weight.detach().double().numpy(),
        clips.features,
        clips.seconds,
        held_out.faces[clips.clip],
        clips.whole,
        np.concatenate([data.faces, held_out.faces]),
    )
    set_head(encoder, solution)
    return TrainedEncoder(encoder, solution, metadata)


def split_people(
    recipe: EndToEndRecipe, source: Voices | Path, show: ProgressCallback
) -> LearningData:
    """Divide data into what is learned from and who is held out.

    Raises UsageError where nobody can be held out.
    """
    frames = recipe.frames
    if isinstance(source, Path):
        index = read_index(source)
        if "val" not in index.people:
            raise UsageError(f"{source}: nobody is held out; prepare it again with --split 90/10.")
        most = recipe.held_clips
        held_out = read_voices(source, recipe.face_encoder, show, "val", most, frames)
        faces, origin = read_faces(source, frames=frames), {"data": hash_shards(index.shards)}
        return LearningData(source, held_out, faces, faces.mean(0), origin)
    if not 0 < recipe.held_out < 1:
        raise UsageError(f"{recipe.held_out} is no share of people to hold out; give 0.1, say.")
    sides = split_shares(source.people, (1 - recipe.held_out, recipe.held_out), recipe.seed)
    train, held_out = (source.take(np.flatnonzero(sides == side)) for side in (0, 1))
    average = average_people(train.faces, np.array(train.people))
    return LearningData(train, held_out, train.faces, average, source.origin)


def _open(train: Voices | Path, reading: Reading, workers: int) -> BatchSource:
    if isinstance(train, Path):
        return StreamedBatches(train, reading, workers)
    return HeldBatches(train, reading)


def _prepare_start(
    start: VoiceEncoderRecipe,
    train: Voices | Path,
    speaker: Path | None,
    init: InitWeights | None,
    cache: Path,
    show: ProgressCallback,
) -> nn.Module:
    """Pretrained speaker networks, and a head that is solved for the training side."""
    if isinstance(train, Path):
        train = read_voices(train, start.face_encoder, show, most=MOST_HEARD, frames=start.frames)
    network = load_speaker(start, speaker, init)
    clips = prepare_clips(start, network, train, cache, show)
    set_head(network, solve(start, clips, np.ones(len(train), bool)))
    return network


def _say_always(network: nn.Module, face: np.ndarray) -> None:
    """Let a network's last layer say one face (D,), whatever it hears."""
    last = cast(nn.Linear, cast(nn.Sequential, network.embed)[-1])
    nn.init.zeros_(last.weight)
    last.bias.data.copy_(torch.tensor(face))
