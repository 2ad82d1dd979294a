"""Request bodies come in: never more than is allowed, in memory only, under no name.

Each is a file in memory of its own, which a worker is given to read. As bytes they would be copied
on their way, and what an allocator has had from the system for them it does not give back.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager

from starlette.requests import ClientDisconnect, Request

from speech2face.errors import (
    BusyError,
    TooLargeError,
    TooSlowError,
    UnreadableMediaError,
    UsageError,
)
from speech2face.serving.limits import MIB, Limits
from speech2face.serving.multipart import Form


class UploadBudget:
    """The bytes of all requests and streams in memory; their sum is bounded."""

    def __init__(self, limits: Limits) -> None:
        self.held = 0  # bytes
        self._limits = limits

    @contextmanager
    def open(self, most: int) -> Iterator[UploadBuffer]:
        """A recording that comes in pieces, at most `most` bytes; forgotten at the end."""
        buffer = UploadBuffer(self, most)
        try:
            yield buffer
        finally:
            buffer.clear()
            buffer.close()

    def reserve(self, size: int) -> None:
        """Raises BusyError where the memory is full."""
        if self.held + size > self._limits.held:
            raise BusyError("the server holds as much as it can; try again in a few seconds.")
        self.held += size


class UploadBuffer:
    """One recording, as far as it has come. `file` is its descriptor."""

    def __init__(self, budget: UploadBudget, most: int) -> None:
        self.size = 0
        self.file = os.memfd_create("recording")
        self._budget, self._most = budget, most

    def add(self, piece: bytes) -> bool:
        """False where the piece does not fit any more. Raises BusyError as the budget does."""
        if self.size + len(piece) > self._most:
            return False
        self._budget.reserve(len(piece))
        os.pwrite(self.file, piece, self.size)
        self.size += len(piece)
        return True

    def clear(self) -> None:
        os.ftruncate(self.file, 0)
        self._budget.held -= self.size
        self.size = 0

    def close(self) -> None:
        os.close(self.file)


async def receive(
    request: Request, buffer: UploadBuffer, limits: Limits, what: str = "recording"
) -> None:
    """The recording in a request, or `what` else, its body or the part `file` of a form, into the
    buffer.

    Raises TooLargeError, TooSlowError, UsageError, UnreadableMediaError where it is packed, and
    BusyError where the memory is full.
    """
    packed = request.headers.get("content-encoding", "identity").strip().lower()
    if packed != "identity":
        raise UnreadableMediaError(f"the body has a Content-Encoding; send the {what} as it is.")
    too_large = TooLargeError(
        f"the {what} is larger than {limits.body / MIB:g} MiB; shorten it or compress it."
    )
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > 2 * limits.body:
        raise too_large
    kind = request.headers.get("content-type", "")
    form = Form(kind, buffer.add) if kind.lower().startswith("multipart/form-data") else None
    size = 0
    try:
        async with asyncio.timeout(limits.arrival):
            async for chunk in request.stream():
                size += len(chunk)
                if size > 2 * limits.body:
                    raise too_large
                # A small overrun is read to its end: browsers take an answer that comes before
                # for a broken connection.
                if size > limits.body:
                    buffer.clear()
                elif form:
                    form.write(chunk)
                else:
                    buffer.add(chunk)
    except TimeoutError:
        raise TooSlowError(f"the {what} did not arrive in {limits.arrival:g} s.") from None
    except ClientDisconnect:
        raise UsageError("the client went away.") from None
    if size > limits.body:
        raise too_large
    if form:
        form.finish()
