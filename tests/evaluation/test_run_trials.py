"""A model on a list: embeddings kept, what is not found told, no figure from it."""

from dataclasses import dataclass, replace
from types import SimpleNamespace

import numpy as np
import pytest

from speech2face.data.face_unwarping import MeasuredFaces
from speech2face.errors import NoSpeechError, UsageError
from speech2face.evaluation import rating_networks
from speech2face.evaluation.run_trials import format_scores, score_list
from speech2face.evaluation.trial_lists import check_people, read_people, read_trials
from speech2face.evaluation.trial_scores import MatchingScores, PairScores

PEOPLE = 8
KINDS = (("voices", "wav"), ("faces", "jpg"))


@dataclass
class Parrot:
    """Hears in a file the vector that its person has; counts what it hears."""

    vectors: np.ndarray
    heard: int = 0
    deaf: str = ""

    def __post_init__(self):
        self.card = SimpleNamespace(face_encoder="dlib", sha256={"all": "0" * 64})

    def embed(self, source: str):
        self.heard += 1
        if self.deaf and source.endswith(self.deaf):
            raise NoSpeechError("nobody speaks.")
        return SimpleNamespace(mean=self.vectors[int(source.split("/p")[-1][0])])


@pytest.fixture
def world(tmp_path, monkeypatch):
    vectors = np.random.default_rng(0).normal(size=(PEOPLE, 6))
    for n in range(PEOPLE):
        (tmp_path / f"p{n}").mkdir()
        (tmp_path / f"p{n}" / "a.wav").write_text(f"voice {n}")
        (tmp_path / f"p{n}" / "a.jpg").write_text(f"face {n}")

    def measure(paths, recogniser, cache, show=None, **_):
        index = [i for i, path in enumerate(paths) if path.parent.name != "p7"]  # no face there
        whose = [int(paths[i].parent.name[1]) for i in index]
        mesh = np.zeros((len(index), 468, 2))
        return MeasuredFaces(np.array(index), mesh, np.zeros(len(index)), vectors[whose])

    monkeypatch.setattr(rating_networks, "measure_faces", measure)
    return tmp_path, Parrot(vectors)


def score(world, text, **options):
    folder, model = world
    (folder / "list.csv").write_text(text)
    return score_list(
        folder / "list.csv", folder, model, folder / "run", lambda *_: None, **options
    )


def test_pairs_are_scored_and_nothing_is_heard_twice(world):
    rows = [f"p{n}/a.wav,p{n}/a.jpg,1\np{n}/a.wav,p{(n + 1) % 7}/a.jpg,0\n" for n in range(7)]
    told = score(world, "".join(rows))
    assert (told.trials, told.voices, told.faces) == (14, 7, 7)
    assert (told.without_speech, told.without_a_face) == (0, 0)
    assert isinstance(told.scores, PairScores)
    assert told.scores.auc.value == pytest.approx(1)
    assert "equal error rate    0.000" in format_scores(told)
    assert world[1].heard == 7
    again = score(world, "".join(rows))
    assert replace(again, provenance=told.provenance) == told
    assert world[1].heard == 7


def test_strata_are_scored_beside_the_whole(world, caplog):
    lines = [f"p{n}/a.wav,p{m}/a.jpg,{int(n == m)}\n" for n in range(6) for m in range(6)]
    traits = {f"p{n}": {"gender": "fm"[n % 2], "nationality": str(n)} for n in range(6)}
    told = score(world, "".join(lines), traits=traits)
    assert told.trials == 36
    assert set(told.strata) == {"gender"}  # nobody shares a nationality with another person
    assert "share nationality nothing is scored" in caplog.text
    assert told.strata["gender"].trials == 18
    assert told.strata["gender"].scores.auc.value == pytest.approx(1)
    assert "18 trials among people of one gender" in format_scores(told)


def test_what_is_not_found_ties(world):
    world[1].deaf = "p0/a.wav"
    rows = [f"p{n}/a.wav p{n}/a.jpg p{(n + 1) % 8}/a.jpg\n" for n in range(8)]
    told = score(world, "".join(rows), right=1)
    assert (told.without_speech, told.without_a_face) == (1, 1)
    assert isinstance(told.scores, MatchingScores)
    assert told.scores.accuracy.value == pytest.approx((0.5 + 7) / 8, abs=0.13)
    assert "1 without speech" in format_scores(told)
    with pytest.raises(UsageError, match="no speech, or no face"):
        score(world, "p0/a.wav p0/a.jpg p1/a.jpg\n", right=1)


def test_people_may_be_named_in_a_table_and_are_checked_before_anything_is_heard(world):
    folder, model = world
    for kind, ending in KINDS:
        (folder / kind).mkdir()
        for n in range(6):
            (folder / f"p{n}" / f"a.{ending}").rename(folder / kind / f"p{n}.{ending}")
    text = "voices/p1.wav,faces/p1.jpg,1\nvoices/p1.wav,faces/p2.jpg,0\n"
    with pytest.raises(UsageError, match=r"voices/p1.wav and faces/p1.jpg .* --people"):
        score(world, text)
    assert model.heard == 0
    table = folder / "people.csv"
    named = [f"{kind}/p{n}.{e},person {n}" for kind, e in KINDS for n in range(6)]
    table.write_text("\n".join(["file,person", *named]))
    people = read_people(table)
    assert people["faces/p2.jpg"] == "person 2"
    check_people(read_trials(folder / "list.csv", folder), people)
    for wrong, why in {"file\nx": "the column person", "file,person\n": "no rows"}.items():
        table.write_text(wrong)
        with pytest.raises(UsageError, match=why):
            read_people(table)
