from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers.service import Service, start_service


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """`speech2face serve` with one worker."""
    log = tmp_path_factory.mktemp("service") / "log"
    with start_service(log, "--workers", 1, "--queue", 4) as running:
        yield running


@pytest.fixture
def speech(recording: Path) -> bytes:
    return recording.read_bytes()
