"""Addresses, the log, and what slow clients can do, without a model."""

from __future__ import annotations

import logging
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from unittest.mock import Mock
from urllib.parse import urlsplit

import pytest
import uvicorn
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from speech2face.errors import UsageError
from speech2face.serving.limits import Limits
from speech2face.serving.logs import Formatter, describe_failure
from speech2face.serving.server import _format_url, _is_loopback, _listen, configure

CONNECTIONS = 4
HEAD = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n"


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    await Response(await Request(scope, receive).body())(scope, receive, send)


@pytest.fixture(scope="module")
def address() -> Iterator[tuple[str, int]]:
    """Of a server that takes `CONNECTIONS` at a time."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = configure(echo, replace(Limits(), connections=CONNECTIONS))
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    yield listener.getsockname()
    server.should_exit = True
    thread.join()


@contextmanager
def slow_clients(address: tuple[str, int], count: int) -> Iterator[list[socket.socket]]:
    """So many that have sent a part of a request's head."""
    with ExitStack() as stack:
        wires = [
            stack.enter_context(socket.create_connection(address, timeout=30)) for _ in range(count)
        ]
        for wire in wires:
            wire.sendall(HEAD)
        yield wires


def ask(address: tuple[str, int]) -> bytes:
    with socket.create_connection(address, timeout=30) as wire:
        wire.sendall(HEAD + b"Connection: close\r\n\r\nabc")
        return b"".join(iter(lambda: wire.recv(1000), b""))


def test_slow_clients_hold_up_nobody_else(address: tuple[str, int]) -> None:
    with slow_clients(address, CONNECTIONS - 2) as wires:
        for wire in wires:
            for _ in range(20):
                wire.sendall(b"X-More: 1\r\n")
            assert ask(address).endswith(b"\r\n\r\nabc")
        wires[0].sendall(b"\r\nabc")
        assert wires[0].recv(1000).startswith(b"HTTP/1.1 200")  # it was waited for


def test_slow_clients_can_take_all_connections(address: tuple[str, int]) -> None:
    """So a proxy has to bound heads: test_proxy.py."""
    with slow_clients(address, CONNECTIONS):
        assert ask(address).startswith(b"HTTP/1.1 503")
    while not ask(address).startswith(b"HTTP/1.1 200"):  # once they have left
        pass


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "[::1]", "localhost"])
def test_its_address_is_a_url_that_can_be_opened(host: str) -> None:
    try:
        listener = _listen(host, 0)
    except UsageError:
        if ":" not in host:
            raise
        pytest.skip("no IPv6 here")
    with listener:
        parts = urlsplit(_format_url(listener))
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
    assert _format_url(Mock(getsockname=lambda: bound)) == url


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
