"""Protecting over HTTP: what comes back, what is refused, who leaves, and what is never kept."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import numpy as np
import psutil
import pytest

from helpers.command import refuse, succeed
from helpers.service import Service
from helpers.sounds import EXAMPLES, RATE, load_example
from helpers.synthetic_video import write_video
from speech2face.errors import TooLargeError, UsageError
from speech2face.media import load_audio, stream_audio
from speech2face.media.opening import open_container
from speech2face.metrics.protection_results import RULES
from speech2face.model_folders import find_model
from speech2face.privacy import method_trials, protect_recording
from speech2face.privacy.disguise_metadata import find_mark
from speech2face.serving import server
from speech2face.serving.api import WEB, make_app
from speech2face.serving.limits import Limits
from speech2face.serving.origins import Origins
from speech2face.serving.protection import ProtectTask, choose_wanted, protect
from speech2face.serving.schemas import Protected
from speech2face.serving.worker_pool import WorkerPool

LIGHT = "mcadams"
SECRET = 3_141_592_653_589


def find_newest_process(service: Service) -> Path:
    """What the system says of the process that the server started last."""
    return Path(f"/proc/{max(c.pid for c in psutil.Process(service.process.pid).children())}")


def protect_here(recording: bytes, longest: float = 60.0, **task: object) -> bytes:
    """What a protector answers; no recogniser is asked."""
    folder = str(find_model().folder)
    return protect(folder, longest, ProtectTask(**{"method": LIGHT, **task}), recording).body  # type: ignore[arg-type]


def test_a_recording_comes_back_disguised_and_measured(service: Service, speech: bytes) -> None:
    form = {"file": ("secret-name.flac", speech, "audio/flac")}
    answer = service.client.post(f"/v1/protect?method={LIGHT}", files=form)
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    made = Protected.model_validate_json(answer.content)
    assert made.media_type == "audio/flac"
    file = base64.b64decode(made.file, validate=True)
    stream = stream_audio(file)
    disguised, plain = np.concatenate(list(stream)), load_audio(speech).samples
    assert len(disguised) == len(plain)
    assert np.abs(disguised - plain).max() > 0.05
    mark = find_mark(stream.tags)
    assert mark
    assert (mark.method, len(stream.tags)) == (LIGHT, 1)
    (who,) = made.protection.speakers
    assert who.left.original_bits.value > who.left.most_bits > 0
    assert f"disguised by the method {LIGHT}, with a secret" in made.words["done"]
    assert "What no disguise hides" in made.report
    assert "secret-name" not in answer.text + service.log.read_text()
    assert re.search(r"INFO POST /v1/protect 200 \d+\.\d+ s \d+ bytes\n", service.log.read_text())


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("keep=word", "keep is one of words, both, voice, not 'word'. Did you mean words?"),
        ("method=wisper", "Did you mean whisper?"),
        ("method=", "no anonymiser ''; there are mcadams, "),
        ("track=0", "track: input should be greater than or equal to 1"),
        ("again=perhaps", "again: input should be a valid boolean"),
        ("seed=3", "seed: no such parameter; /v1/protect takes keep, method, track, again."),
        ("keep=voice&keep=words", "keep: given 2 times"),
    ],
)
def test_a_wrong_parameter_is_named_before_anything_is_worked_on(
    service: Service, query: str, words: str
) -> None:
    detail = service.problem(400, "usage-error", 2, service.post(f"/v1/protect?{query}", b"x"))
    assert words in detail


def test_what_is_no_recording_is_a_problem(service: Service) -> None:
    answer = service.post("/v1/protect", b"Dear diary,\n" * 100)
    detail = service.problem(415, "unreadable-media-error", 3, answer)
    assert detail.startswith("the recording is cut off or is not sound")


def test_who_leaves_is_not_worked_for_and_nothing_can_be_written(
    service: Service, conversation: Path
) -> None:
    before = service.metric('speech2face_workers_replaced_total{reason="cancelled"}')
    sound = conversation.read_bytes()
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{service.url}/v1/protect", content=sound, timeout=httpx.Timeout(60, read=0.3))
    wait_for(lambda: not service.metric("speech2face_protectors_busy"))
    assert service.metric('speech2face_workers_replaced_total{reason="cancelled"}') == before + 1
    assert service.metric("speech2face_held_bytes") == 0
    assert re.search(r"WARNING protector \d+ is replaced: cancelled\n", service.log.read_text())
    fresh = find_newest_process(service)  # in its place
    wait_for(lambda: re.search(r"^Max file size +0 ", (fresh / "limits").read_text(), re.M))
    open_files = [path.resolve() for path in (fresh / "fd").iterdir()]
    assert not [path for path in open_files if "/tmp/" in str(path) and path != service.log]


def wait_for(condition: Callable[[], object]) -> None:
    for _ in range(1000):
        if condition():
            return
        time.sleep(0.02)
    pytest.fail("it did not come")


def test_the_sound_alone_says_what_is_wrong_with_it(service: Service, speech: bytes) -> None:
    half, wanted = speech[: len(speech) // 2], {"Accept": "audio/wav"}
    answer = service.post(f"/v1/protect?method={LIGHT}", half, headers=wanted)
    assert answer.headers["content-type"] == "audio/wav"
    assert answer.content[:4] == b"RIFF"
    (warning,) = json.loads(answer.headers["speech2face-warnings"])
    assert "ends early" in warning


# In this process, without a server


@pytest.fixture
def no_recogniser(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(method_trials, "transcribe", lambda _: [])


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        ("", "all"),
        ("*/*", "all"),
        ("Audio/FLAC", "flac"),
        ("audio/wav, */*;q=0.1", "wav"),
        ("audio/*", "flac"),
        ("video/mp4", "video"),
        ("application/json, audio/wav", "all"),
        ("text/html", "all"),
    ],
)
def test_accept_says_what_is_wanted(accept: str, wanted: str) -> None:
    assert choose_wanted(accept) == wanted


@pytest.mark.usefixtures("no_recogniser")
def test_the_secret_of_a_disguise_is_sent_to_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protect_recording.secrets, "randbits", lambda _: SECRET)
    seeds: list[int] = []

    class Noted:
        name = LIGHT

        def __call__(self, samples: np.ndarray, seed: int) -> np.ndarray:
            seeds.append(seed)
            return samples[::-1].copy()

    monkeypatch.setattr(protect_recording, "load_anonymiser", lambda _: Noted())
    body = protect_here((EXAMPLES / "alex.flac").read_bytes())
    assert set(seeds) == {SECRET}
    answer = json.loads(body)
    for told in (body, base64.b64decode(answer["file"])):
        assert str(SECRET).encode() not in told
        assert SECRET.to_bytes(8, "little") not in told


def test_a_longer_recording_than_is_taken_is_refused(speech: bytes) -> None:
    with pytest.raises(TooLargeError, match=r"longer than the 2 s that are disguised here; cut it"):
        protect_here(speech, longest=2.0)


@pytest.mark.usefixtures("no_recogniser")
def test_a_video_keeps_its_picture_and_loses_its_voice(tmp_path: Path) -> None:
    colours = [np.full((64, 64, 3), 10 * number, np.uint8) for number in range(20)]
    voice = load_example("emma", 2.0)
    path = write_video(tmp_path / "in.mp4", colours, np.arange(20) / 10, voice)
    recording = path.read_bytes()
    answer = json.loads(protect_here(recording))
    assert (answer["media_type"], answer["protection"]["video"]) == ("video/mp4", True)
    assert "picture is NOT disguised" in answer["words"]["picture"]
    file = base64.b64decode(answer["file"])
    with open_container(io.BytesIO(recording)) as one, open_container(io.BytesIO(file)) as other:
        pictures = list(zip(one.decode(video=0), other.decode(video=0), strict=True))
        assert len(pictures) == 20
        assert all((a.to_ndarray() == b.to_ndarray()).all() for a, b in pictures)
    disguised = load_audio(file).samples[: 2 * RATE]
    assert np.abs(disguised - voice[: len(disguised)]).max() > 0.05
    with pytest.raises(UsageError, match="has no picture; accept audio/flac"):
        protect_here((EXAMPLES / "alex.flac").read_bytes(), wanted="video")


def test_a_method_that_needs_what_is_not_installed_is_left_out_by_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(method_trials, "transcribe", lambda _: [])
    monkeypatch.setattr(protect_recording, "ANONYMISERS", (LIGHT, "whisper"))
    monkeypatch.setitem(sys.modules, "pyworld", None)
    body = protect_here((EXAMPLES / "alex.flac").read_bytes(), method=None)
    told = json.loads(body)["protection"]
    assert told["method"] == LIGHT
    assert "pip install" in told["left_out"]["whisper"]


def test_the_page_offers_what_can_be_kept() -> None:
    page = (WEB / "index.html").read_text(encoding="utf-8")
    offered = re.findall(r'name="keep" value="(\w+)"[^>]*?( checked)?>', page)
    assert {name for name, _ in offered} == set(RULES)
    assert [name for name, checked in offered if checked] == [ProtectTask().keep]
    shares = {"tenth": RULES["words"], "quarter": RULES["both"], "half": RULES["voice"]}
    assert [rule.most_words_lost for rule in shares.values()] == [0.1, 0.25, 0.5]


def test_the_bounds_of_protection_are_a_pool_of_its_own() -> None:
    limits, bounds = Limits(), Limits().of_protection()
    assert (bounds.workers, bounds.queue) == (limits.protectors, limits.protect_queue)
    assert bounds.memory > limits.memory
    assert bounds.working > bounds.processor > limits.processor
    pool = WorkerPool(dict, bounds, lambda _: None, None)  # type: ignore[arg-type]
    assert not pool.full


def test_a_server_may_offer_no_disguising(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[Limits] = []
    monkeypatch.setattr(server, "serve", lambda *given: taken.append(given[3]))
    for given in ((), ("--protectors", 3), ("--protectors", 0)):
        succeed("serve", *given)
    assert [limits.protectors for limits in taken] == [1, 3, 0]
    assert taken[1].of_protection().workers == 3
    refuse(2, "serve", "--protectors", -1)

    async def ask(limits: Limits) -> list[httpx.Response]:
        app = make_app(find_model(), limits, Origins(()), pytest.fail)  # without its workers
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
            wrong = "/v1/protect?keep=word", "/v1/reconstruct?style=x"
            posted = [await client.post(path) for path in wrong]
            return [*posted, *[await client.get(path) for path in ("/v1/models", "/openapi.json")]]

    for limits, status, seconds in ((taken[0], 400, Limits.protected), (taken[2], 404, 0)):
        protected, drawn, models, described = asyncio.run(ask(limits))
        assert protected.status_code == status
        assert "slash" not in protected.text
        assert drawn.status_code == 400
        assert models.json()["limits"]["protected_seconds"] == seconds
        assert ("/v1/protect" in described.json()["paths"]) == bool(seconds)
