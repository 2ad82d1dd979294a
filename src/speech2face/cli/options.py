"""The arguments and options that several commands have."""

from pathlib import Path
from typing import Annotated

import typer

Inputs = Annotated[
    list[str],
    typer.Argument(
        help="Recordings or videos, folders of them, patterns in quotes such as "
        "'calls/**/*.wav', addresses (s3://, gs://, https://), or manifests that list them: .csv, "
        ".jsonl or .parquet with a column path. A single - is standard input.",
        metavar="INPUT",
    ),
]


def fetch_with_progress(context: typer.Context, model: str) -> str:
    """Fetch a model that is given by its address, before a command asks for it."""
    from speech2face.model_addresses import is_model_address

    if (
        is_model_address(model) and not context.resilient_parsing
    ):  # that is: a shell completes a call
        from speech2face.console import ProgressBars
        from speech2face.model_folders import find_model

        with ProgressBars() as show:
            find_model(model, show)
    return model


ModelName = Annotated[
    str,
    typer.Option(
        "--model",
        metavar="MODEL",
        callback=fetch_with_progress,
        help="Model to use: a name that `speech2face models` lists, the folder of a model, or its "
        "address (see docs/models.md).",
    ),
]
SkipExisting = Annotated[
    bool,
    typer.Option(
        "--skip-existing", help="Leave out inputs whose outputs exist already, and do the rest."
    ),
]
From = Annotated[
    str | None,
    typer.Option(
        "--from",
        metavar="TIME",
        show_default="the beginning",
        help="Listen to the recording from this time on: seconds, M:SS or H:MM:SS.",
    ),
]
To = Annotated[
    str | None,
    typer.Option(
        "--to",
        metavar="TIME",
        show_default="the end",
        help="Listen to the recording up to this time: seconds, M:SS or H:MM:SS.",
    ),
]
Track = Annotated[
    int | None,
    typer.Option(
        "--track",
        min=1,
        metavar="N",
        show_default="the first that has sound",
        help="Number of the sound track to listen to, counted from 1.",
    ),
]
SpeakerChoice = Annotated[
    str,
    typer.Option(
        "--speaker",
        metavar="longest|all|N",
        help="Whose speech to use where several people speak: longest is who speaks most, all is "
        "each of them, and a number is one of them, counted from 1 by how long they speak.",
    ),
]
Together = Annotated[
    bool,
    typer.Option(
        "--together",
        help="Take all inputs for recordings of one person, and make one result of them. Of each "
        "the speech of who speaks most is used.",
    ),
]
TableOption = Annotated[
    str | None,
    typer.Option(
        "--out",
        metavar="TABLE",
        show_default="no table",
        help="Table to write, a row for each recording: .parquet, .jsonl or .csv, or an address of "
        "one. A table that was begun there is continued.",
    ),
]
WorkerCount = Annotated[
    int,
    typer.Option(
        "--workers", metavar="N", min=1, help="Number of processes, each with one thread."
    ),
]
RayAddress = Annotated[
    str | None,
    typer.Option(
        "--ray",
        metavar="ADDRESS",
        show_default="this machine, without Ray",
        help="Address of a Ray cluster to run on, auto for the one that runs here, or local to "
        "start one here.",
    ),
]
Provenance = Annotated[
    bool,
    typer.Option(
        "--provenance",
        help="Put the command, names of files and fingerprints of the recordings on the page, "
        "for your own records. Whoever reads it can tell who holds them.",
    ),
]
Force = Annotated[bool, typer.Option("--force", help="Overwrite outputs that exist.")]
AllFiguresAsJson = Annotated[
    bool, typer.Option("--json", help="Print all figures as one JSON object.")
]
ResultsFolder = Annotated[
    Path,
    typer.Option(
        "--out",
        metavar="FOLDER",
        help="Folder for the results. A run that was stopped there is continued.",
    ),
]
PairsOption = Annotated[
    list[Path],
    typer.Option(
        "--pairs",
        metavar="FOLDER",
        help="Folder with pairs.csv, the table of voices and faces (see docs/data.md).",
    ),
]
SetsOption = Annotated[
    list[Path],
    typer.Option(
        "--pairs",
        metavar="FOLDER",
        help="Folder with pairs.csv, the table of voices and faces (see docs/data.md), or a "
        "training set that `speech2face prepare` made.",
    ),
]
Changes = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="FIELD=VALUE",
        show_default="none",
        help="Change a field of the recipe, as in tuning.steps=400. `speech2face train recipe` "
        "shows all fields.",
    ),
]
Init = Annotated[
    Path | None,
    typer.Option(
        "--init",
        metavar="FOLDER|FILE",
        show_default="none",
        help="Earlier weights to begin with: a run, one of its files, or a model.",
    ),
]
DecoderLayer = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        show_default="without the term of the loss that needs it",
        help="Safetensors file with the first layer of a face decoder, for the paper's loss "
        "(see docs/training.md).",
    ),
]
RecogniserLayer = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        show_default="without the term of the loss that needs it",
        help="Safetensors file with the last layer of the face recogniser, for the paper's "
        "loss (see docs/training.md).",
    ),
]
Seed = Annotated[
    int,
    typer.Option(
        metavar="N", help="Random seed of the bootstrap, which gives the confidence intervals."
    ),
]
Speaker = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        show_default="those of the released model, before it was trained",
        help="Safetensors file of pretrained speaker networks that the voice encoder starts from.",
    ),
]
Device = Annotated[
    str, typer.Option("--device", metavar="cpu|cuda", help="Device to train on: cpu or cuda.")
]
FaceSpace = Annotated[
    str,
    typer.Option(
        "--face-encoder",
        metavar="NAME|FILE",
        help="Face recogniser whose embedding is predicted: dlib, sface, or an ONNX file (see "
        "docs/faces.md).",
    ),
]
RecipeFaceSpace = Annotated[
    str | None,
    typer.Option(
        "--face-encoder",
        metavar="NAME|FILE",
        show_default="the recipe's, dlib unless it says otherwise",
        help="Face recogniser whose embedding is predicted: dlib, sface, or an ONNX file (see "
        "docs/faces.md).",
    ),
]
Run = Annotated[
    Path,
    typer.Option(
        "--out",
        metavar="FOLDER",
        help="Folder of the run. A run that was stopped there is continued.",
    ),
]
