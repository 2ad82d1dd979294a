"""/v1/stream: someone speaks, and the face follows.

All that has come so far is looked at again and again, one look at a time, and never is more than
one waiting: however fast sound comes, a socket keeps at most one worker busy. The detector hears a
second of sound in two milliseconds, so starting anew each time costs less than keeping a state
in a process that may be lost.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import time
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from starlette.websockets import WebSocket, WebSocketDisconnect

from speech2face.errors import BusyError, Speech2FaceError, UsageError
from speech2face.media import SAMPLE_RATES
from speech2face.serving.bodies import Inbox, Letter
from speech2face.serving.crew import Crew, place_of
from speech2face.serving.limits import Limits
from speech2face.serving.listening import Heard, Task
from speech2face.serving.problems import describe_problem
from speech2face.serving.watching import Figures

log = logging.getLogger(__name__)

ROUTE = "/v1/stream"
CLOSE_CODES = {503: 1013, 500: 1011, 413: 1009}  # of RFC 6455; all else is against the policy
AGAINST_POLICY = 1008
SEND_SECONDS = 15.0  # for a client to take a message
BETTER_SECONDS = 1.0  # of more speech make a face worth drawing again


@dataclass
class Streams:
    """All sockets of a server."""

    crew: Crew
    inbox: Inbox
    limits: Limits
    figures: Figures
    open: int = 0

    async def serve(self, socket: WebSocket, task: Task) -> None:
        """One socket, from its opening to its end. `task` says how faces are drawn."""
        if not _is_own_page(socket):
            await socket.close(AGAINST_POLICY)
            return
        await socket.accept()
        begun, status = time.monotonic(), 200
        self.open += 1
        try:
            if self.open > self.limits.sockets:
                raise BusyError("too many streams are open; try again in a few seconds.")
            with self.inbox.open(self.limits.stream) as letter:
                done = await _Stream(socket, task, letter, self.crew, self.limits).run()
                await _end(socket, done, status)
        except WebSocketDisconnect:
            status = 499  # the client went away
        except Exception as error:
            if not isinstance(error, Speech2FaceError):
                log.error("a stream failed: %s", place_of(error))
            problem = describe_problem(error)
            status = problem["status"]
            await _end(socket, {**problem, "problem": problem["type"], "type": "error"}, status)
        finally:
            self.open -= 1
            self.figures.note("GET", ROUTE, status, time.monotonic() - begun)


class _Stream:
    def __init__(
        self, socket: WebSocket, task: Task, letter: Letter, crew: Crew, limits: Limits
    ) -> None:
        self._socket, self._task, self._letter = socket, task, letter
        self._crew, self._limits = crew, limits
        self._drawn_seconds = 0.0  # of speech that the last face was drawn from
        self._notes: list[str] = []

    async def run(self) -> dict[str, Any]:
        """From the first message to the last, which it gives."""
        await self._begin()
        reading = asyncio.create_task(self._read())
        looked = 0
        try:
            while not reading.done():
                await asyncio.wait({reading}, timeout=self._limits.look)
                if not reading.done() and self._letter.size > looked:
                    looked = self._letter.size
                    await self._look()
            reading.result()
        finally:
            reading.cancel()
        heard = await self._crew.do(self._task, self._letter.file)
        heard.facts["warnings"] += self._notes
        return {"type": "done", **face_of(heard)}

    async def _begin(self) -> None:
        try:
            async with asyncio.timeout(self._limits.silence):
                start = _read_words(await self._socket.receive())
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
                        message = await self._socket.receive()
                    if chunk := message.get("bytes"):
                        if not self._letter.add(chunk):
                            self._notes.append("the stream grew too large: its end was not heard")
                            return
                    elif _read_words(message).get("type") == "end":
                        return
                    else:
                        raise UsageError("a stream takes chunks of sound, then type end.")
        except TimeoutError:
            self._notes.append("the stream took too long: its end was not heard")

    async def _look(self) -> None:
        task = replace(
            self._task,
            wanted="look",
            samples=0,
            least_seconds=self._drawn_seconds + BETTER_SECONDS,
        )
        try:
            heard = await self._crew.do(task, self._letter.file)
        except BusyError:  # the next look will do
            return
        told = {"duration": heard.facts["duration"], "speech": heard.facts.pop("speech")}
        await _send(self._socket, {"type": "heard", **told})
        if heard.pictures:
            self._drawn_seconds = told["speech"]
            face = face_of(heard)
            del face["samples"], face["confidence"]
            await _send(self._socket, {"type": "face", **face})


def face_of(heard: Heard) -> dict[str, Any]:
    """The answer of /v1/reconstruct."""
    image, *samples = (base64.b64encode(picture).decode() for picture in heard.pictures)
    return {"image": image, "samples": samples, **heard.facts}


def _is_own_page(socket: WebSocket) -> bool:
    """Browsers let any page open a socket to any server, but say which page it is."""
    origin = socket.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == socket.headers.get("host")


def _read_words(message: Any) -> dict[str, Any]:
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1005))
    try:
        words = json.loads(message.get("text") or "")
    except ValueError:
        words = None
    if not isinstance(words, dict):
        raise UsageError("a message that is not sound is a JSON object.")
    return words


async def _send(socket: WebSocket, words: dict[str, Any]) -> None:
    try:
        async with asyncio.timeout(SEND_SECONDS):
            await socket.send_text(json.dumps(words))
    except (RuntimeError, TimeoutError):  # closed by either side, or nobody reads
        raise WebSocketDisconnect(1006) from None


async def _end(socket: WebSocket, words: dict[str, Any], status: int) -> None:
    code = 1000 if status == 200 else CLOSE_CODES.get(status, AGAINST_POLICY)
    try:
        await _send(socket, words)
        await socket.close(code)
    except (WebSocketDisconnect, RuntimeError):
        pass
