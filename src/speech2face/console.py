"""What commands show on the terminal: progress and messages, all of it on stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


Show = Callable[[str, int, int, str], None]
"""Called with what is done, how much of it, of how much, and a few words."""


def complain(message: str) -> None:
    """One line on stderr, whatever stands in the file names it holds."""
    # Whole, where another process may write at the same time.
    sys.stderr.write(f"speech2face: {' '.join(message.splitlines())}\n")


class ProgressBars:
    """One bar for each stage, with the time left; a line now and then where there is no terminal.

    Called as `Show` says.
    """

    LINE_SECONDS = 20.0

    def __init__(self) -> None:
        self._bars: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._last_line = time.monotonic()

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
        if sys.stderr.isatty():
            self._bars = self._bars or _start_bars()
            if what not in self._tasks:
                self._tasks[what] = self._bars.add_task(what, total=total, words="")
            task = self._tasks[what]
            self._bars.update(task, completed=done, total=total, words=words)
        elif time.monotonic() - self._last_line > self.LINE_SECONDS:
            self._last_line = time.monotonic()
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
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[words]}"),
        console=Console(stderr=True),
        redirect_stdout=sys.stdout.isatty(),  # else rich sends results to stderr
    )
    bars.start()
    return bars
