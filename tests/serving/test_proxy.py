"""deploy/nginx.conf as it is, but for its TLS: the page, the API and streams through nginx."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urljoin

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from helpers.service import Service
from speech2face.serving.limits import MIB

EXAMPLE = Path(__file__).parents[2] / "deploy" / "nginx.conf"
NGINX = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/bin")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(NGINX is None, reason="nginx is not installed"),
]
FOLDERS = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


@pytest.fixture(scope="module")
def proxy(service: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client whose address is the example's path on an nginx that runs with the example."""
    folder = tmp_path_factory.mktemp("nginx")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    example = EXAMPLE.read_text().replace("http://127.0.0.1:8000/", f"{service.url}/")
    example = re.sub(r"listen 443 ssl;", f"listen 127.0.0.1:{port};", example)
    example = re.sub(r"ssl_certificate.*\n", "", example)
    assert "ssl" not in example.partition("server {")[2]
    example, bounds = re.subn(r"client_header_timeout 10s", "client_header_timeout 1s", example)
    assert bounds == 1
    temporary = "".join(f"{name}_temp_path {folder}/{name};\n" for name in FOLDERS)
    (folder / "conf").write_text(
        f"daemon off; pid {folder}/pid; error_log {folder}/errors warn; worker_processes 1;\n"
        f"events {{}}\nhttp {{\naccess_log off;\n{temporary}{example}\n}}\n"
    )
    command = [str(NGINX), "-c", str(folder / "conf"), "-p", str(folder)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}/face/", timeout=60) as client:
            for _ in range(600):
                try:
                    client.get("healthz").raise_for_status()
                    break
                except httpx.ConnectError:
                    assert process.poll() is None, (folder / "errors").read_text()
                    time.sleep(0.05)
            yield client
        # Nothing that went through it was written to its disk.
        assert "buffered to a temporary file" not in (folder / "errors").read_text()
    finally:
        process.terminate()
        process.wait()


def test_the_page_and_all_that_it_names_are_under_its_path(proxy: httpx.Client) -> None:
    page = str(proxy.base_url)
    html = proxy.get("").text
    links = re.findall(r'(?:src|href)="([^"#]+)"', html)
    scripts = re.findall(r'from "([^"]+)"', proxy.get("page.js").text)
    for link in {*links, *scripts}:
        address = urljoin(page, link)
        assert address.startswith(page)
        assert proxy.get(address).status_code == 200, link
    (described,) = proxy.get("openapi.json").json()["servers"]
    assert urljoin(f"{page}openapi.json", described["url"]) == page
    bare = httpx.get(page.rstrip("/"), follow_redirects=False)
    assert bare.status_code == 301  # without its last slash the page's links would be wrong
    lost = proxy.get("a/b", headers={"Accept": "text/html"})
    assert urljoin(str(lost.url), re.findall(r'<a href="([^"]+)"', lost.text)[0]) == page


def test_recordings_and_faces_pass(proxy: httpx.Client, service: Service, speech: bytes) -> None:
    through = proxy.post("v1/reconstruct?size=64&samples=1", content=speech)
    assert through.content == service.post("/v1/reconstruct?size=64&samples=1", speech).content
    sent = proxy.post("v1/embed", files={"file": ("a.flac", speech)})
    assert sent.status_code == 200
    answer = proxy.post("v1/embed", content=bytes(31 * MIB))
    assert answer.status_code == 415  # the server's: nginx lets it through
    answer = proxy.post("v1/embed", content=bytes(32 * MIB + 1))
    service.problem(413, "too-large-error", 2, answer)


def test_streams_pass_for_its_own_page_alone(proxy: httpx.Client) -> None:
    origin = f"http://127.0.0.1:{proxy.base_url.port}"
    address = str(proxy.base_url).replace("http", "ws") + "v1/stream"
    with connect(address, origin=origin, open_timeout=60) as stream:
        stream.send("bye")
        assert json.loads(stream.recv(timeout=60))["status"] == 400
    with pytest.raises(InvalidStatus), connect(address, origin="https://elsewhere.example"):
        pass
    answer = proxy.get("v1/stream", headers={"Speech2Face-Page": origin})
    assert answer.status_code == 426


def test_a_head_that_comes_in_drops_is_not_waited_for(proxy: httpx.Client) -> None:
    with socket.create_connection(("127.0.0.1", proxy.base_url.port), timeout=30) as wire:
        wire.settimeout(0.1)
        wire.sendall(b"GET /face/healthz HTTP/1.1\r\nHost: x\r\n")
        for _ in range(100):
            try:
                if not wire.recv(1000).startswith(b"HTTP/1.1 200"):
                    return  # refused, or hung up
            except TimeoutError:
                wire.sendall(b"X-More: 1\r\n")
            except ConnectionResetError:
                return
    pytest.fail("a head of ten seconds was waited for")
