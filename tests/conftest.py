from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

import speech2face
from sounds import EXAMPLES
from speech2face import Speech2Face

settings.register_profile("house", deadline=None)  # no test judges how long anything takes
settings.load_profile("house")


@pytest.fixture(scope="session")
def model() -> Speech2Face:
    return speech2face.load()


@pytest.fixture(scope="session")
def recording() -> Path:
    """A recording in which someone speaks for five seconds."""
    return EXAMPLES / "emma.flac"
