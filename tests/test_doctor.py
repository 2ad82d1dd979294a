"""The doctor finds an installation well, and says where it is not."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from speech2face import doctor, weights
from speech2face.doctor import examine


def test_all_is_well() -> None:
    lines: list[str] = []
    assert examine(lines.append)
    assert not [line for line in lines if line[0] not in "✓–"]
    told = "\n".join(lines)
    for words in ("Python", "onnxruntime", "CPUExecutionProvider", "detector", "model default"):
        assert words in told
    assert "a face drawn from a made-up voice, 224 × 224 pixels" in told


def test_a_missing_model_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "ASSETS", tmp_path)
    lines: list[str] = []
    assert not examine(lines.append)
    assert "✗ no model came with the package; install it again." in lines


def test_a_missing_library_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(doctor.CORE, "no_such_library", "no-such-library")
    lines: list[str] = []
    assert not examine(lines.append)
    assert "✗ No module named 'no_such_library'" in lines


def test_a_missing_extra_is_told_but_harms_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "find_spec", lambda name: name != "torch" and find_spec(name))
    lines: list[str] = []
    assert examine(lines.append)
    assert "– extra train lacks torch: pip install 'speech2face[train]'" in lines
