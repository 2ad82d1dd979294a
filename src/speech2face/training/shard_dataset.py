"""Shards are streamed to training, on one or many processes: crops of speech, embeddings of faces.

An epoch's order is that of the shards, shuffled by seed and epoch, one behind the other. Each rank
takes an equal stretch of it, each of its workers a stretch of whole batches of that; so shards may
hold any number of samples, and be fewer than workers. Every rank gives the same number of batches:
what is left over, less than a batch for each rank, is left out of the epoch. No sample comes twice
in an epoch. Within its stretch a worker shuffles by a buffer; a shard is a random part of its side
to begin with (`shards`). Workers take turns, so batch k of an epoch is worker k mod workers', and
an epoch can be entered at any batch: what comes before it is read, but not decoded.

All crops of a batch are of one length, the same for the batches that ranks make at a time. Where a
crop lies and what happens to it is drawn by seed, epoch and clip.
"""

from __future__ import annotations

import json
import math
import random
import zlib
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch.utils.data import IterableDataset, get_worker_info

from speech2face.data.degradations import (
    add_noise,
    change_gain,
    encode_and_decode,
    reverberate,
    telephone,
)
from speech2face.data.sample_codec import decode_target
from speech2face.data.shard_index import read_index
from speech2face.data.shard_reader import cut_order, read_stretches
from speech2face.errors import UsageError
from speech2face.media import SAMPLE_RATE, load_audio
from speech2face.training.field_checks import check_share

NOISE = (0.0, 30.0)  # dB
RT60, DIRECT = (0.2, 0.8), (-3.0, 12.0)  # s, and dB over the reverberation
KILOBITS = {"mp3": (16.0, 64.0), "opus": (8.0, 32.0)}
GAIN = (-20.0, 6.0)  # dB


@dataclass(frozen=True)
class Augmentation:
    """Probability of each degradation of a crop, 0 … 1; several may happen, in this order."""

    reverberation: float = 0.3  # of a room
    noise: float = 0.5  # white, pink, or like speech
    telephone: float = 0.1  # a telephone's band
    codec: float = 0.2  # MP3 or Opus, at few kilobits
    gain: float = 0.5  # louder or quieter

    def __post_init__(self) -> None:
        for name, chance in vars(self).items():
            check_share(chance, name)


@dataclass(frozen=True)
class Reading:
    """Settings of reading a side of a set."""

    batch: int = 16
    seconds: tuple[float, float] = (0.5, 10.0)  # of crops, from and to
    augmentation: Augmentation | None = None
    frames: Literal["best", "mean"] = "best"  # whose face it is; the mean where there is one
    buffer: int = 256  # samples that are shuffled at a time
    seed: int = 0
    rank: int = 0  # of the process, and how many there are
    ranks: int = 1


class Batch(NamedTuple):
    """Crops of one length; DataLoader makes tensors of the arrays."""

    speech: np.ndarray  # float32 (B, n) at 16 kHz
    embedding: np.ndarray  # float32 (B, D)
    clip: list[str]
    person: list[str]


class SpeechAndFaces(IterableDataset[Batch]):
    """Batches of a side of a set: give it to a DataLoader with `batch_size=None`.

    Each process makes one with its rank; `set_epoch` before each epoch gives the next order, also
    to workers that persist.
    """

    def __init__(self, folder: Path, split: str = "train", reading: Reading | None = None) -> None:
        """Raises UsageError where the set has no such side, or less than a batch for each rank."""
        super().__init__()
        self.folder, self.reading = folder, reading or Reading()
        self.shards = read_index(folder).of(split)
        self._place = torch.zeros(2, dtype=torch.int64).share_memory_()  # epoch, first batch
        if not len(self):
            raise UsageError(
                f"{folder}: {self._samples} samples of {split} are less than a batch of "
                f"{self.reading.batch} for each of {self.reading.ranks} processes."
            )

    def __len__(self) -> int:
        """Batches an epoch, the same on every rank."""
        return self._samples // (self.reading.batch * self.reading.ranks)

    def __iter__(self) -> Iterator[Batch]:
        info, (epoch, start) = get_worker_info(), self._place.tolist()
        if info is None:
            return self.read(epoch, start=start)
        # A loader asks its first worker first, but the batch at `start` may be another one's.
        return self.read(epoch, (info.id + start) % info.num_workers, info.num_workers, start)

    def set_epoch(self, epoch: int, start: int = 0) -> None:
        """Read this epoch from now on, from its batch `start` on."""
        self._place.copy_(torch.tensor([epoch, start]))

    def read(
        self, epoch: int, worker: int = 0, workers: int = 1, start: int = 0
    ) -> Iterator[Batch]:
        """The batches of one of a rank's workers, in their order, but for those before `start`."""
        reading, batches = self.reading, len(self)
        turns = [len(range(other, batches, workers)) for other in range(workers)]
        first = sum(turns[:worker])
        last = first + turns[worker]
        begin = reading.rank * batches
        order = np.random.default_rng([reading.seed, epoch]).permutation(len(self.shards))
        stretches = cut_order(
            [self.shards[place] for place in order],
            (begin + first) * reading.batch,
            (begin + last) * reading.batch,
        )
        chance = random.Random(f"{reading.seed} {epoch} {begin + first}")
        samples = _shuffle(read_stretches(self.folder, stretches), reading.buffer, chance)
        skipped = len(range(worker, start, workers))
        deque(islice(samples, skipped * reading.batch), maxlen=0)
        for number in range(skipped, last - first):
            rng = np.random.default_rng([reading.seed, epoch, worker, number])
            length = round(rng.uniform(*reading.seconds) * SAMPLE_RATE)
            yield self._make(list(islice(samples, reading.batch)), length, epoch)

    def _make(self, samples: Sequence[dict[str, bytes]], length: int, epoch: int) -> Batch:
        speech, clips, people = [], [], []
        for files in samples:
            source = json.loads(files["json"])["source"]
            clips.append(source["clip"])
            people.append(source["person"])
            key = zlib.crc32(source["clip"].encode(errors="surrogateescape"))
            rng = np.random.default_rng([self.reading.seed, epoch, key])
            sound = crop(load_audio(files["flac"]).samples, length, rng)
            if self.reading.augmentation:
                sound = augment(sound, self.reading.augmentation, rng)
            speech.append(sound)
        faces = [decode_target(files, self.reading.frames) for files in samples]
        return Batch(np.stack(speech), np.stack(faces), clips, people)

    @property
    def _samples(self) -> int:
        return sum(shard.samples for shard in self.shards)


def crop(sound: np.ndarray, length: int, rng: np.random.Generator) -> np.ndarray:
    """A stretch (length,) of the sound (n,), anywhere in it; a shorter sound is repeated."""
    sound = np.tile(sound, math.ceil(length / len(sound)))
    start = rng.integers(len(sound) - length + 1)
    return sound[start : start + length]


def augment(sound: np.ndarray, chances: Augmentation, rng: np.random.Generator) -> np.ndarray:
    """Random degradations of a recording, float32 (n,) → (n,)."""
    if rng.random() < chances.reverberation:
        sound = reverberate(sound, rng.uniform(*RT60), rng.uniform(*DIRECT), _seed(rng))
    if rng.random() < chances.noise:
        colour = ("white", "pink", "speech")[rng.integers(3)]
        sound = add_noise(sound, rng.uniform(*NOISE), _seed(rng), colour)
    if rng.random() < chances.telephone:
        sound = telephone(sound)
    if rng.random() < chances.codec:
        codec = ("mp3", "opus")[rng.integers(2)]
        sound = encode_and_decode(sound, codec, rng.uniform(*KILOBITS[codec]))
    if rng.random() < chances.gain:
        sound = change_gain(sound, rng.uniform(*GAIN))
    return sound


def _shuffle(
    samples: Iterator[dict[str, bytes]], buffer: int, chance: random.Random
) -> Iterator[dict[str, bytes]]:
    from webdataset.filters import shuffle

    return iter(shuffle(buffer, initial=buffer, rng=chance)(samples))


def _seed(rng: np.random.Generator) -> int:
    return int(rng.integers(2**32))
