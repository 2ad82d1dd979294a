"""A table of each kind gives back what was put in, and is the same to the byte each time."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from speech2face.errors import ModelError, UsageError
from speech2face.recording_tasks import shorten
from speech2face.result_tables import Columns, check_table, write_table

COLUMNS: Columns = {
    "path": "text",
    "noisy": "truth",
    "speakers": "whole",
    "bits": "number",
    "embedding": "floats",
    "warnings": "texts",
    "segments": "spans",
}
NUMBERS = np.random.default_rng(0).normal(size=5).astype(np.float32)
ROWS: list[dict[str, Any]] = [
    {
        "path": 'a, "b" \n ü.wav',
        "noisy": True,
        "speakers": 2,
        "bits": 0.125,
        "embedding": shorten(NUMBERS),
        "warnings": ["quiet", "short; loud"],
        "segments": [[0.5, 1.0], [2.0, 3.0]],
    },
    {"path": "b.wav", "left": "out"},
]


def read(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".parquet":
        from pyarrow.parquet import read_table

        return read_table(path).to_pylist()
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text().splitlines()]
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    parsed = {"noisy": "True".__eq__, "speakers": int, "bits": float}
    parsed |= dict.fromkeys(("embedding", "warnings", "segments"), json.loads)
    return [{n: parsed.get(n, str)(x) if x else None for n, x in row.items()} for row in rows]


@pytest.mark.parametrize("ending", [".parquet", ".jsonl", ".csv"])
def test_what_is_written_is_read_again(tmp_path: Path, ending: str) -> None:
    if ending == ".parquet":
        pytest.importorskip("pyarrow", reason="Parquet needs the extra tables")
    path, again = tmp_path / f"a{ending}", tmp_path / f"b{ending}"
    write_table(str(path), COLUMNS, ROWS * 1_500)
    write_table(str(again), COLUMNS, iter(ROWS * 1_500))
    assert path.read_bytes() == again.read_bytes()
    first, second, *rest = read(path)
    assert len(rest) == 2_998
    numbers = np.array(first.pop("embedding"), np.float32)
    assert np.array_equal(numbers, NUMBERS)
    assert first == {name: x for name, x in ROWS[0].items() if name != "embedding"}
    assert second == dict.fromkeys(COLUMNS) | {"path": "b.wav"}


def test_a_table_that_fails_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("old")

    def fail():
        yield ROWS[0]
        raise RuntimeError("broken off")

    with pytest.raises(RuntimeError):
        write_table(str(path), COLUMNS, fail())
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_tables_that_cannot_be_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match=r"t\.txt: a table ends in \.parquet, \.jsonl or \.csv"):
        check_table("t.txt")
    monkeypatch.setattr("speech2face.extras.find_missing", lambda *_: ["pyarrow"])
    with pytest.raises(ModelError, match=r"pyarrow not installed: pip install '\.\[tables\]'"):
        check_table("s3://bucket/T.PARQUET")
    check_table("t.csv")
