"""A recording over HTTP is protected by a worker: disguised and measured, all of it in memory."""

from __future__ import annotations

import base64
import functools
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from speech2face.errors import TooLargeError, UsageError
from speech2face.files import MemoryFile

MEDIA_TYPES = {
    ".flac": "audio/flac",
    ".wav": "audio/wav",
    ".mp4": "video/mp4",
    ".webm": "video/webm",
    ".mkv": "video/x-matroska",
}
Wanted = Literal["all", "flac", "wav", "video"]


@dataclass(frozen=True)
class ProtectTask:
    """A request to disguise everybody who speaks in a recording."""

    keep: str = "both"  # as `protect_recording` takes it, and so are the next three
    method: str | None = None
    track: int | None = None
    again: bool = False
    wanted: Wanted = "all"  # all: the disguised recording and what is to be said of it


@dataclass(frozen=True)
class ProtectedRecording:
    """The body of an answer: JSON that holds everything, or the disguised recording alone."""

    body: bytes
    media_type: str
    warnings: tuple[str, ...]


class _Recording(io.BytesIO):
    """What was sent, under the name that it has in messages."""

    name = "the recording"


def choose_wanted(accept: str) -> Wanted:
    """What a request's header Accept asks for; JSON, with everything, unless it names media."""
    accept = accept.lower()
    if "application/json" in accept:
        return "all"
    for kind, wanted in (("video/", "video"), ("audio/wav", "wav"), ("audio/x-wav", "wav")):
        if kind in accept:
            return wanted  # type: ignore[return-value]  # a literal
    return "flac" if "audio/" in accept else "all"


def load_protection(
    folder: str, longest: float
) -> Callable[[ProtectTask, bytes], ProtectedRecording]:
    """The work of one process, by the model in `folder`. It loads what it needs when it has to."""
    return functools.partial(protect, folder, longest)


def protect(folder: str, longest: float, task: ProtectTask, body: bytes) -> ProtectedRecording:
    """Disguise a recording of at most `longest` seconds, and measure what remains.

    The secrets of the disguise are drawn here and go nowhere. Raises TooLargeError where the
    recording is longer, and what `protect_recording` raises.
    """
    from speech2face.model_folders import find_model
    from speech2face.privacy.protect_recording import protect_recording

    def refuse_longer(seconds: float) -> None:
        if seconds > longest:
            raise TooLargeError(
                f"the recording is longer than the {longest:g} s that are disguised here; cut it, "
                "or use the command: speech2face protect takes any length."
            )

    recording = _Recording(body)
    target = MemoryFile(_choose_ending(recording, task.wanted))
    model = find_model(folder)
    result = protect_recording(
        recording,
        target,
        model,
        keep=task.keep,
        method=task.method,
        track=task.track,
        again=task.again,
        reading=refuse_longer,
    )
    file, media_type = target.content.getvalue(), MEDIA_TYPES[target.suffix]
    if task.wanted != "all":
        return ProtectedRecording(file, media_type, result.warnings)

    from speech2face.privacy.audit_recording import describe_audit
    from speech2face.reports.protection_page import draw_protection, tell_protection

    made = describe_audit(model, {"keep": task.keep, "method": task.method}, {})
    answer = {
        "file": base64.b64encode(file).decode(),
        "media_type": media_type,
        "words": tell_protection(result),
        "report": draw_protection(result, made, over_http=True),
        "protection": result.as_json(),
    }
    return ProtectedRecording(json.dumps(answer).encode(), "application/json", result.warnings)


def _choose_ending(recording: io.BytesIO, wanted: Wanted) -> str:
    """The end of the name that what is made would have.

    Raises UsageError where a video is wanted and there is no picture.
    """
    from speech2face.privacy.video_sound import choose_container

    if wanted in ("flac", "wav"):
        return f".{wanted}"
    of_video = choose_container(recording)
    if wanted == "video" and of_video is None:
        raise UsageError("the recording has no picture; accept audio/flac or application/json.")
    return of_video or ".flac"
