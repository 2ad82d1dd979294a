"""Sets while they are made: the same bytes every time, and kills cost nothing."""

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import killed_set, processes
from helpers.finished_samples import (
    FACTS,
    PACKING,
    SECONDS,
    add,
    damage,
    make_outcomes,
    make_sample,
    make_set,
    read_bytes,
)
from speech2face.data import set_plan
from speech2face.data import spool as spool_module
from speech2face.data.ledger import format_data_card, make_entry, read_ledger, summarise
from speech2face.data.sample_codec import decode_target, encode_sample, name_key
from speech2face.data.samples import Sample
from speech2face.data.shard_index import Packing, read_index, verify_shards
from speech2face.data.shard_reader import read_samples, read_side
from speech2face.data.spool import Spool
from speech2face.data.voice_encoder_data import read_voices
from speech2face.errors import UsageError

COUNT = 20


class Killed(BaseException):
    """In place of a kill, within the process."""


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("set")
    make_set(folder, make_outcomes(COUNT))
    return folder


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # they leave the file to the collector
def test_others_read_the_shards(finished):
    import webdataset

    (shard, *_) = read_index(finished).of("train")
    stream = webdataset.WebDataset(str(finished / shard.name), shardshuffle=False).decode("rgb8")
    samples = list(stream)
    assert len(samples) == shard.samples
    for sample in samples:
        assert sample["face.jpg"].shape == (224, 224, 3)
        assert sample["embedding.npy"].shape == (128,)
        assert sample["json"]["source"]["clip"].startswith("set.a/Zoë~")


def test_a_set_holds_what_was_kept_and_the_index_says_so(finished):
    index = read_index(finished)
    kept = {o.source.clip: o for o in make_outcomes(COUNT) if isinstance(o, Sample)}
    met: dict[str, set[str]] = {}
    clips = []
    for split in ("train", "val", "test"):
        parts = index.of(split)
        assert all(part.samples == PACKING.samples for part in parts[:-1])
        samples = list(read_samples(finished, split))
        assert len(samples) == sum(part.samples for part in parts)
        clips += [sample.source.clip for sample in samples]
        met[split] = {sample.source.person for sample in samples}
        assert index.people[split] == sorted(met[split])
        for sample in samples:
            np.testing.assert_array_equal(sample.embedding, kept[sample.source.clip].embedding)
    assert sorted(clips) == sorted(kept)  # none lost, none twice
    assert index.merged == [["person 0", "person 3"]]
    assert any({"person 0", "person 3"} <= people for people in met.values())
    assert sum(map(len, met.values())) == len(set.union(*met.values()))
    assert index.facts == FACTS
    verify_shards(index)
    assert {path.name for path in finished.iterdir()} == {
        "index.json", "ledger.jsonl", *(shard.name for shard in index.shards)
    }  # fmt: skip


@settings(max_examples=10)
@given(order=st.permutations(range(COUNT)), again=st.sets(st.integers(0, COUNT - 1)))
def test_the_order_of_arrival_does_not_matter(order, again, finished, tmp_path_factory):
    outcomes = make_outcomes(COUNT)
    arrived = [outcomes[i] for i in order] + [outcomes[i] for i in sorted(again)]
    index = make_set(tmp_path_factory.mktemp("arrived"), arrived)
    assert read_bytes(index.folder) == read_bytes(finished)


def test_shards_have_their_size(tmp_path):
    samples = [make_sample(i) for i in range(9)]
    piece = max(len(encode_sample(sample)) for sample in samples)
    index = make_set(tmp_path / "size", samples, Packing(megabytes=2.5 * piece / 1e6))
    assert [shard.samples for shard in index.shards] == [2, 2, 2, 2, 1]
    assert index.packing["shares"] == [1.0]
    small = make_set(tmp_path / "small", samples, Packing(megabytes=0.001))
    assert [shard.samples for shard in small.shards] == [1] * 9  # one always fits
    assert [shard.name for shard in small.of("train")][8] == "train-000008.tar"
    with pytest.raises(UsageError, match="no shards of the split val; it has train"):
        small.of("val")


@pytest.mark.parametrize("places", [("spool 5", "line", "spool 2"), ("shard", "index"), ("index",)])
def test_killed_and_begun_again_gives_the_same_bytes(places, finished, tmp_path):
    left = []
    for place in (*places, "nowhere"):
        codes, printed, errors = processes.start(killed_set.main, tmp_path / "set", place).finish()
        assert codes == [0 if place == "nowhere" else -signal.SIGKILL], errors
        left.append(int(printed))
    assert COUNT == left[0] >= left[-1]
    assert left == sorted(left, reverse=True)
    assert read_bytes(tmp_path / "set") == read_bytes(finished)
    assert summarise(read_ledger(tmp_path / "set" / "ledger.jsonl")).clips == COUNT


def test_killed_at_any_change_of_the_disk(monkeypatch, tmp_path):
    outcomes = make_outcomes(8)
    expected = read_bytes(make_set(tmp_path / "unbroken", outcomes).folder)
    left = 0

    def count_down(change):
        def change_or_die(*arguments, **options):
            nonlocal left
            left -= 1
            if left < 0:
                raise Killed
            return change(*arguments, **options)

        return change_or_die

    for number in range(100):
        folder = tmp_path / str(number)
        left = number
        with monkeypatch.context() as patched:
            patched.setattr("os.replace", count_down(os.replace))
            patched.setattr(Path, "unlink", count_down(Path.unlink))
            patched.setattr("shutil.rmtree", count_down(shutil.rmtree))
            patched.setattr(spool_module, "append_entry", count_down(spool_module.append_entry))
            try:
                make_set(folder, outcomes)
            except Killed:
                killed = True
            else:
                killed = False
        make_set(folder, outcomes[::-1])
        assert read_bytes(folder) == expected
        clips = [entry.source.clip for entry in read_ledger(folder / "ledger.jsonl")]
        assert sorted(clips) == sorted(outcome.source.clip for outcome in outcomes)
        if not killed:
            break
    assert number > 20
    assert not killed


def test_finished_clips_are_known_and_a_lost_piece_is_done_again(tmp_path):
    outcomes = make_outcomes(6)
    with Spool(tmp_path, PACKING, FACTS) as spool:
        add(spool, outcomes)
    (lost, *_) = sorted((tmp_path / ".spool").glob("*/*.tar"))
    lost.write_bytes(b"")
    with Spool(tmp_path, PACKING, FACTS) as spool:
        missing = [o for o in outcomes if o.source.clip not in spool]
        assert len(missing) == 1
        assert isinstance(missing[0], Sample)
        add(spool, missing)
        index = spool.pack()
        assert spool.packed
    assert sum(shard.samples for shard in index.shards) == 5
    with Spool(tmp_path, PACKING, FACTS) as spool:  # finished: nothing is left to do
        assert all(o.source.clip in spool for o in outcomes)
        assert spool.pack() == index
        with pytest.raises(UsageError, match="is packed, without"):
            add(spool, [make_sample(99)])


def test_a_folder_is_for_one_set_and_one_process(tmp_path):
    with Spool(tmp_path / "set", PACKING, FACTS) as spool:
        add(spool, make_outcomes(6))
        with pytest.raises(UsageError, match="another process is making this set"):
            Spool(tmp_path / "set", PACKING, FACTS)
    with pytest.raises(UsageError, match=r"other settings \(face_encoder: dlib, now None"):
        Spool(tmp_path / "set", PACKING, {})
    make_set(tmp_path / "set", [])
    with pytest.raises(UsageError, match="is packed otherwise; give the same split and sizes"):
        Spool(tmp_path / "set", Packing(), FACTS)
    with pytest.raises(UsageError, match="begun with other settings"):
        Spool(tmp_path / "set", PACKING, {})
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "train-000000.tar").touch()
    with pytest.raises(UsageError, match="holds other files"):
        Spool(tmp_path / "other")
    with pytest.raises(UsageError, match="cannot be written"):
        Spool(tmp_path / "other" / "train-000000.tar")


def test_a_packed_set_takes_more_and_is_that_of_an_unbroken_run(finished, monkeypatch, tmp_path):
    outcomes, left = make_outcomes(COUNT), 0
    made = make_set(tmp_path / "made", [*outcomes[:12], make_sample(99)])

    def count_down(change):
        def change_or_die(*arguments, **options):
            nonlocal left
            left -= 1
            if left < 0:
                raise Killed
            return change(*arguments, **options)

        return change_or_die

    def grow(folder: Path) -> None:
        with Spool(folder, PACKING, FACTS) as spool:
            assert "set.a/Zoë~000.mp4" in spool
            spool.remove(["set.a/Zoë~099.mp4", "never there"])
            spool.unpack()
            assert not spool.packed
            add(spool, outcomes)
            spool.pack()

    for number in (0, 1, 5, 9, 11, 12, 13, 15, 17, 20, 22, 24, 99):
        folder = tmp_path / str(number)
        shutil.copytree(made.folder, folder)
        left = number
        with monkeypatch.context() as patched:
            patched.setattr("os.replace", count_down(os.replace))
            patched.setattr(Path, "unlink", count_down(Path.unlink))
            try:
                grow(folder)
            except Killed:
                assert number < 99
        grow(folder)
        assert read_bytes(folder) == read_bytes(finished)
        assert summarise(read_ledger(folder / "ledger.jsonl")).clips == COUNT


@pytest.mark.parametrize("harm", ["cut", "changed", "gone"])
def test_clips_of_a_damaged_shard_are_taken_out_and_can_come_again(harm, finished, tmp_path):
    folder = tmp_path / "set"
    shutil.copytree(finished, folder)
    damage(folder / "train-000000.tar", harm)
    with Spool(folder, PACKING, FACTS) as spool:
        assert list(spool.remove_damaged()) == ["train-000000.tar"]
        assert 0 < len(spool.entries()) < COUNT
        add(spool, make_outcomes(COUNT))
        spool.pack()
        assert not spool.remove_damaged()
        assert spool.packed
        spool.remove([])
        assert spool.packed
    assert read_bytes(folder) == read_bytes(finished)


def test_a_line_that_comes_twice_counts_once(finished, tmp_path):
    folder = tmp_path / "set"
    shutil.copytree(finished, folder)
    ledger = folder / "ledger.jsonl"
    ledger.write_bytes(ledger.read_bytes() * 2)
    with Spool(folder, PACKING, FACTS) as spool:
        assert len(spool.entries()) == COUNT


def test_a_clip_that_kills_is_not_begun_for_ever(tmp_path):
    for started in (True, True, False):
        with Spool(tmp_path, PACKING, FACTS) as spool:
            assert spool.mark_started("kills") is started  # and then the process dies
    with Spool(tmp_path, PACKING, FACTS) as spool:
        for _ in range(4):
            assert spool.mark_started("does not")
            spool.mark_survived("does not")


def test_names_need_not_be_utf_8(tmp_path):
    samples = [make_sample(number) for number in (0, 2)]
    source = replace(
        samples[0].source, clip="b\udcff.mp4", path="b\udcff.mp4", person="b\udcff.mp4"
    )
    samples[0] = replace(samples[0], source=source)
    index = make_set(tmp_path, samples, Packing(shares=(0.5, 0.5), join=False))
    sides = {s.source: split for split in index.people for s in read_samples(tmp_path, split)}
    assert sides.keys() == {sample.source for sample in samples}
    assert name_key(source.clip) == "b%FF%2Emp4"
    assert source in {entry.source for entry in read_ledger(tmp_path / "ledger.jsonl")}


def test_a_set_that_an_earlier_version_began_goes_on(tmp_path):
    with Spool(tmp_path, PACKING, {"clips": "7d1f", "face_encoder": "dlib"}) as spool:
        add(spool, make_outcomes(6))
    with pytest.raises(UsageError, match="face_encoder: dlib, now sface"):
        Spool(tmp_path, PACKING, {"face_encoder": "sface", "piece_seconds": 9})
    with Spool(tmp_path, PACKING, {"face_encoder": "dlib", "piece_seconds": 9}) as spool:
        assert spool.pack().facts == {"face_encoder": "dlib", "piece_seconds": 9}


def test_nothing_kept_and_too_few_people(tmp_path):
    with pytest.raises(UsageError, match=r"no clip was kept; ledger\.jsonl says why"):
        make_set(tmp_path / "none", make_outcomes(5)[4:])
    with pytest.raises(UsageError, match="3 sides need as many people; there are 1"):
        make_set(tmp_path / "one", make_outcomes(2))
    whole = make_set(tmp_path / "one", [], Packing())  # no clip has to be done again
    assert [shard.samples for shard in whole.shards] == [2]
    with (
        Spool(tmp_path / "wrong") as spool,
        pytest.raises(ValueError, match="belongs to a clip that is kept"),
    ):
        spool.add(make_entry(make_sample(0), SECONDS))


def test_preparation_needs_no_torch():
    rooms = ("data.spool", "data.ledger", "data.splits", "preparation.sources")
    imports = "; ".join(f"import speech2face.{room}" for room in rooms)
    code = f"import sys; {imports}; print(sys.modules.keys() & {{'torch', 'webdataset', 'yt_dlp'}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def see(sample: Sample, angle: float) -> Sample:
    """The same, with an embedding by SFace that lies at an angle."""
    place = np.zeros(128, np.float32)
    place[:2] = np.cos(angle), np.sin(angle)
    return replace(sample, further={"sface": place})


def test_a_mean_over_frames_comes_back_and_can_be_the_target(tmp_path):
    single = make_sample(0)
    video = replace(make_sample(1), mean=np.linspace(0, 1, 128, dtype=np.float32))
    index = make_set(tmp_path / "set", [single, video], Packing())
    found = {one.source.clip: one for one in read_samples(index.folder)}
    again = found[video.source.clip]
    assert again.mean is not None
    np.testing.assert_array_equal(again.mean, video.mean)
    assert found[single.source.clip].mean is None
    for files in read_side(index.folder):
        steady, plain = decode_target(files, "mean"), decode_target(files)
        assert ("mean.npy" in files) == (not np.array_equal(steady, plain))
    np.testing.assert_array_equal(again.target("mean"), video.mean)
    np.testing.assert_array_equal(again.target("best"), video.embedding)
    best, mean = (
        read_voices(index.folder, "dlib", lambda *_: None, frames=frames)
        for frames in ("best", "mean")
    )
    assert best.clips == mean.clips
    moved = [not np.array_equal(*faces) for faces in zip(best.faces, mean.faces, strict=True)]
    assert moved == [clip == video.source.clip for clip in best.clips]


def test_both_recognisers_join_people_and_what_is_doubtful_is_listed(tmp_path, monkeypatch):
    """Persons 0 to 3 have one face to dlib; SFace tells the second and third apart."""
    samples = [make_sample(number, f"person {number}") for number in range(6)]
    for number, angle in enumerate((0.0, 1.5, 1.26, -0.2)):
        embedding = samples[0].embedding
        samples[number] = see(replace(samples[number], embedding=embedding), angle)
    # One that was made before SFace was asked has its look by dlib alone.
    samples[5] = replace(samples[5], embedding=samples[4].embedding)
    samples[4] = see(samples[4], 3.0)
    unlike = iter(np.eye(99))
    monkeypatch.setattr(set_plan.SpeakerFeatures, "embed", lambda *_: next(unlike))
    index, clips = make_set(tmp_path, samples), [sample.source.clip for sample in samples]
    assert index.merged == [
        ["person 0", "person 3"],
        ["person 1", "person 2"],
        ["person 4", "person 5"],
    ]
    (doubtful,) = index.doubtful
    assert {*doubtful["clips"]} == {clips[0], clips[2]}
    assert (doubtful["sface"], doubtful["dlib"]) == (0.306, 0.0)
    for side in index.people:
        voices = read_voices(tmp_path, "dlib", lambda *_: None, side)
        assert np.isnan(voices.identities.sface).all(1).sum() == voices.clips.count(clips[5])
    card = format_data_card("set", [], index.people, doubtful=index.doubtful, joined=index.joined)
    assert "## Faces to look at" in card
    assert f"| {' | '.join(doubtful['clips'])} | 0.31 | 0.00 | 0.00 |" in card


def test_a_set_that_was_joined_by_dlib_alone_is_read_and_goes_on(tmp_path):
    index = make_set(tmp_path, make_outcomes(6))
    path = tmp_path / "index.json"
    facts = json.loads(path.read_text())
    facts["packing"] = {"near": 0.35, **facts["packing"]}
    del facts["packing"]["join"], facts["doubtful"]
    path.write_text(json.dumps(facts))
    assert read_index(tmp_path).doubtful == []
    with Spool(tmp_path, PACKING, FACTS) as spool:
        assert spool.packed
        spool.unpack()
        add(spool, make_outcomes(8))
        assert spool.pack().packing == index.packing
    facts["packing"]["near"] = None
    path.write_text(json.dumps(facts))
    with pytest.raises(UsageError, match="is packed otherwise"):
        Spool(tmp_path, PACKING, FACTS)
