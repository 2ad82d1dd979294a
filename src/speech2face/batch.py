"""Does one thing to each of many inputs: one that fails leaves all others done."""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from time import monotonic
from types import FrameType
from typing import Any

from speech2face.console import ProgressBars, ProgressCallback, print_message
from speech2face.errors import BatchError, Speech2FaceError
from speech2face.inputs import Input

Row = dict[str, Any]
ReadingProgress = Callable[[float], None]
"""Called with how many seconds of a recording have been read."""
Work = Callable[[Input, ReadingProgress], Row]
"""Works on one input and returns its row, with `warnings`, and `skipped` if nothing was to do."""

SHOWN_AFTER = 1.0  # seconds of work on one recording, before how far it was read is shown


def run_each(
    inputs: Sequence[Input],
    work: Work,
    as_json: bool,
    format_row: Callable[[Row], str],
    what: str = "recordings",
) -> None:
    """Print a row for each input as soon as it is done: as JSON, or what `format_row` makes of it.

    `what` the inputs are stands beside the progress.
    Raises the error of a single input, and BatchError where some of several failed.
    """
    failures: list[Speech2FaceError] = []
    skipped = 0
    with ProgressBars() as show, note_interrupts() as noted:
        for done, item in enumerate(inputs, 1):
            if noted:
                raise KeyboardInterrupt
            row: Row = {"input": item.name}
            try:
                row |= _do(work, item, show_reading(show, item, done - 1, len(inputs)))
                row["error"] = None
            except Speech2FaceError as error:
                if noted:
                    raise KeyboardInterrupt from None
                failures.append(error)
                row |= {"error": str(error), "exit_code": error.exit_code}
                if not as_json and len(inputs) > 1:
                    print_message(str(error))
            skipped += row.get("skipped", False)
            if as_json:
                print(json.dumps(row), flush=True)
            elif row["error"] is None and not row.get("skipped"):
                print(format_row(row), flush=True)
                for warning in row["warnings"]:
                    print_message(f"{item.name}: {warning}", colour="yellow")
            if len(inputs) > 1 or show.started:
                show(what, done, len(inputs), "")
    if skipped:
        print_message(
            f"{skipped} of {len(inputs)} inputs skipped: their outputs exist.", colour=None
        )
    if failures and len(inputs) == 1:
        raise failures[0]
    if len(failures) == len(inputs):
        raise BatchError(f"all {len(inputs)} inputs failed.")
    if failures:
        raise BatchError(f"{len(failures)} of {len(inputs)} inputs failed; all others were done.")


def show_reading(show: ProgressCallback, item: Input, done: int, total: int) -> ReadingProgress:
    """Shows at a terminal how far a long recording was read."""
    began = monotonic()

    def progress(seconds: float) -> None:
        if sys.stderr and sys.stderr.isatty() and monotonic() - began > SHOWN_AFTER:
            minutes, rest = divmod(round(seconds), 60)
            show("recordings", done, total, f"{item.place.name}: {minutes}:{rest:02} min read")

    return progress


def _do(work: Work, item: Input, progress: ReadingProgress) -> Row:
    """`work(item, progress)`. Whatever goes wrong with it is an error of this input."""
    if item.error:
        raise item.error
    try:
        return work(item, progress)
    except Speech2FaceError:
        raise
    except Exception as error:
        raise describe_failure(error, item.name) from error


def describe_failure(error: Exception, name: str = "") -> Speech2FaceError:
    """The line for an error that nobody foresaw; its traceback is shown if that was asked for."""
    where = f"{name}: " if name else ""
    if os.environ.get("SPEECH2FACE_TRACEBACK"):
        traceback.print_exception(error)
    if isinstance(error, MemoryError):
        return Speech2FaceError(f"{where}not enough memory.")
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else where
        return Speech2FaceError(f"{where}{error.strerror or error}.")
    return Speech2FaceError(
        f"{where}{type(error).__name__}: {error}; a fault of speech2face: please report it, with "
        "what SPEECH2FACE_TRACEBACK=1 shows."
    )


@contextmanager
def note_interrupts() -> Iterator[list[int]]:
    """The interrupts that came while inside: one that arrives in a destructor Python forgets.

    A request to end (SIGTERM, or SIGHUP of a terminal that closes) is an interrupt as well.
    """
    noted: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        noted.append(number)
        raise KeyboardInterrupt

    before = {n: signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    for number, handler in before.items():
        if handler in (signal.default_int_handler, signal.SIG_DFL):  # nor is it ignored
            signal.signal(number, note)
    try:
        yield noted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
