"""A server for the app: one address, a warning where others can reach it, and a calm end."""

from __future__ import annotations

import errno
import ipaddress
import logging
import os
import resource
import signal
import socket

import h11
import uvicorn
from starlette.types import ASGIApp

from speech2face import __version__
from speech2face.errors import Speech2FaceError, UsageError
from speech2face.model_folders import Model
from speech2face.serving.api import make_app
from speech2face.serving.limits import MIB, Limits
from speech2face.serving.logs import set_up_log
from speech2face.serving.origins import Origins

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

    `origins` says which pages may open streams, `log_level` is one of `logs.LEVELS`. Prints the
    address once it is taken. Raises UsageError where it cannot be, and what ails the model where no
    worker can be started.
    """
    set_up_log(log_level)
    logging.getLogger("asyncio").addFilter(_is_no_late_damage)
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

    def stop_with(failure: Speech2FaceError) -> None:
        failures.append(failure)
        server.should_exit = True

    server = _Server(configure(make_app(model, limits, origins, stop_with), limits))
    url = _format_url(listener)
    print(url, flush=True)
    log.info(
        "speech2face %s serves the model %s at %s (process %d, workers to come: %d)",
        *(__version__, model.card.name, url, os.getpid(), limits.workers),
    )
    # uvicorn raises the signal that ended it once more: stopping when told to is a success.
    signal.signal(signal.SIGTERM, lambda *_: None)
    server.run([listener])
    if failures:
        raise failures[0]
    log.info("stopped")


class _Server(uvicorn.Server):
    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        log.info("stopping; %d requests are finished first", len(self.server_state.tasks))
        await super().shutdown(sockets)


def _is_no_late_damage(record: logging.LogRecord) -> bool:
    """False where a body is damaged after its request was answered: uvicorn (0.54) tries to answer
    once more, which fails. The connection is closed, and all is well."""
    return not (record.exc_info and isinstance(record.exc_info[1], h11.LocalProtocolError))


def configure(app: ASGIApp, limits: Limits) -> uvicorn.Config:
    """Configure uvicorn for the app. It has no bound on how slowly a request's head may come: a
    proxy before it has to have one (docs/serving.md)."""
    return uvicorn.Config(
        app,
        http="h11",
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


def _listen(host: str, port: int) -> socket.socket:
    """`host` is a name or an address; :: is all of this machine's, IPv4's too."""
    name = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    try:
        addresses = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM) if name else []
        if not addresses:
            raise UsageError("--host is an address or a name, as 127.0.0.1, :: or localhost.")
        family, _, _, _, address = addresses[0]
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


def _format_url(listener: socket.socket) -> str:
    """A URL that can be opened on this machine."""
    taken, port = listener.getsockname()[:2]
    host = str({"0.0.0.0": "127.0.0.1", "::": "::1"}.get(taken, taken))
    if ":" in host:
        host = f"[{host.replace('%', '%25')}]"
    return f"http://{host}:{port}"
