"""The released attackers: what they find in one recording, and files that are not theirs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from helpers.sounds import EXAMPLES
from speech2face.errors import ModelError, UsageError
from speech2face.media import load_audio
from speech2face.model_folders import ASSETS
from speech2face.privacy import trained_attackers
from speech2face.privacy.anonymisers import ANONYMISERS, load_anonymiser
from speech2face.privacy.trained_attackers import (
    CARD,
    PARTS,
    WEIGHTS,
    HeardRecording,
    load_attacker,
    stated_bits,
)

PLAIN = {
    name: load_audio(EXAMPLES / f"{name}.flac").samples[:96_000] for name in ("bella", "omega")
}


@pytest.fixture(scope="module")
def heard() -> dict[str, HeardRecording]:
    vocoder = load_anonymiser("vocoder")
    disguised = {f"{name} disguised": vocoder(sound, 3) for name, sound in PLAIN.items()}
    return {name: HeardRecording.hear(sound) for name, sound in (PLAIN | disguised).items()}


def test_each_method_has_an_attacker_and_all_are_small():
    card = json.loads((ASSETS / CARD).read_text())
    today = {name: repr(load_anonymiser(name)) for name in ANONYMISERS}
    assert card["methods"] == today
    assert (ASSETS / WEIGHTS).stat().st_size < 2e6
    assert card["people"] > 700
    for name in today:
        for hearing in PARTS:
            attacker = load_attacker(name, hearing)
            assert attacker
            assert attacker.places.sum() == pytest.approx(1, abs=0.01)
            assert (np.diff(attacker.voice.strangers) >= 0).all()
    assert load_attacker("mask") is None


@pytest.mark.parametrize("hearing", [*PARTS])
def test_a_speaker_is_told_from_another_through_a_disguise(
    heard: dict[str, HeardRecording], hearing: trained_attackers.Hearing
):
    attacker = load_attacker("vocoder", hearing)
    assert attacker
    for name, other in (("bella", "omega"), ("omega", "bella")):
        own = attacker.measure_heard(heard[name], heard[f"{name} disguised"])
        strange = attacker.measure_heard(heard[other], heard[f"{name} disguised"])
        assert own.voice_score > strange.voice_score
        assert own.voice_rank < 0.05 < strange.voice_rank
        assert own.bits < np.log2(20)
        assert 1 <= own.place <= 1000


def test_sound_and_what_was_heard_of_it_are_attacked_alike(heard: dict[str, HeardRecording]):
    attacker = load_attacker("mcadams")
    assert attacker
    disguised = load_anonymiser("mcadams")(PLAIN["bella"], 0)
    pieces = np.array_split(disguised, 3)
    found = attacker.measure(PLAIN["bella"], pieces)
    hidden = HeardRecording.hear(disguised)
    assert found == attacker.measure_heard(heard["bella"], hidden)
    assert found.bits > 0.3  # mcadams hides little
    assert found.voice_rank < 0.01


def test_less_than_half_a_second_is_refused():
    attacker = load_attacker("mcadams")
    assert attacker
    with pytest.raises(UsageError, match=r"0\.25 s of speech are too little"):
        attacker.measure(PLAIN["bella"][:4000], PLAIN["bella"])
    short = PLAIN["bella"][:12_000]
    assert attacker.measure(short, short).place >= 1  # its halves are not taken


def test_bits_of_places_are_their_mean_surprise():
    shares = np.r_[0.5, np.full(19, 0.5 / 19)]
    assert stated_bits(np.array([0.0, 0.049]), shares) == pytest.approx(np.log2(10))
    assert stated_bits(np.array([0.02, 1.0]), shares) == pytest.approx(
        (np.log2(10) + np.log2(10 / 19)) / 2
    )


def test_files_that_do_not_go_together_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(trained_attackers, "ASSETS", tmp_path)
    fresh = load_attacker.__wrapped__

    def refuse(words: str) -> None:
        trained_attackers._read_files.cache_clear()
        with pytest.raises(ModelError, match=words):
            fresh("vocoder")

    refuse("no attackers")
    for name in (WEIGHTS, CARD):
        shutil.copy(ASSETS / name, tmp_path / name)
    assert fresh("vocoder")
    card = json.loads((tmp_path / CARD).read_text())
    (tmp_path / CARD).write_text(json.dumps(card | {"encoder": "another"}))
    refuse("of another encoder")
    (tmp_path / CARD).write_text(json.dumps(card))
    (tmp_path / WEIGHTS).write_bytes(b"damaged")
    refuse("not the file on its card")
    trained_attackers._read_files.cache_clear()
    with pytest.raises(ValueError, match="no hearing nose"):
        fresh("vocoder", "nose")
