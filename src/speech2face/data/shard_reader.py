"""Samples out of shards, one after the other, whole shards or parts of them."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from speech2face.data.sample_codec import decode_sample
from speech2face.data.samples import Sample
from speech2face.data.shard_index import Shard, read_index
from speech2face.errors import UnreadableMediaError, UsageError
from speech2face.remote_files import open_anywhere


class Stretch(NamedTuple):
    """A part of a shard."""

    shard: Shard
    start: int
    size: int


def read_samples(folder: Path, split: str = "train") -> Iterator[Sample]:
    """All samples of a side once, whole, in the order in which they lie in the shards."""
    return map(decode_sample, read_side(folder, split))


def read_side(folder: Path, split: str = "train") -> Iterator[dict[str, bytes]]:
    """The same, but the files of each sample by kind. Raises UsageError where there is no side."""
    whole = (Stretch(shard, 0, shard.samples) for shard in read_index(folder).of(split))
    return read_stretches(folder, whole)


def cut_order(shards: Sequence[Shard], start: int, end: int) -> Iterator[Stretch]:
    """The parts of consecutive shards that hold the samples from `start` to `end`."""
    offset = 0
    for shard in shards:
        first, last = max(start - offset, 0), min(end - offset, shard.samples)
        if first < last:
            yield Stretch(shard, first, last - first)
        offset += shard.samples


def read_stretches(folder: Path, stretches: Iterator[Stretch]) -> Iterator[dict[str, bytes]]:
    """The files of each sample, by kind. Raises UsageError at a shard that cannot be read."""
    from webdataset.tariterators import group_by_keys, tar_file_expander

    for shard, start, size in stretches:
        path, count = folder / shard.name, 0
        try:
            with open_anywhere(path) as stream:
                files = tar_file_expander([{"url": path.name, "stream": stream}])
                for sample in islice(group_by_keys(files), start, start + size):
                    count += 1
                    yield sample
        except UnreadableMediaError as error:
            raise UsageError(str(error)) from None
        except (OSError, tarfile.TarError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error.args[0]
            raise UsageError(f"{path}: cannot be read ({reason}).") from None
        if count < size:
            raise UsageError(f"{path}: holds fewer samples than the index says; it is damaged.")
