"""/v1/stream: someone speaks, and the face follows.

Previews are drawn of all that has come so far, one at a time, and never is more than one waiting:
however fast sound comes, a socket keeps at most one worker busy. The detector hears a second of
sound in one millisecond, so starting anew each time costs less than keeping a state in a process
that may be lost.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from dataclasses import dataclass, replace
from typing import Any

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.websockets import WebSocket, WebSocketDisconnect

from speech2face.errors import BusyError, Speech2FaceError, UsageError
from speech2face.media import SAMPLE_RATES
from speech2face.serving.error_responses import describe_problem
from speech2face.serving.inference import InferenceTask
from speech2face.serving.limits import Limits
from speech2face.serving.logs import describe_failure, log_failure
from speech2face.serving.middleware import Metrics
from speech2face.serving.origins import Origins
from speech2face.serving.uploads import UploadBudget, UploadBuffer
from speech2face.serving.worker_pool import WorkerPool

log = logging.getLogger(__name__)

ROUTE = "/v1/stream"
CLOSE_CODES = {503: 1013, 500: 1011, 413: 1009}  # of RFC 6455; all else is against the policy
AGAINST_POLICY = 1008
PAGE_HEADER = "Speech2Face-Page"
NO_UPGRADE = "it takes a WebSocket, for which a proxy has to pass Upgrade and Connection on"
SEND_SECONDS = 15.0  # for a client to take a message
BETTER_SECONDS = 1.0  # of more speech make a face worth drawing again


@dataclass
class Streams:
    """All sockets of a server."""

    pool: WorkerPool
    budget: UploadBudget
    limits: Limits
    metrics: Metrics
    origins: Origins
    open: int = 0

    async def serve(self, socket: WebSocket, task: InferenceTask) -> None:
        """One socket, from its opening to its end. `task` says how faces are drawn."""
        if not await self._accept(socket):
            return
        begun, status, connection = time.monotonic(), 200, _Connection(socket)
        self.open += 1
        try:
            if self.open > self.limits.sockets:
                raise BusyError("too many streams are open; try again in a few seconds.")
            with self.budget.open(self.limits.stream) as buffer:
                done = await _Stream(connection, task, buffer, self.pool, self.limits).run()
                await connection.end(done, status)
        except WebSocketDisconnect:
            status = 499  # the client went away
        except Exception as error:
            if not isinstance(error, Speech2FaceError):
                log_failure(log, "a stream failed", describe_failure(error))
            status = await connection.end_with(error)
        finally:
            self.open -= 1
            self.metrics.record("GET", ROUTE, status, time.monotonic() - begun, connection.sent)

    async def refuse(self, socket: WebSocket, error: Exception) -> None:
        """A socket that was asked for wrongly, by a parameter that is not known, say."""
        if await self._accept(socket):
            connection = _Connection(socket)
            self.metrics.record("GET", ROUTE, await connection.end_with(error), 0, connection.sent)

    def explain(self, headers: Headers) -> HTTPException:
        """Why a request with these headers gets no stream: its page may not, or it is no socket.

        The page, which browsers do not tell why, asks with its address in PAGE_HEADER.
        """
        origin = headers.get(PAGE_HEADER) or headers.get("origin")
        if reason := self.origins.explain_refusal(origin, headers):
            return HTTPException(403, f"{reason}.")
        if "sec-websocket-key" in headers:
            log.warning("a stream was asked for without Upgrade: %s.", NO_UPGRADE)
        return HTTPException(426, f"no stream was opened: {NO_UPGRADE}.", {"Upgrade": "websocket"})

    async def _accept(self, socket: WebSocket) -> bool:
        origin = socket.headers.get("origin")
        if not (reason := self.origins.explain_refusal(origin, socket.headers)):
            await socket.accept()
            return True
        log.warning("a stream is refused: %s.", reason)
        await socket.close(AGAINST_POLICY)  # before it is accepted: 403
        self.metrics.record("GET", ROUTE, 403, 0, 0)
        return False


class _Stream:
    def __init__(
        self,
        connection: _Connection,
        task: InferenceTask,
        buffer: UploadBuffer,
        pool: WorkerPool,
        limits: Limits,
    ) -> None:
        self._connection, self._task, self._buffer = connection, task, buffer
        self._pool, self._limits = pool, limits
        self._drawn_seconds = 0.0  # of speech that the last face was drawn from
        self._notes: list[str] = []

    async def run(self) -> dict[str, Any]:
        """Serve the stream from its first message to its last, which is returned."""
        await self._begin()
        reading = asyncio.create_task(self._read())
        previewed = 0
        try:
            while not reading.done():
                await asyncio.wait({reading}, timeout=self._limits.preview)
                if not reading.done() and self._buffer.size > previewed:
                    previewed = self._buffer.size
                    await self._preview()
            reading.result()
        finally:
            reading.cancel()
        result = await self._pool.submit(self._task, self._buffer.file)
        result.fields["warnings"] += self._notes
        return {"type": "done", **result.as_json()}

    async def _begin(self) -> None:
        try:
            async with asyncio.timeout(self._limits.silence):
                start = _parse_message(await self._connection.receive())
        except TimeoutError:
            raise UsageError('no start came; send {"type": "start", …} first.') from None
        if start.get("type") != "start" or start.get("format") not in ("pcm", "webm"):
            raise UsageError("a stream begins with type start and format pcm or webm.")
        if start["format"] == "pcm":
            rate = start.get("sample_rate")
            if not isinstance(rate, int) or rate not in SAMPLE_RATES:
                low, high = SAMPLE_RATES[0], SAMPLE_RATES[-1]
                raise UsageError(f"sample_rate is a whole number of {low} to {high} Hz.")
            self._task = replace(self._task, rate=rate)

    async def _read(self) -> None:
        """Chunks in, until the client ends the stream or has to be stopped."""
        try:
            async with asyncio.timeout(self._limits.streaming):
                while True:
                    async with asyncio.timeout(self._limits.silence):
                        message = await self._connection.receive()
                    if (chunk := message.get("bytes")) is not None:  # recorders send empty ones too
                        if not self._buffer.add(chunk):
                            self._notes.append("the stream grew too large: its end was not heard")
                            return
                    elif _parse_message(message).get("type") == "end":
                        return
                    else:
                        raise UsageError("a stream takes chunks of sound, then type end.")
        except TimeoutError:
            self._notes.append("the stream took too long: its end was not heard")

    async def _preview(self) -> None:
        task = replace(
            self._task,
            wanted="preview",
            samples=0,
            least_seconds=self._drawn_seconds + BETTER_SECONDS,
        )
        try:
            result = await self._pool.submit(task, self._buffer.file)
        except BusyError:  # the next preview will do
            return
        names = ("analysed_seconds", "speech_seconds")
        progress = {name: result.fields[name] for name in names}
        await self._connection.send({"type": "heard", **progress})
        if result.pictures:
            self._drawn_seconds = progress["speech_seconds"]
            face = result.as_json()
            del face["samples"], face["confidence"]
            await self._connection.send({"type": "face", **face})


def _parse_message(message: Any) -> dict[str, Any]:
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1005))
    try:
        content = json.loads(message.get("text") or "")
    except (ValueError, RecursionError):  # brackets within brackets, thousands deep
        content = None
    if not isinstance(content, dict):
        raise UsageError("a message that is not sound is a JSON object.")
    return content


class _Connection:
    """A socket that was accepted; `sent` counts the bytes of messages to the client."""

    def __init__(self, socket: WebSocket) -> None:
        self.sent = 0
        self._socket = socket

    async def receive(self) -> Any:
        return await self._socket.receive()

    async def send(self, message: dict[str, Any]) -> None:
        """Raises WebSocketDisconnect where nobody takes it."""
        text = json.dumps(message)
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await self._socket.send_text(text)
        except (RuntimeError, TimeoutError):  # closed by either side, or nobody reads
            raise WebSocketDisconnect(1006) from None
        self.sent += len(text)

    async def end(self, message: dict[str, Any], status: int) -> None:
        """The last message. Nobody may be there any more to take it."""
        code = 1000 if status == 200 else CLOSE_CODES.get(status, AGAINST_POLICY)
        try:
            await self.send(message)
            await self._socket.close(code)
        except (WebSocketDisconnect, RuntimeError):
            pass

    async def end_with(self, error: Exception) -> int:
        """The last message is a problem, whose status is given back."""
        problem = describe_problem(error)
        message = {**problem, "problem": problem["type"], "type": "error"}
        await self.end(message, problem["status"])
        return problem["status"]
