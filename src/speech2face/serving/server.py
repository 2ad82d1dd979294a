"""A server for the app: one address, a warning where others can reach it, and a calm end."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import resource
import signal
import socket

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from speech2face.console import complain
from speech2face.errors import Speech2FaceError, UsageError
from speech2face.serving.api import make_app
from speech2face.serving.limits import MIB, Limits
from speech2face.weights import Model


def serve(model: Model, host: str, port: int, limits: Limits) -> None:
    """Serve until SIGTERM or SIGINT, then finish what is in flight, within `limits.stopping`.

    Prints the address once it is taken. Raises UsageError where it cannot be, and what ails the
    model where no worker can be started.
    """
    listener = _listen(host, port)
    if not _is_loopback(listener):
        complain(
            f"{host} can be reached by others, and there is no password and no TLS here; "
            "put a proxy with both before it."
        )
    logging.getLogger("speech2face.serving").setLevel(logging.INFO)
    _, most_files = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = min(3 * limits.connections, most_files)  # a socket and a recording each, and others
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, most_files))
    failures: list[Speech2FaceError] = []

    def give_up(failure: Speech2FaceError) -> None:
        failures.append(failure)
        server.should_exit = True

    config = uvicorn.Config(
        make_app(model, limits, give_up),
        http=bound_heads(limits.head),
        log_config=None,
        access_log=False,  # it has addresses of clients and names in paths; ours has neither
        server_header=False,
        ws="websockets-sansio",
        ws_max_size=MIB,
        ws_per_message_deflate=False,
        limit_concurrency=limits.connections,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=round(limits.stopping),
    )
    address, bound = listener.getsockname()[:2]
    print(f"http://{f'[{address}]' if ':' in address else address}:{bound}", flush=True)
    # uvicorn raises the signal that ended it once more: stopping when told to is a success.
    signal.signal(signal.SIGTERM, lambda *_: None)
    server = uvicorn.Server(config)
    server.run([listener])
    if failures:
        raise failures[0]


def bound_heads(seconds: float) -> type[asyncio.Protocol]:
    """uvicorn's HTTP, which hangs up on whoever has not sent a request's head in so many seconds.

    It bounds by itself only the silence between two requests.
    """

    class Protocol(H11Protocol):
        patience: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self.patience = self.loop.call_later(seconds, transport.close)

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self.conn.their_state is not h11.IDLE:  # the head is complete
                self._be_patient()
            elif not self.patience:
                self.patience = self.loop.call_later(seconds, self.transport.close)

        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            self._be_patient()

        def _be_patient(self) -> None:
            if self.patience:
                self.patience.cancel()
                self.patience = None

    return Protocol


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family, backlog=1024)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UsageError(
            f"{host}:{port} cannot be listened on ({reason}); give another --host or --port."
        ) from None


def _is_loopback(listener: socket.socket) -> bool:
    return ipaddress.ip_address(listener.getsockname()[0].partition("%")[0]).is_loopback
