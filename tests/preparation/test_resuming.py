"""A set goes on when sources are gone, changed, renamed or new."""

import math
import shutil
from pathlib import Path

import pytest

from helpers.finished_samples import make_sample
from speech2face.data.ledger import Entry
from speech2face.data.samples import SampleSource
from speech2face.errors import UsageError
from speech2face.preparation.resuming import Comparison, compare_sources
from speech2face.preparation.sources import SourceClip, find_odd, hash_clip

QUALITY = make_sample(0).quality
NAMES = ("a.mp4", "b.mp4", "c.mp4", "d.mp4")


def video(folder: Path, name: str) -> SourceClip:
    return SourceClip(SampleSource(name, name, 0.0, math.inf, name), folder / name)


def compare(
    clips: list[SourceClip], entries: list[Entry]
) -> tuple[list[str], list[str], list[str], int]:
    found = compare_sources(clips, entries)
    assert not found.renamed
    return [clip.source.clip for clip in found.todo], found.void, found.gone, found.same


@pytest.fixture
def entries(tmp_path) -> list[Entry]:
    """Four videos, of which the last was refused."""
    entries = []
    for name in NAMES:
        (tmp_path / name).write_text(name)
        clip = video(tmp_path, name)
        quality = QUALITY if name < "d" else None
        entries.append(Entry(clip.source, quality, content=hash_clip(clip)))
    return entries


def test_what_is_the_same_is_not_done_again(tmp_path, entries):
    clips = [video(tmp_path, name) for name in NAMES]
    assert compare(clips, entries) == ([], [], [], 4)
    assert compare_sources(clips, []) == Comparison(clips)


def test_sources_go_come_and_change(tmp_path, entries):
    (tmp_path / "a.mp4").unlink()
    (tmp_path / "b.mp4").write_text("B.MP4")  # of the same size
    (tmp_path / "d.mp4").unlink()
    (tmp_path / "e.mp4").write_text("new")
    clips = [video(tmp_path, name) for name in ("b.mp4", "c.mp4", "e.mp4")]
    assert compare(clips, entries) == (["b.mp4", "e.mp4"], ["b.mp4"], ["a.mp4"], 1)
    clips = [video(tmp_path, name) for name in NAMES]  # as of a list, which names what is gone
    assert compare(clips, entries) == (["b.mp4"], ["b.mp4"], ["a.mp4"], 2)


def test_a_renamed_source_is_not_there_twice(tmp_path, entries):
    (tmp_path / "a.mp4").rename(tmp_path / "z.mp4")
    clips = [video(tmp_path, name) for name in ("b.mp4", "c.mp4", "d.mp4", "z.mp4")]
    found = compare_sources(clips, entries)
    assert (found.todo, found.renamed, found.gone, found.same) == ([], ["a.mp4"], [], 3)
    assert found.describe() == [
        "1 clip whose source has another name now: kept under the old one (a.mp4)"
    ]


def test_a_source_that_was_renamed_and_copied_is_kept_and_done_once_more(tmp_path, entries):
    (tmp_path / "a.mp4").rename(tmp_path / "y.mp4")
    shutil.copy(tmp_path / "y.mp4", tmp_path / "z.mp4")
    clips = [video(tmp_path, name) for name in ("b.mp4", "c.mp4", "d.mp4", "y.mp4", "z.mp4")]
    found = compare_sources(clips, entries)
    todo = [clip.source.clip for clip in found.todo]
    assert (todo, found.renamed, found.gone, found.same) == (["z.mp4"], ["a.mp4"], [], 3)


def test_pieces_of_a_video_that_was_replaced_are_void(tmp_path, entries):
    pieces = [SampleSource(f"a.mp4_{n}", "a.mp4", n, n + 1.0, "a.mp4") for n in range(3)]
    entries = [Entry(piece, QUALITY, content=entries[0].content) for piece in pieces] + entries[1:]
    others = [video(tmp_path, name) for name in NAMES[1:]]
    cut = [SourceClip(piece, tmp_path / "a.mp4") for piece in pieces]
    assert compare([*cut, *others], entries) == ([], [], [], 6)
    (tmp_path / "a.mp4").write_text("shorter")
    assert compare([*cut[:2], *others], entries) == (
        ["a.mp4_0", "a.mp4_1"], ["a.mp4_0", "a.mp4_1", "a.mp4_2"], [], 3
    )  # fmt: skip


def test_a_person_who_has_another_name_is_done_again(tmp_path):
    for name in ("a.wav", "a.jpg"):
        (tmp_path / name).write_text(name)
    files = {"audio": tmp_path / "a.wav", "face": tmp_path / "a.jpg"}
    first, other, renamed = (
        SourceClip(SampleSource(clip, "a.wav", 0.0, math.inf, person), **files)
        for clip, person in (("a", "ann"), ("a", "ben"), ("b", "ben"))
    )
    entry = Entry(first.source, QUALITY, content=hash_clip(first))
    assert compare([first], [entry]) == ([], [], [], 1)
    assert compare([other], [entry]) == (["a"], ["a"], [], 0)
    assert compare([renamed], [entry]) == (["b"], ["a"], [], 0)
    files["face"].write_text("another face")
    assert compare([first], [entry]) == (["a"], ["a"], [], 0)
    files["face"].unlink()
    assert compare([first], [entry]) == ([], [], ["a"], 0)


def test_what_was_missing_is_done_when_it_is_there(tmp_path):
    clip = video(tmp_path, "a.mp4")
    refused = Entry(clip.source, None, "decode", "the file does not exist")
    assert compare([clip], [refused]) == ([], [], [], 1)
    assert compare_sources([clip], [refused], fetch=True).todo == [clip]
    clip.video.write_text("there")
    assert compare([clip], [refused]) == (["a.mp4"], ["a.mp4"], [], 0)


def test_another_source_altogether_is_refused(tmp_path, entries):
    (tmp_path / "x.mp4").write_text("x")
    with pytest.raises(UsageError, match="none of the 4 clips that the set was begun with"):
        compare_sources([video(tmp_path, "x.mp4")], entries)


def test_pipes_are_not_read(tmp_path):
    import os

    os.mkfifo(tmp_path / "a.mp4")
    clip = video(tmp_path, "a.mp4")
    assert hash_clip(clip) == ""
    assert find_odd(clip) == clip.video
    (tmp_path / "b.mp4").mkdir()
    assert find_odd(video(tmp_path, "b.mp4")) is find_odd(video(tmp_path, "none")) is None
