"""Around every request: metrics for Prometheus, a line in the log, headers that make it safe.

A line has method, path, status, seconds and the bytes of the answer. What was sent, where from, and
under which name is written nowhere: a path that is not one of the server's own may be the name of
somebody's file.
"""

from __future__ import annotations

import logging
import time
from typing import Any
from urllib.parse import urlsplit

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from speech2face.serving.error_responses import answer_problem
from speech2face.serving.logs import describe_failure, log_failure
from speech2face.serving.worker_pool import WorkerPool

log = logging.getLogger(__name__)

QUIET = {"/healthz", "/readyz", "/metrics"}  # asked for every few seconds
UNKNOWN = "(unknown path)"
METHODS = {"GET", "HEAD", "POST", "OPTIONS", "PUT", "DELETE", "PATCH"}
SECONDS = (0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 20, 60, 120, 300)
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; "
        "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
}
RAW_HEADERS = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]


class Metrics:
    """Counters behind /metrics, of one server; paths that are not in `routes` share a label."""

    def __init__(self, routes: set[str]) -> None:
        self._routes = routes
        self.registry = CollectorRegistry()
        here: dict[str, Any] = {"registry": self.registry}
        self.requests = Counter(
            "speech2face_requests",
            "Requests answered, streams ended.",
            ["method", "route", "status"],
            **here,
        )
        self.seconds = Histogram(
            "speech2face_request_seconds",
            "From a request's head to the end of its answer.",
            ["route"],
            buckets=SECONDS,
            **here,
        )
        self.replaced = Counter(
            "speech2face_workers_replaced", "Workers lost, by reason.", ["reason"], **here
        )
        self._gauges = {
            name: Gauge(f"speech2face_{name}", words, **here)
            for name, words in (
                ("queue_length", "Requests that wait for a worker."),
                ("workers_busy", "Workers with a recording."),
                ("workers_ready", "Workers with a model loaded."),
                ("protect_queue_length", "Requests that wait for a protector."),
                ("protectors_busy", "Protectors with a recording."),
                ("streams", "Streams open."),
                ("held_bytes", "Recordings in memory."),
            )
        }

    def render(self, pool: WorkerPool, protectors: WorkerPool, streams: int, held: int) -> bytes:
        """The text of /metrics."""
        from prometheus_client import generate_latest

        protecting = (protectors.waiting, protectors.working)
        now = (pool.waiting, pool.working, pool.size, *protecting, streams, held)
        for gauge, value in zip(self._gauges.values(), now, strict=True):
            gauge.set(value)
        return generate_latest(self.registry)

    def record(self, method: str, path: str, status: int, seconds: float, size: int) -> None:
        """One request is over, answered with `size` bytes: counted, timed, a line in the log.

        `path` is one of the server's own, or UNKNOWN.
        """
        method = method if method in METHODS else "other"
        route = path if path in self._routes else "page"
        self.requests.labels(method, route, str(status)).inc()
        self.seconds.labels(route).observe(seconds)
        level = logging.WARNING if status >= 500 else logging.INFO
        if path in QUIET and status < 400:
            level = logging.DEBUG
        log.log(level, "%s %s %d %.3f s %d bytes", method, path, status, seconds, size)


class RequestObserver:
    """ASGI middleware that does it, and answers HEAD as GET; `paths` are the server's own."""

    def __init__(self, app: ASGIApp, metrics: Metrics, paths: set[str]) -> None:
        self._app, self._metrics, self._paths = app, metrics, paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        begun, status, size = time.monotonic(), 0, 0
        method, path = scope["method"], scope["path"]
        if path.startswith(("http://", "https://")):  # the whole URL, as RFC 9112 allows
            path = urlsplit(path).path or "/"
            scope = {**scope, "path": path}
        if method == "HEAD":  # the server leaves out the body
            scope = {**scope, "method": "GET"}

        async def send_safely(message: Message) -> None:
            nonlocal status, size
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), *RAW_HEADERS]
            elif method != "HEAD":
                size += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, receive, send_safely)
        except Exception as error:
            log_failure(log, "a request failed", describe_failure(error))
            if not status:
                await answer_problem(error)(scope, receive, send_safely)
        finally:
            if path not in self._paths:
                log.debug("asked for %s", ascii(scope["raw_path"].decode("latin-1")))
                path = UNKNOWN
            self._metrics.record(method, path, status, time.monotonic() - begun, size)
