"""Reading: every sample once an epoch, as many batches on every rank, the same for a seed."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from helpers.finished_samples import make_sample, make_set
from helpers.sounds import noise
from speech2face.data.shard_index import Packing, Shard, read_index
from speech2face.data.shard_reader import cut_order, read_samples
from speech2face.errors import UsageError
from speech2face.training.shard_dataset import (
    Augmentation,
    Reading,
    SpeechAndFaces,
    augment,
    crop,
)

COUNT = 26
CLIPS = {make_sample(i).source.clip for i in range(COUNT)}
RATE = 16_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """26 samples in shards of 7, 7, 7 and 5."""
    folder = tmp_path_factory.mktemp("set")
    samples = [make_sample(i, seconds=0.5 + 0.1 * (i % 3)) for i in range(COUNT)]
    make_set(folder, samples, Packing(samples=7))
    return folder


def shards_of(*counts: int) -> list[Shard]:
    return [Shard(f"{i}.tar", "train", count, 0, "") for i, count in enumerate(counts)]


def clips_of(dataset: SpeechAndFaces, epoch: int = 0, workers: int = 1) -> list[list[str]]:
    """The clips of each batch, of all workers."""
    return [b.clip for w in range(workers) for b in dataset.read(epoch, w, workers)]


@given(st.lists(st.integers(0, 9), max_size=9), st.data())
def test_stretches_of_an_order_are_its_parts(counts, data):
    shards = shards_of(*counts)
    whole = [(shard.name, place) for shard in shards for place in range(shard.samples)]
    start = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(start, len(whole)))
    found = [
        (stretch.shard.name, stretch.start + place)
        for stretch in cut_order(shards, start, end)
        for place in range(stretch.size)
    ]
    assert found == whole[start:end]


@given(
    counts=st.lists(st.integers(1, 30), min_size=1, max_size=6),
    batch=st.integers(1, 5),
    ranks=st.integers(1, 4),
    workers=st.integers(1, 4),
    epoch=st.integers(0, 3),
)
def test_ranks_have_as_many_batches_and_no_sample_twice(counts, batch, ranks, workers, epoch):
    total = sum(counts)
    if total < batch * ranks:
        return
    read: list[tuple[str, int]] = []

    def note(_, stretches):
        for shard, start, size in stretches:
            read.extend((shard.name, start + i) for i in range(size))
            yield from [{}] * size

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("speech2face.training.shard_dataset.read_stretches", note)
        patch.setattr(
            "speech2face.training.shard_dataset.read_index",
            lambda _: type("", (), {"of": lambda *_: shards}),
        )
        patch.setattr(SpeechAndFaces, "_make", lambda _, samples, *__: len(samples))
        shards = shards_of(*counts)
        for rank in range(ranks):
            reading = Reading(batch=batch, rank=rank, ranks=ranks)
            dataset = SpeechAndFaces(Path(), "train", reading)
            sizes = [n for w in range(workers) for n in dataset.read(epoch, w, workers)]
            assert sizes == [batch] * len(dataset)
            assert len(dataset) == total // (batch * ranks)
    assert len(read) == len(set(read))
    assert 0 <= total - len(read) < batch * ranks


@pytest.mark.parametrize("batch", [1, 13])
def test_two_ranks_of_two_workers_see_each_sample_once(folder, batch):
    seen = []
    for rank in range(2):
        dataset = SpeechAndFaces(folder, "train", Reading(batch=batch, rank=rank, ranks=2))
        seen += clips_of(dataset, workers=2)
    assert len(seen) == COUNT // batch
    assert sorted(clip for batch in seen for clip in batch) == sorted(CLIPS)


def test_uneven_shards_give_ranks_as_many_batches(folder):
    assert [shard.samples for shard in read_index(folder).shards] == [7, 7, 7, 5]
    left_out = set()
    for epoch in range(12):
        ranks = [
            SpeechAndFaces(folder, "train", Reading(batch=3, rank=r, ranks=3)) for r in (0, 1, 2)
        ]
        seen = [clips_of(dataset, epoch, workers=2) for dataset in ranks]
        assert [len(batches) for batches in seen] == [2, 2, 2] == [len(d) for d in ranks]
        clips = [clip for batches in seen for batch in batches for clip in batch]
        assert len(set(clips)) == len(clips) == 18
        left_out |= CLIPS - set(clips)
    assert len(left_out) > 8  # it is not always the same ones


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # forks beside threads
def test_a_loader_gives_tensors_and_the_epoch_reaches_its_workers(folder):
    dataset = SpeechAndFaces(folder, "train", Reading(batch=4))
    loader = DataLoader(
        dataset,
        batch_size=None,
        num_workers=2,
        persistent_workers=True,
        multiprocessing_context="fork",
    )
    epochs = []
    for epoch in (0, 1, 0):
        dataset.set_epoch(epoch)
        batches = list(loader)
        assert len(batches) == len(loader) == 6
        for batch in batches:
            assert batch.speech.shape[0] == 4
            assert batch.embedding.shape == (4, 128)
            assert batch.person[0].startswith("person ")
        epochs.append([batch.clip for batch in batches])
        assert len({clip for clips in epochs[-1] for clip in clips}) == 24
    assert epochs[0] == epochs[2] != epochs[1]


def test_the_same_seed_gives_the_same_batches_and_another_one_others(folder):
    reading = Reading(batch=5, seconds=(0.5, 0.8), augmentation=Augmentation())
    first, again = (list(SpeechAndFaces(folder, "train", reading).read(3)) for _ in range(2))
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one.speech, other.speech)
        assert one.clip == other.clip
    lengths = {batch.speech.shape[1] for batch in first}
    assert len(lengths) == len(first)
    assert all(0.5 * RATE <= length <= 0.8 * RATE for length in lengths)
    other = SpeechAndFaces(folder, "train", Reading(batch=5, seed=1))
    assert clips_of(other) != clips_of(SpeechAndFaces(folder, "train", Reading(batch=5)))


def test_crops_are_of_one_length_on_all_ranks_and_faces_belong_to_them(folder):
    embeddings = {make_sample(i).source.clip: make_sample(i).embedding for i in range(COUNT)}
    ranks = [
        list(SpeechAndFaces(folder, "train", Reading(batch=3, rank=r, ranks=2)).read(0))
        for r in (0, 1)
    ]
    for batches in zip(*ranks, strict=True):
        assert len({batch.speech.shape for batch in batches}) == 1
        for batch in batches:
            for clip, embedding in zip(batch.clip, batch.embedding, strict=True):
                np.testing.assert_array_equal(embedding, embeddings[clip])


def test_crops_lie_anywhere_and_short_sounds_are_repeated():
    sound = np.arange(100, dtype=np.float32)
    crops = [crop(sound, 30, np.random.default_rng(seed)) for seed in range(300)]
    starts = {int(part[0]) for part in crops}
    assert (min(starts), max(starts)) == (0, 70)
    assert all((np.diff(part) == 1).all() for part in crops)
    long = crop(sound, 250, np.random.default_rng(0))
    np.testing.assert_array_equal(long, (np.arange(250) + long[0]) % 100)
    np.testing.assert_array_equal(crop(sound, 100, np.random.default_rng(0)), sound)


@pytest.mark.parametrize("name", ["reverberation", "noise", "telephone", "codec", "gain"])
def test_each_augmentation_happens_as_often_as_it_should(name):
    never = dict.fromkeys(("reverberation", "noise", "telephone", "codec", "gain"), 0.0)
    sound = noise(0.5, slope=1, seed=1)
    before = sound.copy()
    for chance, low, high in ((0.0, 0, 0), (0.5, 4, 16), (1.0, 20, 20)):
        chances = Augmentation(**never | {name: chance})
        sounds = [augment(sound, chances, np.random.default_rng(seed)) for seed in range(20)]
        assert all(s.shape == sound.shape and s.dtype == np.float32 for s in sounds)
        assert all(np.isfinite(s).all() for s in sounds)
        assert low <= sum(not np.array_equal(s, sound) for s in sounds) <= high
        again = augment(sound, chances, np.random.default_rng(3))
        np.testing.assert_array_equal(again, sounds[3])
    np.testing.assert_array_equal(sound, before)


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_an_epoch_is_entered_at_any_batch(folder, workers):
    reading = Reading(batch=4, seconds=(0.5, 0.8), augmentation=Augmentation(), seed=2)
    dataset = SpeechAndFaces(folder, "train", reading)
    by_worker = [list(dataset.read(1, w, workers)) for w in range(workers)]
    whole = [by_worker[k % workers][k // workers] for k in range(len(dataset))]  # they take turns
    assert sum(map(len, by_worker)) == len(dataset)
    for start in range(len(dataset) + 1):
        rest = [list(dataset.read(1, w, workers, start)) for w in range(workers)]
        for k in range(start, len(dataset)):
            batch = rest[k % workers].pop(0)
            np.testing.assert_array_equal(batch.speech, whole[k].speech)
            assert batch.clip == whole[k].clip
        assert not any(rest)


def test_samples_are_read_whole_and_in_order(folder):
    samples = list(read_samples(folder))
    assert [s.source.clip for s in samples] == [s.source.clip for s in read_samples(folder)]
    assert {s.source.clip for s in samples} == CLIPS
    assert {len(s.speech) for s in samples} == {8_000, 9_600, 11_200}


def test_too_few_samples_and_sides_that_are_not_there(folder):
    with pytest.raises(UsageError, match="26 samples of train are less than a batch of 9 for each"):
        SpeechAndFaces(folder, "train", Reading(batch=9, ranks=3))
    with pytest.raises(UsageError, match="no shards of the split test"):
        SpeechAndFaces(folder, "test")


@pytest.mark.parametrize("harm", ["cut", "short", "gone", "rubbish"])
def test_a_damaged_shard_is_named(harm, tmp_path):
    index = make_set(tmp_path, [make_sample(i) for i in range(4)], Packing())
    path = tmp_path / index.shards[0].name
    held = path.read_bytes()
    path.unlink()
    if harm != "gone":
        half = held[: len(held) // 1024 * 512]
        path.write_bytes({"cut": half, "short": bytes(1024), "rubbish": b"no tar" * 999}[harm])
    with pytest.raises(UsageError, match=rf"{path.name}: (cannot be read|holds fewer)"):
        list(read_samples(tmp_path, index.shards[0].split))
