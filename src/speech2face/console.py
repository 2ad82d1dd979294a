"""Terminal output of commands: progress and messages, all of it on stderr."""

from __future__ import annotations

import codecs
import io
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


ProgressCallback = Callable[[str, int, int, str], None]
"""Called with what is done, how much of it, of how much, and a few words."""


_COLOURS = {"red": 31, "green": 32, "yellow": 33}


def print_message(message: str, colour: str | None = "red") -> None:
    """Print one line on stderr, whatever stands in the file names it holds.

    Errors are red where a terminal shows them, warnings yellow, and what is only said has none.
    """
    words = "".join(c if c.isprintable() else " " for c in " ".join(message.splitlines()))
    with suppress(OSError, AttributeError):  # a closed stderr changes no result
        # Whole, where another process may write at the same time.
        sys.stderr.write(f"{paint('speech2face:', colour, sys.stderr)} {words}\n")


def paint(words: str, colour: str | None, stream: TextIO) -> str:
    """Colour `words`, if `stream` is a terminal and NO_COLOR is not set."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    if colour is None or plain or not stream.isatty():
        return words
    return f"\x1b[{_COLOURS[colour]}m{words}\x1b[0m"


def prepare_streams() -> None:
    """Let names of files be printed as they are on the disk, whatever the terminal can show."""

    def as_on_disk(error: UnicodeError) -> tuple[bytes, int]:
        assert isinstance(error, UnicodeEncodeError)
        return os.fsencode(error.object[error.start : error.end]), error.end

    codecs.register_error("as on disk", as_on_disk)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="as on disk")


def drop_output() -> None:
    """Let nothing that could not be written fail once more when Python ends."""
    try:
        if sys.stdout:
            sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class ProgressBars:
    """One bar for each stage, with the time left; a line now and then where there is no terminal.

    Called as `ProgressCallback` says.
    """

    LINE_SECONDS = 20.0

    def __init__(self) -> None:
        self._bars: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._last_line = time.monotonic()

    @property
    def started(self) -> bool:
        """True if a bar is on the terminal."""
        return self._bars is not None

    def __enter__(self) -> ProgressBars:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bars:
            self._bars.stop()

    def __call__(self, what: str, done: int, total: int, words: str) -> None:
        if not sys.stderr:
            return
        if sys.stderr.isatty():
            self._bars = self._bars or _start_bars()
            if what not in self._tasks:
                self._tasks[what] = self._bars.add_task(what, total=total, words="")
            task = self._tasks[what]
            self._bars.update(task, completed=done, total=total, words=words)
        elif time.monotonic() - self._last_line > self.LINE_SECONDS:
            self._last_line = time.monotonic()
            with suppress(OSError):  # as in `print_message`
                print(f"{what}: {done} of {total}  {words}".rstrip(), file=sys.stderr, flush=True)


def _start_bars() -> Progress:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    bars = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[words]}", markup=False),
        console=Console(stderr=True),
        redirect_stdout=sys.stdout.isatty(),  # else rich sends results to stderr
    )
    bars.start()
    return bars
