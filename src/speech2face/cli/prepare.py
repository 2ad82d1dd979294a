"""Training sets from videos: prepare."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Annotated

import typer

from speech2face.cli.options import FaceSpace
from speech2face.console import ProgressBars
from speech2face.errors import UsageError
from speech2face.extras import need_extras
from speech2face.remote_files import address_of


def prepare(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="SOURCE",
            help="Folder of videos, a CSV of AVSpeech, or a table of recordings and photographs "
            "such as pairs.csv.",
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            metavar="FOLDER",
            help="Folder of the training set, or an address that it is sent to from a folder of "
            "that name here. A set that was begun there is continued.",
        ),
    ],
    videos: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            show_default="the folder of the CSV",
            help="Folder of the videos that AVSpeech's CSV names.",
        ),
    ] = None,
    fetch: Annotated[
        bool,
        typer.Option(
            "--download", help="Download videos that are missing from YouTube, with yt-dlp."
        ),
    ] = False,
    piece: Annotated[
        float,
        typer.Option(
            metavar="SECONDS",
            help="Length of the pieces that long videos of a folder are cut into, in seconds.",
        ),
    ] = 30.0,
    split: Annotated[
        str,
        typer.Option(
            metavar="PERCENTAGES",
            help="Percentages of people in the parts train, val and test, such as 80/10/10. "
            "100 puts everybody into train.",
        ),
    ] = "100",
    samples: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=1,
            help="Largest number of samples in a shard, a tar file of the set.",
        ),
    ] = 2_000,
    trust: Annotated[
        bool,
        typer.Option(
            "--trust",
            help="Take the person in the picture for the speaker, without a look at the lips: for "
            "clips that were cut and checked.",
        ),
    ] = False,
    workers: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=1,
            help="Number of processes. More than one are run by Ray, which the extra cluster "
            "brings.",
        ),
    ] = 1,
    ray: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            show_default="this machine",
            help="Address of a Ray cluster to run on, or auto for the one that runs here.",
        ),
    ] = None,
    face_encoder: FaceSpace = "dlib",
    seed: Annotated[
        int, typer.Option(metavar="N", help="Random seed of the split into train, val and test.")
    ] = 0,
) -> None:
    """Make a training set from videos of people speaking.

    The set is a folder of tar shards. A clip of no use is refused, with the reason in ledger.jsonl.
    """
    need_extras("prepare", *["youtube"] * fetch)
    from speech2face.data.ledger import format_summary
    from speech2face.data.publish_set import publish_set
    from speech2face.data.shard_index import Packing
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
    stages, processes = Stages(root, face_encoder, fetch, trust), Workers(workers, ray)
    with ProgressBars() as show, redirect_stdout(sys.stderr):  # where Ray reports its workers
        cut = piece if source.is_dir() else None
        folder = Path(out.name) if address_of(out) else out
        summary = run(clips, stages, folder, show, packing, processes, cut)
        if folder != out:
            publish_set(folder, out, show)
    print(f"{format_summary(summary)}\n{address_of(out) or out}")
