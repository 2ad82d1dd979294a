"""The tables of plain folders."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from speech2face.data.pairs import Pair, identify_pairs, load_speech, read_pairs, read_photographs
from speech2face.errors import NoSpeechError, UsageError

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
    with pytest.raises(
        UsageError, match=f"line 3: names the clip b, but {lost.split('/')[0]}/ lacks it"
    ):
        read_pairs(folder)


@pytest.mark.parametrize(
    ("table", "wrong"),
    [
        ("clip,name\nb,ben\n", r"line 1: needs the column person; it has clip, name\."),
        ("clip,person\nb,ben\nb,anna\n", "line 3: b has the person anna, but ben on line 2"),
        ("clip,person\nc,ben\n", "line 2: names the clip c, but audio/ lacks it"),
    ],
)
def test_a_table_that_is_wrong_is_told_by_line(table, wrong, folder):
    (folder / "pairs.csv").write_text(table)
    with pytest.raises(UsageError, match=rf"pairs\.csv: {wrong}"):
        read_pairs(folder)


def test_a_row_twice_is_one_pair(folder):
    with (folder / "pairs.csv").open("a") as file:
        file.write("b,ben,2.5\n\n b , ben ,\n")
    assert [pair.clip for pair in read_pairs(folder)] == ["a_1.000-2.000", "b"]


def test_what_lies_beside_the_recordings_is_none(folder):
    for name in ("b.txt", "b.wav.json", "._b.wav", ".DS_Store", "Thumbs.db", "b.ini"):
        (folder / "audio" / name).touch()
    for name in ("face/b.xmp", "face/._b.jpg", "face/desktop.ini", "canonical/._b.jpg"):
        (folder / name).touch()
    (folder / "audio" / "b.flac").mkdir()
    assert read_pairs(folder)[1].audio.name == "b.wav"
    assert read_pairs(folder)[1].face.name == "b.jpg"


@pytest.mark.parametrize(
    ("more", "names"), [("audio/b.OGG", "b.OGG and b.wav"), ("face/b.png", "b.jpg and b.png")]
)
def test_two_files_of_one_clip_are_an_error(more, names, folder):
    (folder / more).touch()
    with pytest.raises(UsageError, match=f"line 3: the clip b is both {names} in {more[:4]}"):
        read_pairs(folder)


def test_faces_may_be_any_pictures_and_names_any_letters(folder):
    (folder / "face" / "b.jpg").rename(folder / "face" / "b.PNG")
    (folder / "audio" / "e\u0301.opus").touch()  # as macOS writes é
    (folder / "face" / "e\u0301.webp").touch()
    with (folder / "pairs.csv").open("a", encoding="utf-8") as file:
        file.write("\u00e9,ben\n")
    (_, second, third) = read_pairs(folder)
    assert (second.face.name, third.face.suffix, third.audio.suffix) == ("b.PNG", ".webp", ".opus")


def test_silence_is_not_heard(tmp_path):
    for name, sound in {
        "silent": np.zeros(32_000),
        "offset": np.full(32_000, 0.3),
        "dithered": np.random.default_rng(0).normal(0, 3e-5, 32_000),
    }.items():
        soundfile.write(tmp_path / f"{name}.wav", sound, 16_000)
        with pytest.raises(NoSpeechError, match="silence"):
            load_speech(tmp_path / f"{name}.wav")
    soundfile.write(tmp_path / "hum.wav", np.sin(np.arange(32_000) / 9) / 9, 16_000)
    speech, clear = load_speech(tmp_path / "hum.wav")  # someone may sing or play
    assert (len(speech), clear) == (32_000, False)


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


def test_pairs_are_known_by_the_content_of_their_files(tmp_path):
    def make(name: str, person: str) -> Pair:
        files = [
            tmp_path / f"{name}.{kind}" for kind in ("audio", "face", "canonical", "published")
        ]
        for path in files[:3]:
            path.write_text(f"some {name}")
        return Pair(name, person, *files)

    a, b = make("a", "ann"), make("b", "bob")
    both = identify_pairs([a, b])
    assert identify_pairs([b, a]) == both  # a set has no order
    assert (both.people, both.clips, len(both.parts)) == (2, 2, 5)
    assert identify_pairs([a]).digest != both.digest
    assert identify_pairs([a, b], ("face",)).digest != both.digest

    def changed() -> list[str]:
        now = identify_pairs([a, b])
        assert now.digest != both.digest
        return [part for part in both.parts if now.parts[part] != both.parts[part]]

    b.audio.write_text("same b")  # of the same length
    assert changed() == ["sounds"]
    b.audio.write_text("some b")
    assert identify_pairs([a, b]) == both
    b.canonical.unlink()
    assert changed() == ["canonical pictures"]
    b.canonical.write_text("some b")
    b = make("b", "bea")
    assert changed() == ["names"]


@pytest.mark.skipif(not REAL.is_dir(), reason="needs the real data beside the checkout")
def test_the_real_folders_are_read():
    pairs = read_pairs(REAL / "pairs")
    assert len({p.clip for p in pairs}) == len(pairs) > 100
    assert all(p.canonical.is_file() for p in pairs)
    photographs = read_photographs(REAL / "faces")
    assert {p.split for p in photographs} == {"train", "val"}
    assert all(p.path.is_file() for p in photographs[::50])
