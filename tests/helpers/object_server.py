"""A server of objects on this machine: as S3 has them, and as plain files of the web.

It speaks as much of S3 as s3fs asks for, keeps everything in memory, and fails when told to: it
refuses a request with 503 and Retry-After, or breaks off in the middle of what it sends. Stopped
and started again it has the same port and the same objects.
"""

from __future__ import annotations

import hashlib
import re
import socket
import threading
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal, Self
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

Fault = Literal["throttle", "cut"]


class ObjectServer:
    """`objects` are by "BUCKET/KEY"; `faults` meet the requests that come next, one each."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.faults: deque[Fault] = deque()
        self.requests: list[str] = []
        self._parts: dict[str, dict[int, bytes]] = {}
        self._server: ThreadingHTTPServer | None = None
        self._port = 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        handler = type("Handler", (_Handler,), {"store": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), handler)
        self._port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def begin_upload(self) -> str:
        name = f"upload{len(self._parts)}"
        self._parts[name] = {}
        return name

    def add_part(self, upload: str, number: int, data: bytes) -> None:
        self._parts[upload][number] = data

    def finish_upload(self, upload: str) -> bytes:
        return b"".join(data for _, data in sorted(self._parts[upload].items()))


class _Handler(BaseHTTPRequestHandler):
    store: ObjectServer
    protocol_version = "HTTP/1.1"  # which answers who asks before sending

    def do_GET(self) -> None:
        if self._meet_fault():
            return
        key, query = self._target()
        if "list-type" in query:
            return self._list(key, query)
        self._give(key)

    def do_HEAD(self) -> None:
        if not self._meet_fault():
            self._give(self._target()[0])

    def do_PUT(self) -> None:
        data = self._read_body()
        if self._meet_fault():
            return
        key, query = self._target()
        if "uploadId" in query:
            self.store.add_part(query["uploadId"][0], int(query["partNumber"][0]), data)
        else:
            self.store.objects[key] = data
        self._answer(200, b"", {"ETag": f'"{hashlib.md5(data).hexdigest()}"'})

    def do_POST(self) -> None:
        self._read_body()
        if self._meet_fault():
            return
        key, query = self._target()
        if "uploads" in query:
            name = self.store.begin_upload()
            words = f"<UploadId>{name}</UploadId>"
            self._answer(200, _xml("InitiateMultipartUploadResult", words))
        else:
            self.store.objects[key] = self.store.finish_upload(query["uploadId"][0])
            self._answer(200, _xml("CompleteMultipartUploadResult", f"<Key>{escape(key)}</Key>"))

    def _target(self) -> tuple[str, dict[str, list[str]]]:
        parts = urlsplit(self.path)
        return unquote(parts.path).strip("/"), parse_qs(parts.query, keep_blank_values=True)

    def _meet_fault(self) -> bool:
        self.store.requests.append(f"{self.command} {self.path}")
        fault = self.store.faults.popleft() if self.store.faults else None
        if fault == "throttle":
            words = "<Code>SlowDown</Code><Message>Slow down</Message>"
            self._answer(503, _xml("Error", words), {"Retry-After": "0"})
        elif fault == "cut":
            if self.command == "GET":
                self.send_response(200)
                self.send_header("Content-Length", "100000")
                self.end_headers()
                self.wfile.write(b"RIFF half of it")
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
        return fault is not None

    def _give(self, key: str) -> None:
        data = self.store.objects.get(key)
        if data is None:
            code = b"" if self.command == "HEAD" else _xml("Error", "<Code>NoSuchKey</Code>")
            return self._answer(404, code)
        headers = {"ETag": f'"{hashlib.md5(data).hexdigest()}"', "Accept-Ranges": "bytes"}
        headers["Last-Modified"] = "Mon, 30 Nov 2026 12:00:00 GMT"
        if asked := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")):
            first, last = int(asked[1]), min(int(asked[2] or len(data)), len(data) - 1)
            headers["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
            return self._answer(206, data[first : last + 1], headers)
        self._answer(200, data, headers)

    def _list(self, bucket: str, query: dict[str, list[str]]) -> None:
        prefix, delimiter = (query.get(name, [""])[0] for name in ("prefix", "delimiter"))
        keys, folders = [], set()
        for name, data in sorted(self.store.objects.items()):
            key = name.removeprefix(f"{bucket}/")
            if not name.startswith(f"{bucket}/") or not key.startswith(prefix):
                continue
            rest = key[len(prefix) :]
            if delimiter and delimiter in rest:
                folders.add(prefix + rest.partition(delimiter)[0] + delimiter)
                continue
            tag = hashlib.md5(data).hexdigest()
            keys.append(
                f"<Contents><Key>{escape(key)}</Key><Size>{len(data)}</Size><ETag>{tag}</ETag>"
                "<LastModified>2026-11-30T12:00:00.000Z</LastModified></Contents>"
            )
        common = [f"<CommonPrefixes><Prefix>{escape(f)}</Prefix></CommonPrefixes>" for f in folders]
        words = f"<Name>{bucket}</Name><Prefix>{escape(prefix)}</Prefix>"
        words += "<IsTruncated>false</IsTruncated>"
        count = f"<KeyCount>{len(keys) + len(common)}</KeyCount>"
        self._answer(200, _xml("ListBucketResult", words + count + "".join(keys + common)))

    def _read_body(self) -> bytes:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if "aws-chunked" not in self.headers.get("Content-Encoding", ""):
            return body
        data = b""
        while body:  # SIZE[;signature]\r\n DATA \r\n, and last what was summed up of it
            size, _, body = body.partition(b"\r\n")
            length = int(size.partition(b";")[0], 16)
            if not length:
                break
            data, body = data + body[:length], body[length + 2 :]
        return data

    def _answer(self, status: int, data: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


def _xml(name: str, words: str) -> bytes:
    space = "http://s3.amazonaws.com/doc/2006-03-01/"
    return f'<?xml version="1.0"?><{name} xmlns="{space}">{words}</{name}>'.encode()
