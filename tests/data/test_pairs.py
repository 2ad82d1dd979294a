"""The tables of plain folders."""

from pathlib import Path

import pytest

from speech2face.data.pairs import hash_files, read_pairs, read_photographs
from speech2face.errors import UsageError

REAL = Path(__file__).parents[3] / "shared" / "data"


@pytest.fixture
def folder(tmp_path) -> Path:
    for name in ("audio", "face", "canonical"):
        (tmp_path / name).mkdir()
    for clip, sound in (("a_1.000-2.000", "flac"), ("b", "wav")):
        (tmp_path / "audio" / f"{clip}.{sound}").touch()
        (tmp_path / "face" / f"{clip}.jpg").touch()
    (tmp_path / "canonical" / "b.jpg").touch()
    table = "clip,person,seconds\na_1.000-2.000,anna,1.0\nb,ben,2.5\n"
    (tmp_path / "pairs.csv").write_text(table)
    return tmp_path


def test_pairs_are_read_in_the_order_of_the_table(folder):
    first, second = read_pairs(folder)
    assert (first.clip, first.person) == ("a_1.000-2.000", "anna")  # a dot in a name is no suffix
    assert first.audio == folder / "audio" / "a_1.000-2.000.flac"
    assert first.face == folder / "face" / "a_1.000-2.000.jpg"
    assert second.audio.name == "b.wav"  # any sound
    assert second.canonical.is_file()
    assert not first.canonical.is_file()  # the optional folders may lack a clip
    assert not second.published.is_file()


@pytest.mark.parametrize("lost", ["audio/b.wav", "face/b.jpg"])
def test_a_file_that_is_missing_is_named(folder, lost):
    (folder / lost).unlink()
    with pytest.raises(UsageError, match=f"the clip b, but {lost.split('/')[0]}/ lacks it"):
        read_pairs(folder)


@pytest.mark.parametrize("table", ["", "clip,person\n", "clip,name\nb,ben\n", "b,ben\n"])
def test_a_table_without_its_columns_or_rows(folder, table):
    (folder / "pairs.csv").write_text(table)
    with pytest.raises(UsageError, match="needs rows with the columns clip, person"):
        read_pairs(folder)


def test_a_folder_without_a_table(tmp_path):
    with pytest.raises(UsageError, match=r"pairs\.csv: not found"):
        read_pairs(tmp_path)
    with pytest.raises(UsageError, match=r"faces\.csv: not found"):
        read_photographs(tmp_path)


def test_photographs_with_and_without_labels(tmp_path):
    (tmp_path / "faces.csv").write_text("image,gender,left_eye_x\nx.jpg,Female,70.2\n")
    (photograph,) = read_photographs(tmp_path)
    assert photograph.path == tmp_path / "images" / "x.jpg"
    assert (photograph.gender, photograph.split, photograph.age) == ("Female", "train", "")


def test_hash_tells_sets_of_files_apart(tmp_path):
    a, b = tmp_path / "a", tmp_path / "b"
    a.write_text("one")
    b.write_text("two")
    both = hash_files([a, b])
    assert hash_files([b, a]) == both  # a set has no order
    assert hash_files([a]) != both
    b.write_text("three")
    assert hash_files([a, b]) != both


@pytest.mark.skipif(not REAL.is_dir(), reason="needs the real data beside the checkout")
def test_the_real_folders_are_read():
    pairs = read_pairs(REAL / "pairs")
    assert len({p.clip for p in pairs}) == len(pairs) > 100
    assert all(p.canonical.is_file() for p in pairs)
    photographs = read_photographs(REAL / "faces")
    assert {p.split for p in photographs} == {"train", "val"}
    assert all(p.path.is_file() for p in photographs[::50])
