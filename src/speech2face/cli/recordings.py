"""Faces and embeddings of recordings: reconstruct, embed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from speech2face.cli.options import Force, From, Inputs, ModelName, SkipExisting, To, Track
from speech2face.cli.parse_arguments import check_skipping, find_inputs, parse_part
from speech2face.console import print_message
from speech2face.pictures import MOST_SAMPLES, MOST_STRENGTH, SIZES
from speech2face.runtime import limit_blas_threads

if TYPE_CHECKING:
    from speech2face.batch import ReadingProgress
    from speech2face.inputs import Input
    from speech2face.reconstruct import VoiceEmbedding


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
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object a line for each recording.")
    ] = False,
    since: From = None,
    until: To = None,
    track: Track = None,
    model: ModelName = "default",
    skip_existing: SkipExisting = False,
    force: Force = False,
) -> None:
    """Draw the typical face that each recording suggests, as a PNG picture.

    Up to ten seconds of the clearest speech are used; a line on standard error says which.
    """
    limit_blas_threads()
    from speech2face.batch import run_each
    from speech2face.face_drawing import check_hair
    from speech2face.inputs import choose_outputs, make_folder
    from speech2face.pictures import check_strength, check_style, check_writable, write_png
    from speech2face.reconstruct import load

    recordings = find_inputs(inputs)
    outputs = choose_outputs(recordings, output, out_dir, ".face.png")
    check_skipping(skip_existing, force)
    start, end = parse_part(since, until)
    check_style(style)
    check_strength(strength)
    network = load(model)
    check_hair(hair, seed, network.hair_shapes)

    def draw(item: Input, progress: ReadingProgress) -> dict[str, Any]:
        path = outputs[item.name]
        others = [path.with_stem(f"{path.stem}.sample{n + 1}") for n in range(samples)]
        row = {"output": str(path), "samples": [str(p) for p in others]}
        targets = [path, *others]
        kept = [p for p in targets if skip_existing and os.path.isfile(p)]
        if kept == targets:
            return row | {"skipped": True, "warnings": []}
        if not output:
            make_folder(path.parent)
        for target in targets:
            if target not in kept:
                check_writable(target, force)
        face = network.reconstruct(
            item.source,
            samples=samples,
            seed=seed,
            size=size,
            style=style,
            strength=strength,
            hair=hair,
            start=start,
            end=end,
            track=track,
            progress=progress,
        )
        pictures = zip(targets, [face.image, *face.samples], face.comments, strict=True)
        for target, picture, comment in pictures:
            if target not in kept:
                write_png(picture, target, network.card.name, force, comment=comment)
        row |= {"strength": face.strength, "hair": face.hair, **_describe_speech(face.voice)}
        if not as_json:
            report_used_speech(item.name, row, start)
        return row

    run_each(recordings, draw, as_json, lambda row: "\n".join([row["output"], *row["samples"]]))


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
    model: ModelName = "default",
) -> None:
    """Print the face embedding that each recording suggests, with its uncertainty.

    Prints one JSON object a line, with the mean and the standard deviation of each dimension.
    """
    limit_blas_threads()
    from speech2face.batch import run_each
    from speech2face.reconstruct import load

    recordings = find_inputs(inputs)
    start, end = parse_part(since, until)
    network = load(model)

    def extract(item: Input, progress: ReadingProgress) -> dict[str, Any]:
        voice = network.embed(item.source, start=start, end=end, track=track, progress=progress)
        row = {"mean": voice.mean.tolist(), "deviation": voice.covariance.diagonal() ** 0.5}
        row["deviation"] = row["deviation"].tolist()
        if covariance:
            row["covariance"] = voice.covariance.tolist()
        return row | _describe_speech(voice)

    run_each(recordings, extract, as_json=True, format_row=str)


def report_used_speech(name: str, row: dict[str, Any], start: float) -> None:
    """One line on stderr: which seconds of a recording were used."""
    from speech2face.timestamps import describe_part

    used, analysed = row["speech_seconds"], row["analysed_seconds"]
    print_message(f"{name}: {describe_part(used, row['segments'], start, analysed)}", None)


def _describe_speech(voice: VoiceEmbedding) -> dict[str, Any]:
    return voice.speech.as_json() | {"model": voice.model}
