"""Emotions: faces that stay, faces that follow the emotion, and faces by lot."""

import numpy as np
import pytest

from speech2face.errors import UsageError
from speech2face.evaluation.emotion_robustness import compare_emotions, find_all_speech, read_actors

ACTORS = np.repeat([f"{n:02}" for n in range(1, 13)], 4)
EMOTIONS = np.tile(["happy", "happy", "sad", "sad"], 12)
SEX = np.where(np.array([int(a) for a in ACTORS]) % 2, "Male", "Female")


def directions(labels: np.ndarray) -> np.ndarray:
    """One direction for each label."""
    names, index = np.unique(labels, return_inverse=True)
    return np.random.default_rng(0).normal(size=(len(names), 200))[index]


def test_a_face_that_stays():
    same, other, strangers, nearer = compare_emotions(directions(ACTORS), ACTORS, EMOTIONS, SEX)
    assert same.value == other.value == pytest.approx(1)
    assert abs(strangers.value) < 0.1
    assert nearer.value == nearer.low == 1


def test_a_face_that_is_only_the_emotion():
    same, other, strangers, nearer = compare_emotions(directions(EMOTIONS), ACTORS, EMOTIONS, SEX)
    assert same.value == strangers.value == pytest.approx(1)
    assert other.value < 0.3
    assert nearer.value == pytest.approx(0.5, abs=0.3)


def test_faces_by_lot():
    means = np.random.default_rng(1).normal(size=(len(ACTORS), 20))
    same, other, strangers, nearer = compare_emotions(means, ACTORS, EMOTIONS, SEX)
    for cosine in (same, other, strangers):
        assert abs(cosine.value) < 0.15
    assert nearer.low < 0.5 < nearer.high


def test_actors_are_read_by_their_files_names(tmp_path):
    for kind in ("audio", "face"):
        (tmp_path / kind).mkdir()
    names = ["03-01-03-01-01-01-01", "03-01-04-01-01-01-02"]
    for number, name in enumerate(names, 1):
        (tmp_path / "audio" / f"{name}.flac").touch()
        (tmp_path / "face" / f"Actor_{number:02}.png").touch()
    pairs, emotions = read_actors(tmp_path)
    assert [(p.person, p.face.name) for p in pairs] == [
        ("01", "Actor_01.png"),
        ("02", "Actor_02.png"),
    ]
    assert list(emotions) == ["happy", "sad"]
    (tmp_path / "audio" / "other.flac").touch()
    with pytest.raises(UsageError, match="not named as RAVDESS"):
        read_actors(tmp_path)
    (tmp_path / "audio" / "other.flac").unlink()
    (tmp_path / "audio" / f"{names[1]}.flac").unlink()
    with pytest.raises(UsageError, match="two actors or more"):
        read_actors(tmp_path)


def test_a_broken_recording_is_left_out_and_named(tmp_path, caplog):
    for actor in ("01", "02"):
        (tmp_path / "audio").mkdir(exist_ok=True)
        (tmp_path / "face").mkdir(exist_ok=True)
        (tmp_path / "face" / f"Actor_{actor}.png").touch()
        (tmp_path / "audio" / f"03-01-01-01-01-01-{actor}.wav").write_bytes(b"no sound")
    pairs, _ = read_actors(tmp_path)
    assert find_all_speech(pairs) == [None, None]
    assert [record.message.partition(" is left out: ")[0] for record in caplog.records] == [
        pair.clip for pair in pairs
    ]
