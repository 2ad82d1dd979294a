"""Trainings: train face-decoder, train voice-encoder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from speech2face.cli.options import (
    Device,
    FaceSpace,
    PairsOption,
    Recipe,
    Run,
    SetsOption,
    Speaker,
)
from speech2face.console import ProgressBars
from speech2face.extras import need_extras


def train_face_decoder(
    pairs: PairsOption, out: Run, recipe: Recipe = "default", face_encoder: FaceSpace = "dlib"
) -> None:
    """Train the face decoder, which draws a face from its embedding, on pictures of faces.

    Writes face_decoder.safetensors, which `speech2face export` takes, into --out.
    """
    need_extras("train")
    from speech2face.data.merge_pairs import join_people, read_sets
    from speech2face.training import face_decoder
    from speech2face.training.distributed import need_one_process
    from speech2face.training.recipes import FACE_DECODERS, enter_space, find_recipe

    need_one_process("train face-decoder")
    chosen, people = find_recipe(FACE_DECODERS, recipe), read_sets(pairs)
    chosen = enter_space(chosen, face_encoder)
    face_decoder.claim_decoder_run(out, chosen, people)
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
            metavar="NAME",
            help="Recipe to train by: default, frozen, debug (which takes seconds and "
            "learns nothing), or another of docs/training.md.",
        ),
    ] = "default",
    speaker: Speaker = None,
    device: Device = "cpu",
    face_encoder: FaceSpace = "dlib",
    decoder_layer: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            show_default="without the term of the loss that needs it",
            help="Safetensors file with the first layer of a face decoder, for the paper's loss "
            "(see docs/training.md).",
        ),
    ] = None,
    recogniser_layer: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            show_default="without the term of the loss that needs it",
            help="Safetensors file with the last layer of the face recogniser, for the paper's "
            "loss (see docs/training.md).",
        ),
    ] = None,
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

    Writes voice_encoder.safetensors, which `speech2face export` takes, into --out. Of a training
    set that `speech2face prepare` made, only the part train is read. Recipes that train end to end
    take one such set or folders of pairs, and may run as several processes:
    torchrun --nproc-per-node 8 -m speech2face train voice-encoder …
    """
    need_extras("train")
    from speech2face.training.distributed import check_device
    from speech2face.training.encoder_command import Options
    from speech2face.training.encoder_command import train as run
    from speech2face.training.recipes import (
        END_TO_END,
        VOICE_ENCODERS,
        enter_space,
        find_recipe,
    )

    check_device(device)
    chosen = enter_space(find_recipe({**VOICE_ENCODERS, **END_TO_END}, recipe), face_encoder)
    options = Options(
        speaker,
        device,
        decoder_layer,
        recogniser_layer,
        balance,
        compiled,
        channels_last,
        checkpoint_minutes,
    )
    with ProgressBars() as show:
        path = run(chosen, pairs, out, options, show)
    if path:
        print(path)
