"""A finished set is sent to an address: its shards first, its index last, so that it is whole."""

from __future__ import annotations

from pathlib import Path

from speech2face.console import ProgressCallback
from speech2face.data.shard_index import INDEX, is_set, read_index
from speech2face.remote_files import address_of, upload


def publish_set(folder: Path, target: Path, show: ProgressCallback) -> None:
    """Send the set in `folder` to `target`, the path of an address.

    Shards that an index there names with the same checksum are not sent again. Raises StorageError
    where the server does not take a file: the same call goes on.
    """
    index = read_index(folder)
    sent = read_index(target).shards if is_set(target) else ()
    there = {shard.name: shard.sha256 for shard in sent}
    names = [shard.name for shard in index.shards if there.get(shard.name) != shard.sha256]
    others = [path.name for path in sorted(folder.iterdir()) if path.suffix in (".jsonl", ".md")]
    for number, name in enumerate([*names, *others, INDEX], 1):
        upload(folder / name, address_of(target / name))
        show("sending", number, len(names) + len(others) + 1, "")
