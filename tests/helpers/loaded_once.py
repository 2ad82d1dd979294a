"""What many tests load in one process, the networks and the command's parser, is loaded once."""

from __future__ import annotations

import ctypes
import functools
import os
from pathlib import Path
from typing import Any

import pytest
import typer

from speech2face import runtime

MOST = 12  # networks that are kept: each takes memory


class KeptNetworks:
    """Opens ONNX files as `runtime` does; one that is open already, and was not changed, is kept.

    A forked child takes none over, since their threads stay with the parent.
    """

    def __init__(self) -> None:
        self._open = runtime._open
        self._kept: dict[tuple[Any, ...], Any] = {}
        os.register_at_fork(after_in_child=self._leave_to_parent)

    def open(self, path: Path, threads: int, cut: runtime.Cut | None) -> Any:
        file, most = runtime._identify(path), runtime._most_threads
        key = (path, file, threads, most, cut)
        network = self._kept.pop(key, None) or self._open(path, threads, cut)
        self._kept[key] = network  # as the newest
        while len(self._kept) > MOST:
            del self._kept[next(iter(self._kept))]
        return network

    def _leave_to_parent(self) -> None:
        for network in self._kept.values():  # which must never be closed here
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(network))
        self._kept.clear()


def load_once(patch: pytest.MonkeyPatch) -> None:
    """Keep networks and the command's parser from test to test."""
    patch.setattr(runtime, "_open", KeptNetworks().open)
    patch.setattr(typer.main, "get_command", functools.cache(typer.main.get_command))
