"""Arguments of a command, parsed into recordings and times. Raises UsageError."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from speech2face.console import print_message
from speech2face.errors import UsageError

if TYPE_CHECKING:
    from speech2face.inputs import Input


def find_inputs(arguments: list[str], own_ending: str = "", listed: bool = False) -> list[Input]:
    from speech2face.inputs import find_inputs

    return _say_repeated(*find_inputs(arguments, own_ending, listed=listed))


def find_pictures(arguments: list[str]) -> list[Input]:
    from speech2face.inputs import PICTURES, find_inputs

    return _say_repeated(*find_inputs(arguments, kind=PICTURES))


def _say_repeated(inputs: list[Input], repeated: int) -> list[Input]:
    if repeated:
        print_message(
            f"given more than once, and done once: {repeated} of {len(inputs)} inputs.", None
        )
    return inputs


def find_one(argument: str) -> str | Path:
    recordings = find_inputs([argument])
    if len(recordings) > 1:
        raise UsageError(f"{argument}: {len(recordings)} recordings; give one.")
    if error := recordings[0].error:
        raise error
    return recordings[0].source


def check_skipping(skip_existing: bool, force: bool) -> None:
    if skip_existing and force:
        raise UsageError("--skip-existing leaves what exists, --force overwrites it; give one.")


def parse_speaker(speaker: str) -> str | int:
    """--speaker → `speaker` of `find_speech`, or "all"."""
    from speech2face.speech import parse_speaker

    return parse_speaker(speaker, "--speaker")


def check_together(part: tuple[float, float | None], track: int | None, whom: str | int) -> None:
    """Refuse options that do not go with --together. Raises UsageError."""
    if part != (0.0, None) or track or whom != "longest":
        raise UsageError(
            "--from, --to, --track and --speaker go with one recording, not with --together."
        )


def parse_part(since: str | None, until: str | None) -> tuple[float, float | None]:
    """--from and --to → where to listen, s."""
    from speech2face.timestamps import parse_time

    start = parse_time(since, "--from") if since is not None else 0.0
    end = parse_time(until, "--to") if until is not None else None
    if end is not None and end <= start:
        raise UsageError(f"--to is {end:g} s; it must lie after --from, {start:g} s.")
    return start, end
