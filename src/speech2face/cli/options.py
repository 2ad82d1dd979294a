"""The arguments and options that several commands have."""

from pathlib import Path
from typing import Annotated

import typer

Inputs = Annotated[
    list[str],
    typer.Argument(
        help="Recordings or videos, folders of them, or patterns in quotes; - is standard input.",
        metavar="INPUT",
    ),
]
ModelName = Annotated[
    str,
    typer.Option(
        "--model", help="Model to use: a name that speech2face models lists, or a folder."
    ),
]
SkipExisting = Annotated[
    bool,
    typer.Option("--skip-existing", help="Leave out inputs whose outputs exist; do the rest."),
]
From = Annotated[
    str | None,
    typer.Option(
        "--from", metavar="TIME", help="Listen from this time on: seconds, M:SS or H:MM:SS."
    ),
]
To = Annotated[str | None, typer.Option("--to", metavar="TIME", help="Listen up to this time.")]
Track = Annotated[
    int | None,
    typer.Option(
        "--track", min=1, help="Sound track of a file, from 1. [default: the first with sound]"
    ),
]
Force = Annotated[bool, typer.Option("--force", help="Overwrite outputs that exist.")]
PairsOption = Annotated[
    list[Path],
    typer.Option("--pairs", help="Folder with pairs.csv (see docs/data.md); may be repeated."),
]
SetsOption = Annotated[
    list[Path],
    typer.Option("--pairs", help="Folder with pairs.csv, or a set of prepare; may be repeated."),
]
Recipe = Annotated[
    str,
    typer.Option("--recipe", help="Recipe to train by: default, or debug, which takes seconds."),
]
Seed = Annotated[int, typer.Option(help="Random seed of the bootstrap.")]
Speaker = Annotated[
    Path | None,
    typer.Option(
        help="File of speaker networks to start from. [default: the released, as before tuning]"
    ),
]
Device = Annotated[str, typer.Option("--device", help="Device to train on: cpu, or cuda.")]
FaceSpace = Annotated[
    str,
    typer.Option(
        "--face-encoder",
        help="Face recogniser that gives the embedding: dlib, sface, or an ONNX file.",
    ),
]
Run = Annotated[
    Path, typer.Option("--out", help="Folder of the run; a run that was stopped is continued.")
]
