"""The models and the installation: models (add, remove), doctor, export, quantise, calibrate."""

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
from speech2face.errors import ModelError, UsageError
from speech2face.extras import need_extras


def list_models(
    context: typer.Context,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object a line for each model.")
    ] = False,
) -> None:
    """List the models that are there, and check their files; add and remove others.

    Those of the package come first, then those that were fetched from an address: with add, or by a
    command that was given the address for its --model.
    """
    if context.invoked_subcommand:
        return
    from speech2face.model_cache import list_kept
    from speech2face.model_folders import find_model, model_names

    damaged = []
    for name, address in [
        *((name, None) for name in model_names()),
        *((kept.name or kept.address, kept.address) for kept in list_kept()),
    ]:
        try:
            model = find_model(name)
        except ModelError as error:
            print_message(str(error))
            damaged.append(name)
            continue
        card = model.card
        if as_json:
            facts = {"megabytes": round(model.megabytes, 1)} | vars(card)
            where = {"address": address, "folder": str(model.folder)}
            print(json.dumps(facts | {"name": name} | where))
        else:
            print(f"{name}  {card.version}  {model.megabytes:.1f} MB  {card.licence}")
            for line in (card.summary, "in the package" if address is None else address):
                if line not in ("", name):
                    print(f"    {line}")
    if damaged:
        raise ModelError(f"damaged: {', '.join(damaged)}.")


def add_model(
    address: Annotated[
        str,
        typer.Argument(
            metavar="ADDRESS",
            help="Address: https://HOST/FILE.tar.gz#sha256=DIGITS, or hf:OWNER/NAME@COMMIT.",
        ),
    ],
    name: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            show_default="that on its card",
            help="Name by which commands shall find the model.",
        ),
    ] = None,
) -> None:
    """Fetch a model from its address, check it, and give it a name.

    It is kept in SPEECH2FACE_CACHE, or else in ~/.cache/speech2face.
    """
    from speech2face.model_addresses import parse_address
    from speech2face.model_cache import check_name, find_kept, name_model
    from speech2face.model_folders import find_model, model_names

    parsed = parse_address(address)

    def check(name: str) -> None:
        if name in model_names():
            raise UsageError(f"{name} is a model of the package; give another --name.")
        check_name(name, parsed)

    if name is not None:
        check(name)
    with ProgressBars() as show:
        model = find_model(address, show)
    name = name or model.card.name
    check(name)
    if kept := find_kept(address):
        name_model(kept, name)
    print(f"{name}  {model.card.version}  {model.megabytes:.1f} MB  {model.card.licence}")


def remove_model(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME", help="Name or address of a fetched model, as `models` lists it."
        ),
    ],
) -> None:
    """Delete a model that was fetched. Those of the package stay."""
    from speech2face.model_cache import find_kept, list_kept, remove_model
    from speech2face.model_folders import model_names
    from speech2face.name_suggestions import suggest

    if name in model_names():
        raise UsageError(f"{name} is a model of the package and cannot be removed.")
    if not (kept := find_kept(name)):
        names = [one.name for one in list_kept() if one.name]
        raise UsageError(f"no fetched model {name}; see speech2face models.{suggest(name, names)}")
    remove_model(kept)
    print(f"removed {kept.name or kept.address} from {kept.folder}")


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
    from speech2face.model_cache import refuse_to_change
    from speech2face.model_folders import find_model
    from speech2face.pictures import check_place
    from speech2face.privacy.leakage_estimate import FILE, write_calibration

    to_calibrate = find_model(model)
    refuse_to_change(to_calibrate.folder)
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
