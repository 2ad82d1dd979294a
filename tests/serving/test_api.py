"""The HTTP interface on a real server: answers, errors, headers, and what is never written."""

from __future__ import annotations

import base64
import gzip
import io
import json
import re
import shutil
import signal
import socket
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

import speech2face
from helpers.service import COMMAND, Service, start_service
from helpers.sounds import RATE, encode, noise
from speech2face.errors import UsageError
from speech2face.files import hash_file
from speech2face.model_folders import find_model
from speech2face.picture_check import check_picture
from speech2face.pictures import NOTICE
from speech2face.privacy.anonymise_recording import anonymise_recording
from speech2face.privacy.anonymisers import load_anonymiser
from speech2face.privacy.audit_recording import audit_recording
from speech2face.reports.audit_text import format_disclosure
from speech2face.serving.api import PATHS
from speech2face.serving.inference import InferenceTask, infer
from speech2face.serving.limits import MIB, Limits
from speech2face.serving.schemas import (
    DrawnSpeaker,
    EmbeddedSpeaker,
    Embedding,
    Face,
    Models,
    PictureCheck,
    Speaker,
)

TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4}"


def open_picture(text: str | bytes) -> Image.Image:
    data = base64.b64decode(text, validate=True) if isinstance(text, str) else text
    picture = Image.open(io.BytesIO(data))
    picture.load()
    return picture


def test_a_face_as_json_is_that_of_the_package(
    service: Service, model: speech2face.Speech2Face, recording: Path, speech: bytes
) -> None:
    answer = service.post("/v1/reconstruct?samples=2&seed=5&size=64&strength=1.25", speech)
    assert answer.status_code == 200
    face = Face.model_validate_json(answer.content)
    drawn = model.reconstruct(recording, samples=2, seed=5, size=64, strength=1.25)
    for text, own in zip([face.image, *face.samples], [drawn.image, *drawn.samples], strict=True):
        difference = np.abs(np.asarray(open_picture(text), int) - np.asarray(own, int))
        assert difference.max() <= 4  # another number of threads
    assert face.segments == pytest.approx(np.array(drawn.voice.speech.segments), abs=1e-3)
    assert face.speech_seconds == pytest.approx(drawn.voice.speech.speech_seconds, abs=1e-3)
    assert face.analysed_seconds == pytest.approx(drawn.voice.speech.analysed_seconds, abs=1e-3)
    assert face.model == model.card.name
    assert face.warnings == []
    assert face.notice == NOTICE
    assert (face.strength, face.hair) == (1.25, "typical")
    assert open_picture(face.image).info["Comment"] == drawn.comments[0]


def test_a_face_as_png_carries_its_notice(service: Service, speech: bytes) -> None:
    wanted = {"Accept": "Image/PNG"}
    answer = service.post("/v1/reconstruct?style=cartoon&size=300", speech, headers=wanted)
    assert answer.headers["content-type"] == "image/png"
    assert "speech2face-warnings" not in answer.headers
    picture = open_picture(answer.content)
    assert picture.size == (300, 300)
    assert picture.info["Description"] == NOTICE


def test_warnings_stand_in_a_header_of_a_png(service: Service, speech: bytes) -> None:
    cut = speech[: len(speech) // 2]
    answer = service.post("/v1/reconstruct", cut, headers={"Accept": "image/png"})
    (warning,) = json.loads(answer.headers["speech2face-warnings"])
    assert "ends early" in warning


def test_a_form_is_taken_as_the_file_in_it(service: Service, speech: bytes) -> None:
    form = {"file": ("secret-name.flac", speech, "audio/flac")}
    sent = service.client.post("/v1/reconstruct", files=form)
    assert sent.status_code == 200
    assert sent.content == service.post("/v1/reconstruct", speech).content
    for wrong in ({"sound": ("a.flac", speech)}, {"file": speech, "other": speech}):
        answer = service.client.post("/v1/reconstruct", files=wrong)
        assert "form" in service.problem(400, "usage-error", 2, answer)
    headers = {"Content-Type": "multipart/form-data"}
    answer = service.post("/v1/reconstruct", b"--x", headers=headers)
    service.problem(400, "usage-error", 2, answer)


def test_an_embedding_is_that_of_the_package(
    service: Service, model: speech2face.Speech2Face, recording: Path, speech: bytes
) -> None:
    voice = model.embed(recording)
    short = Embedding.model_validate_json(service.post("/v1/embed", speech).content)
    assert short.covariance is None
    np.testing.assert_allclose(short.mean, voice.mean, atol=1e-3)
    whole = service.post("/v1/embed?covariance=true", speech).json()
    np.testing.assert_allclose(whole["covariance"], voice.covariance, atol=1e-3)
    np.testing.assert_allclose(whole["prior_mean"], voice.prior_mean, atol=1e-6)


def test_its_confidence_is_what_the_audit_states(
    service: Service, recording: Path, speech: bytes
) -> None:
    audited = audit_recording(recording, find_model()).voice
    assert audited.bits
    sentences = list(format_disclosure(audited).values())
    for path, kind in (("/v1/embed", Embedding), ("/v1/reconstruct", Face)):
        confidence = kind.model_validate_json(service.post(path, speech).content).confidence
        assert confidence
        assert [confidence.low, confidence.bits, confidence.high] == pytest.approx(
            [audited.bits.low, audited.bits.value, audited.bits.high], abs=0.02
        )
        assert [confidence.words, *confidence.notes] == [" ".join(sentences[:3]), *sentences[3:]]
        assert "bits" in confidence.words
        assert "Among 1,000 strangers" in confidence.words
        assert confidence.calibrated_on == audited.calibrated_on > 0
        assert confidence.disguised.by is None


def test_of_a_voice_that_is_marked_as_disguised_no_bits_are_stated(
    service: Service, recording: Path, tmp_path: Path
) -> None:
    disguised = tmp_path / "voice.flac"
    anonymise_recording(recording, disguised, load_anonymiser("mcadams"), 0)
    answer = service.post("/v1/reconstruct", disguised.read_bytes()).content
    confidence = Face.model_validate_json(answer).confidence
    assert confidence
    assert (confidence.bits, confidence.low, confidence.high) == (None, None, None)
    assert (confidence.disguised.by, confidence.disguised.method) == ("mark", "mcadams")
    assert "cannot be stated" in confidence.words


def test_of_several_speakers_one_or_each_is_chosen(
    service: Service, model: speech2face.Speech2Face, conversation: Path
) -> None:
    sound = conversation.read_bytes()

    def draw(query: str) -> Face:
        answer = service.post(f"/v1/reconstruct?size=64&{query}", sound)
        return Face.model_validate_json(answer.content)

    longest, second, each = draw("samples=1"), draw("speaker=2"), draw("speaker=all&samples=1")
    assert [who.number for who in longest.speakers] == [1, 2]
    assert all(type(who) is Speaker for who in longest.speakers)
    assert "2 people speak" in longest.warnings[0]
    assert (longest.speaker, second.speaker, each.speaker) == (1, 2, 1)
    assert second.warnings == each.warnings == []
    one, two = each.speakers
    assert isinstance(one, DrawnSpeaker)
    assert isinstance(two, DrawnSpeaker)
    assert (one.image, one.samples) == (each.image, each.samples)
    assert (one.image, two.image) == (longest.image, second.image)
    assert (two.used_segments, two.confidence) == (second.segments, second.confidence)
    assert two.used_speech_seconds == second.speech_seconds
    assert two.segments == second.speakers[1].segments
    drawn = model.reconstruct(conversation, size=64, speaker=2)
    difference = np.abs(np.asarray(open_picture(second.image), int) - np.asarray(drawn.image, int))
    assert difference.max() <= 4  # another number of threads
    embedded = service.post("/v1/embed?speaker=all", sound).content
    _, other = Embedding.model_validate_json(embedded).speakers
    assert isinstance(other, EmbeddedSpeaker)
    assert other.covariance is None
    np.testing.assert_allclose(other.mean, drawn.voice.mean, atol=1e-3)


def test_of_one_speaker_all_are_one(service: Service, speech: bytes) -> None:
    answer = service.post("/v1/reconstruct?speaker=all", speech)
    face = Face.model_validate_json(answer.content)
    (who,) = face.speakers
    assert isinstance(who, DrawnSpeaker)
    assert who.image == face.image
    assert (who.used_segments, who.confidence) == (face.segments, face.confidence)


def test_a_png_is_of_one_speaker(service: Service, conversation: Path) -> None:
    sound, wanted = conversation.read_bytes(), {"Accept": "image/png"}
    pictures = [
        service.post(f"/v1/reconstruct?speaker={who}", sound, headers=wanted) for who in (1, 2)
    ]
    assert len({picture.content for picture in pictures}) == 2
    answer = service.post("/v1/reconstruct?speaker=all", sound, headers=wanted)
    assert "image/png holds one face" in service.problem(400, "usage-error", 2, answer)


def test_a_speaker_there_is_not_is_the_senders_mistake(
    service: Service, conversation: Path
) -> None:
    answer = service.post("/v1/embed?speaker=3", conversation.read_bytes())
    detail = service.problem(400, "usage-error", 2, answer)
    assert detail.startswith("the recording: 2 people speak, 1 for ")
    assert detail.endswith("there is no speaker 3")


def test_each_of_many_speakers_is_not_drawn_with_many_samples(
    model: speech2face.Speech2Face, conversation: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Limits, "pictures", 5)
    task = InferenceTask(speaker="all", samples=2)
    with pytest.raises(UsageError, match="2 people speak, so samples=2 asks for 6 pictures; at mo"):
        infer(model, None, 60.0, task, conversation.read_bytes())


def test_a_picture_is_checked_as_by_the_package(service: Service, speech: bytes) -> None:
    drawn = service.post("/v1/reconstruct", speech, headers={"Accept": "image/png"}).content
    answer = service.post("/v1/check", drawn)
    checked = PictureCheck.model_validate_json(answer.content)
    assert checked.answer == "yes"
    assert checked.watermark.number == find_model().card.number
    assert answer.json() == check_picture(drawn).as_json()
    form = service.client.post("/v1/check", files={"file": ("a.png", drawn, "image/png")})
    assert form.json() == answer.json()
    photograph = io.BytesIO()
    Image.effect_noise((96, 64), 60).convert("RGB").save(photograph, "JPEG")
    unknown = service.post("/v1/check", photograph.getvalue()).json()
    assert unknown["answer"] == "unknown"
    assert not unknown["watermark"]["found"]


def test_what_is_no_picture_is_a_problem(service: Service, speech: bytes) -> None:
    bomb = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(bomb, "PNG")
    for body, words in (
        (b"", "the file is empty"),
        (speech, "the picture: not a picture that can be read"),
        (bomb.getvalue(), "too large a picture"),
    ):
        detail = service.problem(415, "unreadable-media-error", 3, service.post("/v1/check", body))
        assert words in detail
    detail = service.problem(400, "usage-error", 2, service.post("/v1/check?size=3", b"x"))
    assert "size: no such parameter; /v1/check takes no parameters" in detail
    big = service.post("/v1/check", bytes(Limits().body + 1))
    assert "the picture is larger than 32 MiB" in service.problem(413, "too-large-error", 2, big)


BAD_BODIES = {
    "empty": (b"", 415, "unreadable-media-error", 3, "is empty"),
    "text": (b"Dear diary,\n" * 100, 415, "unreadable-media-error", 3, "is not sound"),
    "noise": (
        encode(noise(3), RATE, "wav", "pcm_s16le"),
        *(422, "no-speech-error", 4, "no speech"),
    ),
}


@pytest.mark.parametrize("name", BAD_BODIES)
@pytest.mark.parametrize("path", ["/v1/reconstruct", "/v1/embed"])
def test_a_bad_recording_is_a_typed_problem(service: Service, path: str, name: str) -> None:
    body, status, kind, code, words = BAD_BODIES[name]
    assert words in service.problem(status, kind, code, service.post(path, body))


@pytest.mark.parametrize(
    "query",
    [
        "size=15",
        "size=1025",
        "samples=13",
        "samples=x",
        "seed=-1",
        "style=oil",
        "speaker=anyone",
        "speaker=0",
        f"speaker={9 * '9' + 5000 * '9'}",
        "strength=1.6",
        "strength=-0.1",
        "strength=nan",
        "strength=x",
        "hair=long",
        "hair=99",
    ],
)
def test_a_wrong_parameter_is_named(service: Service, query: str, speech: bytes) -> None:
    detail = service.problem(
        400, "usage-error", 2, service.post(f"/v1/reconstruct?{query}", speech)
    )
    assert detail.startswith(query.partition("=")[0])


@pytest.mark.parametrize(
    ("path", "query", "choices", "meant"),
    [
        ("reconstruct", "style=carton", "plain or cartoon", "cartoon"),
        ("reconstruct", "hair=typcal", "typical, none, or a number", "typical"),
        ("reconstruct", "speaker=longst", "longest, all or a number from 1", "longest"),
        ("embed", "speaker=al", "longest, all or a number from 1", "all"),
        ("embed", "speakers=1", "takes covariance, from, to, track, speaker", "speaker"),
    ],
)
def test_what_a_misspelt_parameter_was_meant_for(
    service: Service, path: str, query: str, choices: str, meant: str, speech: bytes
) -> None:
    answer = service.post(f"/v1/{path}?{query}", speech)
    detail = service.problem(400, "usage-error", 2, answer)
    assert choices in detail
    assert detail.endswith(f"Did you mean {meant}?")


def test_a_body_that_is_too_large_is_refused_in_each_way_it_may_come(service: Service) -> None:
    limit = service.client.get("/v1/models").json()["limits"]["bytes"]
    assert limit == Limits.body == 32 * MIB
    for body in (bytes(limit + 1), iter([bytes(MIB)] * 34)):  # announced; in chunks
        answer = service.client.post("/v1/reconstruct", content=body)
        assert "larger than 32 MiB" in service.problem(413, "too-large-error", 2, answer)
    with socket.create_connection(("127.0.0.1", service.client.base_url.port)) as wire:
        wire.sendall(b"POST /v1/embed HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n")
        assert wire.recv(100).startswith(b"HTTP/1.1 413 ")  # before any of it was sent
    assert service.metric("speech2face_held_bytes") == 0


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("/v1/reconstruct?sample=4", "sample: no such parameter; /v1/reconstruct takes size, "),
        ("/v1/embed?covariance=1&COVARIANCE=1", "COVARIANCE: no such parameter"),
        ("/v1/embed?size=64", "size: no such parameter; /v1/embed takes covariance"),
        ("/v1/embed?from=3&to=2", "to is 2 s; it must lie after from, 3 s."),
        ("/v1/embed?from=1e308&to=1.1e308", "from: input should be less than or equal to 1"),
        ("/v1/embed?from=nan", "from: input should be "),
        ("/v1/models?%00%ff=1", "no such parameter; /v1/models takes no parameters"),
        ("/v1/reconstruct?samples=1&samples=1", "samples: given 2 times"),
    ],
)
def test_no_parameter_is_ignored_without_a_word(service: Service, query: str, words: str) -> None:
    method = "GET" if "models" in query else "POST"
    assert words in service.problem(400, "usage-error", 2, service.client.request(method, query))


def test_a_part_beyond_the_end_is_the_senders_mistake(service: Service, speech: bytes) -> None:
    answer = service.post("/v1/embed?from=1e9&to=1e300", speech)
    detail = service.problem(400, "usage-error", 2, answer)
    assert detail.startswith("the recording lasts 5.4 s, so nothing is left from 1e+09 s on")


def test_what_is_not_there_is_a_problem_too(service: Service) -> None:
    browser = {"Accept": "text/html,*/*;q=0.8"}
    for method, path, words in (
        ("GET", "/v1/nothing", "nothing at this path"),
        ("GET", "/docs", "nothing at this path"),
        ("PUT", "/%00", "nothing at this path"),
        ("GET", "/..%2fapi.py", "nothing at this path"),
        ("GET", "/page.js/", "/page.js has no slash at its end"),
        ("GET", "/v1/embed/", "/v1/embed has no slash at its end"),
    ):
        headers = browser if path.startswith("/v1/") else {}
        answer = service.client.request(method, path, headers=headers)
        assert answer.headers["content-type"] == "application/problem+json"
        problem = answer.json()
        assert (answer.status_code, problem["type"]) == (404, "about:blank"), path
        assert words in problem["detail"]
    page = service.client.get("/a/b/", headers=browser)
    assert (page.status_code, page.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert 'href="../../"' in page.text  # right behind a proxy that adds a prefix, too


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/v1/reconstruct", "POST"),
        ("HEAD", "/v1/embed", "POST"),
        ("POST", "/v1/models", "GET, HEAD"),
        ("DELETE", "/healthz", "GET, HEAD"),
        ("POST", "/", "GET, HEAD"),
        ("POST", "/v1/stream", "GET, HEAD"),
    ],
)
def test_a_wrong_method_is_told_the_right_ones(
    service: Service, method: str, path: str, allowed: str
) -> None:
    answer = service.client.request(method, path)
    assert (answer.status_code, answer.headers["allow"]) == (405, f"{allowed}, OPTIONS")
    assert answer.headers["content-type"] == "application/problem+json"
    asked = service.client.options(path)
    assert (asked.status_code, asked.headers["allow"]) == (204, f"{allowed}, OPTIONS")
    assert not asked.content
    if method != "HEAD":
        problem = answer.json()
        assert (problem["type"], problem["status"], problem["code"]) == ("about:blank", 405, 2)
        assert allowed in problem["detail"]


def test_head_is_get_without_the_body(service: Service) -> None:
    for path in sorted(PATHS - {"/v1/reconstruct", "/v1/embed", "/v1/check", "/metrics"}):
        head, get = service.client.head(path), service.client.get(path)
        assert (head.status_code, head.content) == (get.status_code, b""), path
        for name in ("content-type", "content-length"):
            assert head.headers[name] == get.headers[name], path


def send_raw(service: Service, request: bytes) -> tuple[int, bytes]:
    """Status and body of the answer to bytes that no client would send."""
    with socket.create_connection(("127.0.0.1", service.client.base_url.port), 60) as wire:
        wire.sendall(request)
        answer = b"".join(iter(lambda: wire.recv(10_000), b""))
    return int(answer.split()[1]), answer.partition(b"\r\n\r\n")[2]


def test_what_is_no_request_is_refused(service: Service) -> None:
    for request in (
        b"GET / HTTP/1.1\r\n\r\n",  # no Host
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",  # TLS
        b"POST /v1/embed HTTP/1.1\r\nHost: a\r\nContent-Length: -3\r\n\r\n",
        b"POST /v1/embed HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ):
        status, words = send_raw(service, request)
        assert status == 400, request
        assert b"Invalid HTTP request received." in words
    late = b"POST /nothing HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n"
    with socket.create_connection(("127.0.0.1", service.client.base_url.port), 60) as wire:
        wire.sendall(late)
        while not (answer := wire.recv(10_000)).endswith(b"}"):
            assert answer
        wire.sendall(b"zz\r\n")
        assert wire.recv(10_000) == b""
    assert "Traceback" not in service.log.read_text()
    whole_url = b"GET http://a/healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    for request in (b"GET /healthz HTTP/1.0\r\n\r\n", whole_url):
        assert send_raw(service, request) == (200, b'{"status": "ok"}')


def test_a_packed_body_is_refused(service: Service, speech: bytes) -> None:
    packed = {"Content-Encoding": "gzip"}
    answer = service.post("/v1/embed", gzip.compress(speech), headers=packed)
    assert "as it is" in service.problem(415, "unreadable-media-error", 3, answer)


def test_every_answer_has_safe_headers(service: Service, speech: bytes) -> None:
    for answer in (
        service.client.get("/healthz"),
        service.client.get("/nothing"),
        service.post("/v1/reconstruct", speech),
        service.post("/v1/reconstruct", b"?"),
    ):
        assert "default-src 'self'" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert "server" not in answer.headers


def test_the_model_and_the_description_of_the_interface(service: Service) -> None:
    models = Models.model_validate_json(service.client.get("/v1/models").content)
    assert models.models[0].name == "default"
    assert models.limits.protected_seconds == Limits.protected
    assert models.models[0].hair_shapes == find_model().card.hair_shapes
    described = service.client.get("/openapi.json").json()
    for path in ("/v1/reconstruct", "/v1/embed", "/v1/protect"):
        call = described["paths"][path]["post"]
        assert {"200", "400", "408", "413", "415", "422", "500", "503"} == set(call["responses"])
        assert "multipart/form-data" in call["requestBody"]["content"]
        defaults = {one["name"]: one["schema"].get("default") for one in call["parameters"]}
        name, default = ("keep", "both") if path == "/v1/protect" else ("speaker", "longest")
        assert defaults[name] == default
    assert "examples" in described["components"]["schemas"]["Face"]["properties"]["image"]


def test_figures_count_what_was_asked(service: Service, speech: bytes) -> None:
    route = 'method="POST",route="/v1/embed",status="200"'
    before = service.metric(f"speech2face_requests_total{{{route}}}")
    seen = service.metric('speech2face_request_seconds_count{route="/v1/embed"}')
    service.post("/v1/embed", speech)
    assert service.metric(f"speech2face_requests_total{{{route}}}") == before + 1
    assert service.metric('speech2face_request_seconds_count{route="/v1/embed"}') == seen + 1
    assert service.metric("speech2face_workers_ready") == 1
    assert service.metric("speech2face_queue_length") == 0


def test_a_full_queue_is_told_at_once(service: Service, speech: bytes) -> None:
    def ask(_: int) -> httpx.Response:
        return httpx.post(f"{service.url}/v1/reconstruct", content=speech, timeout=60)

    with ThreadPoolExecutor(24) as threads:
        answers = list(threads.map(ask, range(24)))
    served = [answer for answer in answers if answer.status_code == 200]
    refused = [answer for answer in answers if answer.status_code != 200]
    assert len({answer.content for answer in served}) == 1
    for answer in refused:
        service.problem(503, "busy-error", 1, answer)
        assert int(answer.headers["retry-after"]) > 0
    assert refused


def test_nothing_that_was_sent_is_written_down(service: Service, speech: bytes) -> None:
    before = len(service.log.read_text().splitlines())  # other tests' pages name their origin
    form = {"file": ("secret-name.flac", speech, "audio/flac")}
    service.client.post("/v1/reconstruct?seed=424242", files=form)
    service.client.get("/secret-path.wav", headers={"User-Agent": "secret-agent"})
    service.client.get("/healthz?secret")
    first, *lines = service.log.read_text().splitlines()
    assert re.fullmatch(rf"{TIME} INFO speech2face .* at {service.url} .*", first)
    log = "\n".join(lines)
    assert re.search(rf"^{TIME} INFO worker \d+ is ready, 1 of 1$", log, re.M)
    assert re.search(rf"^{TIME} INFO POST /v1/reconstruct 200 \d+\.\d+ s \d+ bytes$", log, re.M)
    assert "GET (unknown path) 404" in log
    told = re.compile("secret|127.0.0.1|424242|GET /healthz 200|\x1b")
    assert not [line for line in lines[before - 1 :] if told.search(line)]
    open_files = [path.resolve() for path in Path(f"/proc/{service.process.pid}/fd").iterdir()]
    assert not [path for path in open_files if "/tmp/" in str(path) and path != service.log]


# Beginning and end


def test_told_to_stop_it_finishes_what_it_has_begun(tmp_path: Path, speech: bytes) -> None:
    with start_service(tmp_path / "log", "--workers", 1) as own:
        answers: list[int] = []

        def ask() -> None:
            answers.append(
                httpx.post(f"{own.url}/v1/reconstruct", content=speech, timeout=60).status_code
            )

        clients = [threading.Thread(target=ask) for _ in range(4)]
        for client in clients:
            client.start()
        while own.metric("speech2face_workers_busy") + own.metric("speech2face_queue_length") < 4:
            assert not answers, "one was answered before all had come"
        own.client.close()
        assert own.stop(signal.SIGTERM) == 0
        for client in clients:
            client.join()
        assert answers == [200] * 4
        log = own.log.read_text()
        assert "Traceback" not in log
        # The first may be answered while the signal is on its way; the last one waits for three.
        assert log.index(" INFO stopping") < log.rindex(" INFO POST") < log.index(" INFO stopped")


def test_an_address_that_is_taken_and_one_that_others_reach(service: Service) -> None:
    port = service.client.base_url.port
    done = subprocess.run(
        [*COMMAND, "--port", str(port)], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert f"127.0.0.1, port {port}: cannot be listened on (another program has it)" in line


def test_a_model_that_cannot_be_loaded_ends_it_with_one_line(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(find_model().folder, folder)
    (folder / "voice_encoder.onnx").write_bytes(b"not a network")
    card = json.loads((folder / "card.json").read_text())
    card["sha256"]["voice_encoder.onnx"] = hash_file(folder / "voice_encoder.onnx")
    (folder / "card.json").write_text(json.dumps(card))
    done = subprocess.run(
        [*COMMAND, "--port", "0", "--model", str(folder)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 5
    *log, line = done.stderr.splitlines()
    assert all(re.match(f"{TIME} INFO ", before) for before in log)
    assert "voice_encoder.onnx: not a model that can be run" in line
