from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers.service import Service, start_service
from helpers.sounds import RATE, encode, talk


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """`speech2face serve` with one worker."""
    log = tmp_path_factory.mktemp("service") / "log"
    with start_service(log, "--workers", 1, "--queue", 4) as running:
        yield running


@pytest.fixture
def speech(recording: Path) -> bytes:
    return recording.read_bytes()


@pytest.fixture(scope="session")
def conversation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording in which a woman and a man take turns; she speaks more."""
    sound, _ = talk(("emma", 4), ("george", 3), ("emma", 3), ("george", 2.5))
    path = tmp_path_factory.mktemp("conversation") / "conversation.flac"
    path.write_bytes(encode(sound, RATE, "flac", "flac", sample_format="s16"))
    return path
