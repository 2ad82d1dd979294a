"""The benchmark of the audit: how runs are kept, and that docs/privacy.md holds what they found."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from speech2face.metrics.population_results import read_population_audit

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def benchmark() -> Any:
    spec = importlib.util.spec_from_file_location("audit_benchmark", ROOT / "benchmarks/audit.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(version: str, *methods: str, seed: int = 0, found: float = 1.0) -> dict[str, Any]:
    whole = {"version": version, "people": 9, "clips": 9, "speakers": 5, "folds": 5, "seed": seed}
    return whole | {
        "before": {"bits": found},
        "methods": {name: found for name in methods},
        "provenance": {"command": "measure /home/somebody"},
    }


def test_methods_of_one_version_stand_in_one_run(benchmark: Any):
    runs = benchmark.add_run([], run("2", "mask"))
    assert runs == [run("2", "mask") | {"provenance": None}]
    runs = benchmark.add_run(runs, run("2", "veil"))
    assert [[*one["methods"]] for one in runs] == [["mask", "veil"]]
    again = benchmark.add_run(runs, run("2", "mask") | {"methods": {"mask": 3.0}})
    assert again[0]["methods"] == {"mask": 3.0, "veil": 1.0}


def test_an_older_run_is_kept_while_it_has_a_method_of_its_own(benchmark: Any):
    old = benchmark.add_run([], run("1", "mask", "veil"))
    both = benchmark.add_run(old, run("2", "mask"))
    assert [(one["version"], [*one["methods"]]) for one in both] == [
        ("2", ["mask"]),
        ("1", ["mask", "veil"]),
    ]
    assert [one["version"] for one in benchmark.add_run(both, run("2", "veil"))] == ["2"]


@pytest.mark.parametrize("other", [{"seed": 1}, {"found": 2.0}])
def test_runs_of_other_people_or_seeds_are_not_mixed(benchmark: Any, other: dict[str, Any]):
    runs = benchmark.add_run(benchmark.add_run([], run("2", "veil")), run("2", "mask", **other))
    assert [[*one["methods"]] for one in runs] == [["mask"], ["veil"]]


def test_the_tables_of_the_docs_are_what_was_measured(benchmark: Any):
    stored = json.loads((ROOT / "benchmarks" / "audit.json").read_text())
    runs = [read_population_audit(one) for one in stored["attacks"]]
    page = (ROOT / "docs" / "privacy.md").read_text()
    made = {
        "calibration": benchmark.tabulate_statements(stored["calibrate"]),
        "attacks": [line for one in runs for line in benchmark.tabulate_attacks(one)],
        "few-false": [line for one in runs for line in benchmark.tabulate_few_false(one)],
        "tuning": [line for one in runs for line in benchmark.tabulate_tuning(one)],
    }
    for name, lines in made.items():
        table = page.partition(f"<!-- {name} -->\n")[2].partition(f"\n<!-- /{name} -->")[0]
        assert table == "\n".join(lines), name
