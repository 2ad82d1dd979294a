"""Samples as files: what goes in comes out, and the same bytes every time."""

import json
import tarfile
from dataclasses import astuple, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.finished_samples import make_sample
from speech2face.data.sample_codec import decode_sample, encode_sample, name_key


def files_of(piece: bytes, folder: Path) -> dict[str, bytes]:
    (folder / "piece.tar").write_bytes(piece)
    with tarfile.open(folder / "piece.tar") as tar:
        members = {member.name: member for member in tar}
        assert {(m.mtime, m.uid, m.gid, m.uname, m.mode) for m in members.values()} == {
            (0, 0, 0, "", 0o644)
        }
        return {n.split(".", 1)[1]: tar.extractfile(m).read() for n, m in members.items()}


@pytest.mark.parametrize("seconds", [0.5, 1.23456, 10.0])
def test_a_sample_comes_back(seconds, tmp_path):
    sample = make_sample(3, seconds=seconds)
    files = files_of(encode_sample(sample), tmp_path)
    assert sorted(files) == ["embedding.npy", "face.jpg", "flac", "json"]
    again = decode_sample(files)
    assert again.source == sample.source
    assert again.speech.dtype == np.float32
    np.testing.assert_allclose(again.speech, sample.speech - sample.speech.mean(), atol=4e-5)
    np.testing.assert_array_equal(again.embedding, sample.embedding)
    np.testing.assert_allclose(again.face.astype(int), sample.face, atol=8)
    np.testing.assert_equal(astuple(again.quality), astuple(sample.quality))  # NaN too
    assert json.loads(files["json"])["quality"]["agreement"] is None
    assert encode_sample(sample) == encode_sample(make_sample(3, seconds=seconds))


def test_sound_beyond_full_scale_is_cut_off_there(tmp_path):
    sample = make_sample(0)
    sample.speech[:4] = [1.5, -1.5, 1, -1]
    speech = decode_sample(files_of(encode_sample(sample), tmp_path)).speech
    np.testing.assert_allclose(speech[:4], [1, -1, 1, -1], atol=5e-3)


@given(st.text(min_size=1), st.text(min_size=1))
def test_keys_are_plain_and_tell_clips_apart(one, other):
    key = name_key(one)
    assert key.isascii()
    assert not set(key) & set("./~ \0")
    assert (key == name_key(other)) == (one == other)


def test_what_further_recognisers_say_comes_back(tmp_path):
    sample = replace(make_sample(3), further={"sface": np.linspace(0, 1, 128, dtype=np.float32)})
    files = files_of(encode_sample(sample), tmp_path)
    assert sorted(files) == ["embedding.npy", "face.jpg", "flac", "json", "sface.npy"]
    again = decode_sample(files).embeddings("dlib")
    assert set(again) == {"dlib", "sface"}
    np.testing.assert_array_equal(again["sface"], sample.further["sface"])
    np.testing.assert_array_equal(again["dlib"], sample.embedding)
