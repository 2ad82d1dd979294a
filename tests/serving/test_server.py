"""How long the server waits for a request's head, without a model."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest
import uvicorn
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from speech2face.serving.server import bound_heads

SECONDS = 0.3
HEAD = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n"


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    await Response(await Request(scope, receive).body())(scope, receive, send)


@pytest.fixture(scope="module")
def address() -> Iterator[tuple[str, int]]:
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        echo, http=bound_heads(SECONDS), lifespan="off", log_config=None, timeout_keep_alive=60
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    yield listener.getsockname()
    server.should_exit = True
    thread.join()


@pytest.fixture
def wire(address: tuple[str, int]) -> Iterator[socket.socket]:
    with socket.create_connection(address, timeout=30) as wire:
        yield wire


def ask(wire: socket.socket, pause: float = 0) -> bytes:
    wire.sendall(HEAD + b"\r\n")
    time.sleep(pause)
    wire.sendall(b"abc")
    answer = b""
    while not answer.endswith(b"abc"):
        answer += wire.recv(1000)
    return answer


def drip(wire: socket.socket) -> None:
    for _ in range(1000):
        wire.sendall(b"X-More: 1\r\n")
        time.sleep(SECONDS / 10)


def hangs_up(wire: socket.socket) -> bool:
    try:
        return wire.recv(1000) == b""
    except ConnectionResetError:
        return True


def test_who_says_nothing_is_left(wire: socket.socket) -> None:
    assert hangs_up(wire)


@pytest.mark.parametrize("before", [0, 2], ids=["first request", "third request"])
def test_a_head_that_comes_in_drops_is_not_waited_for(wire: socket.socket, before: int) -> None:
    for _ in range(before):
        ask(wire)
    wire.sendall(HEAD)
    with pytest.raises((BrokenPipeError, ConnectionResetError)):
        drip(wire)


def test_a_body_may_take_longer_than_a_head(wire: socket.socket) -> None:
    assert ask(wire, 2 * SECONDS).startswith(b"HTTP/1.1 200")
    time.sleep(2 * SECONDS)  # and the next request may
    assert ask(wire).startswith(b"HTTP/1.1 200")
