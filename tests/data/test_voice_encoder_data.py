"""Voices with faces, the same from a folder of pairs and from its shards."""

import numpy as np
import pytest
import soundfile

from helpers.synthetic_pairs import make_pairs
from speech2face.data import merge_pairs
from speech2face.data import voice_encoder_data as module
from speech2face.data.face_unwarping import MeasuredFaces
from speech2face.data.pairs import read_pairs
from speech2face.data.shard_index import Packing
from speech2face.data.voice_encoder_data import load_pair_voices, load_voices, read_voices
from speech2face.errors import UsageError
from speech2face.preparation.pipeline import Stages, prepare
from speech2face.preparation.sources import read_sources


def quiet(*_: object) -> None:
    pass


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_pairs(tmp_path_factory.mktemp("voices"), clips=2)


@pytest.fixture(scope="module")
def made(folder, tmp_path_factory):
    path = tmp_path_factory.mktemp("sets") / "set"
    clips = read_sources(folder / "pairs.csv")
    prepare(clips, Stages(folder), path, quiet, Packing(shares=(0.75, 0.25), join=False))
    return path


def test_shards_give_what_their_folder_gives(folder, made, tmp_path):
    plain = load_voices([folder], "dlib", tmp_path, quiet)
    sharded = load_voices([made], "dlib", tmp_path, quiet)
    assert plain.clips == sorted(pair.clip for pair in read_pairs(folder))
    assert len(set(plain.people)) == 8
    assert len(set(sharded.people)) == 6  # the side `train`
    assert sharded.clips == [c for c in plain.clips if c in set(sharded.clips)]
    for row, clip in enumerate(sharded.clips):
        same = plain.clips.index(clip)
        assert plain.people[same] == sharded.people[row]
        np.testing.assert_allclose(plain.speech[same], sharded.speech[row], atol=1e-4)
        np.testing.assert_array_equal(plain.faces[same], sharded.faces[row])
    assert plain.data != sharded.data


def test_a_folder_and_shards_are_read_as_one(folder, made, tmp_path):
    plain, sharded = (load_voices([one], "dlib", tmp_path, quiet) for one in (folder, made))
    both = load_voices([folder, made], "dlib", tmp_path, quiet)
    assert len(both) == len(plain) + len(sharded)
    assert len(set(both.clips)) == len(both)
    assert len(set(both.people)) == 8  # the shards show the same faces
    again = load_voices([made, folder], "dlib", tmp_path, quiet)
    assert (again.clips, again.people, again.data) == (both.clips, both.people, both.data)
    np.testing.assert_array_equal(again.faces, both.faces)


def test_of_a_side_the_first_clips_may_be_enough(made):
    whole, some = read_voices(made, "dlib", quiet), read_voices(made, "dlib", quiet, most=5)
    assert (len(whole), len(some)) == (12, 5)
    assert set(some.clips) < set(whole.clips)
    assert some.clips == sorted(some.clips)
    assert len(read_voices(made, "dlib", quiet, "val")) == 4
    with pytest.raises(UsageError, match="no shards of the split test"):
        read_voices(made, "dlib", quiet, "test")


def test_clips_are_taken_by_row(made):
    whole = read_voices(made, "dlib", quiet)
    taken = whole.take(np.array([4, 1]))
    assert taken.clips == [whole.clips[4], whole.clips[1]]
    assert taken.people == [whole.people[4], whole.people[1]]
    assert taken.speech[0] is whole.speech[4]
    np.testing.assert_array_equal(taken.faces, whole.faces[[4, 1]])
    assert (len(taken), taken.data) == (2, whole.data)


def test_faces_of_another_recogniser_are_refused(made, tmp_path):
    with pytest.raises(UsageError, match="embedded by dlib, not by sface"):
        load_voices([made], "sface", tmp_path, quiet)


def test_a_clip_without_a_face_or_with_little_sound_is_left_out(folder, tmp_path, monkeypatch):
    pairs = sorted(read_pairs(folder), key=lambda pair: pair.clip)

    def measure(paths, *_, also=()):
        seen = np.arange(1, len(paths))  # none on the first
        return MeasuredFaces(seen, np.zeros((len(seen), 468, 2)), seen * 0.0, np.eye(128)[seen])

    def load_speech(path):
        short = path == pairs[1].audio
        return np.zeros(8_000 - short, np.float32), True

    monkeypatch.setattr(merge_pairs, "measure_faces", measure)
    monkeypatch.setattr(module, "load_speech", load_speech)
    voices = load_pair_voices(pairs[::-1], "dlib", tmp_path, quiet)
    assert voices.clips == [pair.clip for pair in pairs[2:]]
    np.testing.assert_array_equal(voices.faces, np.eye(128)[2 : len(pairs)])


def test_what_cannot_be_read_is_left_out_by_name(tmp_path, caplog):
    folder = make_pairs(tmp_path, clips=1)
    first, second, third, *rest = sorted(read_pairs(folder), key=lambda pair: pair.clip)
    first.audio.write_bytes(first.audio.read_bytes()[:99])
    soundfile.write(second.audio, np.zeros(48_000), 16_000)
    third.face.write_bytes(b"no picture")
    voices = load_pair_voices(read_pairs(folder), "dlib", tmp_path / "cache", quiet)
    assert voices.clips == [pair.clip for pair in rest]
    assert voices.left_out == 3
    told = [record.getMessage() for record in caplog.records]
    assert [line.split(":")[0] for line in told[:-1]] == [
        f"{pair.clip} is left out" for pair in (first, second, third)
    ]
    assert "silence" in told[1]
    assert "not a picture" in told[2]
    assert told[-1] == f"3 of {3 + len(rest)} clips are left out"
    with pytest.raises(UsageError, match=f"none of the 1 clips is of use; {first.clip} is left"):
        load_pair_voices([first], "dlib", tmp_path / "cache", quiet)
