"""Does one thing to each of many inputs: one that fails leaves all others done."""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from time import monotonic
from types import FrameType
from typing import Any

from speech2face.console import ProgressBars, ProgressCallback, print_message
from speech2face.errors import BatchError, Speech2FaceError, error_of
from speech2face.inputs import Input
from speech2face.remote_files import fetch, is_address
from speech2face.timestamps import format_time

Row = dict[str, Any]
ReadingProgress = Callable[[float], None]
"""Called with how many seconds of a recording have been read."""
Work = Callable[[Input, ReadingProgress], Row]
"""Works on one input and returns its row, with `warnings`, and `skipped` if nothing was to do.
Lines in `notes` are for the terminal."""
Numbered = tuple[int, Input]  # its place among the inputs
Outcome = tuple[int, Row]  # the place of an input, and its row, with `error` and `exit_code`
Share = Callable[[Iterable[Numbered]], Generator[Outcome]]
"""Has inputs worked on, each once, and gives what came of them in any order."""

SHOWN_AFTER = 1.0  # seconds of work on one recording, before how far it was read is shown


def run_each(
    inputs: Sequence[Input],
    work: Work,
    as_json: bool,
    format_row: Callable[[Row], str],
    what: str = "recordings",
) -> None:
    """Work on each input in this process, and tell of it as `tell_each` does, which see."""

    def work_here(show: ProgressCallback) -> Generator[Outcome]:
        for place, item in enumerate(inputs):
            yield place, do_one(work, item, show_reading(show, item, place, len(inputs)))

    tell_each(inputs, work_here, as_json, format_row, what)


def tell_each(
    inputs: Sequence[Input],
    begin: Callable[[ProgressCallback], Generator[Outcome]],
    as_json: bool,
    format_row: Callable[[Row], str],
    what: str = "recordings",
) -> None:
    """Print a row for each input as soon as it is done: as JSON, or what `format_row` makes of it.

    `begin` gives the outcomes, in any order. `what` the inputs are stands beside the progress.
    Raises the error of a single input, and BatchError where some of several failed.
    """
    failures: list[Row] = []
    skipped = 0
    with ProgressBars() as show, note_interrupts() as noted:
        rate = Rate(show, what, len(inputs))
        with closing(begin(show)) as outcomes:
            for place, outcome in outcomes:
                item = inputs[place]
                row = {"input": item.name, **outcome}
                error, notes = row["error"], row.pop("notes", [])
                if noted:
                    raise KeyboardInterrupt
                if error is not None:
                    failures.append(row)
                    if not as_json and len(inputs) > 1:
                        print_message(error)
                for note in notes if not as_json else ():
                    print_message(note, None)
                skipped += row.get("skipped", False)
                if as_json:
                    print(json.dumps(row), flush=True)
                elif error is None and not row.get("skipped"):
                    print(format_row(row), flush=True)
                    for warning in row["warnings"]:
                        print_message(f"{item.name}: {warning}", colour="yellow")
                if len(inputs) > 1 or show.started:
                    rate.add()
    if skipped:
        print_message(
            f"{skipped} of {len(inputs)} inputs skipped: their outputs exist.", colour=None
        )
    if failures:
        raise sum_up(failures[0], len(failures), len(inputs))


def sum_up(first: Row, failed: int, total: int) -> Speech2FaceError:
    """The error of a batch of which inputs failed; `first` is the row of the first of them."""
    if total == 1:
        return error_of(first["exit_code"])(first["error"])
    if failed == total:
        return BatchError(f"all {total} inputs failed.")
    return BatchError(f"{failed} of {total} inputs failed; all others were done.")


class Rate:
    """Shows how many inputs are done, how many a second, and how long the rest will take."""

    def __init__(self, show: ProgressCallback, what: str, total: int, done: int = 0) -> None:
        self._show, self._what, self._total = show, what, total
        self._before = self._done = done
        self._began = monotonic()

    def add(self, kept: bool = False) -> None:
        """One more is done, or was done by an earlier run and is `kept`."""
        self._done += 1
        self._before += kept
        seconds, here = monotonic() - self._began, self._done - self._before
        words = ""
        if here and seconds > 0:
            left = (self._total - self._done) * seconds / here
            words = f"{here / seconds:.1f} a second, {format_time(left, 0)} left"
        self._show(self._what, self._done, self._total, words)


def do_one(work: Work, item: Input, progress: ReadingProgress = lambda _: None) -> Row:
    """The row of one input, with its error in place of a result where it fails."""
    try:
        row = _do(work, item, progress)
        error = row.pop("error", None)  # of one whose results go into a table; it stands last
        return {**row, "error": error}
    except Speech2FaceError as error:
        return {"error": str(error), "exit_code": error.exit_code}


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
        with open_item(item) as there:
            return work(there, progress)
    except Speech2FaceError:
        raise
    except Exception as error:
        raise describe_failure(error, item.name) from error


@contextmanager
def open_item(item: Input) -> Iterator[Input]:
    """The input with what lies at its address, or at those of its parts, fetched and open.

    Raises what `remote_files.fetch` does.
    """
    if item.parts:
        with ExitStack() as opened:
            yield replace(item, parts=tuple(opened.enter_context(open_item(p)) for p in item.parts))
    elif is_address(item.name) and item.fetched is None:
        with fetch(item.name) as file:
            yield replace(item, fetched=file)
    else:
        yield item


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
