"""Arguments become recordings, each once, and each has a place of its own for its output."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from speech2face.errors import UsageError
from speech2face.inputs import Input, expand_home, find_inputs, place_outputs


@pytest.fixture(autouse=True)
def _inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def make(*names: str) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()


def names(*arguments: str, **options: str) -> list[str]:
    return [item.name for item in find_inputs(arguments, **options)[0]]


def places(*arguments: str) -> dict[str, str]:
    outputs = place_outputs(find_inputs(arguments)[0], Path("out"), ".png")
    return {name: path.relative_to("out").as_posix() for name, path in outputs.items()}


def test_a_folder_is_searched_for_recordings() -> None:
    make("c/b.WAV", "c/a/z.mp3", "c/a/z.mp3.json", "c/notes.txt", "c/.hidden.wav", "c/._b.wav")
    make("c/.git/x.wav", "c/__MACOSX/x.wav", "c/z.anonymous.flac")
    Path("c/broken.ogg").symlink_to("nowhere")
    Path("c/folder.wav").mkdir()
    os.mkfifo("c/pipe.wav")
    found = ["c/a/z.mp3", "c/b.WAV", "c/broken.ogg", "c/z.anonymous.flac"]
    assert names("c") == names("c/") == found
    assert names(".")[-len(found) :] == found
    assert names("c", own_ending=".anonymous.flac") == found[:-1]


def test_a_folder_that_may_not_be_read_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    make("c/a/x.wav", "c/locked/y.wav")
    scan = os.scandir

    def refuse(path: str):
        if path.endswith("locked"):  # root may read everything
            raise PermissionError(13, "Permission denied", path)
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    found, _ = find_inputs(["c"])
    assert [item.name for item in found] == ["c/a/x.wav", "c/locked"]
    assert "c/locked: may not be read (Permission denied)" in str(found[1].error)


def test_a_pattern_is_expanded_where_the_shell_did_not() -> None:
    make("c/a/x.wav", "c/x.wav", "c/x.raw", "c/x.txt", "take[1].wav")
    assert names("c/**/*.wav") == ["c/a/x.wav", "c/x.wav"]
    assert names("c/*") == ["c/x.wav"]
    assert names("c/*.raw") == ["c/x.raw"]  # whoever names the suffix knows
    assert names("take[1].wav") == ["take[1].wav"]  # a file comes first


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("", "is empty"),
        ("empty", "no recordings in this folder"),
        ("no*.wav", "matches no recording"),
        ("take[2].wav", "no such file"),
        ("https://example.org/a.wav", "addresses are not opened"),
        ("file:///a.wav", "addresses are not opened"),
    ],
)
def test_an_argument_without_a_recording_says_why_and_ends_nothing(
    argument: str, words: str
) -> None:
    Path("empty").mkdir()
    make("a.wav")
    found, _ = find_inputs([argument, "a.wav"])
    assert words in str(found[0].error)
    assert found[1] == Input("a.wav", Path("a.wav"))
    assert places(argument, "a.wav") == {"a.wav": "a.png"}


def test_each_recording_is_taken_once() -> None:
    make("c/x.wav")
    found, repeated = find_inputs(["c/x.wav", "c", "./c/../c/x.wav", "-", "-", "c/*.wav"])
    assert [item.name for item in found] == ["c/x.wav", "-"]
    assert repeated == 2


def test_a_file_by_name_goes_to_the_folder_itself_and_a_found_one_keeps_its_subfolder() -> None:
    make("c/a/x.wav", "d/y.b.wav", "d/y.c.wav")
    assert places("c/a/x.wav", "d/y.b.wav", "d/y.c.wav", "-", "none.mp3") == {
        "c/a/x.wav": "x.png",
        "d/y.b.wav": "y.b.png",
        "d/y.c.wav": "y.c.png",
        "-": "stdin.png",
        "none.mp3": "none.png",
    }
    assert places("c", "d/y.b.wav") == {"c/a/x.wav": "a/x.png", "d/y.b.wav": "y.b.png"}
    assert places("c/*/*.wav") == {"c/a/x.wav": "a/x.png"}


def test_two_of_one_name_are_kept_apart() -> None:
    make("v/id1/x.wav", "v/id2/x.wav", "v/id2/y.wav", "p.wav", "p.mp3", "q.wav", "p.wav.ogg")
    kept = {"v/id1/x.wav": "id1/x.png", "v/id2/x.wav": "id2/x.png", "v/id2/y.wav": "id2/y.png"}
    assert places("v/id1/x.wav", "v/id2/x.wav", "v/id2/y.wav") == kept
    assert places("v/id1", "v/id2") == kept
    assert places("p.wav", "q.wav", "p.mp3") == {
        "p.wav": "p.wav.png",
        "q.wav": "q.png",
        "p.mp3": "p.mp3.png",
    }
    assert len(set(places("p.wav", "p.mp3", "p.wav.ogg", "v/id1/x.wav").values())) == 4
    make("stdin.wav", "stdin")
    assert places("-", "stdin.wav") == {"-": "stdin.png", "stdin.wav": "stdin.wav.png"}
    with pytest.raises(UsageError, match="- and stdin would become one file"):
        places("-", "stdin")


def test_home_is_expanded_where_the_shell_did_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    for argument, expanded in {
        "~/a.wav": "/home/me/a.wav",
        "~": "/home/me",
        "--out-dir=~/faces": "--out-dir=/home/me/faces",
        "a~/b": "a~/b",
        "~$letter.wav": "~$letter.wav",
        "./~/a.wav": "./~/a.wav",
    }.items():
        assert expand_home(argument) == expanded
