"""Every error a user can meet, each with the exit code of the command and the HTTP status.

The message is one line that says what was wrong and what to do about it.
"""

from __future__ import annotations


class Speech2FaceError(Exception):
    """Base of all errors raised on purpose; `str(error)` is one line for the user."""

    exit_code: int = 1
    http_status: int = 500


class UsageError(Speech2FaceError):
    """The call itself is wrong: arguments, names, an output that exists, or no place for one."""

    exit_code = 2
    http_status = 400


class TooLargeError(UsageError):
    """The input is larger than is taken."""

    http_status = 413


class TooSlowError(UsageError):
    """A client announced data and did not send it in time."""

    http_status = 408


class StorageError(Speech2FaceError):
    """The system failed while a file was written: the disk is full, say."""

    http_status = 507


class UnreadableMediaError(Speech2FaceError):
    """The input is missing, empty, not media, or holds no sound that can be decoded."""

    exit_code = 3
    http_status = 415


class NoSpeechError(Speech2FaceError):
    """The input is sound, but holds less speech than is needed."""

    exit_code = 4
    http_status = 422


class ModelError(Speech2FaceError):
    """A model or one of its files is missing, damaged, or does not fit."""

    exit_code = 5
    http_status = 500


class BatchError(Speech2FaceError):
    """Some inputs of a batch failed; all others were done."""

    exit_code = 6
    http_status = 207


class BusyError(Speech2FaceError):
    """A server has too much to do, or ran out of time; the same may succeed later."""

    http_status = 503


class Interrupted(Speech2FaceError):  # noqa: N818
    """Long work was asked to stop and has saved its state."""

    exit_code = 130
    http_status = 503


def error_of(exit_code: int) -> type[Speech2FaceError]:
    """The kind of error with an exit code, for one that was told by its code and its line."""
    kinds = (UsageError, UnreadableMediaError, NoSpeechError, ModelError, BatchError)
    return next((kind for kind in kinds if kind.exit_code == exit_code), Speech2FaceError)
