"""Calibration: what was planted is found, and statements then are what comes out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from speech2face.privacy.calibrating import (
    Condition,
    check_by_folds,
    compare_statements,
    fit_axes,
    fit_doubt,
    fit_weights,
    foresee_by_folds,
    rank_by_folds,
    standard_error,
)
from speech2face.privacy.disclosure import Calibration, Waveform

PEOPLE, SIZE = 1500, 8
SHARES = np.array([0.7, 0.4, 0.2, 0.1, 0, 0, 0, 0])
RANGES = {"clear": 40.0, "noisy": 6.0}


def condition(name: str, planted: Calibration, seconds: float, seed: int) -> Condition:
    """Clips of which less is heard than the encoder says, by `planted`."""
    rng = np.random.default_rng(seed)
    sound = Waveform(RANGES[name], narrow=False)
    people = np.arange(PEOPLE)
    faces = rng.normal(size=(PEOPLE, SIZE))
    bare = Condition(
        name,
        faces,
        faces,
        np.tile(SHARES, (PEOPLE, 1)),
        np.full(PEOPLE, seconds),
        (sound,) * PEOPLE,
        people,
        people % 5,
    )
    heard = bare.weights(planted)[0]
    # A mean m whose best use is κ m: the face is κ m + what is left.
    means = np.sqrt(SHARES / heard) * rng.normal(size=(PEOPLE, SIZE))
    left = np.sqrt(1 - heard * SHARES) * rng.normal(size=(PEOPLE, SIZE))
    return Condition(
        name,
        means,
        heard * means + left,
        bare.shares,
        bare.seconds,
        bare.sounds,
        people,
        bare.fold,
    )


PLANTED = Calibration(shortness=0.1, noise=1.5)
CONDITIONS = [
    condition("clear", PLANTED, 0.5, 1),
    condition("clear", PLANTED, 6.0, 2),
    condition("noisy", PLANTED, 6.0, 3),
]


def test_planted_numbers_are_found():
    found = fit_weights(CONDITIONS)
    assert found.shortness == pytest.approx(PLANTED.shortness, abs=0.06)
    assert found.noise == pytest.approx(PLANTED.noise, abs=0.4)


def test_statements_are_what_comes_out_of_other_folds():
    named = [replace(c, name=str(n)) for n, c in enumerate(CONDITIONS)]
    told = check_by_folds(named)
    for stated, came_out in told.values():
        assert stated.mean() == pytest.approx(came_out.mean(), abs=0.12)
    assert 0 < standard_error(named, told) < 0.15


def test_places_foreseen_are_places_found():
    clear = CONDITIONS[1]
    weights = clear.weights(PLANTED)
    stood, stated = rank_by_folds(clear, weights), foresee_by_folds(clear, weights, 300)
    assert stood.mean() == pytest.approx(stated.mean(), abs=0.02)
    for share in (0.1, 0.5, 0.9):
        within = (stood <= np.quantile(stated, share, axis=1)).mean()
        assert within == pytest.approx(share, abs=0.04)


def test_doubt_is_found_out_of_the_places():
    sure = condition("clear", replace(PLANTED, doubt=0.5), 6.0, 5)
    assert fit_doubt([sure], PLANTED, 60) == pytest.approx(0.5, abs=0.12)
    assert fit_doubt([sure], replace(PLANTED, shortness=20.0), 60) == 0


def test_an_encoder_that_heard_nothing_states_nothing():
    deaf = condition("clear", Calibration(), 6.0, 4)
    stated, came_out = compare_statements(deaf, np.full(PEOPLE, 1e-9))
    assert stated == pytest.approx(np.zeros(PEOPLE), abs=1e-6)
    assert came_out == pytest.approx(np.zeros(PEOPLE), abs=1e-6)


def test_lines_of_sex_and_age_are_found():
    rng = np.random.default_rng(0)
    faces = rng.normal(size=(3000, 6))
    male = rng.random(3000) < 1 / (1 + np.exp(-(3 * faces[:, 0] + 1)))
    years = 40 + 5 * faces[:, 1] + rng.normal(size=3000)
    axis, offset, age = fit_axes(faces, male, years)
    np.testing.assert_allclose(axis, [3, 0, 0, 0, 0, 0], atol=0.35)
    assert offset == pytest.approx(1, abs=0.2)
    np.testing.assert_allclose(age, [0, 5, 0, 0, 0, 0], atol=0.2)
