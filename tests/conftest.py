from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

import speech2face
from helpers.loaded_once import load_once
from helpers.object_server import ObjectServer
from helpers.sounds import EXAMPLES
from speech2face import Speech2Face, remote_files

settings.register_profile("house", deadline=None)  # no test judges how long anything takes
settings.load_profile("house")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Names of files that are not text stand escaped in what a test printed: tests that run in
    several processes send it as UTF-8."""
    report = yield
    report.sections = [
        (a, b.encode(errors="backslashreplace").decode()) for a, b in report.sections
    ]
    return report


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests come first, so that at the end no process waits long for another."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="session", autouse=True)
def empty_cache(tmp_path_factory) -> Generator[None]:
    """No test sees the models that whoever runs it has fetched."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPEECH2FACE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session", autouse=True)
def loaded_once() -> Generator[None]:
    """Networks and the command's parser are loaded once in each process that runs tests."""
    with pytest.MonkeyPatch.context() as patch:
        load_once(patch)
        yield


@pytest.fixture(scope="session")
def model() -> Speech2Face:
    return speech2face.load()


@pytest.fixture(scope="session")
def recording() -> Path:
    """A recording in which someone speaks for five seconds."""
    return EXAMPLES / "emma.flac"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectServer]:
    """A server of objects that s3:// leads to, and that is asked again soon where it fails."""
    s3fs = pytest.importorskip("s3fs", reason="addresses need the extra remote")
    monkeypatch.setattr(remote_files, "PAUSES", (0.05,) * 20)
    for name, value in (
        ("AWS_ACCESS_KEY_ID", "key"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_MAX_ATTEMPTS", "1"),  # of the library below
        ("no_proxy", "127.0.0.1"),
    ):
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()  # of another server
    with ObjectServer() as running:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", running.address)
        yield running
