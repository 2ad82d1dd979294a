"""A web server for tests of downloads: it serves bytes, cuts connections, redirects, is slow."""

from __future__ import annotations

import re
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@dataclass
class Served:
    """One file, and how it is served."""

    body: bytes = b""
    status: int = 200
    location: str = ""  # where a redirect leads
    cuts: list[int] = field(default_factory=list)  # bytes of each answer to come, then all
    ranges: bool = True  # parts are served
    says_length: bool = True
    delay: float = 0.0  # s before the answer
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class FileServer:
    """Files by path, and what was asked for: the path and the header Range."""

    url: str
    files: dict[str, Served] = field(default_factory=dict)
    asked: list[tuple[str, str | None]] = field(default_factory=list)


@contextmanager
def serve_files(certificate: Path | None = None) -> Iterator[FileServer]:
    """Serve on a free port of 127.0.0.1; by TLS with a certificate and key in one PEM file."""

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            server.asked.append((path, self.headers.get("Range")))
            served = server.files.get(path, Served(status=404))
            time.sleep(served.delay)
            body, status = served.body, served.status
            begin = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
            headers = dict(served.headers)
            if served.location:
                headers["Location"] = served.location
            if begin and served.ranges and status == 200:
                start = int(begin[1])
                if start >= len(body):
                    self.send_error(416)
                    return
                headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
                body, status = body[start:], 206
            self.send_response(status)
            if served.says_length:
                headers["Content-Length"] = str(len(body))
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body[: served.cuts.pop(0) if served.cuts else None])

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listener:
        scheme = "http"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            listener.socket = context.wrap_socket(listener.socket, server_side=True)
            scheme = "https"
        server = FileServer(f"{scheme}://127.0.0.1:{listener.server_address[1]}")
        thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            listener.shutdown()
            thread.join()
