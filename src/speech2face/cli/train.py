"""Trainings: train face-decoder, train voice-encoder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from speech2face.cli.extras import need_extras
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


def train_face_decoder(
    pairs: PairsOption, out: Run, recipe: Recipe = "default", face_encoder: FaceSpace = "dlib"
) -> None:
    """Train embedding → face on the pictures of pairs."""
    need_extras("train", "data")
    from speech2face.data.pair_sets import join_people, read_sets
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
            help="Recipe to train by: default, frozen, debug, or one of docs/training.md.",
        ),
    ] = "default",
    speaker: Speaker = None,
    device: Device = "cpu",
    face_encoder: FaceSpace = "dlib",
    decoder_layer: Annotated[
        Path | None,
        typer.Option(help="File with the first layer of a face decoder, for the paper's loss."),
    ] = None,
    recogniser_layer: Annotated[
        Path | None,
        typer.Option(help="File with the last layer of the face recogniser, for the paper's loss."),
    ] = None,
    balance: Annotated[
        bool,
        typer.Option("--balance", help="Begin with equal shares of the terms of the paper's loss."),
    ] = False,
    compiled: Annotated[
        bool, typer.Option("--compile", help="Use torch.compile: slower start, faster steps.")
    ] = False,
    channels_last: Annotated[
        bool,
        typer.Option(
            "--channels-last", help="Use the channels-last memory format: faster on GPUs."
        ),
    ] = False,
    checkpoint_minutes: Annotated[
        float, typer.Option(min=0, help="Minutes between checkpoints.")
    ] = 2.0,
) -> None:
    """Train voice → face embedding on pairs of voice and face.

    Of a set made by speech2face prepare, only the part train is read. What is trained end to end
    takes one such set or folders of pairs. It may run as many processes:
    torchrun --nproc-per-node 8 -m speech2face train voice-encoder …
    """
    need_extras("train", "data")
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
