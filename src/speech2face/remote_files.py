"""Files at addresses (s3://, gs://, https:// and the like), by fsspec.

A server that asks to wait (429, 503), breaks off or does not answer is asked again, after half a
second, then after twice as long each time, or after as long as it says (Retry-After): for half a
minute in all, in which a server can be started again. What is not there, or not allowed, is not
asked for again. What is fetched has a largest size, and is gone when it is closed.
"""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar, cast

from speech2face.errors import ModelError, Speech2FaceError, StorageError, UnreadableMediaError
from speech2face.extras import how_to_install

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

Found = TypeVar("Found")

PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)  # s before a server is asked again
LONGEST_PAUSE = 60.0  # s that a server may ask for
MOST_BYTES = 2 << 30  # of a file that is fetched
HELD = 32 << 20  # bytes of it that are held in memory; more lie in a temporary file
BLOCK = 4 << 20  # bytes that are read at a time
TEMPORARY = {408, 425, 429, 500, 502, 503, 504}  # states of HTTP
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_SHORTENED = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/")  # pathlib makes one slash of two
_WEB = re.compile(r"https?://", re.IGNORECASE)  # has neither folders nor patterns


class FetchedFile(tempfile.SpooledTemporaryFile[bytes]):
    """A copy of what lies at an address, which is its name in messages; gone when closed."""

    name: str = ""  # pyright: ignore[reportIncompatibleMethodOverride]  # the file has none


def is_address(name: str) -> bool:
    """True for an address, false for a path."""
    return _ADDRESS.match(name) is not None


def address_of(path: str | Path) -> str:
    """The address that a path was made of, as of pathlib's `s3:/b/set`; empty for other paths."""
    words = str(path)
    if is_address(words):
        return words
    made = _SHORTENED.match(words)
    return f"{made[1]}://{words[made.end() :]}" if made else ""


@contextmanager
def open_anywhere(path: str | Path) -> Iterator[BinaryIO]:
    """A file for reading, of this machine or fetched from an address.

    Raises OSError where there is none here, and as `fetch` does.
    """
    if address := address_of(path):
        with fetch(address) as file:
            yield cast(BinaryIO, file)
    else:
        with open(path, "rb") as file:
            yield file


def is_file_anywhere(path: Path) -> bool:
    """True if there is a file, on this machine or at an address."""
    if address := address_of(path):
        return exists(address)
    return path.is_file()


@contextmanager
def fetch(address: str, most: int = MOST_BYTES) -> Iterator[FetchedFile]:
    """A copy of a file, open at its beginning. Raises UnreadableMediaError where there is none to
    be had, or one of more than `most` bytes, and ModelError without the extra `remote`."""

    def copy() -> FetchedFile:
        held, size = FetchedFile(HELD), 0
        held.name = address
        try:
            system, path = _find_system(address)
            with system.open(path, "rb", block_size=BLOCK, cache_type="readahead") as opened:
                file: Any = opened
                while part := file.read(BLOCK):
                    size += len(part)
                    if size > most:
                        raise UnreadableMediaError(
                            f"{address}: larger than {most / 2**20:g} MiB; download it, and give "
                            "the file."
                        )
                    held.write(part)
        except BaseException:
            held.close()
            raise
        held.seek(0)
        return held

    with _ask(address, copy) as file:
        yield file


def read_stamp(address: str) -> str:
    """What changes when the file at an address does: its size, and its ETag or version.

    Empty where the server says neither, or there is no file.
    """
    info = _ask(address, lambda: _find_info(address)) or {}
    tag = info.get("ETag") or info.get("etag") or info.get("VersionId") or info.get("md5Hash")
    return f"{info.get('size')} {tag}" if tag else ""


def exists(address: str) -> bool:
    """True if there is a file."""
    info = _ask(address, lambda: _find_info(address))
    return info is not None and info["type"] != "directory"


def is_folder(address: str) -> bool:
    """True if files lie below the address; of an address of the web nobody can tell."""
    if _WEB.match(address):
        return False
    info = _ask(address, lambda: _find_info(address))
    return info is not None and info["type"] == "directory"


def list_below(address: str) -> list[str]:
    """The addresses of all files below a folder, sorted. Raises UnreadableMediaError on the web."""
    if _WEB.match(address):
        raise UnreadableMediaError(f"{address}: folders of the web cannot be listed; give a table.")
    return _name_all(address, _ask(address, lambda: _call(address, "find")))


def match_addresses(pattern: str) -> list[str] | None:
    """The addresses of the files that match a pattern, sorted; None where this is none."""
    if _WEB.match(pattern) or not re.search(r"[*?[]", pattern):
        return None
    return _name_all(pattern, _ask(pattern, lambda: _call(pattern, "glob")))


def upload(file: Path, address: str) -> None:
    """Write a file to an address, whole or not at all. Raises StorageError where it cannot be."""

    def put() -> None:
        system, path = _find_system(address)
        system.put_file(str(file), path)

    _ask(address, put, StorageError)


def _find_info(address: str) -> dict[str, Any] | None:
    """What a server says of a file or folder; None where it says that there is none."""
    try:
        return _call(address, "info")
    except FileNotFoundError as error:
        if isinstance(_find_cause(error), FileNotFoundError):
            return None
        raise


def _call(address: str, what: str) -> Any:
    system, path = _find_system(address)
    system.invalidate_cache()
    return getattr(system, what)(path)


def _name_all(address: str, paths: list[str]) -> list[str]:
    system, _ = _find_system(address)
    return sorted(system.unstrip_protocol(path) for path in paths)


def _find_system(address: str) -> tuple[AbstractFileSystem, str]:
    """Raises ModelError where a package is missing, UnreadableMediaError where nobody knows it."""
    protocol = address.partition("://")[0]
    try:
        from fsspec.core import url_to_fs

        return url_to_fs(address)
    except ImportError as error:
        missing = re.search(r"[Ii]nstall (\w+)|named '(\w+)", str(error))
        package = next(filter(None, missing.groups())) if missing else "fsspec"
        raise ModelError(
            f"{address}: {package} not installed: {how_to_install('remote')}"
            + ("." if package in ("fsspec", "s3fs", "aiohttp") else f", and pip install {package}.")
        ) from None
    except ValueError:
        raise UnreadableMediaError(
            f"{address}: {protocol}:// is no kind of address that is known; give s3://, gs:// or "
            "https://."
        ) from None


def _ask(
    address: str,
    work: Callable[[], Found],
    kind: type[Speech2FaceError] = UnreadableMediaError,
) -> Found:
    """What `work` gives, tried again where the server may yet answer. Raises `kind`."""
    for pause in (*PAUSES, None):
        try:
            return work()
        except Speech2FaceError:
            raise
        except Exception as raised:  # of aiohttp, botocore and what else fsspec stands on
            error = _find_cause(raised)
            if pause is None or not _is_temporary(error):
                raise kind(f"{address}: {_describe(error)}") from None
            time.sleep(max(pause, _read_wish(error)))
    raise AssertionError("the last try has neither given nor raised anything")


def _find_cause(error: Exception) -> Exception:
    """What is wrong where fsspec says "not found": the server may not have answered."""
    cause = error.__cause__
    if isinstance(error, FileNotFoundError) and isinstance(cause, Exception):
        if isinstance(cause, FileNotFoundError):
            return _find_cause(cause)
        of_the_web = type(cause).__module__.startswith("aiohttp")
        gone = getattr(cause, "status", None) in (404, 410)
        if (of_the_web and not gone) or isinstance(cause, TimeoutError | ConnectionError):
            return cause
    return error


def _is_temporary(error: Exception) -> bool:
    if (status := getattr(error, "status", None)) is not None:
        return status in TEMPORARY
    if isinstance(error, FileNotFoundError | PermissionError | IsADirectoryError):
        return False
    if isinstance(error, OSError | TimeoutError | EOFError):
        return True
    name = type(error).__name__  # of libraries that need not be installed
    return bool(re.search("Connect|Timeout|Payload|Disconnected|HTTPClient|Incomplete", name))


def _read_wish(error: Exception) -> float:
    """The seconds after which a server wants to be asked again; 0 where it does not say."""
    headers = getattr(error, "headers", None) or {}
    try:
        return min(max(float(headers.get("Retry-After", 0)), 0.0), LONGEST_PAUSE)
    except ValueError:  # a date
        return 0.0


def _describe(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "not found; check the address."
    if isinstance(error, PermissionError):
        return "may not be read or written; check your rights and credentials."
    if type(error).__name__ == "NoCredentialsError":
        return "no credentials; set them as for the AWS command line."
    if isinstance(error, ValueError):
        return f"{error}."
    if status := getattr(error, "status", None):
        return f"the server answers {status} {getattr(error, 'message', '')}".rstrip() + "."
    words = " ".join(str(error).split()) or type(error).__name__
    return f"cannot be reached ({words}); try again later."
