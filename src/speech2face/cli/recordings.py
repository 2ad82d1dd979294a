"""Faces and embeddings of recordings: reconstruct, embed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from speech2face.cli.argument_values import (
    check_skipping,
)
from speech2face.cli.batches import Batch, read_call, run_task
from speech2face.cli.options import (
    Force,
    From,
    Inputs,
    ModelName,
    RayAddress,
    SkipExisting,
    SpeakerChoice,
    TableOption,
    To,
    Together,
    Track,
    WorkerCount,
)
from speech2face.errors import UsageError
from speech2face.pictures import MOST_SAMPLES, MOST_STRENGTH, SIZES
from speech2face.runtime import limit_blas_threads

if TYPE_CHECKING:
    pass


def reconstruct(
    inputs: Inputs,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            show_default="NAME.face.png in --out-dir",
            help="PNG file to write, for a single INPUT.",
        ),
    ] = None,
    out_dir: Annotated[
        Path | None,
        typer.Option(
            "--out-dir",
            metavar="FOLDER",
            show_default="the current folder",
            help="Folder for the pictures, which are named NAME.face.png. It is made if missing.",
        ),
    ] = None,
    samples: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=0,
            max=MOST_SAMPLES,
            help="Number of other faces to draw that go with the voice as well.",
        ),
    ] = 0,
    seed: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=0,
            help="Random seed of the other faces. Any but 0 gives other typical hair, too.",
        ),
    ] = 0,
    size: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=SIZES[0],
            max=SIZES[-1],
            help="Width and height of the pictures, in pixels.",
        ),
    ] = 224,
    style: Annotated[
        str,
        typer.Option(
            metavar="plain|cartoon",
            help="Style of the pictures: plain looks like a photograph, cartoon is a flat "
            "illustration.",
        ),
    ] = "plain",
    strength: Annotated[
        float,
        typer.Option(
            metavar="X",
            help="Distance of the face from the average face: 0 draws the average face, 1 a "
            "typical face for the voice, more than 1 a caricature of it.",
            min=0,
            max=MOST_STRENGTH,
        ),
    ] = 1.0,
    hair: Annotated[
        str,
        typer.Option(
            help="Hair of the pictures, of which a voice says nothing: typical of the face, none, "
            "or the number of one of the model's shapes, counted from 1.",
            metavar="typical|none|N",
        ),
    ] = "typical",
    sign: Annotated[
        tuple[Path, Path] | None,
        typer.Option(
            "--sign",
            metavar="CERT KEY",
            show_default="not signed",
            help="Sign the pictures with content credentials (C2PA): a PEM file of your "
            "certificate, its chain after it, and one of its private key.",
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object a line for each recording.")
    ] = False,
    since: From = None,
    until: To = None,
    track: Track = None,
    speaker: SpeakerChoice = "longest",
    together: Together = False,
    model: ModelName = "default",
    table: TableOption = None,
    workers: WorkerCount = 1,
    ray: RayAddress = None,
    skip_existing: SkipExisting = False,
    force: Force = False,
) -> None:
    """Draw the typical face that each recording suggests, as a PNG picture.

    Up to a minute of the clearest speech is used; a line on standard error says which. Where
    several people speak, who speaks most is drawn. With --speaker 2 or all the second
    is drawn as NAME.speaker2.face.png, and so on. With --together one face is drawn of all
    recordings, as NAME.together.face.png after the first of them.
    """
    limit_blas_threads()
    from speech2face.content_credentials import PictureSigner
    from speech2face.face_drawing import check_hair
    from speech2face.inputs import choose_outputs
    from speech2face.model_folders import find_model
    from speech2face.pictures import check_strength, check_style
    from speech2face.recording_tasks import DrawTask

    recordings, listening = read_call(inputs, (since, until), track, speaker, together, table)
    outputs = choose_outputs(recordings, output, out_dir, ".face.png")
    recordings = [replace(item, output=outputs.get(item.key)) for item in recordings]
    check_skipping(skip_existing, force)
    if table and skip_existing:
        raise UsageError(
            "--skip-existing goes without --out: a table goes on with what is missing."
        )
    check_style(style)
    check_strength(strength)
    if sign:
        PictureSigner(*sign)
    drawing = {
        "samples": samples,
        "seed": seed,
        "size": size,
        "style": style,
        "strength": strength,
        "hair": hair,
    }
    task = DrawTask(
        model,
        listening,
        str(output or out_dir or ""),
        drawing,
        sign,
        skip_existing,
        force,
        make_folders=output is None,
        for_table=table is not None,
    )
    check_hair(hair, seed, find_model(model).card.hair_shapes)
    batch = Batch(table, workers, ray, force, as_json)
    run_task(recordings, task, batch, lambda row: "\n".join(_list_pictures(row)))


def _list_pictures(row: dict[str, Any]) -> list[str]:
    drawn = [who for who in row.get("speakers", []) if "output" in who] or [row]
    return [picture for each in drawn for picture in (each["output"], *each["samples"])]


def embed(
    inputs: Inputs,
    covariance: Annotated[
        bool,
        typer.Option(
            "--covariance",
            help="Print the whole covariance matrix of the embedding, too.",
        ),
    ] = False,
    since: From = None,
    until: To = None,
    track: Track = None,
    speaker: SpeakerChoice = "longest",
    together: Together = False,
    model: ModelName = "default",
    table: TableOption = None,
    workers: WorkerCount = 1,
    ray: RayAddress = None,
    force: Force = False,
) -> None:
    """Print the face embedding that each recording suggests, with its uncertainty.

    Prints one JSON object a line, with the mean and the standard deviation of each dimension. With
    --out it writes a table in their place, with the mean and the variance.
    """
    limit_blas_threads()
    from speech2face.recording_tasks import EmbedTask

    if table and covariance:
        raise UsageError("--covariance goes without --out: a table holds the diagonal only.")
    if force and not table:
        raise UsageError("--force goes with --out.")
    recordings, listening = read_call(inputs, (since, until), track, speaker, together, table)
    task = EmbedTask(model, listening, covariance, for_table=table is not None)
    run_task(recordings, task, Batch(table, workers, ray, force, as_json=True), str)
