"""Files made to break it, at the server and at the command. More: benchmarks/serving.py."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from helpers.hostile_files import KINDS, bombs, good_files, mutations
from helpers.service import Service
from speech2face.serving.limits import Limits

TYPED = {200: 0, 415: 3, 422: 4}  # status and exit code


def test_mutations_are_of_each_kind_and_those_of_their_seed() -> None:
    count = len(good_files()) * len(KINDS)
    first = list(mutations(count, seed=1))
    assert first == list(mutations(count, seed=1))
    assert {(name, kind) for name, kind, _ in first} == {
        (n, k) for n in good_files() for k in KINDS
    }
    changed = [data != good_files()[name] for name, _, data in first]
    assert sum(changed) > 0.95 * count
    assert first != list(mutations(count, seed=2))


@pytest.mark.slow
def test_no_mutated_file_harms_the_server(service: Service) -> None:
    statuses: Counter[int] = Counter()
    for _, _, body in mutations(66, seed=3):
        answer = service.post("/v1/reconstruct?size=16", body)
        statuses[answer.status_code] += 1
        if answer.status_code != 200:
            assert answer.json()["code"] == TYPED[answer.status_code]
    assert set(statuses) == set(TYPED)
    assert service.metric("speech2face_workers_replaced_total") == 0
    assert "Traceback" not in service.log.read_text()


@pytest.mark.slow
def test_small_files_that_become_long_or_wide_are_bounded(service: Service) -> None:
    details = {}
    for name, body in bombs(hours=0.25):
        if len(body) < 2**21:
            answer = service.post("/v1/reconstruct", body)
            assert answer.status_code in (415, 422)
            details[name] = answer.json()["detail"]
    assert f"only the first {Limits.listened:g} s were listened to" in details["opus silence"]
    assert len(details) > 4
    assert service.client.get("/readyz").status_code == 200


@pytest.mark.slow
def test_no_mutated_file_harms_the_command(tmp_path: Path) -> None:
    paths = []
    for number, (name, kind, body) in enumerate(mutations(44, seed=4)):
        paths.append(tmp_path / f"{number}-{kind}.{name}")
        paths[-1].write_bytes(body)
    command = [sys.executable, "-W", "error", "-m", "speech2face", "reconstruct", "--json"]
    command += ["--size", "16", "--out-dir", str(tmp_path / "faces"), *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 6
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["input"] for row in rows] == list(map(str, paths))
    assert {row.get("exit_code", 0) for row in rows} == {0, 3, 4}
    lines = done.stderr.splitlines()
    assert all(line.startswith(("recordings: ", "speech2face: ")) for line in lines)
