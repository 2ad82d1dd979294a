"""From a table of sound and faces to shards: here, on Ray, broken off and gone on."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from drawn import draw_faces, sample_embeddings
from sounds import RATE, example_speech, noise
from speech2face.cli import main
from speech2face.data.ledger import read_ledger
from speech2face.data.reading import read_samples
from speech2face.data.shards import Packing, read_index, verify_shards
from speech2face.errors import UsageError
from speech2face.faces import load_face_encoder
from speech2face.preparation import pipeline
from speech2face.preparation.pipeline import Stages, Workers, prepare
from speech2face.preparation.sources import Clip, read_sources
from speech2face.speech import find_speech

COUNT = 5
PACKING = Packing(shares=(0.6, 0.4), samples=2, near=None)


def be_silent(*_: object) -> None:
    pass


@pytest.fixture(scope="module")
def table(tmp_path_factory) -> Path:
    """Five faces and voices of nobody; of a sixth the face is missing, a seventh is a stone."""
    folder = tmp_path_factory.mktemp("table")
    speech, rate = example_speech()
    lines = ["clip,person,audio,face"]
    for number, face in enumerate(draw_faces(COUNT)):
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
        distances = np.linalg.norm(sample_embeddings(COUNT) - sample.embedding, axis=1)
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

    def work(self, clip: Clip):
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


def test_another_source_is_no_part_of_a_set(table, made):
    with pytest.raises(UsageError, match="another source"):
        prepare(read_sources(table)[:3], Stages(table.parent), made, be_silent, PACKING)


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
