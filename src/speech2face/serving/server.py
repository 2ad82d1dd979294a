"""A server for the app: one address, a warning where others can reach it, and a calm end."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import logging
import os
import resource
import signal
import socket

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from speech2face import __version__
from speech2face.errors import Speech2FaceError, UsageError
from speech2face.serving.api import make_app
from speech2face.serving.error_responses import answer_problem
from speech2face.serving.limits import MIB, Limits
from speech2face.serving.logs import set_up_log
from speech2face.serving.middleware import RAW_HEADERS
from speech2face.serving.origins import Origins
from speech2face.weights import Model

log = logging.getLogger(__name__)

# What the system says of an address, where its own words say little.
REASONS = {
    errno.EADDRNOTAVAIL: "it is not an address of this machine",
    errno.EADDRINUSE: "another program has it",
    errno.EINVAL: "an address of one link needs its interface, as fe80::1%eth0",
    errno.EACCES: "ports below 1024 are the administrator's",
}


def serve(
    model: Model, host: str, port: int, limits: Limits, origins: Origins, log_level: str
) -> None:
    """Serve until SIGTERM or SIGINT, then finish what is in flight, within `limits.stopping`.

    `origins` says which pages may open streams, `log_level` is one of `log.LEVELS`. Prints the
    address once it is taken. Raises UsageError where it cannot be, and what ails the model where no
    worker can be started.
    """
    set_up_log(log_level)
    listener = _listen(host, port)
    if not _is_loopback(listener):
        log.warning(
            "%s can be reached by others, and there is no password and no TLS here; "
            "put a proxy with both before it.",
            host,
        )
    _, most_files = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = min(3 * limits.connections, most_files)  # a socket and a recording each, and others
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, most_files))
    failures: list[Speech2FaceError] = []

    def give_up(failure: Speech2FaceError) -> None:
        failures.append(failure)
        server.should_exit = True

    config = uvicorn.Config(
        make_app(model, limits, origins, give_up),
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
    url = _name(listener)
    print(url, flush=True)
    log.info(
        "speech2face %s serves the model %s at %s (process %d, workers to come: %d)",
        *(__version__, model.card.name, url, os.getpid(), limits.workers),
    )
    # uvicorn raises the signal that ended it once more: stopping when told to is a success.
    signal.signal(signal.SIGTERM, lambda *_: None)
    server = _Server(config)
    server.run([listener])
    if failures:
        raise failures[0]
    log.info("stopped")


class _Server(uvicorn.Server):
    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        log.info("stopping; %d requests are finished first", len(self.server_state.tasks))
        await super().shutdown(sockets)


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

        def send_400_response(self, msg: str) -> None:
            if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):  # nothing was answered yet
                answer = answer_problem(UsageError("this is no HTTP request that can be read."))
                headers = [*answer.raw_headers, *RAW_HEADERS, (b"connection", b"close")]
                for event in (
                    h11.Response(status_code=400, headers=headers, reason=b"Bad Request"),
                    h11.Data(data=bytes(answer.body)),
                    h11.EndOfMessage(),
                ):
                    self.transport.write(self.conn.send(event) or b"")
            self.transport.close()

        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            self._be_patient()

        def _be_patient(self) -> None:
            if self.patience:
                self.patience.cancel()
                self.patience = None

    return Protocol


def _listen(host: str, port: int) -> socket.socket:
    """`host` is a name or an address; :: is all of this machine's, IPv4's too."""
    name = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    try:
        found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM) if name else []
        if not found:
            raise UsageError("--host is an address or a name, as 127.0.0.1, :: or localhost.")
        family, _, _, _, address = found[0]
        both = name == "::" and socket.has_dualstack_ipv6()
        return socket.create_server(address, family=family, backlog=1024, dualstack_ipv6=both)
    except socket.gaierror as error:
        reason = f"no such host: {error.strerror}"
    except OSError as error:
        reason = REASONS.get(error.errno or 0) or os.strerror(error.errno or 0)
    except (UnicodeError, ValueError):
        reason = "no such host"
    raise UsageError(
        f"{host}, port {port}: cannot be listened on ({reason}); give another --host or --port."
    )


def _is_loopback(listener: socket.socket) -> bool:
    return ipaddress.ip_address(listener.getsockname()[0].partition("%")[0]).is_loopback


def _name(listener: socket.socket) -> str:
    """A URL that can be opened on this machine."""
    taken, port = listener.getsockname()[:2]
    host = str({"0.0.0.0": "127.0.0.1", "::": "::1"}.get(taken, taken))
    if ":" in host:
        host = f"[{host.replace('%', '%25')}]"
    return f"http://{host}:{port}"
