"""Archives of models: a model's folder as one .tar.gz, unpacked without trust in what it holds."""

from __future__ import annotations

import gzip
import re
import shutil
import tarfile
import zlib
from pathlib import Path
from typing import BinaryIO

from speech2face.errors import ModelError
from speech2face.files import cannot_write

MOST_FILES = 32
_NAME = re.compile(r"(?:\w[\w.-]*/)?(\w[\w.-]*)", re.ASCII)


class _BoundedReader:
    """Reads a file that may hold no more than so many bytes: a small archive may unpack to any."""

    def __init__(self, file: BinaryIO, most_bytes: int) -> None:
        self._file, self._left, self._most = file, most_bytes, most_bytes

    def read(self, size: int) -> bytes:
        data = self._file.read(min(size, self._left + 1))
        self._left -= len(data)
        if self._left < 0:
            raise ModelError(f"unpacked it has more than {self._most:,} bytes")
        return data


def unpack_model(archive: Path, folder: Path, most_bytes: int) -> None:
    """Write the files of an archive into `folder`, which is made.

    It may hold plain files, at its top or in one folder, and nothing else: no links, no paths that
    lead elsewhere, no file twice, at most `MOST_FILES` of `most_bytes` in all. Raises ModelError
    where it does, or is no archive: the message is a reason, without the archive's name. Then
    `folder` may hold a part.
    """
    folder.mkdir()
    try:
        with gzip.open(archive) as unzipped:
            bounded = _BoundedReader(unzipped, most_bytes)  # pyright: ignore[reportArgumentType]
            with tarfile.open(fileobj=bounded, mode="r|") as files:  # pyright: ignore[reportArgumentType, reportCallIssue]
                for member in files:
                    if not member.isdir():
                        _unpack(files, member, folder)
    except (tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error, UnicodeError) as error:
        raise ModelError(f"not a .tar.gz of a model ({error})") from None


def _unpack(files: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> None:
    found = _NAME.fullmatch(member.name.removeprefix("./"))
    if not member.isreg() or not found:
        raise ModelError(f"it holds {member.name!r}, which is not a plain file of a model")
    if len(list(folder.iterdir())) >= MOST_FILES:
        raise ModelError(f"it holds more than {MOST_FILES} files")
    source, path = files.extractfile(member), folder / found[1]
    assert source is not None  # of a plain file there is one
    try:
        with source, path.open("xb") as file:
            shutil.copyfileobj(source, file)
    except FileExistsError:
        raise ModelError(f"it holds {found[1]} twice") from None
    except OSError as error:
        if isinstance(error, tarfile.TarError | gzip.BadGzipFile):
            raise
        raise cannot_write(path, error) from None
