"""Work on files that needs no model: a row of what is written in them, in whatever process."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path

from speech2face.batch import ReadingProgress, Row, Work
from speech2face.errors import NoSpeechError, Speech2FaceError
from speech2face.inputs import Input

COLUMNS = {"embedding": "floats", "words": "text"}
FACTS = {
    "speech_seconds": 1.5,
    "analysed_seconds": 2.0,
    "segments": [[0.5, 1.0], [1.25, 2.25]],
    "speaker": 1,
    "speakers": 1,
    "warnings": ["quiet"],
}


@dataclass(frozen=True)
class ToyTask:
    """Notes each file that it works on in `diary`; what is written in one says what happens."""

    diary: str

    def open(self) -> Work:
        def work(item: Input, _: ReadingProgress) -> Row:
            with Path(self.diary).open("a") as diary:
                diary.write(f"{item.name}\n")
            words = item.recording.read() if item.fetched else Path(item.name).read_bytes()
            if b"die" in words:
                os.kill(os.getpid(), signal.SIGKILL)
            if b"silent" in words:
                raise NoSpeechError(f"{item.name}: silent")
            if b"fails" in words:
                raise Speech2FaceError(f"{item.name}: the disk is full")
            numbers = [len(words) / 8, 0.1]
            return {"rows": [{"embedding": numbers, "words": words.decode(), **FACTS}]}

        return work
