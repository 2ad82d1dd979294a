"""Request bodies come in: never more than is allowed, in memory only, under no name."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from speech2face.errors import BusyError, TooLargeError, TooSlowError, UsageError
from speech2face.serving.limits import MIB, Limits


class Inbox:
    """What is in memory of all requests and streams, which together are bounded as well."""

    def __init__(self, limits: Limits) -> None:
        self.held = 0  # bytes
        self._limits = limits

    @contextmanager
    def open(self, most: int) -> Iterator[Letter]:
        """A recording that comes in pieces, at most `most` bytes; forgotten at the end."""
        letter = Letter(self, most)
        try:
            yield letter
        finally:
            self.held -= letter.size
            letter.clear()

    def take(self, size: int) -> None:
        """Raises BusyError where the memory is full."""
        if self.held + size > self._limits.held:
            raise BusyError("the server holds as much as it can; try again in a few seconds.")
        self.held += size


class Letter:
    """The pieces of one recording that have come so far."""

    def __init__(self, inbox: Inbox, most: int) -> None:
        self.size = 0
        self._pieces: list[bytes] = []
        self._inbox, self._most = inbox, most

    def add(self, piece: bytes) -> bool:
        """False where the piece does not fit any more. Raises BusyError as `Inbox.take`."""
        if self.size + len(piece) > self._most:
            return False
        self._inbox.take(len(piece))
        self.size += len(piece)
        self._pieces.append(piece)
        return True

    def clear(self) -> None:
        self._pieces.clear()

    def whole(self) -> bytes:
        """All of it, in one piece."""
        self._pieces = [b"".join(self._pieces)]
        return self._pieces[0]


async def receive(request: Request, letter: Letter, limits: Limits) -> bytes:
    """The recording in a request: its body, or the part `file` of a form.

    Raises TooLargeError, TooSlowError, UsageError, and BusyError where the memory is full.
    """
    too_large = TooLargeError(
        f"the recording is larger than {limits.body / MIB:g} MiB; shorten it or compress it."
    )
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > 2 * limits.body:
        raise too_large
    size = 0
    try:
        async with asyncio.timeout(limits.arrival):
            async for chunk in request.stream():
                size += len(chunk)
                if size > 2 * limits.body:
                    raise too_large
                # A small overrun is read to its end: browsers take an answer that comes before
                # for a broken connection.
                if size > limits.body or not letter.add(chunk):
                    letter.clear()
    except TimeoutError:
        raise TooSlowError(f"the recording did not arrive in {limits.arrival:g} s.") from None
    except ClientDisconnect:
        raise UsageError("the client went away.") from None
    if size > limits.body:
        raise too_large
    if request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        return await _read_form(request, letter.whole())
    return letter.whole()


class _FormInMemory(MultiPartParser):
    spool_max_size = 1024 * MIB  # never a file on the disk; the body was bounded before


async def _read_form(request: Request, body: bytes) -> bytes:
    async def once() -> AsyncGenerator[bytes, None]:
        yield body

    try:
        form = await _FormInMemory(request.headers, once(), max_files=1, max_fields=0).parse()
    except (MultiPartException, UnicodeError, ValueError) as error:
        reason = getattr(error, "message", "not a form")
        raise UsageError(f"the form cannot be read ({reason.rstrip('.')}).") from None
    try:
        part = form.get("file")
        if not isinstance(part, UploadFile):
            raise UsageError("the form has no part named file; send the recording as that.")
        return await part.read()
    finally:
        await form.close()
