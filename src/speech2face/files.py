"""Files are written whole or not at all."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from speech2face.errors import StorageError, UsageError

if TYPE_CHECKING:
    from av.error import FFmpegError

# What is wrong with the name or the folder that was asked for; all else is the system's fault.
_WRONG_PLACE = {
    errno.EACCES,
    errno.EISDIR,
    errno.ELOOP,
    errno.ENAMETOOLONG,
    errno.ENOENT,
    errno.ENOTDIR,
    errno.EPERM,
    errno.EROFS,
}


@contextmanager
def write_atomically(path: Path) -> Iterator[BinaryIO]:
    """An open file, to be written in the body, that becomes `path` when the body ends.

    It lies in the folder of `path` under a short hidden name (its `name`), is brought to the disk
    and then renamed; an existing `path` is replaced. Where the body fails or is interrupted,
    nothing is left of it and `path` is as it was.

    Raises UsageError where `path` is no place for a file, and StorageError where the disk is full
    or fails. Errors of the body that concern other files pass through.
    """
    partial = path.with_name(f".{secrets.token_hex(4)}.part")
    try:
        with partial.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except OSError as error:
        if error.filename not in (None, str(partial)):
            raise
        raise cannot_write(path, error) from None
    finally:
        with suppress(OSError):  # mostly renamed by now
            partial.unlink()


def cannot_write(path: Path, error: OSError | FFmpegError) -> UsageError | StorageError:
    """The error to raise where writing `path` failed: the caller's fault, or the system's."""
    kind = UsageError if error.errno in _WRONG_PLACE else StorageError
    return kind(f"{path}: cannot be written ({error.strerror or error}).")
