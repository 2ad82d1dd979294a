"""The command line. Results go to stdout, everything else to stderr.

Exit codes: 0 ok, 1 the system failed (a full disk), 2 usage, 3 unreadable media, 4 no speech,
5 model, 6 part of a batch failed, 130 interrupted.
"""

from __future__ import annotations

import logging
import os
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from speech2face import __version__
from speech2face.batch import describe_failure
from speech2face.cli import evaluate, models, prepare, privacy, recordings, serve, train
from speech2face.console import complain, drop_output, prepare_streams
from speech2face.errors import Speech2FaceError
from speech2face.inputs import expand_home


def main() -> None:
    """Entry point: runs a command and turns errors into one line and an exit code."""
    logging.basicConfig(format="speech2face: %(message)s", level=logging.WARNING)
    prepare_streams()
    try:
        exit_code = app(args=list(map(expand_home, sys.argv[1:])), standalone_mode=False)
        if sys.stdout:
            sys.stdout.flush()
    except typer.TyperException as error:
        reason = _describe_wrong_call(error)
        complain(f"{reason}{' See' if reason.endswith('?') else '; see'} --help.")
        exit_code = error.exit_code
    except Speech2FaceError as error:
        complain(str(error))
        exit_code = error.exit_code
    except Exception as error:  # a full disk under stdout or a run; a fault of ours
        complain(str(describe_failure(error)))
        exit_code = 1
    if exit_code == 130:  # typer catches Ctrl-C
        complain("interrupted.", None)
    drop_output()
    sys.exit(exit_code)


_NUMBERS = {"integer": "a whole number", "number": "a number"}  # in the words of typer


def _describe_wrong_call(error: typer.TyperException) -> str:
    message = error.format_message().rstrip(".")
    option = getattr(error, "param", None)
    least, most = getattr(option, "min", None), getattr(option, "max", None)
    if message.startswith("Invalid value") and least is not None:  # typer leaves the range open
        wanted = f"{least} or more" if most is None else f"{least} to {most}"
        return f"{message.split(': ')[0]}: give a number, {wanted}"
    for kind, wanted in _NUMBERS.items():
        if message.startswith("Invalid value") and f"valid {kind}" in message:
            return f"{message.split(': ')[0]}: give {wanted}"
    files = [a for a in sys.argv[1:] if a.startswith("-") and os.path.isfile(a)]
    return f"{message}; the file {files[0]} is given as ./{files[0]}" if files else message


class _Commands(TyperGroup):
    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args and not ctx.resilient_parsing:  # as with --help, but it is a wrong call
            sys.stderr.write(f"{ctx.get_help()}\n")
            raise typer.Exit(2)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:  # whoever read stdout has gone: `| head`
            raise typer.Exit(141) from None


def _show_version(asked: bool) -> None:
    if asked:
        print(f"speech2face {__version__}")
        raise typer.Exit


EXAMPLES = """\b
Examples:
  speech2face reconstruct recording.m4a
  speech2face reconstruct calls --out-dir faces
  speech2face audit recording.m4a
  speech2face anonymise recording.m4a disguised.wav

\b
speech2face COMMAND -h explains a command. Exit codes: 0 done, 1 system,
2 wrong call, 3 unreadable, 4 no speech, 5 model, 6 part of a batch failed."""

app = typer.Typer(
    name="speech2face",
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: half the time to show it
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


for command in (
    recordings.reconstruct,
    recordings.embed,
    privacy.anonymise,
    privacy.audit,
    models.models,
    models.doctor,
    serve.serve,
    prepare.prepare,
    models.export,
    models.calibrate,
):
    app.command()(command)

training = typer.Typer(cls=_Commands, help="Train a network on plain folders of data.")
training.command("face-decoder")(train.train_face_decoder)
training.command("voice-encoder")(train.train_voice_encoder)
app.add_typer(training, name="train")

measuring = typer.Typer(cls=_Commands, help="Measure how well faces are drawn.")
measuring.command("pairs")(evaluate.evaluate_pairs)
measuring.command("card")(evaluate.evaluate_card)
measuring.command("trials")(evaluate.evaluate_trials)
measuring.command("copies")(evaluate.evaluate_copies)
app.add_typer(measuring, name="evaluate")
