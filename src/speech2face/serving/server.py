"""A server for the app: one address, a warning where others can reach it, and a calm end."""

from __future__ import annotations

import ipaddress
import logging
import signal
import socket

import uvicorn

from speech2face.console import complain
from speech2face.errors import UsageError
from speech2face.serving.api import make_app
from speech2face.serving.limits import MIB, Limits
from speech2face.weights import Model


def serve(model: Model, host: str, port: int, limits: Limits) -> None:
    """Serve until SIGTERM or SIGINT, then finish what is in flight, within `limits.stopping`.

    Prints the address once it is taken. Raises UsageError where it cannot be.
    """
    listener = _listen(host, port)
    if not _is_loopback(listener):
        complain(
            f"{host} can be reached by others, and there is no password and no TLS here; "
            "put a proxy with both before it."
        )
    logging.getLogger("speech2face.serving").setLevel(logging.INFO)
    config = uvicorn.Config(
        make_app(model, limits),
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
    uvicorn.Server(config).run([listener])


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
