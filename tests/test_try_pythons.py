"""The trial of an installation on several Pythons fails where something is broken."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[1] / "scripts" / "try_pythons.py"
WELL = "✓ Python\n✓ numpy 2, av 19\n✓ reads wav\n– extra train lacks torch\n"


@pytest.fixture
def trial() -> dict[str, Any]:
    """The script's globals; its environments are not made."""
    return runpy.run_path(str(SCRIPT))["main"].__globals__


def draw(trial: dict[str, Any], tmp_path: Path, doctor: str, pictures: int, kinds: int) -> str:
    """What a trial comes to where the doctor says this, and so many pictures are drawn."""

    def run(*command: object, cwd: Path | None = None) -> str:
        if "reconstruct" in command:
            folder = Path(str(command[-1]))
            folder.mkdir(parents=True)
            for number, path in enumerate(trial["EXAMPLES"][:pictures]):
                (folder / f"{path.stem}.face.png").write_bytes(bytes([number % kinds]))
        return doctor if "doctor" in command else ""

    trial["run"] = run
    return trial["try_wheel"](Path("python"), tmp_path / "a.whl", tmp_path / "trial", "newest")


def test_a_trial_that_draws_everything_passes(trial: dict[str, Any], tmp_path: Path) -> None:
    assert draw(trial, tmp_path, WELL, 8, 8) == "numpy 2, av 19"
    assert not (tmp_path / "trial").exists()


@pytest.mark.parametrize(
    ("doctor", "pictures", "kinds", "words"),
    [
        (WELL, 7, 8, "no pictures: sara.face.png"),
        (WELL, 8, 1, "the same picture"),
        (f"{WELL}– not tried, for lack of an encoder: mp3\n", 8, 8, "not tried.*: mp3"),
    ],
)
def test_a_trial_fails(
    trial: dict[str, Any], tmp_path: Path, doctor: str, pictures: int, kinds: int, words: str
) -> None:
    with pytest.raises(trial["TrialError"], match=words):
        draw(trial, tmp_path, doctor, pictures, kinds)


@pytest.mark.parametrize(
    ("code", "printed"), [("print('Traceback')", "Traceback"), ("exit(3)", "exit code 3")]
)
def test_a_command_that_fails_is_shown(trial: dict[str, Any], code: str, printed: str) -> None:
    with pytest.raises(trial["TrialError"], match=printed):
        trial["run"](sys.executable, "-c", code)


def test_nothing_tried_is_no_success(
    trial: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial["find_python"] = lambda version: None
    trial["run"] = lambda *command, cwd=None: Path(str(command[-2]), "a.whl").touch()
    monkeypatch.setattr(sys, "argv", ["try_pythons.py"])
    with pytest.raises(SystemExit, match=r"No Python was tried"):
        trial["main"]()
