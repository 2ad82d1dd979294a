"""Disguise voices in recordings: anonymise."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from speech2face.cli.argument_values import (
    check_skipping,
    find_inputs,
)
from speech2face.cli.options import (
    Force,
    SkipExisting,
)
from speech2face.console import print_message
from speech2face.errors import UsageError
from speech2face.extras import how_to_install
from speech2face.runtime import limit_blas_threads

if TYPE_CHECKING:
    from speech2face.batch import ReadingProgress
    from speech2face.inputs import Input


def anonymise(
    paths: Annotated[
        list[str],
        typer.Argument(
            help="A recording, or - for standard input, and the .wav or .flac file to write. With "
            "--out-dir any number of recordings, folders or patterns in quotes.",
            metavar="INPUT… [OUTPUT]",
        ),
    ],
    out_dir: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            show_default="OUTPUT is written in its place",
            help="Folder for the disguised recordings, which are named NAME.anonymous.flac. It is "
            "made if missing.",
        ),
    ] = None,
    method: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            show_default="whisper, or mcadams without the extra audit",
            help="Method of disguise: whisper, mcadams, vocoder, resynthesis or another of "
            "docs/anonymisers.md.",
        ),
    ] = None,
    command: Annotated[
        str | None,
        typer.Option(
            metavar="'PROGRAM {in} {out}'",
            show_default="none",
            help="Program that disguises in place of a method: it reads the WAV file {in} and "
            "writes the sound {out}.",
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            min=0,
            metavar="N",
            show_default="another for each recording",
            help="Random seed of the new voice. Keep it secret: it says how the voice was changed.",
        ),
    ] = None,
    skip_existing: SkipExisting = False,
    force: Force = False,
) -> None:
    """Disguise the voice in recordings.

    Writes mono sound of 16 kHz and 16 bits without the tags of the recording, marked as disguised
    and by which method. Other sounds than the voice are kept. `speech2face audit` measures how much
    is hidden.
    """
    limit_blas_threads()
    import secrets

    from speech2face.batch import run_each
    from speech2face.inputs import choose_outputs, make_folder
    from speech2face.privacy.anonymise_recording import anonymise_recording
    from speech2face.privacy.anonymisers import DEFAULT, choose_anonymiser
    from speech2face.privacy.attack_table import find_words_lost
    from speech2face.privacy.remaining_disclosure import find_attack
    from speech2face.reports.audit_text import format_fallback, format_remains

    ending = ".anonymous.flac"
    if out_dir is None and len(paths) != 2:
        raise UsageError("give a recording and the file to write, or recordings and --out-dir.")
    given, output = (paths, None) if out_dir else (paths[:1], Path(paths[1]))
    recordings = find_inputs(given, own_ending=ending)
    outputs = choose_outputs(recordings, output, out_dir, ending)
    check_skipping(skip_existing, force)
    anonymiser = choose_anonymiser(method, command)
    if not method and not command and anonymiser.name != DEFAULT:
        used, better = find_attack(anonymiser.name), find_attack(DEFAULT)
        assert used  # measured, by the rule that chooses defaults
        assert better
        print_message(format_fallback(used, better, how_to_install("audit")))

    def disguise(item: Input, progress: ReadingProgress) -> dict[str, Any]:
        drawn = secrets.randbits(62) if seed is None else seed
        path = outputs[item.key]
        if skip_existing and os.path.isfile(path):
            return {"output": str(path), "skipped": True, "warnings": []}
        if not output:
            make_folder(path.parent)
        made = anonymise_recording(item.source, path, anonymiser, drawn, force)
        methods.append(made.method)
        return {"output": str(path), "warnings": made.warnings}

    methods: list[str] = []  # of what was written
    try:
        run_each(recordings, disguise, as_json=False, format_row=lambda row: row["output"])
    finally:
        name = anonymiser.name
        if once := methods.count(name):  # of what was disguised before nothing was measured
            remains = format_remains(find_attack(name), find_words_lost(name))
            several = once < len(methods)
            which = f"of the {once} of {len(methods)} that were plain before: " if several else ""
            print_message(f"{which}{remains}", colour=None)
