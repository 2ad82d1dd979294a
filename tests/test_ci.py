"""What runs a change's checks elsewhere: GitHub's workflow and the hooks before a commit."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

yaml = pytest.importorskip("yaml", reason="needs the extra dev")

ROOT = Path(__file__).parents[1]


def read(name: str) -> Any:
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


def test_the_workflow_runs_the_checks_on_each_python_of_the_package() -> None:
    workflow = read(".github/workflows/ci.yml")
    job = workflow["jobs"]["check"]
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    pythons = re.findall(r"Python :: (3\.\d+)\"", project)
    assert job["strategy"]["matrix"]["python"] == pythons == ["3.11", "3.12", "3.13"]
    assert job["env"]["PYTHON"] == "python${{ matrix.python }}"
    assert [step["run"] for step in job["steps"] if "run" in step] == [".ci/run"]
    assert workflow["permissions"] == {"contents": "read"}
    assert re.search(r"^PYTHON \?= ", (ROOT / "Makefile").read_text(), re.M)


def test_the_hooks_before_a_commit_are_the_checks_of_make_lint() -> None:
    rule = (ROOT / "Makefile").read_text(encoding="utf-8").split("\nlint:")[1].split("\n\n")[0]
    checks = [line.split()[0] for line in rule.splitlines()[1:]]
    (repository,) = read(".pre-commit-config.yaml")["repos"]
    assert [hook["entry"].split()[0] for hook in repository["hooks"]] == checks
    assert len(checks) >= 3
