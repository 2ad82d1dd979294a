"""Marks of pictures: check."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from speech2face.cli.argument_values import find_pictures
from speech2face.errors import UsageError
from speech2face.runtime import limit_blas_threads

if TYPE_CHECKING:
    from speech2face.batch import ReadingProgress
    from speech2face.inputs import Input


def check(
    pictures: Annotated[
        list[str],
        typer.Argument(
            metavar="PICTURE",
            help="Pictures, folders of them, or patterns in quotes such as 'faces/**/*.png'. A "
            "single - is standard input.",
        ),
    ],
    trust: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            show_default="nobody is trusted",
            help="PEM file with certificates of authorities whose word on content credentials is "
            "trusted. Without it no answer is no.",
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object a line for each picture.")
    ] = False,
) -> None:
    """Say whether pictures are generated: yes, no or unknown, and why.

    Metadata, content credentials (C2PA) and the watermark of speech2face are read. The answer is
    unknown where no mark is found, since marks can be lost or removed.
    """
    limit_blas_threads()
    from speech2face.batch import run_each
    from speech2face.picture_check import check_picture

    found = find_pictures(pictures)
    try:
        anchors = trust.read_text(encoding="utf-8") if trust else ""
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "not text"
        raise UsageError(f"{trust}: cannot be read ({reason}).") from None
    if trust and "BEGIN CERTIFICATE" not in anchors:
        raise UsageError(f"{trust}: no certificates in PEM.")

    def check_one(item: Input, progress: ReadingProgress) -> dict[str, Any]:
        return check_picture(item.source, anchors=anchors).as_json()

    run_each(found, check_one, as_json, _format_row, "pictures")


def _format_row(row: dict[str, Any]) -> str:
    answer, why = row["words"].split(": ", 1)
    return f"{answer}: {row['input']}: {why}"
