"""The server's log: a line for each event on stderr, its time and level first."""

from __future__ import annotations

import logging
import sys
import time
import traceback
from typing import Any

LEVELS = ("debug", "info", "warning", "error")
COLOURS = {logging.DEBUG: "2", logging.WARNING: "33", logging.ERROR: "31"}  # of ECMA-48
# Errors of the program itself, whose words may be logged; words of others may hold what somebody
# sent.
OF_THE_PROGRAM = (TypeError, AttributeError, NameError, ImportError, NotImplementedError)


def set_up_log(level: str) -> None:
    """Write this project's events from `level` on, one of LEVELS, and warnings of all else.

    In colour on a terminal.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(Formatter(colour=sys.stderr.isatty()))
    number = logging.getLevelNamesMapping()[level.upper()]
    logging.basicConfig(handlers=[handler], level=max(number, logging.WARNING), force=True)
    logging.getLogger("speech2face").setLevel(number)
    logging.getLogger("python_multipart").setLevel(logging.CRITICAL)  # has bytes of what was sent


class Formatter(logging.Formatter):
    """`2026-11-29T19:40:01+0000 INFO words`, the time of this machine with its offset from UTC."""

    default_time_format = "%Y-%m-%dT%H:%M:%S%z"
    default_msec_format = None
    converter = time.localtime

    def __init__(self, *, colour: bool) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s")
        self._colour = colour

    def format(self, record: logging.LogRecord) -> str:
        line = super().format(record)
        code = COLOURS.get(record.levelno) if self._colour else None
        return f"\x1b[{code}m{line}\x1b[0m" if code else line

    def formatException(self, ei: Any) -> str:  # noqa: N802
        """Without the error's words, where they may hold what somebody sent: of uvicorn's too."""
        return describe_failure(ei[1])[0]


def describe_failure(error: BaseException) -> tuple[str, str]:
    """Describe an error by its place in the program, as a traceback, and its words.

    The words are apart because they may hold what somebody sent; they stand in the traceback where
    they speak of the program alone.
    """
    frames = "".join(traceback.format_tb(error.__traceback__))
    words = " ".join(str(error).split())
    shown = f": {words}" if isinstance(error, OF_THE_PROGRAM) else ""
    return f"Traceback:\n{frames}{type(error).__name__}{shown}", words


def log_failure(log: logging.Logger, what: str, failure: tuple[str, str]) -> None:
    """A failure as `describe_failure` gives it: an error; with its words only for `debug`."""
    trace, words = failure
    log.error("%s: %s", what, trace)
    log.debug("its words: %s", ascii(words))
