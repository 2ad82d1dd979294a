"""Batches of clips for each step: the number of the step alone decides which clips.

So a run that was stopped goes on with the clips it would have had, and with as many processes every
one knows its part. Clips that fit into memory are held there; sets of shards are streamed.
"""

from __future__ import annotations

import atexit
import os
import signal
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import torch
from torch.utils.data import DataLoader

from speech2face.data.sample_codec import decode_target
from speech2face.data.shard_reader import read_side
from speech2face.data.voice_encoder_data import Voices
from speech2face.errors import UsageError
from speech2face.media import SAMPLE_RATE
from speech2face.training.shard_dataset import Batch, Reading, SpeechAndFaces, augment, crop


class BatchSource(Protocol):
    """Gives this process's part of each step's batch."""

    def batch(self, step: int) -> Batch: ...


class HeldBatches:
    """Random crops of clips in memory; in an epoch nobody is heard twice.

    So people within a batch differ, unless there are fewer of them than the batches of all
    processes hold: then they come round again. Which clip, which crop and what happens to it is
    drawn by seed, step and place in the batch.
    """

    def __init__(self, voices: Voices, reading: Reading) -> None:
        """Raises UsageError where there is no clip."""
        if not len(voices):
            raise UsageError("no clips to learn from.")
        self._voices, self._reading = voices, reading
        names, owner = np.unique(voices.people, return_inverse=True)
        self._rows = [np.flatnonzero(owner == person) for person in range(len(names))]

    def batch(self, step: int) -> Batch:
        reading, voices = self._reading, self._voices
        length = np.random.default_rng([reading.seed, step]).uniform(*reading.seconds)
        people = self._find_people(step)
        chosen, speech = [], []
        for place in range(reading.rank * reading.batch, (reading.rank + 1) * reading.batch):
            # From 1: with a 0 behind it a seed is still the same, here that of the length.
            rng = np.random.default_rng([reading.seed, step, 1 + place])
            row = rng.choice(self._rows[people[place]])
            sound = crop(voices.speech[row], round(length * SAMPLE_RATE), rng)
            if reading.augmentation:
                sound = augment(sound, reading.augmentation, rng)
            chosen.append(row)
            speech.append(sound)
        part = voices.take(np.array(chosen))
        return Batch(np.stack(speech), part.faces, part.clips, part.people)

    def _find_people(self, step: int) -> np.ndarray:
        """Find the people in the batches of all processes."""
        size = self._reading.batch * self._reading.ranks
        epoch, place = divmod(step, max(len(self._rows) // size, 1))
        order = np.random.default_rng([self._reading.seed, epoch]).permutation(len(self._rows))
        return np.resize(order, max(size, len(order)))[place * size :][:size]


class StreamedBatches:
    """The training side of a set of shards, read by `workers` processes ahead of the steps.

    Consecutive steps read on; any other step is gone to without decoding what is skipped. The
    order depends on the number of workers (0 reads in this process, in the order of 1). Speech
    and embeddings come as tensors.
    """

    def __init__(
        self, folder: Path, reading: Reading, workers: int = 2, split: str = "train"
    ) -> None:
        """Raises UsageError as `SpeechAndFaces` does."""
        self._dataset = SpeechAndFaces(folder, split, reading)
        self._loader: DataLoader[Batch] = DataLoader(
            self._dataset,
            batch_size=None,
            num_workers=workers,
            persistent_workers=workers > 0,
            # Forks go badly with threads, and a server of forks would outlive a killed training.
            multiprocessing_context="spawn" if workers else None,
            worker_init_fn=_begin_worker,
            generator=torch.Generator(),  # not the network's chance
        )
        self._batches: Iterator[Batch] = iter(())
        self._next = -1  # the step whose batch comes next

    def batch(self, step: int) -> Batch:
        epoch, place = divmod(step, len(self._dataset))
        if step != self._next or place == 0:
            self._dataset.set_epoch(epoch, place)
            self._batches = iter(self._loader)
        self._next = step + 1
        return next(self._batches)


def _begin_worker(_: int) -> None:
    """A terminal or a cluster asks all processes to stop; the training saves, then ends its own.

    What a worker has read is handed over by then, so it ends at once: taking its libraries' threads
    down has aborted workers on a busy machine.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    atexit.register(os._exit, 0)


def read_faces(
    folder: Path,
    split: str = "train",
    frames: Literal["best", "mean"] = "best",
    most: int = 2000,
) -> np.ndarray:
    """A side's first embeddings (n, D), at most so many. Raises UsageError without a side."""
    samples = islice(read_side(folder, split), most)
    return np.array([decode_target(files, frames) for files in samples])
