"""Addresses, the log, and how long the server waits for a request's head, without a model."""

from __future__ import annotations

import logging
import socket
import sys
import threading
import time
from collections.abc import Iterator
from unittest.mock import Mock
from urllib.parse import urlsplit

import pytest
import uvicorn
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from speech2face.errors import UsageError
from speech2face.serving.logs import Formatter, describe_failure
from speech2face.serving.server import _is_loopback, _listen, _name, bound_heads

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


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "[::1]", "localhost"])
def test_its_address_is_a_url_that_can_be_opened(host: str) -> None:
    try:
        listener = _listen(host, 0)
    except UsageError:
        if ":" not in host:
            raise
        pytest.skip("no IPv6 here")
    with listener:
        parts = urlsplit(_name(listener))
        assert _is_loopback(listener)
        with socket.create_connection((parts.hostname, parts.port)):
            pass


@pytest.mark.parametrize(
    ("bound", "url"),
    [
        (("0.0.0.0", 80), "http://127.0.0.1:80"),
        (("::", 8000, 0, 0), "http://[::1]:8000"),
        (("fe80::1%eth0", 8000, 0, 2), "http://[fe80::1%25eth0]:8000"),
    ],
)
def test_an_address_that_is_all_is_shown_as_one(bound: tuple[object, ...], url: str) -> None:
    assert _name(Mock(getsockname=lambda: bound)) == url


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ("192.0.2.1", "not an address of this machine"),
        ("no-such-host.invalid", "no such host"),
        ("http://127.0.0.1", "no such host"),
        ("a" * 70, "no such host"),
        ("x..y", "no such host"),
        ("", "--host is an address"),
    ],
)
def test_an_address_that_cannot_be_taken_is_one_line(host: str, words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        _listen(host, 0)
    assert len(str(caught.value).splitlines()) == 1


def test_a_line_of_the_log_has_colour_on_a_terminal_only() -> None:
    record = logging.LogRecord("a", logging.WARNING, "", 0, "%d words", (3,), None)
    plain, bright = (Formatter(colour=colour).format(record) for colour in (False, True))
    assert plain.endswith(" WARNING 3 words")
    assert bright == f"\x1b[33m{plain}\x1b[0m"


def test_a_failure_is_described_without_what_was_sent() -> None:
    def fail(error: Exception) -> tuple[str, str]:
        try:
            raise error
        except Exception as raised:
            return describe_failure(raised)

    trace, words = fail(ValueError("secret"))
    assert "secret" not in trace
    assert trace.splitlines()[-1] == words.replace("secret", "ValueError")
    assert f"{__file__}" in trace
    trace, _ = fail(TypeError("open() got an unexpected keyword argument"))
    assert trace.endswith("TypeError: open() got an unexpected keyword argument")


def test_no_traceback_of_the_log_has_what_was_sent() -> None:
    """uvicorn logs its own, of a text frame that is not UTF-8, say."""
    try:
        b"secret\xff".decode()
    except UnicodeDecodeError:
        record = logging.LogRecord("a", logging.ERROR, "", 0, "bad frame", (), sys.exc_info())
    line = Formatter(colour=False).format(record)
    assert "ERROR bad frame\nTraceback:\n" in line
    assert line.endswith("UnicodeDecodeError")
    assert "0xff" not in line
