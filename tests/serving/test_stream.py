"""/v1/stream on a real server: someone speaks, and the face follows."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosedError, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from helpers.service import Service
from helpers.sounds import RATE, encode, example_speech
from speech2face.serving.limits import Limits
from speech2face.serving.schemas import Face


@contextmanager
def open_stream(service: Service, query: str = "", **options: Any) -> Iterator[ClientConnection]:
    address = f"{service.url.replace('http', 'ws')}/v1/stream{query}"
    with connect(address, max_size=None, open_timeout=60, **options) as socket:
        yield socket


def speak(socket: ClientConnection, start: dict[str, Any], sound: bytes, pause: float) -> None:
    """Send it all in eight chunks, as a microphone would."""
    socket.send(json.dumps({"type": "start"} | start))
    size = -(-len(sound) // 8)
    for at in range(0, len(sound), size):
        socket.send(sound[at : at + size])
        time.sleep(pause)
    socket.send('{"type": "end"}')


def read_all(socket: ClientConnection) -> list[dict[str, Any]]:
    return [json.loads(message) for message in socket]  # raises, unless it was closed well


def refuse(service: Service, send: Callable[[ClientConnection], None]) -> dict[str, Any]:
    """The error with which a stream ends."""
    with open_stream(service) as socket:
        send(socket)
        message = json.loads(socket.recv(timeout=60))
        while message["type"] == "heard":
            message = json.loads(socket.recv(timeout=60))
        with pytest.raises(ConnectionClosedError):
            socket.recv(timeout=60)
    assert message["type"] == "error"
    return message


def test_the_face_follows_the_voice(service: Service) -> None:
    samples, rate = example_speech()
    sound = samples.astype("<f4").tobytes()
    with open_stream(service, "?samples=1&size=64&seed=3&strength=0.5") as socket:
        start = {"format": "pcm", "sample_rate": rate}
        speaker = threading.Thread(target=speak, args=(socket, start, sound, 0.7))
        speaker.start()
        messages = read_all(socket)
        speaker.join()
    *before, last = messages
    assert last.pop("type") == "done"
    face = Face.model_validate(last)
    assert face.analysed_seconds == pytest.approx(len(samples) / rate, abs=0.01)
    assert len(face.samples) == 1
    assert face.strength == 0.5
    progress = [m for m in before if m["type"] == "heard"]
    faces = [m for m in before if m["type"] == "face"]
    assert progress
    assert faces
    assert len(progress) + len(faces) == len(before)
    analysed = [m["analysed_seconds"] for m in progress]
    assert analysed == sorted(analysed)
    seconds = [m["speech_seconds"] for m in faces]
    assert all(after - first >= 1 for first, after in itertools.pairwise(seconds))
    assert {m["strength"] for m in faces} == {0.5}
    assert not {"samples", "confidence"} & {key for message in faces for key in message}
    assert face.confidence
    # The same sound at once gives the same picture.
    answer = service.post(
        "/v1/reconstruct?samples=1&size=64&seed=3&strength=0.5", encode_float(samples, rate)
    )
    assert answer.json()["image"] == last["image"]
    assert service.metric("speech2face_streams") == 0
    assert service.metric("speech2face_held_bytes") == 0


def encode_float(samples: np.ndarray, rate: int) -> bytes:
    return encode(samples, rate, "wav", "pcm_f32le")


def test_webm_is_heard_as_it_comes(service: Service) -> None:
    sound = encode(example_speech()[0], RATE, "webm", "libopus")
    with open_stream(service) as socket:
        speaker = threading.Thread(target=speak, args=(socket, {"format": "webm"}, sound, 0.5))
        speaker.start()
        messages = read_all(socket)
        speaker.join()
    assert messages[-1]["type"] == "done"
    assert 4 < messages[-1]["speech_seconds"] < 6
    assert "heard" in {m["type"] for m in messages}


def test_all_at_once_is_one_face(service: Service) -> None:
    samples, rate = example_speech()
    with open_stream(service) as socket:
        start = {"format": "pcm", "sample_rate": rate}
        speak(socket, start, samples.astype("<f4").tobytes() + b"odd", 0)
        assert read_all(socket)[-1]["type"] == "done"


BAD_STREAMS: dict[str, tuple[list[str | bytes], int, str]] = {
    "no start": ([b"1234"], 400, "JSON object"),
    "not JSON": (["start"], 400, "JSON object"),
    "too deep": (["[" * 100_000], 400, "JSON object"),
    "format": (['{"type": "start", "format": "midi"}'], 400, "pcm or webm"),
    "rate": (['{"type": "start", "format": "pcm", "sample_rate": 1}'], 400, "sample_rate"),
    "silence": (
        [
            '{"type": "start", "format": "pcm", "sample_rate": 16000}',
            b"",
            bytes(64_000),
            b"",
            '{"type": "end"}',
        ],
        *(422, "silence"),
    ),
    "not webm": (
        ['{"type": "start", "format": "webm"}', b"x" * 1000, '{"type": "end"}'],
        *(415, "not sound"),
    ),
    "words": (['{"type": "start", "format": "webm"}', '{"type": "stop"}'], 400, "chunks"),
}


@pytest.mark.parametrize("name", BAD_STREAMS)
def test_a_bad_stream_ends_with_a_problem(service: Service, name: str) -> None:
    messages, status, words = BAD_STREAMS[name]

    def send(socket: ClientConnection) -> None:
        for message in messages:
            socket.send(message)

    problem = refuse(service, send)
    assert problem["status"] == status
    assert words in problem["detail"]
    assert problem["problem"].startswith("urn:speech2face:")


def test_sockets_are_counted(service: Service) -> None:
    sockets = [open_stream(service) for _ in range(Limits.sockets)]
    for socket in sockets:
        socket.__enter__()
    try:
        assert refuse(service, lambda _: None)["status"] == 503
    finally:
        for socket in sockets:
            socket.__exit__(None, None, None)


def test_another_page_may_not_open_a_stream(service: Service) -> None:
    origin = "http://elsewhere.example"
    with pytest.raises(InvalidStatus) as caught, open_stream(service, origin=origin):
        pass
    assert caught.value.response.status_code == 403
    (line,) = [each for each in service.log.read_text().splitlines() if origin in each]
    assert " WARNING a stream is refused: the page is of http://elsewhere.example" in line
    assert "--origin" in line
    assert " ERROR " not in service.log.read_text()
    with open_stream(service, origin=service.url) as socket:
        socket.send("bye")
        assert json.loads(socket.recv())["status"] == 400


def test_a_page_can_ask_why_there_is_no_stream(service: Service) -> None:
    answer = service.client.get("/v1/stream", headers={"Speech2Face-Page": "http://elsewhere"})
    assert (answer.status_code, answer.json()["status"]) == (403, 403)
    assert "the page is of http://elsewhere" in answer.json()["detail"]
    handshake = {"Speech2Face-Page": service.url, "Sec-WebSocket-Key": "x"}
    answer = service.client.get("/v1/stream?size=64", headers=handshake)
    assert (answer.status_code, answer.headers["upgrade"]) == (426, "websocket")
    assert "a proxy has to pass Upgrade" in answer.json()["detail"]
    assert "WARNING a stream was asked for without Upgrade" in service.log.read_text()


@pytest.mark.parametrize(
    "query", ["?sample=1", "?size=1", "?seed=1&seed=2", "?strength=2", "?hair=99"]
)
def test_a_wrong_parameter_ends_a_stream_with_a_problem(service: Service, query: str) -> None:
    with open_stream(service, query) as socket:
        problem = json.loads(socket.recv(timeout=60))
    assert (problem["type"], problem["status"]) == ("error", 400)
    assert problem["detail"].startswith(query[1:5].rstrip("="))


def test_there_is_no_stream_elsewhere(service: Service) -> None:
    address = f"{service.url.replace('http', 'ws')}/v1/other"
    with pytest.raises(InvalidStatus), connect(address, open_timeout=60):
        pass
    assert "Traceback" not in service.log.read_text()
