"""The models and the installation: models, doctor, export, calibrate."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from speech2face.cli.extras import need_extras
from speech2face.cli.options import Force, Run, SetsOption, Speaker
from speech2face.console import ProgressBars, paint
from speech2face.errors import ModelError


def models(
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object for each model.")
    ] = False,
) -> None:
    """List the models that are installed; checks their files."""
    from speech2face.weights import find_model, model_names

    for name in model_names():
        model = find_model(name)
        card = model.card
        if as_json:
            print(json.dumps({"name": name, "megabytes": round(model.megabytes, 1)} | vars(card)))
        else:
            print(f"{name}  {card.version}  {model.megabytes:.1f} MB  {card.licence}")
            print(f"    {card.summary}")


def doctor() -> None:
    """Check the installation.

    Versions, model files, and one face drawn from a made-up voice.
    """
    from speech2face.doctor import examine

    colours = {"✓": "green", "✗": "red"}

    def show(line: str) -> None:
        print(paint(line[:1], colours.get(line[:1]), sys.stdout) + line[1:], flush=True)

    if not examine(show):
        raise ModelError("something is wrong with this installation; see the lines marked ✗.")


def export(
    voice_encoder: Annotated[Path, typer.Argument(help="voice_encoder.safetensors of a run.")],
    face_decoder: Annotated[Path, typer.Argument(help="face_decoder.safetensors of a run.")],
    out: Annotated[Path, typer.Option("--out", help="Folder of the model to write.")],
    name: Annotated[str, typer.Option(help="Name of the model, for its card.")] = "mine",
    licence: Annotated[str, typer.Option(help="Licence of the model, for its card.")] = "unstated",
    summary: Annotated[
        str, typer.Option(help="Description of the model in one line, for its card.")
    ] = "",
    force: Force = False,
) -> None:
    """Turn trained weights into a model for --model.

    A model is a folder with two ONNX files and their card.
    """
    need_extras("train", "data")
    from speech2face.training.package_model import export_model

    export_model(
        voice_encoder,
        face_decoder,
        out,
        name=name,
        licence=licence,
        summary=summary,
        force=force,
    )
    print(out)


def calibrate(
    model: Annotated[str, typer.Argument(help="Folder of a model that export wrote.")],
    pairs: SetsOption,
    faces: Annotated[
        Path | None,
        typer.Option(
            help="Folder with faces.csv: labels by which sex and age are told from the rest."
        ),
    ] = None,
    out: Run = Path("runs/calibrate"),
    speaker: Speaker = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print all figures as JSON.")] = False,
    force: Force = False,
) -> None:
    """Calibrate the figures that audit states by a model.

    Trains its encoder again by folds by person of all --pairs that it was trained on, and writes
    disclosure.json beside it.
    """
    need_extras("train", "data")
    from speech2face.pictures import check_place
    from speech2face.privacy.leakage_estimate import FILE
    from speech2face.weights import find_model

    found = find_model(model)
    check_place(found.folder / FILE, force)
    from speech2face.privacy.calibrate import calibrate as run
    from speech2face.privacy.calibrate import format_report, write_calibration

    with ProgressBars() as show:
        calibration, report = run(found, pairs, faces, out, show, speaker)
    path = write_calibration(calibration, found)
    print(json.dumps(report.as_json()) if as_json else f"{format_report(report)}\n{path}")
