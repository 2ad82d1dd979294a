"""Tables of embeddings: the same numbers from CSV, NPZ and Parquet, and what is wrong is told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from speech2face.data.pairs import Pair
from speech2face.errors import UsageError
from speech2face.evaluation.embedding_tables import read_embeddings

CLIPS = ("a", "b", "c")
NOWHERE = Path("nowhere")
PAIRS = [Pair(clip, "p", NOWHERE, NOWHERE, NOWHERE, NOWHERE) for clip in CLIPS]
ROWS = np.array([[0.5, -1.25], [3.0, 4.0]])  # of c and a; b has none
NAMES = ["c", "a", "of another set"]
TABLE = np.vstack([ROWS, [9.0, 9.0]])


def write_csv(path: Path) -> None:
    lines = [f"{name},{x},{y}" for name, (x, y) in zip(NAMES, TABLE, strict=True)]
    path.write_text("\n".join(["clip,e0,e1", *lines]))


def write_npz(path: Path) -> None:
    np.savez(path, clips=np.array(NAMES), embeddings=TABLE)


def write_lists(path: Path) -> None:
    pytest.importorskip("pyarrow")
    from pyarrow import table
    from pyarrow.parquet import write_table

    write_table(table({"clip": NAMES, "embedding": TABLE.tolist(), "more": [1, 2, 3]}), path)


def write_columns(path: Path) -> None:
    pytest.importorskip("pyarrow")
    from pyarrow import table
    from pyarrow.parquet import write_table

    write_table(table({"clip": NAMES, "e0": TABLE[:, 0], "e1": TABLE[:, 1]}), path)


@pytest.mark.parametrize(
    ("ending", "write"),
    [
        ("csv", write_csv),
        ("npz", write_npz),
        ("parquet", write_lists),
        ("parquet", write_columns),
    ],
)
def test_each_kind_of_table_gives_the_same(tmp_path: Path, ending: str, write) -> None:
    path = tmp_path / f"table.{ending}"
    write(path)
    read = read_embeddings(path, PAIRS, 2)
    np.testing.assert_array_equal(read[[2, 0]], ROWS)
    assert np.isnan(read[1]).all()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("clip,e0,e1\na,1,x\n", "line 2: an embedding is numbers"),
        ("clip,e0,e1\na,1,\n", "line 2: an embedding is numbers"),
        ("clip,e0,e1\na,1,nan\n", "the embedding of a is not of numbers"),
        ("clip,e0\na,1\n", "embeddings of 1 numbers; the face encoder's have 2"),
        ("clip,e0,e1\nz,1,2\n", "none of the clips, as a"),
        ("file,e0,e1\na,1,2\n", "the column clip"),
        ("clip\na\n", "embeddings of 0 numbers"),
    ],
)
def test_what_is_wrong_in_a_csv_is_told(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "table.csv"
    path.write_text(text)
    with pytest.raises(UsageError, match=told):
        read_embeddings(path, PAIRS, 2)


@pytest.mark.parametrize(
    ("arrays", "told"),
    [
        ({"clips": np.array(["a", "a"]), "embeddings": ROWS}, "the clip a twice"),
        ({"clips": np.array(["a"]), "embeddings": ROWS}, "no embedding for each"),
        ({"clips": np.array(["a", "b"])}, "lacks the array embeddings"),
        ({"clips": np.array(["a", None]), "embeddings": ROWS}, "not an NPZ file of numbers"),
    ],
)
def test_what_is_wrong_in_an_npz_is_told(tmp_path: Path, arrays: dict, told: str) -> None:
    path = tmp_path / "table.npz"
    np.savez(path, **arrays)
    with pytest.raises(UsageError, match=told):
        read_embeddings(path, PAIRS, 2)


def test_other_files_are_told(tmp_path: Path) -> None:
    for name, told in (
        ("x.npy", "ends in .csv, .npz, .parquet. Did you mean .npz"),
        ("x.csv", "not found"),
    ):
        with pytest.raises(UsageError, match=told):
            read_embeddings(tmp_path / name, PAIRS, 2)
    for name in ("x.npz", "x.parquet"):
        if name.endswith("parquet"):
            pytest.importorskip("pyarrow")
        (tmp_path / name).write_bytes(b"something else")
        with pytest.raises(UsageError, match=r"not an? (NPZ file|Parquet table)"):
            read_embeddings(tmp_path / name, PAIRS, 2)
