"""`train voice-encoder`: by any recipe, from pairs or shards, on one process or many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from speech2face.console import ProgressCallback
from speech2face.data.shard_index import is_set
from speech2face.data.voice_encoder_data import identify_data, load_voices
from speech2face.errors import UsageError
from speech2face.face_encoders import identify_face_encoder
from speech2face.run_provenance import claim_run, describe
from speech2face.training.distributed import join_processes, need_one_process
from speech2face.training.encoder_options import EncoderRecipe, Options, check_options
from speech2face.training.end_to_end_task import EndToEndRecipe
from speech2face.training.end_to_end_voice_encoder import train_end_to_end
from speech2face.training.loop import RunOptions
from speech2face.training.recipe_files import RecipeSource, write_recipe
from speech2face.training.voice_encoder import WEIGHTS, VoiceEncoderRecipe, train_voice_encoder


def train(
    recipe: EncoderRecipe,
    data: Sequence[Path],
    folder: Path,
    options: Options,
    show: ProgressCallback,
    origin: RecipeSource | None = None,
) -> Path | None:
    """Train on folders of pairs and sets of shards; the weights' path, on the first process.

    `origin` is where the recipe came from, which recipe.json says. Raises UsageError where options,
    recipe, data and processes do not go together.
    """
    origin = origin or RecipeSource(recipe.name)
    check_options(recipe, options)
    cache = folder / "cache"
    if isinstance(recipe, VoiceEncoderRecipe):
        need_one_process(f"recipe {recipe.name}")
        claim_encoder_run(folder, recipe, data, options)
        write_recipe(recipe, origin, folder)
        voices = load_voices(data, recipe.face_encoder, cache, show, frames=recipe.frames)
        return train_voice_encoder(
            recipe, voices, options.speaker, folder, cache, show, options.weights
        )
    recipe = replace(recipe, balanced=recipe.balanced or options.balance)
    stream = find_stream(recipe, data)

    def begin(count: int) -> None:
        claim_encoder_run(folder, recipe, data, options, count)
        write_recipe(recipe, origin, folder)

    with join_processes(options.device) as processes:
        if not processes.first:
            show = _show_nothing
        processes.run_on_rank_zero(lambda: begin(processes.count))
        source = stream or processes.run_on_rank_zero(  # pairs are heard once, for all processes
            lambda: load_voices(data, recipe.face_encoder, cache, show)
        )
        trained = train_end_to_end(
            recipe,
            source,
            folder,
            show,
            speaker=options.speaker,
            init=options.weights,
            decoder=options.decoder,
            recogniser=options.recogniser,
            options=RunOptions(
                checkpoint_seconds=60 * options.checkpoint_minutes,
                compile=options.compile,
                channels_last=options.channels_last,
            ),
            processes=processes,
            device=options.device,
        )
    return trained.save(folder) if trained else None


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
    recipe: EncoderRecipe,
    data: Sequence[Path],
    options: Options,
    processes: int = 1,
) -> None:
    """Raises UsageError where `folder` holds an encoder that would be another than this, and what
    reading the inputs raises; see `claim_run`."""
    inputs = {
        "pairs": identify_data(data),
        "face encoder": identify_face_encoder(recipe.face_encoder),
        **options.identify(recipe),
    }
    results = [WEIGHTS, "tuning", "end-to-end"]
    how = asdict(recipe) | {"processes": processes}
    claim_run(folder, "train voice-encoder", describe(how, inputs), results)


def _show_nothing(*_: object) -> None:
    pass
