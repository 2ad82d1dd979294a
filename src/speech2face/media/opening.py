"""A source of sound becomes a binary file that can be rewound, and that FFmpeg is safe to read.

A name may be that of a file, or of a pipe that someone writes to; what could never end (a device)
or would be fetched from elsewhere (a URL) is refused. What cannot be rewound, as mp4 needs, is
held in memory, and from `HELD` bytes on in a temporary file.
"""

from __future__ import annotations

import io
import os
import re
import select
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from speech2face.errors import StorageError, UnreadableMediaError, UsageError

if TYPE_CHECKING:
    from av.container import InputContainer

AudioSource = str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO | tuple[Any, float]
"""A path ("-" is standard input), the bytes of a media file, a binary file object, or
(samples, sample rate in Hz).

Samples are (n,), (n, channels) or (channels, n): an array or a list of floats or of integers.
A file object is read from its beginning, where it can be rewound, and stays open.
"""

# Without playlists and scripts, which would let a file name other files or addresses.
CONTAINERS = (
    "aac,ac3,aiff,amr,amrnb,amrwb,asf,au,avi,caf,eac3,flac,flv,matroska,mov,mp3,mpeg,mpegts,"
    "ogg,rm,w64,wav,wv"
)
HELD = 64 << 20  # bytes of a pipe that are held in memory
PATIENCE = 10_000  # ms for which a named pipe may be without a writer
LONGEST_NAME = 300  # characters of it in a message
ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/+.")  # pathlib makes one slash of two
STREAMS = (bytes, bytearray, memoryview)


def describe_source(source: AudioSource) -> str:
    """The source's name for errors. Raises UsageError for what is no source."""
    if isinstance(source, tuple) and len(source) == 2:
        return "the array"
    if isinstance(source, STREAMS):
        return "the given data"
    if hasattr(source, "read"):
        name = getattr(source, "name", None)
        return _in_one_line(name) if isinstance(name, str) and name else "the given file"
    if isinstance(source, str | os.PathLike):
        name = os.fsdecode(source)
        if not name:
            raise UsageError("the name of the recording is empty; give a file")
        return "standard input" if name == "-" else _in_one_line(name)
    remedy = "give a path, bytes, a binary file, or (samples, sample rate)"
    if isinstance(source, tuple | list) or hasattr(source, "shape"):
        remedy = "give samples together with their rate: (samples, sample rate)"
    raise UsageError(f"an object of type {type(source).__name__} is no recording; {remedy}")


@contextmanager
def open_source(source: AudioSource, name: str) -> Iterator[BinaryIO]:
    """A binary file that can be rewound; `name` is what errors call it.

    Raises UnreadableMediaError where there is nothing to read, UsageError for a file that is open
    as text, StorageError where a pipe finds no room in the temporary folder.
    """
    if isinstance(source, STREAMS):
        yield io.BytesIO(bytes(source))
    elif isinstance(source, str | os.PathLike):
        path = os.fsdecode(source)
        with _hold(_standard_input(), name) if path == "-" else _open_path(path, name) as file:
            yield file
    else:
        file: Any = source
        _check_binary(file, name)
        if getattr(file, "seekable", bool)():
            file.seek(0)
            yield file
        else:
            with _hold(file, name) as copy:
                yield copy


def open_container(file: BinaryIO) -> InputContainer:
    """FFmpeg's view of an open file, which is rewound; it follows no names within it."""
    import av

    file.seek(0)
    options = {"format_whitelist": CONTAINERS, "protocol_whitelist": "none"}
    # From 19 on PyAV takes metadata that are no UTF-8 as they are.
    lenient: dict[str, Any] = {"metadata_errors": "replace"}
    if int(av.__version__.split(".")[0]) >= 19:
        lenient = {}
    return av.open(file, "r", container_options=options, **lenient)


def unreadable(name: str, wrong: str, remedy: str) -> UnreadableMediaError:
    return UnreadableMediaError(f"{name} {wrong}; {remedy}")


def _in_one_line(name: str) -> str:
    name = " ".join(name.splitlines())
    return name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]}…"


def _open_path(path: str, name: str) -> BinaryIO:
    try:
        mode = os.stat(path).st_mode
        if stat.S_ISDIR(mode):
            raise unreadable(name, "is a directory", "give a file in it")
        if stat.S_ISSOCK(mode) or stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
            kind = "a socket" if stat.S_ISSOCK(mode) else "a device"
            raise unreadable(name, f"is {kind}", "give a file")
        if stat.S_ISFIFO(mode):
            with _open_pipe(path, name) as pipe:
                return _hold(pipe, name)
        return open(path, "rb")
    except FileNotFoundError:
        if (home := os.path.expanduser(path)) != path:
            return _open_path(home, name)
        raise unreadable(name, *_why_missing(path)) from None
    except PermissionError:
        raise unreadable(name, "may not be read", "check its permissions") from None
    except (OSError, ValueError) as error:  # a name too long, a loop of links, a NUL in the name
        reason = getattr(error, "strerror", None) or str(error)
        raise unreadable(name, f"cannot be opened ({reason})", "check the path") from None


def _why_missing(path: str) -> tuple[str, str]:
    if ADDRESS.match(path):
        return "is an address, not a file", "download it first and give the local file"
    if os.path.islink(path):
        return f"is a link to {os.readlink(path)}, which does not exist", "give the file itself"
    return "does not exist", "check the path"


def _open_pipe(path: str, name: str) -> BinaryIO:
    """A named pipe, or /dev/fd/N; without a writer, opening it as usual would wait for ever."""
    number = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    waiting = select.poll()
    waiting.register(number, select.POLLIN)
    if not waiting.poll(PATIENCE):
        try:
            empty = os.read(number, 1) == b""
        except BlockingIOError:  # a writer that takes its time
            empty = False
        if empty:
            os.close(number)
            raise unreadable(name, "is a pipe that nobody writes to", "give a file")
    os.set_blocking(number, True)
    return os.fdopen(number, "rb")


def _standard_input() -> BinaryIO:
    pipe = getattr(sys.stdin, "buffer", None)
    if pipe is None or sys.stdin.closed:
        raise UnreadableMediaError("standard input is closed; pipe a recording into it")
    if sys.stdin.isatty():
        raise UnreadableMediaError("standard input is a terminal; pipe a recording into it")
    return pipe


def _check_binary(file: Any, name: str) -> None:
    try:
        binary = isinstance(file.read(0), STREAMS)
    except (OSError, ValueError, TypeError) as error:  # closed, open for writing, or no file
        raise UsageError(f"{name} cannot be read ({error}); open it in binary mode, 'rb'") from None
    if not binary:
        raise UsageError(f"{name} does not give bytes; open it in binary mode, 'rb'")


def _hold(pipe: BinaryIO, name: str) -> BinaryIO:
    """Copy a pipe into memory or, if it is long, into a temporary file."""
    copy: Any = tempfile.SpooledTemporaryFile(HELD)  # noqa: SIM115
    size = 0
    while True:
        try:
            part = pipe.read(1 << 20)
            if part is None:  # it does not block, and has nothing yet
                select.select([pipe], [], [])
                continue
        except OSError as error:
            raise unreadable(name, f"cannot be read ({error.strerror})", "try again") from None
        if not part:
            copy.seek(0)
            return copy
        size += len(part)
        try:
            copy.write(part)
        except OSError as error:
            copy.close()
            raise StorageError(
                f"{name}: no room for its {size >> 20} MB and more in the temporary folder "
                f"{_temporary_folder()} ({error.strerror}); make room there, or set TMPDIR to "
                f"another folder"
            ) from None


def _temporary_folder() -> str:
    try:
        return tempfile.gettempdir()
    except OSError:  # none can be written to
        return os.environ.get("TMPDIR") or str(Path("/tmp"))
