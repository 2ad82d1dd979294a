"""Trainings: train face-decoder, train voice-encoder; and train recipe, which shows recipes."""

from __future__ import annotations

from typing import Annotated

import typer

from speech2face.cli.options import (
    Changes,
    DecoderLayer,
    Device,
    Init,
    PairsOption,
    RecipeFaceSpace,
    RecogniserLayer,
    Run,
    SetsOption,
    Speaker,
)
from speech2face.console import ProgressBars
from speech2face.extras import need_extras


def show_recipe(
    recipe: Annotated[
        str,
        typer.Argument(
            metavar="RECIPE",
            help="Recipe to show: a name of docs/training.md, FILE.py:NAME of your own, or the "
            "recipe.json of a run.",
        ),
    ] = "default",
    changes: Changes = None,
    face_encoder: RecipeFaceSpace = None,
    decoder: Annotated[
        bool,
        typer.Option(
            "--face-decoder", help="Show a recipe of the face decoder, not of the voice encoder."
        ),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON, which --recipe reads from a file.")
    ] = False,
) -> None:
    """Show a recipe as training resolves it: each field, its value and what it means."""
    need_extras("train")
    from speech2face.training.recipe_fields import format_fields
    from speech2face.training.recipe_files import RecipeSource, format_json, load_recipe
    from speech2face.training.recipes import ENCODERS, FACE_DECODERS

    source = RecipeSource(recipe, tuple(changes or ()))
    chosen = load_recipe(source, FACE_DECODERS if decoder else ENCODERS, face_encoder)
    print(format_json(chosen, source) if as_json else format_fields(chosen), end="")


def train_face_decoder(
    pairs: PairsOption,
    out: Run,
    recipe: Annotated[
        str,
        typer.Option(
            "--recipe",
            metavar="RECIPE",
            help="Recipe to train by: default; debug, which takes seconds and learns nothing; "
            "FILE.py:NAME of your own; or the recipe.json of a run.",
        ),
    ] = "default",
    changes: Changes = None,
    face_encoder: RecipeFaceSpace = None,
) -> None:
    """Train the face decoder, which draws a face from its embedding, on pictures of faces.

    Writes face_decoder.safetensors, which `speech2face export` takes, and recipe.json into --out.
    """
    need_extras("train")
    from speech2face.data.merge_pairs import join_people, read_sets
    from speech2face.training import face_decoder
    from speech2face.training.distributed import need_one_process
    from speech2face.training.recipe_files import RecipeSource, load_recipe, write_recipe
    from speech2face.training.recipes import FACE_DECODERS

    need_one_process("train face-decoder")
    source = RecipeSource(recipe, tuple(changes or ()))
    chosen = load_recipe(source, FACE_DECODERS, face_encoder)
    people = read_sets(pairs)
    face_decoder.claim_decoder_run(out, chosen, people)
    write_recipe(chosen, source, out)
    with ProgressBars() as show:
        people = join_people(people, out / "cache", show)
        print(face_decoder.train_face_decoder(chosen, people, out, out / "cache", show))


def train_voice_encoder(
    pairs: SetsOption,
    out: Run,
    recipe: Annotated[
        str,
        typer.Option(
            "--recipe",
            metavar="RECIPE",
            help="Recipe to train by: default, frozen, debug (which takes seconds and learns "
            "nothing), or another of docs/training.md; FILE.py:NAME of your own; or the "
            "recipe.json of a run.",
        ),
    ] = "default",
    changes: Changes = None,
    speaker: Speaker = None,
    init: Init = None,
    device: Device = "cpu",
    face_encoder: RecipeFaceSpace = None,
    decoder_layer: DecoderLayer = None,
    recogniser_layer: RecogniserLayer = None,
    balance: Annotated[
        bool,
        typer.Option(
            "--balance",
            help="Weight the terms of the paper's loss so that each has an equal share of the "
            "first batch.",
        ),
    ] = False,
    compiled: Annotated[
        bool,
        typer.Option(
            "--compile", help="Use torch.compile: training starts later, and its steps are faster."
        ),
    ] = False,
    channels_last: Annotated[
        bool,
        typer.Option(
            "--channels-last",
            help="Use the channels-last memory format, which is faster on GPUs.",
        ),
    ] = False,
    checkpoint_minutes: Annotated[
        float,
        typer.Option(
            metavar="MINUTES",
            min=0,
            help="Time between checkpoints, from which a stopped run goes on, in minutes.",
        ),
    ] = 2.0,
) -> None:
    """Train the voice encoder, which predicts the embedding of a face from a voice.

    Writes voice_encoder.safetensors, which `speech2face export` takes, and recipe.json into --out.
    Of a training set that `speech2face prepare` made, only the part train is read. Recipes that
    train end to end take one such set or folders of pairs, and may run as several processes:
    torchrun --nproc-per-node 8 -m speech2face train voice-encoder …
    """
    need_extras("train")
    from speech2face.training.distributed import check_device
    from speech2face.training.encoder_command import train as run
    from speech2face.training.encoder_options import Options
    from speech2face.training.recipe_files import RecipeSource, load_recipe
    from speech2face.training.recipes import ENCODERS

    check_device(device)
    source = RecipeSource(recipe, tuple(changes or ()))
    chosen = load_recipe(source, ENCODERS, face_encoder)
    options = Options(
        speaker=speaker,
        init=init,
        device=device,
        decoder_layer=decoder_layer,
        recogniser_layer=recogniser_layer,
        balance=balance,
        compile=compiled,
        channels_last=channels_last,
        checkpoint_minutes=checkpoint_minutes,
    )
    with ProgressBars() as show:
        path = run(chosen, pairs, out, options, show, source)
    if path:
        print(path)
