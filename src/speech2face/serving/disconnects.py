"""Long work for a client that may go away before it is done."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import TypeVar

from starlette.requests import Request

from speech2face.errors import UsageError

Result = TypeVar("Result")


async def finish_unless_gone(request: Request, work: Coroutine[None, None, Result]) -> Result:
    """What `work` gives; it is cancelled once the client has gone.

    The body of the request has to be read before. Raises what `work` raises, and UsageError where
    the client went away, which nobody reads.
    """
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_wait_until_gone(request))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise UsageError("the client went away.")
    finally:
        for task in (working, leaving):
            task.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


async def _wait_until_gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
