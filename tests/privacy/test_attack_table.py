"""The package's few figures of attacks: those of the benchmarks, and what follows from them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from speech2face.metrics.audit_results import BitsLeft, StatedBits
from speech2face.model_folders import ASSETS
from speech2face.privacy.anonymisers import ANONYMISERS, DEFAULT, WITHOUT_WORLD, choose_anonymiser
from speech2face.privacy.attack_table import (
    FILE,
    choose_default,
    find_words_lost,
    load_table,
    shorten,
)
from speech2face.privacy.remaining_disclosure import find_attack, state_bits_left
from speech2face.reports.audit_text import format_fallback, format_remains

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def test_the_package_holds_what_the_benchmarks_found():
    attacked = json.loads((BENCHMARKS / "audit.json").read_text())["attacks"]
    costs = json.loads((BENCHMARKS / "anonymisers.json").read_text())["methods"]
    assert json.loads((ASSETS / FILE).read_text()) == shorten(attacked, costs)
    assert set(load_table()) == set(ANONYMISERS)


def test_the_default_is_what_the_rule_chooses(monkeypatch: pytest.MonkeyPatch):
    table, need_world = load_table(), ("pitch-formant", "whisper", "resynthesis")
    without = [name for name in ANONYMISERS if name not in need_world]
    assert choose_default(table, ANONYMISERS) == DEFAULT
    assert choose_default(table, without) == WITHOUT_WORLD
    assert choose_anonymiser(None, None).name == DEFAULT
    monkeypatch.setattr("speech2face.privacy.anonymisers.find_spec", lambda _: None)
    assert choose_anonymiser(None, None).name == WITHOUT_WORLD


def remains(method: str) -> str:
    return format_remains(find_attack(method), find_words_lost(method))


def test_what_remains_is_said_for_each_method():
    for method in ANONYMISERS:
        sentence = remains(method)
        assert method in sentence
        assert "\n" not in sentence
    assert "about half (53 %)" in remains("whisper")
    assert "of the words are lost. These are averages" in remains("whisper")
    assert "still gets 3 % of what a plain voice tells of the face" in remains("resynthesis")
    assert "was not measured" in remains("command")


def test_a_weaker_default_is_named_with_what_it_leaves():
    table = load_table()
    used, better = find_attack(WITHOUT_WORLD), find_attack(DEFAULT)
    assert used
    assert better
    line = format_fallback(used, better, "pip install x")
    assert "\n" not in line
    for name in (WITHOUT_WORLD, DEFAULT):
        share = table[name].face_bits.value / table[name].plain.face_bits.value
        assert f"({100 * share:.0f} %)" in line
        assert f"{100 * (1 - table[name].equal_error_rate.value):.0f} %" in line
    assert line.endswith("it needs pip install x.")


def test_what_is_left_of_an_original():
    bits = StatedBits(2.0, 1.6, 2.4)
    left, share = state_bits_left(bits, "whisper"), load_table()["whisper"].share_kept
    assert left.value == pytest.approx(2 * share.value, abs=1e-3)
    assert left.low is not None
    assert left.high is not None
    assert 1.6 * share.value > left.low > 1.6 * share.low - 0.1
    assert 2.4 * share.value < left.high < 2.4 * share.high + 0.1
    unknown = BitsLeft(None, None, 2.4, bound=True)
    assert state_bits_left(bits, "command") == state_bits_left(bits, None) == unknown
    assert find_attack("command") is None
    uncalibrated = state_bits_left(StatedBits(2.0, None, None), "whisper")
    assert (uncalibrated.low, uncalibrated.high) == (None, None)


def test_a_method_stands_beside_the_plain_voices_of_its_newest_run():
    def run(version: str, plain: float, **left: float) -> dict[str, object]:
        def attacked(bits: float) -> dict[str, object]:
            bits_left = {"value": bits, "low": bits - 0.1, "high": bits + 0.1}
            error = {"value": 0.1, "low": 0.0, "high": 0.2}
            return {"face": {"bits": bits_left}, "voice": {"equal_error_rate": error}}

        attackers = ("ignorant", "semi-informed")
        methods = {
            name: {"attackers": dict.fromkeys(attackers, attacked(bits))}
            for name, bits in left.items()
        }
        before = attacked(plain)
        return {
            "version": version, "people": 5, "speakers": 4, "before": before, "methods": methods
        }  # fmt: skip

    runs = [run("2", 2.0, mask=1.0), run("1", 1.0, mask=0.9, veil=0.4), run("0", 1.0, veil=0.7)]
    new, old = shorten(runs, {})["runs"]
    assert (new["version"], list(new["methods"])) == ("2", ["mask"])
    assert (old["version"], list(old["methods"])) == ("1", ["veil"])
    assert new["face_bits"]["value"] == 2.0
    assert old["methods"]["veil"]["words_lost"] is None
