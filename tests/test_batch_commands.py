"""embed, reconstruct and audit of many recordings, as their users call them."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from helpers.command import refuse, run
from helpers.object_server import ObjectServer
from helpers.sounds import EXAMPLES
from helpers.toy_batch import COLUMNS, ToyTask
from speech2face.batch_tables import make_table
from speech2face.errors import BatchError
from speech2face.inputs import find_inputs
from speech2face.model_folders import find_model


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "calls"
    folder.mkdir()
    (folder / "emma.flac").symlink_to(EXAMPLES / "emma.flac")
    (folder / "no.wav").write_bytes(b"not sound" * 99)
    return folder


def read(path: str) -> list[dict]:
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


def test_embeddings_become_a_table(calls: Path) -> None:
    done = run("embed", "calls", "--out", "t.jsonl")
    assert done.returncode == 6
    assert done.stderr.splitlines()[-1] == (
        "speech2face: 1 of 2 inputs failed; all others were done."
    )
    assert len(done.stderr.splitlines()) == 2
    good, bad = read("t.jsonl")
    plain = json.loads(run("embed", "calls/emma.flac").stdout)
    np.testing.assert_allclose(good["embedding"], plain["mean"], atol=0.01)
    np.testing.assert_allclose(np.sqrt(good["variance"]), plain["deviation"], rtol=0.01)
    assert good["segments"] == plain["segments"]
    assert good["speakers"] == len(plain["speakers"]) == 1
    assert (bad["path"], bad["exit_code"], bad["embedding"]) == ("calls/no.wav", 3, None)
    assert "another recipe (start 0.0 there, 1.0 here)" in refuse(
        2, "embed", "calls", "--out", "t.jsonl", "--from", 1
    )


def test_pictures_and_a_table_of_a_manifest(calls: Path) -> None:
    Path("list.csv").write_text("path,id,to\ncalls/emma.flac,whole,\ncalls/emma.flac,part,3\n")
    call = ("reconstruct", "list.csv", "--out-dir", "faces", "--out", "t.jsonl", "--strength", 0.5)
    assert run(*call).stdout == "t.jsonl\n"
    whole, part = read("t.jsonl")
    assert [whole["output"], part["output"]] == ["faces/whole.face.png", "faces/part.face.png"]
    assert (part["id"], part["from"], part["to"]) == ("part", None, 3.0)
    assert part["analysed_seconds"] == 3.0 < whole["analysed_seconds"]
    assert whole["strength"] == 0.5
    assert Path("faces/whole.face.png").read_bytes() != Path("faces/part.face.png").read_bytes()
    # A run that was killed after a picture, before its line: the picture is its own.
    ledger = Path("t.jsonl.ledger.jsonl")
    lines = ledger.read_text().splitlines(keepends=True)
    ledger.write_text("".join(lines[:-1]))
    table = Path("t.jsonl").read_bytes()
    assert run(*call).returncode == 0
    assert Path("t.jsonl").read_bytes() == table
    # A picture that was there before anybody began is somebody else's.
    ledger.unlink()
    Path("t.jsonl").unlink()
    assert "exists; --force overwrites it" in run(*call).stderr


def test_audits_become_a_table(calls: Path) -> None:
    assert run("audit", "calls", "--out", "t.csv").returncode == 6
    header, good, bad = Path("t.csv").read_text().splitlines()
    row = dict(zip(header.split(","), good.split(","), strict=False))
    assert 0 < float(row["bits_low"]) < float(row["bits"]) < float(row["bits_high"])
    assert bad.startswith("calls/no.wav,")


def test_recordings_at_an_address_become_pictures_there(server: ObjectServer) -> None:
    server.objects["bucket/calls/emma.flac"] = (EXAMPLES / "emma.flac").read_bytes()
    server.faults.extend(["throttle", "cut"])
    done = run("reconstruct", "s3://bucket/calls", "--out-dir", "s3://bucket/faces")
    assert done.stdout == "s3://bucket/faces/emma.face.png\n", done.stderr
    assert server.objects["bucket/faces/emma.face.png"].startswith(b"\x89PNG")
    line = refuse(2, "reconstruct", "s3://bucket/calls", "--out-dir", "s3://bucket/faces")
    assert "s3://bucket/faces/emma.face.png exists; --force overwrites it" in line
    line = refuse(3, "reconstruct", f"{server.address}/bucket/no.wav")
    assert line.endswith("/bucket/no.wav: not found; check the address.")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["embed", "calls", "--out", "t.xlsx"], "a table ends in .parquet, .jsonl or .csv"),
        (["embed", "calls", "--out", "t.csv", "--covariance"], "the diagonal only"),
        (["embed", "calls", "--force"], "--force goes with --out"),
        (["embed", "calls", "--out", "t.csv", "--together"], "a table (--out) is of many"),
        (["embed", "-", "--out", "t.csv"], "standard input (-) goes into no table"),
        (["embed", "-", "--workers", "2"], "leave out --workers"),
        (["embed", "no.csv"], "no.csv: not found"),
        (["reconstruct", "calls", "--out", "t.csv", "--skip-existing"], "without --out"),
        (["audit", "calls/emma.flac", "--workers", "2"], "go with a table"),
        (["audit", "calls", "--out", "t.csv", "--json"], "go without a table"),
        (["audit", "calls/no.wav", "calls/emma.flac"], "or --out TABLE for a row of each"),
    ],
)
def test_a_wrong_call_is_told_in_one_line(calls: Path, arguments: list[str], words: str) -> None:
    assert words in refuse(2, *arguments)
    assert not Path("t.csv").exists()


@pytest.mark.slow
def test_workers_of_ray_give_the_same_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ray", reason="needs the extra cluster")
    from speech2face.ray_cluster import hire_on_ray

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))  # where its workers look
    for number in range(6):
        Path(f"{number}.wav").write_text("die" if number == 2 else f"words of {number}")
    inputs, _ = find_inputs(["."])
    inputs = [find_inputs([str(tmp_path / item.name)])[0][0] for item in inputs]
    task = ToyTask(str(tmp_path / "diary"))

    def hire(task):
        return hire_on_ray(task, 2, "local")

    with pytest.raises(BatchError, match="1 of 6 inputs failed"):
        make_table(inputs, task, COLUMNS, {}, find_model(), "t.jsonl", hire)
    told = [row["words"] or row["error"] for row in read("t.jsonl")]
    assert told[0] == "words of 0"
    assert "its worker died, again and again" in told[2]
    # Where the result before it is lost with the worker, nobody knows of which the worker died.
    assert Path("diary").read_text().count("2.wav") in (2, 3)
