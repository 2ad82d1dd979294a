"""Whatever goes wrong with one of many inputs, the others are done."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from speech2face.batch import ReadingProgress, Row, run_each, show_reading
from speech2face.errors import BatchError, NoSpeechError, Speech2FaceError, UsageError
from speech2face.inputs import Input

ERRORS = {
    "quiet": NoSpeechError("quiet: silence"),
    "large": MemoryError(),
    "locked": PermissionError(13, "Permission denied", "locked"),
    "disk": OSError(5, "Input/output error"),
    "odd": RuntimeError("what nobody\nforesaw"),
}


def work(item: Input, _: ReadingProgress) -> Row:
    if error := ERRORS.get(item.name):
        raise error
    return {"warnings": [], "skipped": item.name == "old"}


def run(*names: str) -> None:
    inputs = [Input(name) for name in names]
    run_each([*inputs, Input("", error=UsageError("no."))], work, True, str)


def test_every_error_is_one_of_its_input(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(BatchError, match="6 of 9 inputs failed; all others were done"):
        run("a", *ERRORS, "old", "b")
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {row["input"]: row.get("exit_code") for row in rows} == {
        "a": None,
        "quiet": 4,
        "large": 1,
        "locked": 1,
        "disk": 1,
        "odd": 1,
        "old": None,
        "b": None,
        "": 2,
    }
    told = {row["input"]: row["error"] for row in rows}
    assert told["large"] == "large: not enough memory."
    assert told["locked"] == "locked: Permission denied."
    assert told["odd"].startswith("odd: RuntimeError: what nobody\nforesaw; a fault of speech2face")


@pytest.mark.parametrize("name", ERRORS)
def test_a_single_input_has_its_own_code(name: str) -> None:
    with pytest.raises(Speech2FaceError) as caught:
        run_each([Input(name)], work, False, str)
    assert caught.value.exit_code == (4 if name == "quiet" else 1)


def test_errors_are_one_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(BatchError):
        run_each([Input(name) for name in ERRORS], work, False, str)
    assert len(capsys.readouterr().err.splitlines()) == len(ERRORS)


class Forgetful:
    def __del__(self) -> None:
        signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("fails", [False, True])
def test_an_interrupt_that_python_forgets_ends_a_batch_all_the_same(
    monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    worked = []

    def forget(item: Input, _: ReadingProgress) -> Row:
        worked.append(item.name)
        if item.name == "b":
            Forgetful()
            if fails:
                raise OSError(4, "Interrupted system call")
        return {"warnings": []}

    monkeypatch.setattr("sys.unraisablehook", lambda _: None)
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        run_each(list(map(Input, "abcd")), forget, True, str)
    assert worked == ["a", "b"]
    assert signal.getsignal(signal.SIGINT) is before


def test_a_request_to_end_is_an_interrupt() -> None:
    others = signal.signal(signal.SIGTERM, signal.SIG_DFL)  # Ray's, if a test before used it
    try:
        with pytest.raises(KeyboardInterrupt):
            run_each([Input("a")], lambda *_: signal.raise_signal(signal.SIGTERM), True, str)
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGTERM, others)


def test_how_far_a_long_recording_was_read_is_shown_at_a_terminal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = iter([0.0, 0.5, 1.5])
    monkeypatch.setattr("speech2face.batch.monotonic", lambda: next(clock))
    shown: list[object] = []
    item = Input("calls/long.wav", Path("long.wav"))
    progress = show_reading(lambda *row: shown.append(row), item, 3, 7)
    progress(32)  # nobody sees it: no terminal
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    progress(64)
    assert shown == []
    progress(3725)
    assert shown == [("recordings", 3, 7, "long.wav: 62:05 min read")]
