"""Files appear whole or not at all, under names of any length that the disk takes."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from speech2face.errors import StorageError, UsageError
from speech2face.files import (
    atomic_path,
    remove_partials,
    write_atomically,
    write_text_atomically,
)


def write(path: Path, data: bytes = b"new") -> None:
    with write_atomically(path) as file:
        file.write(data)


@pytest.mark.parametrize("length", [1, 242, 255])
def test_every_name_that_the_disk_takes_can_be_written(tmp_path: Path, length: int) -> None:
    path = tmp_path / ("n" * length)
    write(path, b"old")
    write(path)
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError, ValueError])
def test_a_body_that_fails_leaves_things_as_they_were(
    tmp_path: Path, error: type[BaseException]
) -> None:
    path = tmp_path / "kept"
    path.write_bytes(b"old")

    def fail() -> None:
        with write_atomically(path) as file:
            file.write(b"half of it")
            raise error("gone")

    with pytest.raises(error, match="gone"):
        fail()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_of_another_file_is_not_blamed_on_this_one(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="elsewhere"), write_atomically(tmp_path / "a"):
        (tmp_path / "elsewhere").read_bytes()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("n" * 256, "File name too long"),
        ("no/such/folder", "No such file"),
        ("folder", "Is a directory"),
        ("file/in/it", "Not a directory"),
    ],
)
def test_a_wrong_place_is_the_callers_fault(tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=words):
        write(tmp_path / name)
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EDQUOT])
def test_a_failing_disk_is_the_systems_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(StorageError, match=rf"face: cannot be written \({os.strerror(code)}\)"):
        write(tmp_path / "face")
    assert list(tmp_path.iterdir()) == []


def test_a_library_that_opens_files_by_name_writes_whole_files_too(tmp_path: Path) -> None:
    path = tmp_path / "table"
    with atomic_path(path) as partial:
        partial.write_bytes(b"new")
        assert not path.exists()
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_body_that_writes_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be written"), atomic_path(tmp_path / "table"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_only_lasting_files_wait_for_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[int] = []
    monkeypatch.setattr(os, "fsync", waited.append)
    for lasting in (False, True):
        with write_atomically(tmp_path / f"{lasting}", lasting=lasting) as file:
            file.write(b"new")
        assert (tmp_path / f"{lasting}").read_bytes() == b"new"
        assert len(waited) == lasting


def test_what_killed_processes_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    kept = [tmp_path / name for name in ("a.part", ".hidden", "set.tar")]
    for path in (*kept, tmp_path / ".0a1b2c3d.part"):
        path.touch()
    remove_partials(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted(kept)


def test_text_is_written_in_utf_8_with_its_own_line_ends(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    write_text_atomically(path, "old and longer")
    write_text_atomically(path, "Zoë →\r\nend\n")
    assert path.read_bytes() == "Zoë →\r\nend\n".encode()
    with pytest.raises(UsageError, match="cannot be written"):
        write_text_atomically(tmp_path / "none" / "report.json", "new")
    assert list(tmp_path.iterdir()) == [path]
