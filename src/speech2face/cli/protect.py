"""protect: disguises every speaker of a recording, and says what remains."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from speech2face.cli.argument_values import find_one
from speech2face.cli.options import (
    AllFiguresAsJson,
    Force,
    ModelName,
    Provenance,
    Track,
)
from speech2face.console import ProgressBars, print_message
from speech2face.errors import UsageError
from speech2face.runtime import limit_blas_threads

if TYPE_CHECKING:
    from speech2face.metrics.protection_results import Protection


def protect(
    recording: Annotated[
        str,
        typer.Argument(
            metavar="RECORDING",
            help="Recording or video to protect; - is standard input.",
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            show_default="none; required without --disguised",
            help="Disguised recording to write: .wav or .flac, or of a video .mp4, .mov, .mkv or "
            ".webm, whose picture is kept as it is.",
        ),
    ] = None,
    keep: Annotated[
        str,
        typer.Option(
            metavar="words|both|voice",
            help="What to keep safe: words loses at most a tenth of them, both a quarter; voice "
            "hides the voice best, at the price of up to half of the words, which a machine may "
            "speak.",
        ),
    ] = "both",
    method: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            show_default="the best by the rule of docs/protect.md",
            help="Method of disguise to take (see docs/anonymisers.md). With --disguised: the "
            "method that disguised it.",
        ),
    ] = None,
    disguised: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            show_default="none",
            help="Recording that any program made of RECORDING: it is only measured, and nothing "
            "is disguised.",
        ),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            show_default="OUTPUT with .report.html; none with --disguised",
            help="HTML page to write, which says what was done and what remains.",
        ),
    ] = None,
    track: Track = None,
    again: Annotated[
        bool,
        typer.Option(
            "--again", help="Take a recording that is marked as disguised already, all the same."
        ),
    ] = False,
    model: ModelName = "default",
    provenance: Provenance = False,
    as_json: AllFiguresAsJson = False,
    force: Force = False,
) -> None:
    """Disguise every voice in a recording, by the method that suits it best.

    Each speaker gets a disguise of their own, whose secret is thrown away. All methods are tried on
    this recording; the page beside the output says which was taken, what remains of the voices, and
    which words may say who speaks.
    """
    if (output is None) == (disguised is None):
        raise UsageError("give -o and the file to write, or --disguised and a file to measure.")
    if disguised is not None and (keep != "both" or again):
        raise UsageError("--keep and --again go with -o: nothing is disguised with --disguised.")
    if recording == "-" == disguised:
        raise UsageError("only one of RECORDING and --disguised can be standard input.")
    page = report or (output.with_name(f"{output.stem}.report.html") if output else None)
    if provenance and not page:
        raise UsageError("--provenance goes with --report, the page that it is put on.")
    limit_blas_threads()
    from speech2face.batch import note_interrupts, show_reading
    from speech2face.inputs import Input
    from speech2face.model_folders import find_model
    from speech2face.privacy.audit_recording import describe_audit
    from speech2face.privacy.protect_recording import (
        check_target,
        choose_rule,
        measure_disguised,
        protect_recording,
    )
    from speech2face.reports.protection_page import draw_protection
    from speech2face.reports.render import check_page, write_page

    choose_rule(keep)
    if output:
        check_target(output, force)
    if page:
        check_page(page, force)
    source, used_model = find_one(recording), find_model(model)
    other = None if disguised is None else find_one(disguised)
    item = Input(recording, Path(Path(recording).name))
    with ProgressBars() as show, note_interrupts():
        common: dict[str, Any] = {
            "method": method,
            "track": track,
            "reading": show_reading(show, item, 0, 1),
            "show": show,
        }
        if output:
            result = protect_recording(
                source, output, used_model, keep=keep, again=again, force=force, **common
            )
        else:
            assert other is not None
            result = measure_disguised(source, other, used_model, **common)
    if page:
        settings = {"keep": keep if output else None, "method": method, "track": track}
        named = {"recording": source, "disguised": output or other}
        hashed = {name: one for name, one in named.items() if one is not None}
        made = describe_audit(used_model, settings, hashed if provenance else {})
        write_page(draw_protection(result, made, provenance), page, force)
    _print(result, output, page, as_json)
    for warning in result.warnings:
        print_message(f"{recording}: {warning}", colour="yellow")


def _print(result: Protection, output: Path | None, page: Path | None, as_json: bool) -> None:
    from speech2face.reports.protection_page import format_protection

    files = [str(path) for path in (output, page) if path]
    if as_json:
        named = {"output": output and str(output), "report": page and str(page)}
        print(json.dumps({**result.as_json(), **named}))
    else:
        print("\n".join([*format_protection(result), *files]))
