"""Training shards of videos: prepare."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Annotated

import typer

from speech2face.cli.extras import need_extras
from speech2face.cli.options import FaceSpace
from speech2face.console import ProgressBars
from speech2face.errors import UsageError


def prepare(
    source: Annotated[
        Path,
        typer.Argument(help="Folder of videos, AVSpeech's CSV, or a table of sound and faces."),
    ],
    out: Annotated[
        Path, typer.Option("--out", help="Folder of the set; one that was begun is continued.")
    ],
    videos: Annotated[
        Path | None,
        typer.Option(help="Folder of the videos of AVSpeech's list. [default: beside it]"),
    ] = None,
    fetch: Annotated[
        bool, typer.Option("--download", help="Fetch videos that are missing, with yt-dlp.")
    ] = False,
    piece: Annotated[
        float,
        typer.Option(
            help="Length in seconds of the pieces that long videos of a folder are cut into."
        ),
    ] = 30.0,
    split: Annotated[
        str, typer.Option(help="Percentages of people in train, val and test, as 80/10/10.")
    ] = "100",
    samples: Annotated[
        int, typer.Option(min=1, help="Largest number of samples in a shard.")
    ] = 2_000,
    trust: Annotated[
        bool,
        typer.Option(
            "--trust", help="Take whoever is seen for the speaker: cut and checked films."
        ),
    ] = False,
    workers: Annotated[int, typer.Option(min=1, help="Number of processes.")] = 1,
    ray: Annotated[str | None, typer.Option(help="Address of a Ray cluster to run on.")] = None,
    face_encoder: FaceSpace = "dlib",
    seed: Annotated[int, typer.Option(help="Random seed of the split.")] = 0,
) -> None:
    """Make training shards of videos of people speaking.

    A clip that is of no use is refused with its reason in the set's ledger.jsonl.
    """
    need_extras("data")
    from speech2face.data.ledger import describe
    from speech2face.data.shards import Packing
    from speech2face.data.splits import read_shares
    from speech2face.preparation.pipeline import Stages, Workers
    from speech2face.preparation.pipeline import prepare as run
    from speech2face.preparation.sources import read_sources

    if fetch and source.is_dir():
        raise UsageError("--download goes with AVSpeech's CSV, not with a folder.")
    root = videos or (source if source.is_dir() else source.parent)
    clips = read_sources(source, videos, piece)
    shares = read_shares(split)
    packing = Packing(shares, samples, seed=seed)
    stages, crew = Stages(root, face_encoder, fetch, trust), Workers(workers, ray)
    with ProgressBars() as show, redirect_stdout(sys.stderr):  # Ray tells of its workers on stdout
        cut = piece if source.is_dir() else None
        summary = run(clips, stages, out, show, packing, crew, cut)
    print(f"{describe(summary)}\n{out}")
