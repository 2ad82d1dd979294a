from __future__ import annotations

from pathlib import Path

import pytest

import speech2face
from sounds import EXAMPLES
from speech2face import Speech2Face


@pytest.fixture(scope="session")
def model() -> Speech2Face:
    return speech2face.load()


@pytest.fixture(scope="session")
def recording() -> Path:
    """A recording in which someone speaks for five seconds."""
    return EXAMPLES / "emma.flac"
