"""Arrays that are slow to compute are kept on the disk under names made of what they are made of.

Whatever makes another result belongs in the key: digests of contents, weights, parameters. The
version is in every key. So nothing kept is ever out of date, and a run that was stopped goes on.
What is damaged is computed again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from speech2face.console import ProgressCallback
from speech2face.files import write_atomically
from speech2face.run_provenance import hash_key

Arrays = dict[str, np.ndarray]

NAMES = "_names"  # of the arrays in a file: a damaged one may seem to hold fewer
ROWS_AT_ONCE = 50  # rows computed before they are saved


def find_place(folder: Path, kind: str, *key: object) -> Path:
    """The path at which arrays made of `key` (text, numbers, lists of them) are kept."""
    return folder / f"{kind}-{hash_key(*key)}.npz"


def read_arrays(path: Path) -> Arrays | None:
    """The arrays in a file, by name; None where there is no file, or it is damaged."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            found = dict(arrays.items())
        return found if found.pop(NAMES).tolist() == [*found] else None
    except Exception:  # zipfile has many ways to say that a file is damaged
        return None


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write a file that `read_arrays` reads. Raises what `write_atomically` raises."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with write_atomically(path) as file:
        np.savez(file, **arrays, **{NAMES: np.array([*arrays], str)})  # pyright: ignore[reportArgumentType]


def keep_arrays(path: Path, compute: Callable[[], Mapping[str, np.ndarray]]) -> Arrays:
    """The arrays kept at `path` (see `find_place`), computed first where none are."""
    arrays = read_arrays(path)
    if arrays is None:
        arrays = dict(compute())
        write_arrays(path, arrays)
    return arrays


def keep_rows(
    path: Path,
    keys: Sequence[str],
    compute: Callable[[int], Sequence[float] | np.ndarray | None],
    show: ProgressCallback,
    stage: str,
) -> np.ndarray:
    """A row of D numbers for each of N keys → (N, D); NaN where `compute` gives None.

    A key says what its row is made of. `compute` is called with the place of each key of which
    nothing is kept at `path`; rows of other keys stay there. Progress is shown as that of `stage`.
    """
    kept = read_arrays(path) or {"keys": np.empty(0, str), "rows": np.empty((0, 1))}
    row_of = dict(zip(kept["keys"].tolist(), kept["rows"], strict=True))
    new = {key: place for place, key in enumerate(keys) if key not in row_of}
    for done, (key, place) in enumerate(new.items(), 1):
        row = compute(place)
        row_of[key] = np.array([np.nan] if row is None else row)
        if done % ROWS_AT_ONCE == 0 or done == len(new):
            rows = _stack(list(row_of.values()))
            write_arrays(path, {"keys": np.array([*row_of]), "rows": rows})
            show(stage, sum(key in row_of for key in keys), len(keys), "")
    return _stack([row_of[key] for key in keys])


def _stack(rows: Sequence[np.ndarray]) -> np.ndarray:
    """Rows (n, D); what is known to be missing, of whatever length, becomes a row of NaN."""
    width = max((len(row) for row in rows), default=0)
    stacked = np.full((len(rows), width), np.nan)
    for place, row in enumerate(rows):
        if len(row) == width:
            stacked[place] = row
    return stacked
