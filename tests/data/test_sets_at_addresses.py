"""A set lies at an address: sent there, read from there, while the server fails or is away."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from helpers.finished_samples import make_outcomes, make_set
from helpers.object_server import ObjectServer
from speech2face.data.pairs import read_pairs
from speech2face.data.publish_set import publish_set
from speech2face.data.shard_index import is_set, read_index, verify_shards
from speech2face.data.shard_reader import read_samples
from speech2face.data.voice_encoder_data import identify_data
from speech2face.errors import UsageError
from speech2face.preparation.sources import fetch_clip, hash_clip, read_sources

pytest.importorskip("webdataset", reason="sets need the extra prepare")
TARGET = Path("s3://bucket/sets/a")


def ignore(*_: object) -> None:
    pass


def test_a_set_is_sent_and_read_while_its_server_fails(
    tmp_path: Path, server: ObjectServer
) -> None:
    here = tmp_path / "set"
    make_set(here, make_outcomes(12))
    assert not is_set(TARGET)
    server.faults.extend(["throttle", "cut"])
    publish_set(here, TARGET, ignore)
    assert is_set(TARGET)
    assert read_index(TARGET).shards == read_index(here).shards
    verify_shards(read_index(TARGET))
    assert identify_data([TARGET]) == identify_data([here])
    whole = [sample.source.clip for sample in read_samples(here)]
    samples = read_samples(TARGET)
    read = [next(samples).source.clip]
    server.faults.extend(["cut", "throttle"])
    server.stop()
    again = threading.Timer(0.3, server.start)
    again.start()
    assert read + [sample.source.clip for sample in samples] == whole
    again.join()


def test_what_is_there_is_not_sent_again(tmp_path: Path, server: ObjectServer) -> None:
    make_set(tmp_path / "set", make_outcomes(12))
    publish_set(tmp_path / "set", TARGET, ignore)
    shards = [name for name in server.objects if name.endswith(".tar")]
    assert len(shards) > 2
    server.objects.pop("bucket/sets/a/index.json")
    server.requests.clear()
    publish_set(tmp_path / "set", TARGET, ignore)
    assert len([line for line in server.requests if line.endswith(".tar")]) >= len(shards)
    server.requests.clear()
    publish_set(tmp_path / "set", TARGET, ignore)
    assert [line for line in server.requests if line.startswith("PUT") and ".tar" in line] == []


def test_a_damaged_or_missing_shard_is_told_of(tmp_path: Path, server: ObjectServer) -> None:
    make_set(tmp_path / "set", make_outcomes(12))
    publish_set(tmp_path / "set", TARGET, ignore)
    index = read_index(TARGET)
    first, second = (f"bucket/sets/a/{shard.name}" for shard in index.shards[:2])
    server.objects[first] = server.objects[first][:-1] + b"x"
    del server.objects[second]
    with pytest.raises(UsageError, match=r"is damaged or changed.* cannot be fetched .*not found"):
        verify_shards(index)
    with pytest.raises(UsageError, match=r"no index\.json"):
        read_index(Path("s3://bucket/none"))


def test_pairs_at_an_address_are_sources_of_a_set(tmp_path: Path, server: ObjectServer) -> None:
    server.objects |= {
        "bucket/pairs/pairs.csv": b"clip,person\nx,anna\n",
        "bucket/pairs/audio/x.flac": b"sound",
        "bucket/pairs/face/x.jpg": b"picture",
        "bucket/list.csv": b"clip,person,audio,face\ny,bob,pairs/audio/x.flac,s3://bucket/y.jpg\n",
        "bucket/y.jpg": b"another",
    }
    folder = Path("s3://bucket/pairs")
    with pytest.raises(UsageError, match="pairs are read from this machine; give a set, which"):
        read_pairs(folder)
    for table, face in (("pairs/pairs.csv", b"picture"), ("list.csv", b"another")):
        (clip,) = read_sources(Path("s3://bucket") / table)
        with fetch_clip(clip) as here:
            assert here.audio
            assert here.face
            assert here.audio.read_bytes() == b"sound"
            assert here.face.read_bytes() == face
            assert here.source == clip.source
            content = hash_clip(here)
        assert not here.audio.exists()
        assert hash_clip(clip) == content
    with pytest.raises(
        UsageError, match=r"s3://bucket/videos: give a table \(\.csv\) at an address"
    ):
        read_sources(Path("s3://bucket/videos"))
