"""ONNX Runtime sessions, as all inference opens them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from speech2face.errors import ModelError

if TYPE_CHECKING:
    import onnxruntime

THREADS = 2  # more gains little on clips of seconds, and takes cores from others


def import_runtime() -> Any:
    """The module onnxruntime, which since 1.32 would report to its makers if it were not told."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    return onnxruntime


def open_session(path: Path, threads: int = THREADS) -> onnxruntime.InferenceSession:
    """A session on the CPU. Raises ModelError where the file is missing or not a model."""
    onnxruntime = import_runtime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors only: warnings are of no use to a user
    # Idle threads sleep instead of spinning, so that a batch or a server leaves cores to others.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises many types of its own
        reason = str(error).splitlines()[0]
        raise ModelError(f"{path}: not a model that can be run ({reason}).") from None
