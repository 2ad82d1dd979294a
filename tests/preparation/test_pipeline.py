"""From a table of sound and faces to shards: here, on Ray, broken off and gone on."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from helpers.drawn_faces import draw_strangers
from helpers.sounds import RATE, example_speech, noise
from speech2face.cli import main
from speech2face.data.ledger import read_ledger
from speech2face.data.shard_index import Packing, read_index, verify_shards
from speech2face.data.shard_reader import read_samples
from speech2face.data.spool import Spool
from speech2face.errors import UsageError
from speech2face.face_encoders import load_face_encoder
from speech2face.preparation import pipeline, table_samples
from speech2face.preparation.pipeline import Stages, Workers, prepare
from speech2face.preparation.sources import SourceClip, read_sources
from speech2face.speech import find_speech

COUNT = 5
PACKING = Packing(shares=(0.6, 0.4), samples=2, join=False)


class Killed(BaseException):
    """In place of a kill."""


def be_silent(*_: object) -> None:
    pass


@pytest.fixture(scope="module")
def table(tmp_path_factory) -> Path:
    """Five faces and voices of nobody; of a sixth the face is missing, a seventh is a stone."""
    folder = tmp_path_factory.mktemp("table")
    speech, rate = example_speech()
    lines = ["clip,person,audio,face"]
    for number, face in enumerate(draw_strangers(COUNT)[0]):
        soundfile.write(folder / f"{number}.wav", speech[number * 1600 :], rate)
        Image.fromarray(face).save(folder / f"{number}.png")
        lines.append(f"clip {number},person {number},{number}.wav,{number}.png")
    lines.append("gone,person 1,0.wav,gone.png")
    Image.fromarray(np.full((224, 224, 3), 120, np.uint8)).save(folder / "stone.png")
    lines.append("stone,person 2,0.wav,stone.png")
    path = folder / "table.csv"
    path.write_text("\n".join(lines))
    return path


@pytest.fixture(scope="module")
def made(table, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("sets") / "whole"
    prepare(read_sources(table), Stages(table.parent), folder, be_silent, PACKING)
    return folder


def read_all(folder: Path) -> dict[str, bytes]:
    """What does not depend on times: shards and index."""
    paths = [*folder.glob("*.tar"), folder / "index.json"]
    return {path.name: path.read_bytes() for path in paths}


def test_a_table_becomes_shards_and_a_ledger(table, made):
    index = read_index(made)
    verify_shards(index)
    assert {side: len(people) for side, people in index.people.items()} == {"train": 3, "val": 2}
    samples = [s for side in index.people for s in read_samples(made, side)]
    assert {s.source.person for s in samples} == {f"person {n}" for n in range(COUNT)}
    encoder = load_face_encoder("dlib")
    for sample in samples:
        number = int(sample.source.person.split()[1])
        distances = np.linalg.norm(draw_strangers(COUNT)[1] - sample.embedding, axis=1)
        assert distances.argmin() == number
        heard = find_speech(str(table.parent / f"{number}.wav")).samples
        np.testing.assert_allclose(sample.speech, heard, atol=1e-4)
        assert sample.embedding.shape == (encoder.size,)
    refused = {
        e.source.clip: (e.stage, e.reason) for e in read_ledger(made / "ledger.jsonl") if not e.kept
    }
    assert refused.keys() == {"gone", "stone"}
    assert refused["stone"] == ("detect", "no face")
    assert refused["gone"][0] == "decode"
    assert "5 of 7" in (made / "DATA_CARD.md").read_text()


def test_a_set_that_was_broken_off_goes_on_and_is_the_same(table, made, tmp_path, monkeypatch):
    clips, worked = read_sources(table), []
    real = pipeline.Worker.work

    def work(self, clip: SourceClip):
        if len(worked) == 3:
            raise KeyboardInterrupt
        worked.append(clip.source.clip)
        return real(self, clip)

    monkeypatch.setattr(pipeline.Worker, "work", work)
    with pytest.raises(KeyboardInterrupt):
        prepare(clips, Stages(table.parent), tmp_path / "set", be_silent, PACKING)
    assert not (tmp_path / "set" / "index.json").exists()
    done = list(worked)
    worked.clear()
    monkeypatch.setattr(
        pipeline.Worker,
        "work",
        lambda self, clip: worked.append(clip.source.clip) or real(self, clip),
    )
    prepare(clips, Stages(table.parent), tmp_path / "set", be_silent, PACKING)
    assert not set(done) & set(worked)
    assert len(done) + len(worked) == len(clips)
    assert read_all(tmp_path / "set") == read_all(made)
    worked.clear()
    prepare(clips, Stages(table.parent), tmp_path / "set", be_silent, PACKING)
    assert worked == []


def test_a_set_goes_on_with_other_sources(table, made, tmp_path, caplog):
    folder, source, other = tmp_path / "set", tmp_path / "table", tmp_path / "other.csv"
    shutil.copytree(table.parent, source)
    lines = table.read_text().splitlines()
    (source / "table.csv").write_text("\n".join(lines[:-2]))
    Image.fromarray(np.full((9, 9, 3), 120, np.uint8)).save(source / "4.png")

    def go_on():
        caplog.clear()
        clips = read_sources(source / "table.csv")
        summary = prepare(clips, Stages(source), folder, be_silent, PACKING)
        return summary, [record.getMessage() for record in caplog.records]

    assert go_on()[0].kept == 4
    (source / "table.csv").write_text("\n".join(lines))  # more have come, and one is another
    shutil.copy(table.parent / "4.png", source / "4.png")
    summary, told = go_on()
    assert (summary.clips, summary.kept) == (7, 5)
    assert [line.split(": ", 1)[1] for line in told if str(folder) in line] == [
        "1 clip whose source has changed: done again (clip 4)"
    ]
    assert read_all(folder) == read_all(made)
    (source / "0.png").unlink()
    summary, told = go_on()
    assert summary.kept == 5
    assert f"{folder}: 1 clip whose source is no longer there: what was kept of it stays" in told[0]
    assert "| clips whose source is no longer there | 1 |" in (folder / "DATA_CARD.md").read_text()
    assert read_all(folder) == read_all(made)
    other.write_text(f"{lines[0]}\nx,y,{table.parent}/1.wav,{table.parent}/0.png")
    with pytest.raises(UsageError, match="none of the 7 clips"):
        prepare(read_sources(other), Stages(tmp_path), folder, be_silent, PACKING)
    with pytest.raises(UsageError, match=r"other settings \(piece_seconds: None, now 9"):
        prepare(read_sources(table), Stages(source), folder, be_silent, PACKING, piece_seconds=9)
    assert read_all(folder) == read_all(made)


def test_whatever_one_file_raises_the_others_are_done(table, tmp_path, monkeypatch, caplog):
    real = table_samples.load_image

    def load_image(path):
        if path.name == "1.png":
            raise RuntimeError("\udcff" + 300 * "long ")
        return real(path)

    monkeypatch.setattr(table_samples, "load_image", load_image)
    caplog.set_level("DEBUG")
    clips = read_sources(table)
    clips = [c for c in clips if c.source.clip in ("clip 0", "clip 1", "clip 2")]
    silent, pipe = tmp_path / "silent.wav", tmp_path / "pipe.wav"
    soundfile.write(silent, np.zeros(48_000), 16_000)
    os.mkfifo(pipe)
    clips[0] = replace(clips[0], audio=silent)
    clips += [SourceClip(replace(clips[1].source, clip="pipe"), audio=pipe, face=clips[1].face)]
    summary = prepare(clips, Stages(table.parent), tmp_path / "set", be_silent)
    assert summary.kept == 1
    entries = read_ledger(tmp_path / "set" / "ledger.jsonl")
    refused = {e.source.clip: f"{e.stage}: {e.reason}" for e in entries if not e.kept}
    assert refused["clip 0"].startswith("speech: silence")
    assert refused["pipe"] == "decode: pipe.wav is no file"
    assert refused["clip 1"].startswith("decode: RuntimeError: \\udcfflong long")
    assert len(refused["clip 1"]) < 250
    assert any(record.exc_info for record in caplog.records)


def test_a_clip_of_which_the_process_died_twice_is_refused(table, tmp_path, monkeypatch):
    clips, real = read_sources(table)[:3], pipeline.Worker.work

    def die(self, clip):
        if clip is clips[1]:
            raise Killed
        return real(self, clip)

    with monkeypatch.context() as patched:
        patched.setattr(pipeline.Worker, "work", die)
        patched.setattr(
            Spool, "mark_survived", lambda *_: None
        )  # a process that is dead does nothing
        for _ in range(2):
            with pytest.raises(Killed):
                prepare(clips, Stages(table.parent), tmp_path / "set", be_silent)
        summary = prepare(clips, Stages(table.parent), tmp_path / "set", be_silent)
    assert summary.kept == 2
    assert [*summary.refused] == ["worker"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of its own
def test_workers_of_ray_make_the_same_set(table, made, tmp_path):
    pytest.importorskip("ray")
    prepare(
        read_sources(table), Stages(table.parent), tmp_path / "set", be_silent, PACKING, Workers(2)
    )
    assert read_all(tmp_path / "set") == read_all(made)


def run(monkeypatch, *arguments: object) -> int:
    monkeypatch.setattr("sys.argv", ["speech2face", "prepare", *map(str, arguments)])
    with pytest.raises(SystemExit) as left:
        main()
    return int(left.value.code or 0)


def test_the_command_says_what_it_made(table, tmp_path, monkeypatch, capsys):
    assert run(monkeypatch, table, "--out", tmp_path / "set", "--split", "80/20") == 0
    out = capsys.readouterr().out
    assert out.startswith("7 clips, 5 kept")
    assert "no face (1)" in out
    ledger = (tmp_path / "set" / "ledger.jsonl").read_text().splitlines()
    assert len([json.loads(line) for line in ledger]) == 7


def test_mistakes_in_the_arguments_are_one_line_and_2(table, tmp_path, monkeypatch, capsys):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").write_text("mine")
    silent = tmp_path / "silent.csv"
    soundfile.write(tmp_path / "hiss.wav", noise(0.2), RATE)
    silent.write_text("clip,person,audio,face\na,b,hiss.wav,hiss.wav")
    for arguments, word in (
        ([tmp_path / "nothing", "--out", tmp_path / "x"], "not found"),
        ([table, "--out", tmp_path / "full"], "other files"),
        ([table, "--out", tmp_path / "y", "--split", "80/30"], "split"),
        ([tmp_path, "--out", tmp_path / "z", "--download"], "--download"),
        ([silent, "--out", tmp_path / "none"], "no clip was kept"),
        ([table, "--out", tmp_path / "w", "--ray", "127.0.0.1:9"], "no Ray cluster at 127.0.0.1:9"),
        ([table, "--out", tmp_path / "v", "--ray", "here:there"], "no Ray cluster at here:there"),
    ):
        assert run(monkeypatch, *arguments) == 2
        message = capsys.readouterr().err.strip().splitlines()[-1]
        assert message.startswith("speech2face: ")
        assert word in message
    assert [p.name for p in (tmp_path / "full").iterdir()] == ["letter.txt"]
