"""The program and its commands, as `speech2face --help` lists them."""

from __future__ import annotations

from typing import Annotated

import typer

from speech2face import __version__
from speech2face.cli import (
    anonymise,
    audit,
    evaluate,
    models,
    page,
    pictures,
    prepare,
    protect,
    recordings,
    serve,
    train,
    zoo,
)
from speech2face.cli.help_pages import Command, CommandGroup, ListingGroup

ON_RECORDINGS = "Commands for recordings"
ON_PICTURES = "Commands for pictures"
ON_MODELS = "Commands for models and the installation"
ON_DATA = "Commands for training and measuring (they need more packages, and say which)"

EXAMPLES = """\b
Examples:
  speech2face reconstruct recording.m4a
  speech2face reconstruct calls --out-dir faces
  speech2face audit recording.m4a
  speech2face protect recording.m4a -o safe.flac
  speech2face anonymise recording.m4a disguised.wav
  speech2face check picture.png

\b
`speech2face COMMAND --help` explains a command.
Exit codes: 0 done, 1 the system failed, 2 wrong call, 3 unreadable file,
4 no speech in it, 5 model or package missing, 6 part of a batch failed."""


def _show_version(asked: bool) -> None:
    if asked:
        print(f"speech2face {__version__}")
        raise typer.Exit


app = typer.Typer(
    name="speech2face",
    cls=CommandGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.callback(
    help="Draw the typical face that a voice suggests: nobody's portrait.",
    epilog=EXAMPLES,
)
def start(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Show the version and exit.", callback=_show_version, is_eager=True
        ),
    ] = False,
) -> None:
    pass


for heading, commands in {
    ON_RECORDINGS: (
        recordings.reconstruct,
        recordings.embed,
        protect.protect,
        anonymise.anonymise,
        audit.audit,
    ),
    ON_PICTURES: (pictures.check,),
    ON_MODELS: (models.doctor, serve.serve, page.page),
    ON_DATA: (prepare.prepare, models.export, models.quantise, models.calibrate),
}.items():
    for command in commands:
        app.command(cls=Command, rich_help_panel=heading)(command)

kept_models = typer.Typer(
    cls=ListingGroup, invoke_without_command=True, callback=models.list_models
)
kept_models.command("add", cls=Command)(models.add_model)
kept_models.command("remove", cls=Command)(models.remove_model)
app.add_typer(kept_models, name="models", rich_help_panel=ON_MODELS)

training = typer.Typer(cls=CommandGroup, help="Train a network on folders of data.")
training.command("face-decoder", cls=Command)(train.train_face_decoder)
training.command("voice-encoder", cls=Command)(train.train_voice_encoder)
training.command("recipe", cls=Command)(train.show_recipe)
app.add_typer(training, name="train", rich_help_panel=ON_DATA)

measuring = typer.Typer(cls=CommandGroup, help="Measure how well faces are drawn.")
measuring.command("pairs", cls=Command)(evaluate.evaluate_pairs)
measuring.command("card", cls=Command)(evaluate.evaluate_card)
measuring.command("trials", cls=Command)(evaluate.evaluate_trials)
measuring.command("copies", cls=Command)(evaluate.evaluate_copies)
measuring.command("zoo", cls=Command)(zoo.evaluate_zoo)
app.add_typer(measuring, name="evaluate", rich_help_panel=ON_DATA)
