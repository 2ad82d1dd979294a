"""Pictures: marked as generated, written whole or not at all."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from speech2face import __version__
from speech2face.errors import StorageError, UsageError
from speech2face.pictures import NOTICE, contact_sheet, write_png


def paint(seed: int = 0, side: int = 32) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3))
    return Image.fromarray(pixels.astype(np.uint8))


def test_metadata_say_that_it_is_generated_and_nobodys_portrait(tmp_path: Path) -> None:
    path = tmp_path / "face.png"
    write_png(paint(), path, "mine")
    with Image.open(path) as picture:
        np.testing.assert_array_equal(picture, paint())
        assert picture.info["Source"] == "generated"
        assert picture.info["Software"] == f"speech2face {__version__}, model mine"
        assert picture.info["Description"] == NOTICE
        assert "trainedAlgorithmicMedia" in picture.info["XML:com.adobe.xmp"]
        assert "Iptc4xmpExt" in str(picture.info["xmp"])
    assert "nobody's portrait" in NOTICE


def test_the_same_picture_is_the_same_file(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        write_png(paint(), tmp_path / name, "mine")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


@pytest.mark.parametrize("existing", [None, b"mine"])
def test_a_full_disk_leaves_things_as_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, existing: bytes | None
) -> None:
    path = tmp_path / "face.png"
    if existing:
        path.write_bytes(existing)

    def fill(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fill)
    with pytest.raises(StorageError, match=r"cannot be written \(No space left on device\)"):
        write_png(paint(), path, "mine", force=True)
    assert [p.read_bytes() for p in tmp_path.iterdir()] == ([existing] if existing else [])


def test_an_interrupted_write_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_png(paint(), tmp_path / "face.png", "mine")
    assert list(tmp_path.iterdir()) == []


def test_refuses_what_it_must_not_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "face.png"
    write_png(paint(0), path, "mine")
    before = path.read_bytes()
    with pytest.raises(UsageError, match=r"face\.png exists; --force overwrites it"):
        write_png(paint(1), path, "mine")
    assert path.read_bytes() == before
    with pytest.raises(UsageError, match="pictures are PNG"):
        write_png(paint(), tmp_path / "face.jpg", "mine")
    with pytest.raises(UsageError, match="is a folder"):
        write_png(paint(), tmp_path, "mine", force=True)
    with pytest.raises(UsageError, match="no such folder"):
        write_png(paint(), tmp_path / "none" / "face.png", "mine")
    monkeypatch.setattr(os, "access", lambda *_: False)  # as root every folder may be written
    with pytest.raises(UsageError, match="no permission to write there"):
        write_png(paint(), tmp_path / "other.png", "mine")
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    kept, link = tmp_path / "kept.png", tmp_path / "link.png"
    kept.write_text("mine")
    link.symlink_to(kept)
    write_png(paint(), link, "mine", force=True)
    assert kept.read_text() == "mine"
    assert not link.is_symlink()


def test_a_contact_sheet_holds_every_picture() -> None:
    pictures = [(f"voice {n}", paint(n, 64)) for n in range(5)]
    sheet = np.asarray(contact_sheet(pictures, columns=3))
    assert sheet.shape == (2 * (64 + 26 + 10) + 10, 3 * (64 + 10) + 10, 3)
    for index, (_, picture) in enumerate(pictures):
        top, left = 10 + index // 3 * 100, 10 + index % 3 * 74
        np.testing.assert_array_equal(sheet[top : top + 64, left : left + 64], picture)
        name = sheet[top + 64 : top + 90, left : left + 64]
        assert name.min() < 100  # something is written beneath
