"""Tables of face embeddings that another system made of clips: CSV, Parquet or NPZ.

CSV      a column `clip`, and a column of numbers for each of D dimensions, in their order
Parquet  a column `clip`, and a column `embedding` of lists, or columns as in CSV
NPZ      arrays `clips` (N,) of text and `embeddings` (N, D)
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from speech2face.data.pairs import Pair
from speech2face.errors import ModelError, UsageError
from speech2face.name_suggestions import suggest
from speech2face.tables import drop_repeats, read_table

CLIP, EMBEDDING = "clip", "embedding"
READERS = (".csv", ".npz", ".parquet")


def read_embeddings(path: Path, pairs: Sequence[Pair], size: int) -> np.ndarray:
    """The embedding of each pair's clip (N, `size`); NaN where the table has none.

    Rows of other clips are left out. Raises UsageError where the table is not as it should be, has
    rows of another size, or one of none of the clips.
    """
    ending = path.suffix.lower()
    if ending not in READERS:
        raise UsageError(
            f"{path}: a table of embeddings ends in {', '.join(READERS)}.{suggest(ending, READERS)}"
        )
    if not path.is_file():
        raise UsageError(f"{path}: not found.")
    read = {".csv": _read_csv, ".npz": _read_npz, ".parquet": _read_parquet}[ending]
    clips, rows = read(path)
    if rows.ndim != 2 or len(rows) != len(clips) or not len(rows):
        raise UsageError(f"{path}: holds no embedding for each of its {len(clips)} clips.")
    if rows.shape[1] != size:
        raise UsageError(
            f"{path}: embeddings of {rows.shape[1]} numbers; the face encoder's have {size}. Is it "
            "another --face-encoder?"
        )
    if len(set(clips)) < len(clips):
        twice = next(clip for place, clip in enumerate(clips) if clip in clips[:place])
        raise UsageError(f"{path}: has the clip {twice} twice.")
    if not np.isfinite(rows).all():
        clip = clips[int(np.flatnonzero(~np.isfinite(rows).all(1))[0])]
        raise UsageError(f"{path}: the embedding of {clip} is not of numbers; leave the clip out.")
    row_of = {clip: row for row, clip in enumerate(clips)}
    found = np.array([row_of.get(pair.clip, -1) for pair in pairs])
    if (found < 0).all():
        raise UsageError(f"{path}: holds none of the clips, as {pairs[0].clip}.")
    return np.where(found[:, None] < 0, np.nan, rows[found])


def _read_csv(path: Path) -> tuple[list[str], np.ndarray]:
    rows = drop_repeats(read_table(path, (CLIP,)), CLIP)
    columns = [name for name in rows[0].fields if name and name != CLIP]
    numbers = np.empty((len(rows), len(columns)))
    for place, row in enumerate(rows):
        try:
            numbers[place] = [float(row[name]) for name in columns]
        except ValueError as error:
            raise row.error(f"an embedding is numbers ({error})") from None
    return [row[CLIP] for row in rows], numbers


def _read_npz(path: Path) -> tuple[list[str], np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            clips, rows = arrays["clips"], arrays["embeddings"]
            return [str(clip) for clip in clips.ravel()], np.asarray(rows, float)
    except KeyError as error:
        raise UsageError(f"{path}: lacks the array {error.args[0].split()[0]}.") from None
    except Exception as error:  # zipfile has many ways to say that a file is damaged
        raise UsageError(f"{path}: not an NPZ file of numbers ({error}).") from None


def _read_parquet(path: Path) -> tuple[list[str], np.ndarray]:
    try:
        from pyarrow import ArrowException
        from pyarrow.parquet import read_table as read_parquet
    except ImportError:
        raise ModelError(
            "pyarrow is not installed: pip install pyarrow, or give a .csv or .npz."
        ) from None
    try:
        table = read_parquet(path)
        columns = table.to_pydict()
        clips = [str(clip) for clip in columns.pop(CLIP)]
        rows = columns.get(EMBEDDING) or list(zip(*columns.values(), strict=True))
        return clips, np.array(rows, float)
    except KeyError:
        raise UsageError(f"{path}: lacks the column {CLIP}.") from None
    except (ArrowException, OSError, TypeError, ValueError) as error:
        raise UsageError(f"{path}: not a Parquet table of embeddings ({error}).") from None
