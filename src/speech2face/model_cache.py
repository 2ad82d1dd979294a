"""Models that were fetched by their address, kept on this machine.

They lie in SPEECH2FACE_CACHE, or else in speech2face under XDG_CACHE_HOME or ~/.cache: a folder for
each in `models`, and beside it a record of its address and name. A folder is there whole or not at
all, so what is there is used without the network. Processes that want the same model wait for the
first of them.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from speech2face.console import ProgressCallback
from speech2face.errors import ModelError, StorageError, UsageError
from speech2face.files import cannot_write, write_text_atomically
from speech2face.model_addresses import Address, ArchiveAddress, is_model_address, parse_address

MOST_BYTES = 2_000_000_000  # of a model, packed and unpacked
VARIABLE = "SPEECH2FACE_CACHE"
_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,63}", re.ASCII)


@dataclass(frozen=True)
class KeptModel:
    """A model that was fetched."""

    address: str
    name: str | None  # by which it was added; None of one that was only used
    folder: Path


def find_cache() -> Path:
    """The folder in which this package keeps what it fetched; it need not exist."""
    if own := os.environ.get(VARIABLE):
        return Path(os.path.expanduser(own)).absolute()
    caches = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(os.path.expanduser(caches)).absolute() / "speech2face"


def list_kept() -> list[KeptModel]:
    """All models that were fetched: those with a name first, in its order, then by address."""
    kept = []
    for record in _models().glob("*.json"):
        folder = record.with_suffix("")
        with suppress(OSError, ValueError, TypeError, KeyError):
            fields = json.loads(record.read_text(encoding="utf-8"))
            if folder.is_dir():
                kept.append(KeptModel(fields["address"], fields["name"], folder))
    return sorted(kept, key=lambda one: (one.name is None, one.name or "", one.address))


def find_kept(name_or_address: str) -> KeptModel | None:
    """The model of a name or an address, if it was fetched. Raises UsageError of a wrong address.

    The same bytes are one model, whichever server they were fetched from.
    """
    if is_model_address(name_or_address):
        key = parse_address(name_or_address).key
        return next((model for model in list_kept() if model.folder.name == key), None)
    return next((model for model in list_kept() if model.name == name_or_address), None)


def refuse_to_change(folder: Path) -> None:
    """Raise UsageError where a model's folder is one that was fetched: it stays what its address
    promises."""
    if folder.resolve().parent == _models().resolve():
        raise UsageError(
            f"{folder}: a model that was fetched is kept as it was published. Copy the folder, "
            "and give the copy."
        )


def fetch_model(
    address: Address, check: Callable[[Path], object], show: ProgressCallback
) -> KeptModel:
    """The model at an address: fetched, if it is not there, and checked before it is used.

    `check` raises ModelError where a folder is no whole model. Raises ModelError where there is no
    such model, UsageError or StorageError where the cache cannot be written.
    """
    if there := find_kept(str(address)):
        return there
    folder = _models() / address.key
    with _locked(folder):
        if there := find_kept(str(address)):  # another process has fetched it meanwhile
            return there
        if not folder.is_dir():  # a process that was killed may have left it without a record
            _fetch(address, folder, check, show)
        return _record(KeptModel(str(address), None, folder))


def name_model(model: KeptModel, name: str) -> KeptModel:
    """Let a model be found by this name, instead of by one that it had."""
    with _locked(model.folder):
        return _record(KeptModel(model.address, name, model.folder))


def check_name(name: str, address: Address) -> None:
    """Raise UsageError where the model at this address cannot have this name."""
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name!r}: a model's name begins with a letter or a digit, and goes on with letters, "
            "digits, dots, hyphens and underscores, 64 at most."
        )
    if (there := find_kept(name)) and there.folder.name != address.key:
        raise UsageError(
            f"another model is called {name} ({there.address}); give another --name, or remove it."
        )


def remove_model(model: KeptModel) -> None:
    """Delete a model. Raises what `cannot_write` gives where that fails."""
    with _locked(model.folder):
        try:
            _record_of(model.folder).unlink(missing_ok=True)
            shutil.rmtree(model.folder)
        except OSError as error:
            raise cannot_write(model.folder, error) from None


def _fetch(
    address: Address, folder: Path, check: Callable[[Path], object], show: ProgressCallback
) -> None:
    """Make the folder of a model, by the one process that holds its lock."""
    from speech2face.downloads import download  # a tenth of a second that few commands need
    from speech2face.hub_models import fetch_from_hub
    from speech2face.model_archives import unpack_model

    unpacked = folder.with_name(f".{folder.name}.part")
    archive = folder.with_name(f".{folder.name}.download")
    shutil.rmtree(unpacked, ignore_errors=True)
    if isinstance(address, ArchiveAddress):
        download(address.url, archive, address.sha256, MOST_BYTES, show)
    try:
        if isinstance(address, ArchiveAddress):
            unpack_model(archive, unpacked, MOST_BYTES)
        else:
            unpacked.mkdir()
            fetch_from_hub(address, unpacked, MOST_BYTES, show)
        check(unpacked)
        os.replace(unpacked, folder)
    except ModelError as error:
        reason = str(error).replace(f"{unpacked}{os.sep}", "").rstrip(".")
        raise ModelError(f"{address}: {reason}.") from None
    except OSError as error:
        raise _cannot_keep(error) from None
    finally:
        archive.unlink(missing_ok=True)
        shutil.rmtree(unpacked, ignore_errors=True)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a model's folder; however a process ends, the lock is free again."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder.with_name(f".{folder.name}.lock"), os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise _cannot_keep(error) from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _record(model: KeptModel) -> KeptModel:
    fields = {"address": model.address, "name": model.name}
    write_text_atomically(_record_of(model.folder), json.dumps(fields) + "\n")
    return model


def _record_of(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.json")


def _models() -> Path:
    return find_cache() / "models"


def _cannot_keep(error: OSError) -> UsageError | StorageError:
    failure = cannot_write(find_cache(), error)
    return type(failure)(f"{str(failure).rstrip('.')}; let {VARIABLE} name a folder of yours.")
