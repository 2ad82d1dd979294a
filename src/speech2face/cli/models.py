"""The models and the installation: models, doctor, export, quantise, calibrate."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from speech2face.cli.options import (
    AllFiguresAsJson,
    DecoderLayer,
    Force,
    Init,
    RecogniserLayer,
    Run,
    SetsOption,
    Speaker,
)
from speech2face.console import ProgressBars, paint, print_message
from speech2face.errors import ModelError
from speech2face.extras import need_extras


def models(
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object a line for each model.")
    ] = False,
) -> None:
    """List the installed models, and check their files."""
    from speech2face.model_folders import find_model, model_names

    for name in model_names():
        model = find_model(name)
        card = model.card
        if as_json:
            print(json.dumps({"name": name, "megabytes": round(model.megabytes, 1)} | vars(card)))
        else:
            print(f"{name}  {card.version}  {model.megabytes:.1f} MB  {card.licence}")
            print(f"    {card.summary}")


def doctor() -> None:
    """Check the installation: libraries, formats of recordings, models, and a first face.

    Says what is missing that only some commands need, and how to install it.
    """
    from speech2face.doctor import examine

    colours = {"✓": "green", "✗": "red"}

    def show(line: str) -> None:
        print(paint(line[:1], colours.get(line[:1]), sys.stdout) + line[1:], flush=True)

    if not examine(show):
        raise ModelError("something is wrong with this installation; see the lines marked ✗.")


def export(
    voice_encoder: Annotated[
        Path,
        typer.Argument(
            metavar="VOICE_ENCODER",
            help="Weights of the voice encoder: voice_encoder.safetensors of a run.",
        ),
    ],
    out: Annotated[
        Path, typer.Option("--out", metavar="FOLDER", help="Folder of the model to write.")
    ],
    face_decoder: Annotated[
        Path | None,
        typer.Argument(
            metavar="FACE_DECODER",
            show_default="that of the released model, for encoders in its space",
            help="Weights of the face decoder: face_decoder.safetensors of a run.",
        ),
    ] = None,
    name: Annotated[
        str, typer.Option(metavar="NAME", help="Name of the model, written into its card.")
    ] = "mine",
    licence: Annotated[
        str, typer.Option(metavar="TEXT", help="Licence of the model, written into its card.")
    ] = "unstated",
    summary: Annotated[
        str,
        typer.Option(
            metavar="TEXT",
            show_default="none",
            help="Description of the model in one line, written into its card.",
        ),
    ] = "",
    force: Force = False,
) -> None:
    """Turn trained weights into a model, which the other commands take as --model.

    A model is a folder with two ONNX files and their card.
    """
    need_extras("train")
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


def quantise(
    model: Annotated[
        str,
        typer.Argument(metavar="MODEL", help="Model of floats: the folder that export wrote."),
    ],
    recordings: Annotated[
        list[str],
        typer.Argument(
            metavar="RECORDING...",
            help="Recordings of speech, or folders of them, that show how far values reach: 8 or "
            "more people, in the kinds of sound that the model is for.",
        ),
    ],
    out: Annotated[
        Path, typer.Option("--out", metavar="FOLDER", help="Folder of the model to write.")
    ],
    force: Force = False,
) -> None:
    """Make a model's voice encoder light: 8 bits instead of 32, in less than half the time.

    What the audit states was measured with floats: run `speech2face calibrate` on the new folder.
    """
    need_extras("train")
    from speech2face.data.pairs import load_speech
    from speech2face.errors import NoSpeechError, UnreadableMediaError
    from speech2face.inputs import find_inputs
    from speech2face.model_folders import find_model
    from speech2face.training.light_model import quantise_model

    to_quantise = find_model(model)
    inputs, _ = find_inputs(recordings)
    speech = []
    with ProgressBars() as show:
        for done, item in enumerate(inputs, 1):
            if item.error:
                raise item.error
            try:
                samples, clear = load_speech(Path(item.name))
                speech += [samples] if clear else []
            except (NoSpeechError, UnreadableMediaError) as error:
                print_message(f"{item.name} is left out: {error}")
            show("finding speech", done, len(inputs), "")
    quantise_model(to_quantise, speech, out, force)
    print(out)


def calibrate(
    model: Annotated[
        str,
        typer.Argument(metavar="MODEL", help="Folder of a model that `speech2face export` wrote."),
    ],
    pairs: SetsOption,
    faces: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            show_default="without sex and age",
            help="Folder with faces.csv, whose labels of sex and age let the audit tell them from "
            "the rest of a face (see docs/data.md).",
        ),
    ] = None,
    out: Run = Path("runs/calibrate"),
    speaker: Speaker = None,
    init: Init = None,
    decoder_layer: DecoderLayer = None,
    recogniser_layer: RecogniserLayer = None,
    as_json: AllFiguresAsJson = False,
    force: Force = False,
) -> None:
    """Calibrate the figures that `speech2face audit` states with a model.

    Give all --pairs that the model was trained on, and the weights and layers it began with. Its
    voice encoder is trained again on folds of them by person, and disclosure.json is written into
    the folder of the model.
    """
    need_extras("train")
    from speech2face.model_folders import find_model
    from speech2face.pictures import check_place
    from speech2face.privacy.leakage_estimate import FILE, write_calibration

    to_calibrate = find_model(model)
    check_place(to_calibrate.folder / FILE, force)
    from speech2face.privacy.calibrate_model import calibrate as run
    from speech2face.privacy.calibrate_model import format_report
    from speech2face.training.encoder_options import Options

    options = Options(
        speaker=speaker, init=init, decoder_layer=decoder_layer, recogniser_layer=recogniser_layer
    )
    with ProgressBars() as show:
        calibration, report = run(to_calibrate, pairs, faces, out, show, options)
    path = write_calibration(calibration, to_calibrate)
    print(json.dumps(report.as_json()) if as_json else f"{format_report(report)}\n{path}")
