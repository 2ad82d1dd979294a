"""The curve of a training: log.jsonl, a row for each step that is kept, and TensorBoard's events.

The rows are the same whenever they are made; what depends on time is in TensorBoard alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from speech2face.files import write_text_atomically

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


class Curve:
    """A curve that is being written; `write_curve` gives one."""

    def __init__(self, path: Path, board: SummaryWriter) -> None:
        self._path, self._board = path, board

    def add(self, step: int, row: Mapping[str, float], timing: Mapping[str, float | None]) -> None:
        """Keep a step's figures by name; those in `timing` that are None are left out."""
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, **row}) + "\n")
        for name, value in {**row, **timing}.items():
            if value is not None:
                self._board.add_scalar(name, value, step)

    def flush(self) -> None:
        """Have all of it on disk, as it must be before a state is that goes on behind it."""
        self._board.flush()


@contextmanager
def write_curve(folder: Path, step: int) -> Iterator[Curve]:
    """The curve in `folder` from `step` on; what a run that was killed left after it is cut off."""
    # TensorBoard is slow to import, and wanted by nothing else.
    from torch.utils.tensorboard import SummaryWriter

    path = folder / "log.jsonl"
    if path.is_file():
        _cut(path, step)
    with SummaryWriter(folder, purge_step=step) as board:
        yield Curve(path, board)


def _cut(path: Path, step: int) -> None:
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    whole = (line for line in lines if line.endswith("\n"))  # the last may have been cut short
    write_text_atomically(path, "".join(x for x in whole if json.loads(x)["step"] < step))
