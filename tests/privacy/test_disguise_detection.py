"""Disguised voices that carry no mark: what the classifier looks at, and what it says."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from helpers.sounds import EXAMPLES, RATE, example_speech, noise, tones
from speech2face.errors import ModelError
from speech2face.privacy import disguise_detection
from speech2face.privacy.anonymisers import load_anonymiser
from speech2face.privacy.disguise_detection import FILE, describe, find_disguise, load_classifier
from speech2face.privacy.disguise_metadata import make_mark
from speech2face.speech import find_speech

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
PLAIN = ("emma", "george", "bella", "alex")


def speech(name: str) -> np.ndarray:
    return find_speech(EXAMPLES / f"{name}.flac").samples


@pytest.mark.parametrize("name", PLAIN)
def test_plain_voices_are_taken_for_plain(name: str):
    found = find_disguise(speech(name), {})
    assert found.by is None
    assert found.probability < load_classifier().threshold


def test_most_disguises_are_recognised():
    found = [
        find_disguise(find_speech((load_anonymiser(method)(speech(name), 3), RATE)).samples, {}).by
        for name in PLAIN
        for method in ("mcadams", "smoothing")
    ]
    assert found.count("detector") > len(found) / 2


def test_a_mark_goes_before_what_is_stated_and_that_before_the_classifier():
    plain, mark = speech("emma"), make_mark("whisper")
    marked = find_disguise(plain, mark)
    assert (marked.by, marked.method) == ("mark", "whisper")
    assert find_disguise(plain, mark, stated=True, method="mcadams").method == "mcadams"
    stated = find_disguise(plain, {}, stated=True)
    assert (stated.by, stated.method) == ("option", None)
    assert find_disguise(plain, {}, method="mcadams").by == "option"
    assert stated.probability == marked.probability  # the classifier's own opinion


def test_figures_do_not_depend_on_the_level():
    samples, _ = example_speech()
    np.testing.assert_allclose(describe(0.1 * samples), describe(samples), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    "samples",
    [
        noise(0.5),
        tones(0.6, 440),
        np.eye(1, RATE, 9000, dtype=np.float32)[0],
        np.sign(tones(1, 100)).astype(np.float32),
        np.full(RATE, 0.5, np.float32),
    ],
    ids=["noise", "tone", "click", "square", "constant"],
)
def test_any_sound_has_figures(samples: np.ndarray):
    figures = describe(samples)
    assert np.isfinite(figures).all()
    assert figures.shape == load_classifier().mean.shape
    assert 0 <= load_classifier().probability(figures) <= 1


def test_a_broken_classifier_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(disguise_detection, "ASSETS", tmp_path)
    for text in (None, "{}", '{"classifier": {"mean": [1]}}'):
        if text is not None:
            (tmp_path / FILE).write_text(text)
        load_classifier.cache_clear()
        with pytest.raises(ModelError, match=FILE):
            load_classifier()
    load_classifier.cache_clear()


def test_few_plain_voices_of_people_not_met_were_called_disguised():
    found = json.loads((BENCHMARKS / "disguises.json").read_text())
    assert found["false_alarms"]["all"]["value"] < 0.02
    stored = json.loads((disguise_detection.ASSETS / FILE).read_text())
    assert stored["facts"] == found["recipe"] | {"data": found["data"]}
