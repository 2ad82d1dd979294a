"""ONNX Runtime sessions, as all inference opens them, and the threads of NumPy beside them."""

from __future__ import annotations

import ctypes
import itertools
import os
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from speech2face.errors import ModelError

Cut = Callable[[bytes], bytes]  # an ONNX file → a part of the network
THREADS = 2  # more gains little on clips of seconds, and takes cores from others


def import_runtime() -> Any:
    """The module onnxruntime, with its telemetry disabled (on by default since 1.32)."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    return onnxruntime


_most_threads: int | None = None


@contextmanager
def limit_threads(most: int) -> Iterator[None]:
    """Let no network that this process opens in the body compute in more threads than these.

    What a network says differs in its last digits by their number: what should be the same however
    many processes take part is computed in one each.
    """
    global _most_threads
    before, _most_threads = _most_threads, most
    try:
        yield
    finally:
        _most_threads = before


def limit_blas_threads() -> None:
    """Let NumPy multiply in one thread, unless the environment says otherwise.

    To be called before NumPy is imported. Its products are small in inference: threads that wait
    for one another cost more than they save, most of all beside other work (benchmarks/threads.py).
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


class Session:
    """A network on the CPU, from an ONNX file; safe to use from several threads, and after a fork.

    A fork copies a session's memory but not its threads: to run it would wait for them for ever,
    and so would closing it when the process ends. So a child process opens its sessions anew, each
    when it is first used there, and leaves those that it inherited alone.

    Raises ModelError where the file is missing or not a model, and in a child also where it is not
    the file that its parent opened.
    """

    def __init__(self, path: Path, threads: int = THREADS, cut: Cut | None = None) -> None:
        self._path, self._cut = Path(path).absolute(), cut
        self.threads = min(threads, _most_threads or threads)
        self._session: Any = _open(self._path, self.threads, cut)
        self._file = _identify(self._path)
        self._lock = threading.Lock()
        _sessions.add(self)

    def run(self, outputs: list[str] | None, inputs: dict[str, Any]) -> list[Any]:
        """Outputs of these names, None for all, as `onnxruntime.InferenceSession.run`."""
        return self._here().run(outputs, inputs)

    def run_each(
        self, outputs: list[str] | None, inputs: Sequence[dict[str, Any]]
    ) -> list[list[Any]]:
        """What `run` gives for each of several inputs, which are computed side by side.

        Two runs beside each other keep two cores busier than the threads within one run do.
        """
        workers = min(self.threads, len(inputs))
        if workers < 2:
            return [self.run(outputs, one) for one in inputs]
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(workers, "computing") as pool:
            return list(pool.map(self.run, itertools.repeat(outputs), inputs))

    def get_inputs(self) -> list[Any]:
        """Name, shape and type of each input, as `onnxruntime.InferenceSession.get_inputs`."""
        return self._here().get_inputs()

    def _here(self) -> Any:
        """The session of this process."""
        if self._session is None:
            with self._lock:
                if self._session is None:
                    if _identify(self._path) != self._file:
                        raise ModelError(f"{self._path} has changed since it was loaded.")
                    self._session = _open(self._path, self.threads, self._cut)
        return self._session

    def _leave_to_parent(self) -> None:
        """Forget, in a forked child, what the parent opened: never run nor close it."""
        if self._session is not None:
            # One reference that nobody gives back: it must not be closed even at the very end.
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._session))
            self._session = None
        self._lock = threading.Lock()  # another thread of the parent may have held it


_sessions: weakref.WeakSet[Session] = weakref.WeakSet()


def _leave_all_to_parent() -> None:
    for session in list(_sessions):
        session._leave_to_parent()


if hasattr(os, "register_at_fork"):  # there is no fork on Windows
    os.register_at_fork(after_in_child=_leave_all_to_parent)


def open_session(path: Path, threads: int = THREADS, cut: Cut | None = None) -> Session:
    """A session on the CPU, of what `cut` leaves of the file where it is given.

    Raises ModelError where the file is missing or not a model.
    """
    return Session(path, threads, cut)


def _open(path: Path, threads: int, cut: Cut | None) -> Any:
    onnxruntime = import_runtime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = min(threads, _most_threads or threads)
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors only: warnings are of no use to a user
    # Idle threads sleep instead of spinning, so that a batch or a server leaves cores to others.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        network = cut(path.read_bytes()) if cut else str(path)
        return onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises many types of its own
        reason = str(error).splitlines()[0]
        raise ModelError(f"{path}: not a model that can be run ({reason}).") from None


def _identify(path: Path) -> tuple[int, int, int, int] | None:
    """Identify a file by what changes when it is replaced or written to; None if it is missing."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
