"""Files fetched over HTTP: of a bounded size, checked by sha256, gone on with where one stopped."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Any
from urllib import request
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit

from speech2face import __version__
from speech2face.console import ProgressCallback
from speech2face.errors import ModelError
from speech2face.files import cannot_write, hash_file

TRIES = 4  # connections for one file, where they are cut
PAUSE = 1.0  # seconds before the second; each further pause is twice as long
SILENCE = 30.0  # seconds without a byte after which a connection counts as cut
BLOCK = 1 << 18  # bytes
# Answers after which a second try may succeed: too slow, too many requests, a server's own faults.
_PASSING = {408, 429, 500, 502, 503, 504}


class _CutError(Exception):
    """A connection ended before the file did."""


def download(url: str, path: Path, sha256: str, most_bytes: int, show: ProgressCallback) -> None:
    """Write the file at `url` to `path`, and check it.

    What an earlier call left at `path` is gone on with where the server can; where the file turns
    out to be another, it is begun anew, once. Redirects are followed, to http and https. `show` is
    told megabytes.

    Raises ModelError where there is no such file, it has more than `most_bytes`, or is not the one
    of this sha256: then nothing is left at `path`. Where the connection is cut again and again,
    what has come stays there. Raises what `cannot_write` gives where `path` cannot be written.
    """
    resumed = path.exists()
    _insist(url, path, most_bytes, show)
    if (found := hash_file(path)) == sha256:
        return
    size = path.stat().st_size
    path.unlink()
    if resumed:
        download(url, path, sha256, most_bytes, show)
        return
    raise ModelError(
        f"{url}: not the file that its address says: the sha256 of these {size:,} bytes is {found}."
    )


def _insist(url: str, path: Path, most_bytes: int, show: ProgressCallback) -> None:
    """Receive the whole file, over as many connections as `TRIES`."""
    for tried in range(1, TRIES + 1):
        try:
            return _receive(url, path, most_bytes, show)
        except _CutError as error:
            if tried == TRIES:
                size = path.stat().st_size if path.exists() else 0
                raise ModelError(
                    f"{url}: the download was cut after {size:,} bytes ({error}); give the same "
                    "command again to go on."
                ) from None
            time.sleep(PAUSE * 2 ** (tried - 1))


def _receive(url: str, path: Path, most_bytes: int, show: ProgressCallback) -> None:
    """Receive over one connection what `path` lacks. Raises _CutError."""
    have = path.stat().st_size if path.exists() else 0
    with _open(url, have) as answer:
        start, total = _place(answer, have)
        if total is not None and total > most_bytes:
            path.unlink(missing_ok=True)
            raise ModelError(f"{url}: {total:,} bytes; a model has at most {most_bytes:,}.")
        done = start
        try:
            with path.open("ab") as file:
                file.truncate(start)
                for block in _read(answer):
                    done += len(block)
                    if done > most_bytes:
                        break
                    file.write(block)
                    _tell(show, path, done, total)
        except OSError as error:
            raise cannot_write(path, error) from None
    if done > most_bytes:
        path.unlink()
        raise ModelError(f"{url}: more than {most_bytes:,} bytes; a model has no more.")
    if total is not None and done < total:
        raise _CutError(f"of {total:,}")


def _open(url: str, have: int) -> HTTPResponse:
    """Ask for the bytes of a file from `have` on."""
    headers = {"User-Agent": f"speech2face/{__version__}"}
    if have:
        headers["Range"] = f"bytes={have}-"
    try:
        return _make_opener().open(request.Request(url, headers=headers), timeout=SILENCE)
    except HTTPError as error:
        with error:
            if error.code == 416 and have:  # what is there is longer, or all of it
                return _open(url, 0)
            if error.code in _PASSING:
                raise _CutError(f"the server answers {error.code} {error.reason}") from None
            raise ModelError(
                f"{url}: the server answers {error.code} {error.reason}; is the address right?"
            ) from None
    except URLError as error:
        if isinstance(error.reason, ConnectionResetError | TimeoutError):
            raise _CutError(str(error.reason)) from None
        reason = getattr(error.reason, "strerror", None) or error.reason
        raise ModelError(f"{urlsplit(url).netloc}: cannot be reached ({reason}).") from None
    except (OSError, HTTPException) as error:
        raise _CutError(str(error) or type(error).__name__) from None


def _make_opener() -> request.OpenerDirector:
    """An opener of http and https alone, with the proxies of the environment."""
    opener = request.OpenerDirector()
    for handler in (
        request.ProxyHandler,
        request.UnknownHandler,
        request.HTTPHandler,
        request.HTTPSHandler,
        request.HTTPDefaultErrorHandler,
        request.HTTPRedirectHandler,
        request.HTTPErrorProcessor,
    ):
        opener.add_handler(handler())
    return opener


def _place(answer: HTTPResponse, have: int) -> tuple[int, int | None]:
    """The byte that an answer begins with, and the size of the whole file if it is told."""
    if answer.status == 206:
        told = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", answer.headers.get("Content-Range", ""))
        if not told or int(told[1]) != have:
            raise _CutError("the server gives another part than it was asked for")
        return have, int(told[2]) if told[2] != "*" else None
    length = answer.headers.get("Content-Length", "")
    return 0, int(length) if length.isdecimal() else None


def _read(answer: Any) -> Iterator[bytes]:
    """The blocks of an answer. Raises _CutError where the connection fails."""
    while True:
        try:
            block = answer.read(BLOCK)
        except (OSError, HTTPException) as error:
            raise _CutError(str(error) or type(error).__name__) from None
        if not block:
            return
        yield block


def _tell(show: ProgressCallback, path: Path, done: int, total: int | None) -> None:
    megabytes = round((total or done) / 1e6)
    show("downloading, MB", min(round(done / 1e6), megabytes), megabytes, "")
