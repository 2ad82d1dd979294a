from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import settings

import speech2face
from helpers.sounds import EXAMPLES
from speech2face import Speech2Face

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


@pytest.fixture(scope="session", autouse=True)
def empty_cache(tmp_path_factory) -> Generator[None]:
    """No test sees the models that whoever runs it has fetched."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPEECH2FACE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def model() -> Speech2Face:
    return speech2face.load()


@pytest.fixture(scope="session")
def recording() -> Path:
    """A recording in which someone speaks for five seconds."""
    return EXAMPLES / "emma.flac"
