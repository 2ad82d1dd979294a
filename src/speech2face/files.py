"""Files are written whole or not at all, on this machine or at an address."""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from speech2face.errors import StorageError, UsageError
from speech2face.remote_files import address_of, upload

if TYPE_CHECKING:
    from av.error import FFmpegError

PARTIAL = ".part"  # end of the name of a file that is not whole yet

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


@dataclass(frozen=True)
class MemoryFile:
    """A file that is made in memory, where nothing may be written to a disk."""

    suffix: str  # the end that its name would have, as ".flac"
    content: BytesIO = field(default_factory=BytesIO)


@contextmanager
def atomic_path(path: Path, *, lasting: bool = True) -> Iterator[Path]:
    """A new path beside `path`, to be written in the body, that becomes `path` when the body ends.

    It has a short hidden name. What is `lasting` is brought to the disk before it is renamed, as a
    power cut demands; many small files that can be made again are written faster without. An
    existing `path` is replaced. Where the body fails or is interrupted, nothing is left of the new
    file and `path` is as it was.

    Of an address (`remote_files.address_of`) the new path is on this machine, and what it holds is
    sent when the body ends.

    Raises UsageError where `path` is no place for a file, and StorageError where the disk is full
    or fails, or a server does not take the file. Errors of the body that concern other files pass
    through.
    """
    if address := address_of(path):
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / path.name
            yield copy
            upload(copy, address)
        return
    partial = path.with_name(f".{secrets.token_hex(4)}{PARTIAL}")
    try:
        yield partial
        if lasting:
            with partial.open("rb+") as file:
                os.fsync(file.fileno())
        os.replace(partial, path)
    except BaseException as error:
        with suppress(OSError):
            partial.unlink()
        if isinstance(error, OSError) and error.filename in (None, str(partial)):
            raise cannot_write(path, error) from None
        raise


@contextmanager
def write_atomically(path: Path, *, lasting: bool = True) -> Iterator[BinaryIO]:
    """The same for a body that writes to an open file."""
    with atomic_path(path, lasting=lasting) as partial, partial.open("xb") as file:
        yield file


def write_text_atomically(path: Path, text: str) -> None:
    """Write text in UTF-8. Raises what `atomic_path` raises."""
    with write_atomically(path) as file:
        file.write(text.encode())


def hash_file(path: Path) -> str:
    """The sha256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hash_open_file(file)


def hash_open_file(file: Any) -> str:
    """The sha256 of a binary file, from where it stands to its end."""
    return hashlib.file_digest(file, "sha256").hexdigest()


def remove_partials(folder: Path) -> None:
    """Delete what processes that were killed left half-written, for the only one who writes there.

    Only in the folder itself, not below it.
    """
    for partial in folder.glob(f".*{PARTIAL}"):
        partial.unlink(missing_ok=True)


def cannot_write(path: Path, error: OSError | FFmpegError) -> UsageError | StorageError:
    """The error to raise where writing `path` failed: the caller's fault, or the system's."""
    kind = UsageError if error.errno in _WRONG_PLACE else StorageError
    return kind(f"{path}: cannot be written ({error.strerror or error}).")
