"""Faces and embeddings of recordings: reconstruct, embed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from speech2face.cli.argument_values import (
    check_skipping,
    check_together,
    find_inputs,
    parse_part,
    parse_speaker,
)
from speech2face.cli.options import (
    Force,
    From,
    Inputs,
    ModelName,
    SkipExisting,
    SpeakerChoice,
    To,
    Together,
    Track,
)
from speech2face.console import print_message
from speech2face.pictures import MOST_SAMPLES, MOST_STRENGTH, SIZES
from speech2face.runtime import limit_blas_threads

if TYPE_CHECKING:
    from speech2face.batch import ReadingProgress
    from speech2face.inputs import Input
    from speech2face.reconstruct import VoiceEmbedding
    from speech2face.speech import Speech


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
    from speech2face.batch import run_each
    from speech2face.content_credentials import PictureSigner
    from speech2face.face_drawing import check_hair
    from speech2face.inputs import choose_outputs, join_inputs, make_folder
    from speech2face.pictures import check_strength, check_style, check_writable, write_png
    from speech2face.reconstruct import load
    from speech2face.speaker_features import open_early
    from speech2face.speakers import join_speakers

    recordings = find_inputs(inputs)
    start, end = parse_part(since, until)
    whom = parse_speaker(speaker)
    if together:
        check_together((start, end), track, whom)
        recordings = [join_inputs(recordings)]
    outputs = choose_outputs(recordings, output, out_dir, ".face.png")
    check_skipping(skip_existing, force)
    check_style(style)
    check_strength(strength)
    signer = PictureSigner(*sign) if sign else None
    open_early()
    network = load(model)
    check_hair(hair, seed, network.hair_shapes)

    def is_kept(target: Path) -> bool:
        return skip_existing and os.path.isfile(target)

    def check_places(targets: list[Path]) -> None:
        for target in targets:
            if not is_kept(target):
                check_writable(target, force)

    def draw_one(speech: Speech, targets: list[Path]) -> dict[str, Any]:
        check_places(targets)
        face = network.reconstruct(
            speech,
            samples=samples,
            seed=seed,
            size=size,
            style=style,
            strength=strength,
            hair=hair,
        )
        pictures = zip(targets, [face.image, *face.samples], face.comments, strict=True)
        for target, picture, comment in pictures:
            if not is_kept(target):
                write_png(picture, target, network.card.name, force, comment=comment, signer=signer)
        return {"strength": face.strength, "hair": face.hair, **_describe_speech(face.voice)}

    def draw(item: Input, progress: ReadingProgress) -> dict[str, Any]:
        first = whom if isinstance(whom, int) else 1
        targets = _name_pictures(outputs[item.name], first, samples)
        if all(is_kept(target) for target in targets):
            return _describe_pictures(targets) | {"skipped": True, "warnings": []}
        if not output:
            make_folder(targets[0].parent)
        check_places(targets)
        found = _find_speech(item, whom, start, end, track, progress)
        rows = []
        for number, speech in enumerate(found, first):
            targets = _name_pictures(outputs[item.name], number, samples)
            rows.append(_describe_pictures(targets) | draw_one(speech, targets))
            if not as_json:
                report_used_speech(item.name, rows[-1], start)
        return join_speakers(rows) if whom == "all" else rows[0]

    run_each(recordings, draw, as_json, lambda row: "\n".join(_list_pictures(row)))


def _name_pictures(path: Path, number: int, samples: int) -> list[Path]:
    """Paths for a speaker's face and the samples: NAME.face.png, NAME.speaker2.face.png."""
    if number > 1:
        ending = ".face.png" if path.name.endswith(".face.png") else path.suffix
        path = path.with_name(f"{path.name.removesuffix(ending)}.speaker{number}{ending}")
    return [path, *(path.with_stem(f"{path.stem}.sample{n + 1}") for n in range(samples))]


def _describe_pictures(targets: list[Path]) -> dict[str, Any]:
    return {"output": str(targets[0]), "samples": [str(target) for target in targets[1:]]}


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
) -> None:
    """Print the face embedding that each recording suggests, with its uncertainty.

    Prints one JSON object a line, with the mean and the standard deviation of each dimension.
    """
    limit_blas_threads()
    from speech2face.batch import run_each
    from speech2face.inputs import join_inputs
    from speech2face.reconstruct import load
    from speech2face.speaker_features import open_early
    from speech2face.speakers import join_speakers

    recordings = find_inputs(inputs)
    start, end = parse_part(since, until)
    whom = parse_speaker(speaker)
    if together:
        check_together((start, end), track, whom)
        recordings = [join_inputs(recordings)]
    open_early()
    network = load(model)

    def extract(item: Input, progress: ReadingProgress) -> dict[str, Any]:
        found = _find_speech(item, whom, start, end, track, progress)
        rows = [describe(network.embed(speech)) for speech in found]
        return join_speakers(rows) if whom == "all" else rows[0]

    def describe(voice: VoiceEmbedding) -> dict[str, Any]:
        row = {"mean": voice.mean.tolist(), "deviation": voice.covariance.diagonal() ** 0.5}
        row["deviation"] = row["deviation"].tolist()
        if covariance:
            row["covariance"] = voice.covariance.tolist()
        return row | _describe_speech(voice)

    run_each(recordings, extract, as_json=True, format_row=str)


def report_used_speech(name: str, row: dict[str, Any], start: float) -> None:
    """Print one line on stderr: which seconds of a recording were used."""
    from speech2face.timestamps import describe_part

    for recording in row.get("recordings", []):
        report_used_speech(recording["input"], recording, start)
    if row.get("recordings"):
        return
    used, analysed = row["speech_seconds"], row["analysed_seconds"]
    if len(row["speakers"]) > 1:
        name = f"{name}, speaker {row['speaker']}"
    print_message(f"{name}: {describe_part(used, row['segments'], start, analysed)}", None)


def _find_speech(
    item: Input,
    whom: str | int,
    start: float,
    end: float | None,
    track: int | None,
    progress: ReadingProgress,
) -> list[Speech]:
    """Find the speech of whom --speaker names, or of the one person of several recordings."""
    from speech2face.joined_speech import find_joined_speech
    from speech2face.speech import find_chosen_speech

    if item.parts:
        return [find_joined_speech([part.source for part in item.parts], progress=progress)]
    return find_chosen_speech(
        item.source, whom, start=start, end=end, track=track, progress=progress
    )


def _describe_speech(voice: VoiceEmbedding) -> dict[str, Any]:
    return voice.speech.as_json() | {"model": voice.model}
