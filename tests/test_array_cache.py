"""Arrays are computed once for the same key, and again where what is kept is damaged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from speech2face import run_provenance
from speech2face.array_cache import (
    ROWS_AT_ONCE,
    find_place,
    keep_arrays,
    keep_rows,
    read_arrays,
    write_arrays,
)

ARRAYS = {"features": np.arange(12, dtype=np.float32).reshape(3, 4), "names": np.array(["a", "ü"])}


def test_arrays_are_computed_once(tmp_path: Path) -> None:
    asked: list[int] = []

    def compute() -> dict[str, np.ndarray]:
        asked.append(1)
        return ARRAYS

    path = tmp_path / "new" / "folder" / "arrays.npz"
    for _ in range(3):
        arrays = keep_arrays(path, compute)
        assert arrays.keys() == ARRAYS.keys()
        for name, array in ARRAYS.items():
            assert arrays[name].dtype == array.dtype
            np.testing.assert_array_equal(arrays[name], array)
    assert len(asked) == 1
    assert list(path.parent.iterdir()) == [path]


def test_the_place_is_another_for_another_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = [("digest",), ("digest", 0), ("digest", 0.5), (["digest"],), (["di", "gest"],)]
    places = {find_place(tmp_path, "faces", *key) for key in keys}
    places |= {find_place(tmp_path, "voices", *keys[0])}
    assert len(places) == len(keys) + 1
    assert find_place(tmp_path, "faces", *keys[0]) in places
    monkeypatch.setattr(run_provenance, "__version__", "another")
    assert find_place(tmp_path, "faces", *keys[0]) not in places


def test_a_damaged_file_is_none_and_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "arrays.npz"
    write_arrays(path, ARRAYS)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    spoilt = [whole[:length] for length in (0, 1, len(whole) // 2, len(whole) - 1)]
    for place in rng.integers(0, len(whole), 300):
        damaged = bytearray(whole)
        damaged[place] ^= int(rng.integers(1, 256))
        spoilt.append(bytes(damaged))
    lost = 0
    for content in spoilt:
        path.write_bytes(content)
        if (arrays := read_arrays(path)) is None:
            lost += 1
        else:  # what was hit says nothing of the numbers, as a date
            assert arrays.keys() == ARRAYS.keys()
            for name, array in arrays.items():
                np.testing.assert_array_equal(array, ARRAYS[name])
    assert lost > 150
    path.write_bytes(whole[:-1])
    assert keep_arrays(path, lambda: ARRAYS).keys() == ARRAYS.keys()
    assert path.read_bytes() == whole


def test_no_pickle_is_read(tmp_path: Path) -> None:
    path = tmp_path / "arrays.npz"
    np.savez(path, arrays=np.array([{}], dtype=object))
    assert read_arrays(path) is None


def test_an_interrupted_computation_keeps_nothing(tmp_path: Path) -> None:
    def compute() -> dict[str, np.ndarray]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        keep_arrays(tmp_path / "arrays.npz", compute)
    assert list(tmp_path.iterdir()) == []


def test_rows_are_computed_for_new_keys_only(tmp_path: Path) -> None:
    path, asked, shown = tmp_path / "rows.npz", list[str](), list[tuple[str, int, int, str]]()

    def rows_of(keys: list[str]) -> np.ndarray:
        asked.clear()
        shown.clear()

        def compute(place: int) -> np.ndarray | None:
            asked.append(keys[place])
            return (
                None
                if "missing" in keys[place]
                else np.array([len(keys[place]), 1 / 3], np.float32)
            )

        return keep_rows(path, keys, compute, lambda *words: shown.append(words), "rows")

    assert np.isnan(rows_of(["missing"])).all()  # how long a row is, is not known yet
    rows = rows_of(["b", "missing", "aa", "b"])
    assert asked == ["b", "aa"]
    assert shown == [("rows", 4, 4, "")]
    wanted = np.array([[1, 1 / 3], [2, 1 / 3], [1, 1 / 3]])
    np.testing.assert_array_equal(rows[[0, 2, 3]], wanted.astype(np.float32))
    assert rows.shape == (4, 2)
    assert np.isnan(rows[1]).all()
    rows_of(["c"])  # those of other keys stay
    np.testing.assert_array_equal(rows_of(["aa", "b", "missing"]), rows[[2, 0, 1]])
    assert asked == shown == []
    assert keep_rows(path, [], lambda _: None, lambda *_: None, "rows").shape == (0, 0)


def test_rows_are_saved_while_they_are_computed(tmp_path: Path) -> None:
    keys = [str(number) for number in range(ROWS_AT_ONCE + 10)]

    def compute(place: int) -> list[float]:
        if place == stop:
            raise KeyboardInterrupt
        asked.append(place)
        return [float(place)]

    asked, stop = list[int](), ROWS_AT_ONCE + 5
    with pytest.raises(KeyboardInterrupt):
        keep_rows(tmp_path / "rows.npz", keys, compute, lambda *_: None, "rows")
    asked, stop = [], -1
    rows = keep_rows(tmp_path / "rows.npz", keys, compute, lambda *_: None, "rows")
    assert rows.ravel().tolist() == list(range(len(keys)))
    assert asked == list(range(ROWS_AT_ONCE, len(keys)))
