"""Batches by step number: the same again, everybody in turn, each process its own part."""

import multiprocessing
import os
import signal
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from helpers.finished_samples import make_sample, make_set
from speech2face.data.shard_index import Packing
from speech2face.data.shard_reader import read_samples
from speech2face.data.voice_encoder_data import Voices
from speech2face.errors import UsageError
from speech2face.training import shard_dataset
from speech2face.training.batches import HeldBatches, StreamedBatches, read_faces
from speech2face.training.shard_dataset import Augmentation, Batch, Reading

COUNT = 26
RATE = 16_000


def make_voices(people: int, clips: int = 2) -> Voices:
    """Clip n holds whole numbers from 100,000 n on, so that a crop says whence it is."""
    owner = [f"person {n // clips}" for n in range(people * clips)]
    speech = [1e5 * n + np.arange(12_000 + 900 * n, dtype=np.float32) for n in range(len(owner))]
    faces = np.arange(len(owner), dtype=np.float32)[:, None] * np.ones(3, "f")
    return Voices([str(n) for n in range(len(owner))], owner, speech, faces, data="made up")


def assert_same(some: Batch, others: Batch) -> None:
    np.testing.assert_array_equal(some.speech, others.speech)
    np.testing.assert_array_equal(some.embedding, others.embedding)
    assert (some.clip, some.person) == (others.clip, others.person)


# In memory ---------------------------------------------------------------------------------------


def test_crops_come_with_their_own_face_and_person():
    clips = make_voices(5)
    source = HeldBatches(clips, Reading(4, (0.5, 0.9)))
    lengths = set()
    for step in range(12):
        batch = source.batch(step)
        lengths.add(batch.speech.shape[1])
        for sound, face, clip, person in zip(*batch, strict=True):
            row = int(sound[0] // 1e5)
            assert (clip, person) == (str(row), clips.people[row])
            assert face.tolist() == [row] * 3
            start = int(sound[0] - 1e5 * row)
            wanted = np.tile(clips.speech[row], 2)[start : start + len(sound)]
            np.testing.assert_array_equal(sound, wanted)
    assert len(lengths) > 8
    assert all(0.5 * RATE <= length <= 0.9 * RATE for length in lengths)


def test_a_step_gives_its_batch_whatever_came_before():
    clips, reading = make_voices(7), Reading(3, (0.5, 0.7), Augmentation())
    source, fresh = HeldBatches(clips, reading), HeldBatches(clips, reading)
    batches = [source.batch(step) for step in range(6)]
    for step in (4, 0, 5):
        assert_same(fresh.batch(step), batches[step])
    assert len({batch.clip[0] for batch in batches}) > 1
    other = HeldBatches(clips, replace(reading, seed=1))
    assert [other.batch(s).clip for s in range(6)] != [b.clip for b in batches]


def test_nobody_is_heard_twice_in_an_epoch():
    source = HeldBatches(make_voices(11), Reading(3, (0.5, 0.5)))
    heard, clips = Counter(), set()
    for epoch in range(40):
        people = [p for s in range(3) for p in source.batch(3 * epoch + s).person]
        assert len(set(people)) == 9
        heard.update(people)
        clips |= {c for s in range(3) for c in source.batch(3 * epoch + s).clip}
    assert min(heard.values()) > 20  # it is not always the same who are left out
    assert len(clips) == 22  # of each person any clip may come


def test_few_people_come_round_again():
    batch = HeldBatches(make_voices(3), Reading(8, (0.5, 0.5))).batch(5)
    assert sorted(Counter(batch.person).values()) == [2, 3, 3]


@pytest.mark.parametrize("people", [3, 20])
def test_processes_have_their_parts_of_one_batch(people):
    clips, chances = make_voices(people), Augmentation()
    whole = HeldBatches(clips, Reading(6, (0.5, 0.8), chances))
    parts = [HeldBatches(clips, Reading(2, (0.5, 0.8), chances, rank=r, ranks=3)) for r in range(3)]
    for step in (0, 7):
        found = [part.batch(step) for part in parts]
        together = Batch(
            np.concatenate([b.speech for b in found]),
            np.concatenate([b.embedding for b in found]),
            [clip for b in found for clip in b.clip],
            [person for b in found for person in b.person],
        )
        assert_same(together, whole.batch(step))


def test_no_clips_are_told():
    with pytest.raises(UsageError, match="no clips"):
        HeldBatches(make_voices(0), Reading())


# Streamed ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """26 samples in shards of 7, 7, 7 and 5."""
    folder = tmp_path_factory.mktemp("set")
    make_set(folder, [make_sample(i) for i in range(COUNT)], Packing(samples=7))
    return folder


@pytest.mark.parametrize("workers", [0, 2])
def test_a_stream_reads_on_and_goes_to_any_step(folder, workers):
    reading = Reading(4, (0.3, 0.5))  # six batches an epoch
    source = StreamedBatches(folder, reading, workers)
    batches = [source.batch(step) for step in range(14)]
    for epoch in (batches[:6], batches[6:12]):
        assert len({clip for batch in epoch for clip in batch.clip}) == 24
    assert [b.clip for b in batches[:6]] != [b.clip for b in batches[6:12]]
    for reader in multiprocessing.active_children():  # asked to stop, as the whole group may be
        for number in (signal.SIGINT, signal.SIGTERM):
            os.kill(reader.pid, number)
    assert_same(source.batch(9), batches[9])  # the same readers, elsewhere
    fresh = StreamedBatches(folder, reading, workers)
    for step in (4, 5, 6, 7, 2):  # on resuming, over the border of an epoch, and back
        assert_same(fresh.batch(step), batches[step])


def test_what_is_skipped_is_not_decoded(folder, monkeypatch):
    heard, real = [], shard_dataset.load_audio

    def note(data):
        heard.append(data)
        return real(data)

    monkeypatch.setattr(shard_dataset, "load_audio", note)
    StreamedBatches(folder, Reading(4, (0.3, 0.5)), workers=0).batch(5)
    assert len(heard) == 4


def test_a_stream_leaves_the_network_s_chance_alone(folder):
    torch.manual_seed(3)
    wanted = torch.rand(2)
    torch.manual_seed(3)
    StreamedBatches(folder, Reading(4, (0.3, 0.5)), workers=0).batch(2)
    assert torch.equal(torch.rand(2), wanted)


def test_faces_of_a_side_are_those_of_its_samples(folder):
    faces = [sample.embedding for sample in read_samples(folder)]
    assert len(faces) == COUNT
    np.testing.assert_array_equal(read_faces(folder), faces)
    np.testing.assert_array_equal(read_faces(folder, most=9), faces[:9])
