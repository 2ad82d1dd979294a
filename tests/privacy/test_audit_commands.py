"""The audit as its users call it, of a recording and of a small population."""

from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
from dataclasses import asdict
from functools import partial
from pathlib import Path

import pytest
import soundfile

from helpers import command
from helpers.sounds import EXAMPLES
from helpers.synthetic_pairs import make_pairs
from speech2face.errors import UsageError
from speech2face.files import hash_file
from speech2face.model_folders import find_model
from speech2face.privacy.anonymise_recording import anonymise_recording
from speech2face.privacy.anonymisers import load_anonymiser
from speech2face.privacy.audit_recording import audit_recording
from speech2face.privacy.leakage_estimate import read_calibration

RECORDING = EXAMPLES / "bella.flac"


run, refuse = partial(command.run, "audit"), partial(command.refuse, 2, "audit")


def test_a_recording_in_words_and_on_a_page(tmp_path: Path):
    done = run(RECORDING, "--out", tmp_path / "report.html")
    assert done.returncode == 0, done.stderr
    assert "Among 1,000 strangers" in done.stdout
    assert done.stdout.splitlines()[-1] == str(tmp_path / "report.html")
    assert (tmp_path / "report.html").read_text().startswith("<!doctype html>")
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]
    assert "exists; --force" in refuse(RECORDING, "--out", tmp_path / "report.html")
    for name in ("report.txt", "report"):
        assert "end the name in .html" in refuse(RECORDING, "--out", tmp_path / name)
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]


def test_a_page_tells_no_files_unless_it_is_for_records(tmp_path: Path):
    plain, disguised = tmp_path / "Jane Doe.flac", tmp_path / "hidden Jane.flac"
    shutil.copy(RECORDING, plain)
    anonymise_recording(plain, disguised, load_anonymiser("mcadams"), 1)
    hashes = [hash_file(path) for path in (plain, disguised)]
    for call in ((plain,), (disguised,), (disguised, "--original", plain)):
        page, own = tmp_path / "page.html", tmp_path / "own.html"
        assert run(*call, "--out", page, "--force").returncode == 0
        text, card = page.read_text(), find_model().card
        assert not any(told in text for told in ("Jane", "page.html", tmp_path.name, *hashes))
        assert not re.search(r"[0-9a-f]{16}", text)
        assert f"model {card.name} {card.version}" in text
        assert run(*call, "--out", own, "--provenance", "--from", 0.5, "--force").returncode == 0
        text = own.read_text()
        assert "For your own records" in text
        assert "Jane" in text
        assert [one in text for one in hashes] == [plain in call, disguised in call]
        assert f"Settings: model {card.name} {card.version}; from 0.5." in text
    assert "--provenance goes with --out" in refuse(plain, "--provenance")


def test_a_recording_as_json():
    done = run(RECORDING, "--json", stdin=subprocess.DEVNULL)  # a process of its own
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    bits = facts["bits"]
    assert 0.3 < bits["low"] < bits["value"] < bits["high"] < 6
    assert facts["calibrated_on"] > 700
    averages = read_calibration(find_model()).averages
    assert facts["average_voice"] == [asdict(one) for one in averages]
    assert [one["seconds"] for one in facts["average_voice"]] == [0.5, 1, 2, 3, 6]
    assert sum(facts["parts"].values()) == pytest.approx(bits["value"], abs=0.01)
    assert facts["curve"][-1]["bits"] == bits["value"]
    places = facts["places"]
    assert 1 <= places["10 %"] <= places["50 %"] <= places["90 %"] <= 1000


def test_a_disguised_recording_beside_its_original(tmp_path: Path):
    disguised = tmp_path / "voice.flac"
    anonymise_recording(RECORDING, disguised, load_anonymiser("mcadams-random"), 1)
    model = find_model()
    alone = audit_recording(disguised, model)
    assert alone.voice.disguised.by == "mark"
    assert (alone.voice.bits, alone.voice.places, alone.original) == (None, None, None)
    assert alone.voice.bits_if_plain
    done = run(disguised, "--original", RECORDING, "--out", tmp_path / "page.html", "--json")
    assert done.returncode == 0, done.stderr
    stored, plain = json.loads(done.stdout), audit_recording(RECORDING, model).voice
    assert plain.bits
    assert stored["original"]["bits"] == asdict(plain.bits)
    assert stored["original"]["pair"]["same"] is True
    left = stored["original"]["bits_left"]
    assert left["low"] < left["value"] < left["high"] < plain.bits.high
    assert "disguised voice" in (tmp_path / "page.html").read_text()
    other = audit_recording(disguised, model, original=EXAMPLES / "omega.flac").original
    assert other
    assert other.pair.same is False
    with pytest.raises(UsageError, match="marked as disguised itself"):
        audit_recording(RECORDING, model, original=disguised)
    quieter = tmp_path / "quieter.wav"
    samples, rate = soundfile.read(RECORDING)
    soundfile.write(quieter, 0.5 * samples, rate)
    stated = audit_recording(quieter, model, original=RECORDING)  # nothing says it is disguised
    assert stated.voice.disguised.by == "option"
    assert stated.original
    assert stated.original.bits_left.bound
    with pytest.raises(UsageError, match="hold the same sound"):
        audit_recording(RECORDING, model, original=RECORDING)
    contradicted = audit_recording(disguised, model, method="whisper").voice  # against its mark
    assert contradicted.disguised.by == "option"
    assert "its mark names the method mcadams-random" in contradicted.warnings[-1]


def test_what_was_asked_wrongly():
    assert "--pairs" in refuse()
    assert "--pairs" in refuse(RECORDING, "--pairs", "pairs")
    assert "go with --pairs" in refuse(RECORDING, "--voices", "voices")
    assert "with a recording" in refuse("--pairs", "pairs", "--original", RECORDING)
    assert "one --method" in refuse(RECORDING, "--method", "mcadams", "--method", "whisper")
    assert "no anonymiser" in refuse("--pairs", "pairs", "--method", "mask")


def test_a_population_before_and_after(tmp_path: Path):
    pairs = make_pairs(tmp_path, clips=4)
    with (pairs / "pairs.csv").open() as file:
        rows = list(csv.DictReader(file))
    with (pairs / "pairs.csv").open("w") as file:  # each piece of speech is somebody's
        csv.writer(file).writerows([("clip", "person"), *((r["clip"], r["clip"]) for r in rows)])
    (tmp_path / "voices" / "audio").mkdir(parents=True)
    with (tmp_path / "voices" / "voices.csv").open("w") as file:
        names = [path.stem for path in sorted(EXAMPLES.glob("*.flac"))]
        csv.writer(file).writerows([("clip", "speaker"), *((name, name) for name in names)])
    for path in EXAMPLES.glob("*.flac"):
        samples, rate = soundfile.read(path)
        soundfile.write(tmp_path / "voices" / "audio" / path.name, samples[: 5 * rate], rate)
    out = tmp_path / "run"
    done = run(
        *("--pairs", pairs, "--voices", tmp_path / "voices"),
        *("--method", "mcadams", "--out", out),
    )
    assert done.returncode == 0, done.stderr
    assert "mcadams" in done.stdout
    facts = json.loads((out / "report.json").read_text())
    assert facts["people"] == len(rows)
    assert facts["speakers"] == len(names) - 2  # two stand alone in their fold
    assert set(facts["methods"]["mcadams"]["attackers"]) == {
        "ignorant",
        "lazy-informed",
        "semi-informed",
        "semi-informed, both forms",
    }
    page = (out / "report.html").read_text()
    assert facts["provenance"]["command"]
    assert not re.search(r"[0-9a-f]{16}", page)
    assert "Command" not in page
    assert not any(row["clip"] in page + json.dumps(facts) for row in rows)
