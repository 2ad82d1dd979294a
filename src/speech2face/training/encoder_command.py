"""`train voice-encoder`: by any recipe, from pairs or shards, on one process or many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from speech2face.console import ProgressCallback
from speech2face.data.shard_index import is_set
from speech2face.data.voice_encoder_data import identify_data, load_voices
from speech2face.errors import UsageError
from speech2face.face_encoders import identify_face_encoder
from speech2face.networks.attentive_voice_encoder import AttentiveEncoderConfig
from speech2face.networks.paper_loss import load_linear
from speech2face.run_provenance import DataIdentity, claim_run, describe
from speech2face.training.checkpoint import hash_weights
from speech2face.training.distributed import join_processes, need_one_process
from speech2face.training.end_to_end_voice_encoder import (
    EndToEndRecipe,
    LossWeights,
    train_end_to_end,
)
from speech2face.training.loop import RunOptions
from speech2face.training.voice_encoder import (
    VoiceEncoderRecipe,
    identify_start,
    train_voice_encoder,
)


@dataclass(frozen=True)
class Options:
    """Options of a training beside its recipe."""

    speaker: Path | None = None  # networks to start from
    device: str = "cpu"
    decoder_layer: Path | None = None
    recogniser_layer: Path | None = None
    balance: bool = False
    compile: bool = False
    channels_last: bool = False
    checkpoint_minutes: float = 2.0


def train(
    recipe: VoiceEncoderRecipe | EndToEndRecipe,
    data: Sequence[Path],
    folder: Path,
    options: Options,
    show: ProgressCallback,
) -> Path | None:
    """Train on folders of pairs and sets of shards; the weights' path, on the first process.

    Raises UsageError where options, recipe, data and processes do not go together.
    """
    check_options(recipe, options)
    cache = folder / "cache"
    if isinstance(recipe, VoiceEncoderRecipe):
        need_one_process(f"recipe {recipe.name}")
        claim_encoder_run(folder, recipe, data, options)
        voices = load_voices(data, recipe.face_encoder, cache, show)
        return train_voice_encoder(recipe, voices, options.speaker, folder, cache, show)
    stream = find_stream(recipe, data)
    decoder, recogniser = (
        path and load_linear(path) for path in (options.decoder_layer, options.recogniser_layer)
    )
    with join_processes(options.device) as processes:
        if not processes.first:
            show = _show_nothing
        count = processes.count
        processes.run_on_rank_zero(lambda: claim_encoder_run(folder, recipe, data, options, count))
        source = stream or processes.run_on_rank_zero(  # pairs are heard once, for all processes
            lambda: load_voices(data, recipe.face_encoder, cache, show)
        )
        path = train_end_to_end(
            replace(recipe, balanced=recipe.balanced or options.balance),
            source,
            folder,
            show,
            speaker=options.speaker,
            decoder=decoder,
            recogniser=recogniser,
            options=RunOptions(
                checkpoint_seconds=60 * options.checkpoint_minutes,
                compile=options.compile,
                channels_last=options.channels_last,
            ),
            processes=processes,
            device=options.device,
        )
    return path if processes.first else None


def find_stream(recipe: EndToEndRecipe, data: Sequence[Path]) -> Path | None:
    """The set of shards that is streamed; None where all are folders of pairs.

    Raises UsageError where there is more beside it.
    """
    sets = [folder for folder in data if is_set(folder)]
    if sets and len(data) > 1:
        raise UsageError(
            f"recipe {recipe.name} streams a set of prepare, which cannot be mixed with other "
            f"folders: give {sets[0]} alone, or folders with pairs.csv only."
        )
    return sets[0] if sets else None


def claim_encoder_run(
    folder: Path,
    recipe: VoiceEncoderRecipe | EndToEndRecipe,
    data: Sequence[Path],
    options: Options,
    processes: int = 1,
) -> None:
    """Raises UsageError where `folder` holds an encoder that would be another than this, and what
    reading the inputs raises; see `claim_run`."""
    inputs: dict[str, DataIdentity | str] = {
        "pairs": identify_data(data),
        "face encoder": identify_face_encoder(recipe.face_encoder),
    }
    if isinstance(recipe, VoiceEncoderRecipe) or recipe.start:
        inputs["speaker networks"] = identify_start(options.speaker)
    for name in ("decoder_layer", "recogniser_layer"):
        if layer := getattr(options, name):
            inputs[name.replace("_", " ")] = hash_weights(load_linear(layer))
    how = asdict(recipe) | {"balance": options.balance, "processes": processes}
    results = ["voice_encoder.safetensors", "tuning", "end-to-end"]
    claim_run(folder, "train voice-encoder", describe(how, inputs), results)


def check_options(recipe: VoiceEncoderRecipe | EndToEndRecipe, options: Options) -> None:
    """Raises UsageError where one is given that the recipe has no use for, or is missing."""
    if isinstance(recipe, VoiceEncoderRecipe):
        useful = {"speaker"}
    else:
        layers = {"decoder_layer", "recogniser_layer"}
        useful = {"device", "compile", "checkpoint_minutes"}
        if recipe.start:
            useful.add("speaker")
        if recipe.weights.paper:
            useful |= {*layers, "balance"}
        if not isinstance(recipe.network, AttentiveEncoderConfig):
            useful.add("channels_last")  # of two-dimensional convolutions
        alone = recipe.weights == LossWeights(paper=recipe.weights.paper)
        if alone and not any(getattr(options, layer) for layer in layers):
            raise UsageError(
                f"recipe {recipe.name} needs a layer for the paper's loss, which else leaves the "
                "length of embeddings open: --decoder-layer, --recogniser-layer or both."
            )
    given = [f.name for f in fields(options) if getattr(options, f.name) != f.default]
    if unfit := [f"--{name.replace('_', '-')}" for name in given if name not in useful]:
        raise UsageError(f"{', '.join(unfit)}: not for recipe {recipe.name}.")


def _show_nothing(*_: object) -> None:
    pass
