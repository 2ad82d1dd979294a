"""Calibration: what was planted is found, and statements then are what comes out."""

from __future__ import annotations

import numpy as np
import pytest

from speech2face.metrics.retrieval import rank_matches
from speech2face.privacy.fit_calibration import (
    UNHEARD,
    CalibrationResiduals,
    Condition,
    check_statements,
    cross_fit_weights,
    fit_axes,
    fit_weights,
    places_of,
    simulate_places,
    standard_error,
)
from speech2face.privacy.leakage_estimate import (
    Calibration,
    SoundProperties,
    evidence_weight_of_clip,
)

PEOPLE, SIZE = 1000, 8
SHARES = np.array([0.7, 0.4, 0.2, 0.1, 0, 0, 0, 0])
SOUNDS = {
    "clear": SoundProperties(40.0, narrow=False),
    "noisy": SoundProperties(6.0, narrow=False),
    "narrow": SoundProperties(40.0, narrow=True),
}


def condition(name: str, planted: Calibration, seconds: float, seed: int) -> Condition:
    """Clips of which less is heard than the encoder says, by `planted`."""
    rng = np.random.default_rng(seed)
    people, sound = np.arange(PEOPLE), SOUNDS[name]
    weight = evidence_weight_of_clip(planted, seconds, sound)
    # A mean m whose best use is κ m: the face is κ m + what is left.
    means = np.sqrt(SHARES / weight) * rng.normal(size=(PEOPLE, SIZE))
    faces = weight * means + np.sqrt(1 - weight * SHARES) * rng.normal(size=(PEOPLE, SIZE))
    # Each true face, and everybody's, by their likelihood ratios; a tempered Gaussian is the best.
    mean, variance = weight * means, 1 - weight * SHARES
    scores = np.array([(faces**2 - (faces - one) ** 2 / variance).sum(1) for one in mean])
    true = np.eye(PEOPLE, dtype=bool)
    others = (people[:, None] % 5 == people % 5) & ~true
    return Condition(
        name,
        means,
        np.tile(SHARES, (PEOPLE, 1)),
        np.full(PEOPLE, seconds),
        (sound,) * PEOPLE,
        people,
        people % 5,
        rank_matches(scores, true, others),
    )


PLANTED = Calibration(doubt=0.2, shortness=0.2, noise=1.5, narrow=0.4)
CONDITIONS = [
    condition("clear", PLANTED, 0.5, 1),
    condition("clear", PLANTED, 1.0, 2),
    condition("clear", PLANTED, 6.0, 3),
    condition("noisy", PLANTED, 6.0, 4),
    condition("narrow", PLANTED, 6.0, 5),
]


@pytest.fixture(scope="module")
def residuals() -> list[CalibrationResiduals]:
    return [CalibrationResiduals.tabulate(one) for one in CONDITIONS]


def test_planted_numbers_are_found(residuals: list[CalibrationResiduals]):
    found = fit_weights(residuals)
    assert found.doubt == pytest.approx(PLANTED.doubt, abs=0.12)
    assert found.shortness == pytest.approx(PLANTED.shortness, abs=0.1)
    assert found.noise == pytest.approx(PLANTED.noise, abs=0.6)
    assert found.narrow == pytest.approx(PLANTED.narrow, abs=0.15)


def test_statements_are_what_is_found_in_other_folds(residuals: list[CalibrationResiduals]):
    checks = [
        check_statements(one, weights)
        for one, weights in zip(CONDITIONS, cross_fit_weights(residuals), strict=True)
    ]
    for check in checks:
        assert check.found_bits.low - 0.05 < check.stated_bits < check.found_bits.high + 0.05
        assert check.stated_place == pytest.approx(check.found_place.value, abs=0.02)
        for share, found in check.within.items():
            assert found.value == pytest.approx(share / 100, abs=0.04)
        stated = [group.stated for group in check.groups]
        assert stated == sorted(stated)
    assert 0 < standard_error(checks) < 0.15


def test_an_encoder_that_is_too_sure_is_told(residuals: list[CalibrationResiduals]):
    before = check_statements(CONDITIONS[3], np.ones(PEOPLE))
    assert before.stated_bits > before.found_bits.high + 0.1
    assert before.within[90].high < 0.9
    assert standard_error([before]) > 0.2
    assert residuals[3].at[:, 0].mean() < 0 < residuals[3].at[:, -1].mean()


def test_places_foreseen_are_places_found():
    clear = CONDITIONS[2]
    stated = simulate_places(clear, clear.weights(PLANTED), 300)
    assert places_of(clear.ranks).mean() == pytest.approx(stated.mean(), abs=0.02)


def test_places_between_those_looked_up_lie_on_a_line(residuals: list[CalibrationResiduals]):
    one = residuals[2]
    for column in (0, 3):
        sure = one.interpolate(Calibration(doubt=UNHEARD[column]))
        np.testing.assert_allclose(sure, one.at[:, column], atol=1e-9)
    between = one.interpolate(Calibration(doubt=(UNHEARD[3] + UNHEARD[4]) / 2))
    np.testing.assert_allclose(between, one.at[:, 3:5].mean(1), atol=1e-9)
    np.testing.assert_allclose(one.interpolate(Calibration(doubt=99)), one.at[:, -1])


def test_an_encoder_that_heard_nothing_states_nothing():
    deaf = condition("clear", Calibration(), 6.0, 4)
    check = check_statements(deaf, np.full(PEOPLE, 1e-9))
    assert check.stated_bits == pytest.approx(0, abs=1e-6)
    assert check.stated_place == pytest.approx(0.5, abs=1e-6)


def test_lines_of_sex_and_age_are_found():
    rng = np.random.default_rng(0)
    faces = rng.normal(size=(3000, 6))
    male = rng.random(3000) < 1 / (1 + np.exp(-(3 * faces[:, 0] + 1)))
    years = 40 + 5 * faces[:, 1] + rng.normal(size=3000)
    axis, offset, age = fit_axes(faces, male, years)
    np.testing.assert_allclose(axis, [3, 0, 0, 0, 0, 0], atol=0.35)
    assert offset == pytest.approx(1, abs=0.2)
    np.testing.assert_allclose(age, [0, 5, 0, 0, 0, 0], atol=0.2)
