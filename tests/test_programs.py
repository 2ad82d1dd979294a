"""Benchmarks and scripts, which no test runs to their end: they start, and know today's names."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PROGRAMS = sorted(path for room in ("benchmarks", "scripts") for path in (ROOT / room).glob("*.py"))


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.name)
def test_it_reads_its_arguments_and_imports_names_that_exist(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    missing = [
        f"{node.module}.{name.name}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("speech2face")
        for name in node.names
        if not is_known(node.module or "", name.name)
    ]
    assert not missing
    if "__main__" in path.read_text(encoding="utf-8"):
        main = next(n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == "main")
        assert "ArgumentParser(" in ast.unparse(main), "a call with --help would work instead"


def test_help_of_a_program_is_printed_and_nothing_is_done(tmp_path):
    program = ROOT / "benchmarks" / "install.py"
    command = [sys.executable, program, "--help"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=60)
    assert done.returncode == 0
    assert done.stdout.startswith("usage: install.py [-h] [--write]")
    assert not done.stderr


def test_a_name_that_is_gone_is_noticed():
    assert is_known("speech2face.files", "atomic_path")
    assert is_known("speech2face.networks", "face_decoder")
    assert not is_known("speech2face.files", "write_whole")
    assert not is_known("speech2face.crew", "Crew")


def is_known(module: str, name: str) -> bool:
    """True if a module of the package defines or imports the name, or it is a module of it."""
    place = ROOT / "src" / Path(*module.split("."))
    if (place / f"{name}.py").is_file() or (place / name / "__init__.py").is_file():
        return True
    return name in find_names(place / "__init__.py" if place.is_dir() else place.with_suffix(".py"))


@cache
def find_names(path: Path) -> frozenset[str]:
    """The names that stand in a module, without running it; none where there is no module."""
    if not path.is_file():
        return frozenset()
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
    return frozenset(names)
