"""Firefox without a window, driven by WebDriver BiDi (https://w3c.github.io/webdriver-bidi).

It needs Debian's firefox-esr and the package websockets, which the extra serve brings. On a machine
without an output for sound Firefox starts none, not even a microphone's; Debian's pulseaudio is an
output that nobody hears.
"""

from __future__ import annotations

import base64
import io
import itertools
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from PIL import Image

from helpers.page_browser import DROP, read_dropped

FIREFOX = next(filter(None, map(shutil.which, ("firefox-esr", "firefox"))), None)
PULSEAUDIO = shutil.which("pulseaudio")
PATIENCE = 90.0  # s
# A microphone that hums, lent without asking; and nothing that Firefox does by itself.
PREFERENCES = {
    "media.navigator.streams.fake": True,
    "media.navigator.permission.disabled": True,
    "media.autoplay.default": 0,  # sound may start without a hand on the mouse
    "browser.shell.checkDefaultBrowser": False,
    "browser.aboutwelcome.enabled": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "toolkit.telemetry.enabled": False,
    "app.update.enabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "services.settings.server": "http://127.0.0.1:9/",
}


@contextmanager
def open_output(folder: Path) -> Iterator[dict[str, str]]:
    """The environment in which a program has an output for sound; empty without PulseAudio."""
    if not PULSEAUDIO:
        yield {}
        return
    address = folder / "sound"
    protocol = f"module-native-protocol-unix auth-anonymous=1 socket={address}"
    with subprocess.Popen(
        [PULSEAUDIO, "-n", "--exit-idle-time=-1", "--load", protocol, "--load", "module-null-sink"],
        env=os.environ | {"HOME": str(folder), "XDG_RUNTIME_DIR": str(folder)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            end = time.monotonic() + PATIENCE
            while not address.exists() and process.poll() is None and time.monotonic() < end:
                time.sleep(0.05)
            yield {"PULSE_SERVER": f"unix:{address}"}
        finally:
            process.terminate()


@contextmanager
def open_firefox(profile: Path) -> Iterator[FirefoxPage]:
    """A page in a new profile, of a folder that is empty."""
    from websockets.sync.client import connect

    assert FIREFOX
    lines = [f"user_pref({json.dumps(k)}, {json.dumps(v)});" for k, v in PREFERENCES.items()]
    (profile / "user.js").write_text("\n".join(lines))
    command = [FIREFOX, "--headless", "--no-remote", "--profile", str(profile)]
    with (
        open_output(profile) as output,
        subprocess.Popen(
            [*command, "--remote-debugging-port", "0"],
            env=os.environ | output,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        try:
            assert process.stderr
            told = (re.search(r"BiDi listening on (ws://\S+)", line) for line in process.stderr)
            address = next(filter(None, told))[1]
            with connect(f"{address}/session", max_size=None) as socket:
                yield FirefoxPage(socket)
        finally:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(20)
            process.kill()


class FirefoxPage:
    """A tab; `requests` are the addresses that it and its workers have asked for."""

    def __init__(self, socket: Any) -> None:
        self._socket, self._numbers = socket, itertools.count(1)
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self._ask("session.new", capabilities={})
        events = ["network.beforeRequestSent", "log.entryAdded"]
        self._ask("session.subscribe", events=events)
        self._context = self._ask("browsingContext.create", type="tab")["context"]

    def _ask(self, method: str, **parameters: Any) -> Any:
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._socket.recv(PATIENCE))
            if message.get("type") == "event":
                self._note(message["method"], message["params"])
            elif message.get("id") == number:
                assert message["type"] == "success", message
                return message["result"]

    def _note(self, method: str, event: dict[str, Any]) -> None:
        if method == "network.beforeRequestSent":
            self.requests.append(event["request"]["url"])
        elif event["level"] in ("error", "warn"):
            self.complaints.append(event["text"])

    def goto(self, address: str) -> None:
        self._ask("browsingContext.navigate", context=self._context, url=address, wait="complete")

    def call(self, function: str, argument: object = None) -> Any:
        """A function of JavaScript, of an argument that JSON can hold → its result, as JSON can."""
        called = f"({function})({json.dumps(argument)})"
        done = self._ask(
            "script.evaluate",
            expression=f"(async () => JSON.stringify(await {called}))()",
            target={"context": self._context},
            awaitPromise=True,
            userActivation=True,
        )
        assert done["type"] == "success", done
        return json.loads(done["result"].get("value", "null"))

    def wait_for(self, condition: str) -> None:
        """Until an expression of JavaScript is true."""
        end = time.monotonic() + PATIENCE
        while not self.call(f"() => Boolean({condition})"):
            assert time.monotonic() < end, (
                f"{condition}: {self.call('() => document.body.innerText')}"
            )
            time.sleep(0.2)

    def press(self, selector: str) -> None:
        self.call("(s) => document.querySelector(s).click()", selector)

    def text(self, selector: str) -> str:
        return self.call("(s) => document.querySelector(s).innerText", selector)

    def drop(self, recording: Path) -> None:
        """Let a file fall on the page."""
        self.call(DROP, read_dropped(recording))

    def face(self) -> Image.Image:
        """The face on the page, once an older one has faded."""
        self.wait_for("document.querySelectorAll('#plate img').length === 1")
        source = self.call("() => document.querySelector('#plate img').src")
        return Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2])))
