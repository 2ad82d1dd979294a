"""What one Gaussian discloses: faces answers, and the rank distribution it stands for."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from helpers.sounds import example_speech
from speech2face.data.degradations import add_noise, telephone
from speech2face.errors import ModelError
from speech2face.media import SAMPLE_RATE
from speech2face.metrics.audit_results import AverageBits
from speech2face.metrics.gaussian_distance import stated_bits
from speech2face.model_folders import FILES, Model, find_model
from speech2face.privacy.leakage_estimate import (
    BINS,
    FILE,
    Calibration,
    FaceCovariance,
    SoundProperties,
    estimate_leakage,
    evidence_weight_of_clip,
    infer_face_covariance,
    measure_sound,
    rank_bits,
    read_calibration,
    shrink_to_prior,
    simulate_ranks,
    whiten_by_prior,
    write_calibration,
)

SIZE = 6
CLEAR = SoundProperties(30.0, narrow=False)


def covariance(seed: int) -> np.ndarray:
    factor = np.random.default_rng(seed).normal(size=(SIZE, SIZE))
    return factor @ factor.T / SIZE + 0.1 * np.eye(SIZE)


def face_covariance(share: float = 0.6) -> FaceCovariance:
    prior = covariance(0)
    return FaceCovariance(prior, share * prior, 0.5)


def deaf_encoder(faces: FaceCovariance):
    """An encoder whose output depends on nothing but the length."""

    def encode(speech: np.ndarray) -> tuple[np.ndarray, ...]:
        gain = faces.gain(speech.shape[1] / SAMPLE_RATE)
        zero = np.zeros((1, SIZE), np.float32)
        return zero, (faces.prior - gain * faces.explained)[None].astype(np.float32), zero

    return encode


def test_an_encoder_that_ignores_its_input_discloses_nothing():
    faces = FaceCovariance(covariance(0), np.zeros((SIZE, SIZE)), 0.5)
    estimate = estimate_leakage(np.zeros(SIZE), np.zeros(SIZE), faces, 6.0, CLEAR, Calibration())
    assert estimate.bits == pytest.approx(0, abs=1e-3)
    assert estimate.mean_rank == pytest.approx(0.5)


def test_one_that_knows_the_face_puts_it_first():
    faces = face_covariance(1 - 1e-4)
    face = np.linalg.cholesky(faces.prior) @ np.ones(SIZE)
    estimate = estimate_leakage(face, np.zeros(SIZE), faces, 1e6, CLEAR, Calibration())
    assert estimate.mean_rank < 0.001
    assert estimate.bits == pytest.approx(np.log2(BINS))  # all that a histogram can say


def test_who_doubts_states_less():
    faces = face_covariance(1 - 1e-4)
    face = np.linalg.cholesky(faces.prior) @ np.ones(SIZE)
    sure, doubting = (
        estimate_leakage(face, np.zeros(SIZE), faces, 1e6, CLEAR, Calibration(doubt=d))
        for d in (0, 0.5)
    )
    assert doubting.bits < sure.bits - 0.5
    assert doubting.mean_rank > sure.mean_rank


def test_stated_bits_of_one_direction():
    bits = stated_bits(np.array([2.0]), np.array([[0.25]]), np.array([1.0]), np.array([[1.0]]))
    assert bits == pytest.approx((0.25 + 1 - 1 + np.log(4)) / (2 * np.log(2)))


def test_the_divergence_of_the_simulated_ranks_is_that_of_the_gaussians():
    faces = face_covariance(0.3)
    axes, shares = whiten_by_prior(faces)
    np.testing.assert_allclose(axes.T @ faces.prior @ axes, np.eye(SIZE), atol=1e-9)
    apart = np.linalg.cholesky(faces.prior) @ np.full(SIZE, 0.3)
    places = simulate_ranks(apart @ axes, 1 - shares, draws=200_000)
    part = np.histogram(places, 200, (0, 1))[0] / len(places)
    bits = (part * np.log2(np.maximum(part, 1e-9) * 200)).sum()
    after = faces.prior - faces.explained
    assert bits == pytest.approx(stated_bits(apart, after, np.zeros(SIZE), faces.prior), rel=0.03)
    assert rank_bits(places) < bits


def test_bits_of_places():
    assert rank_bits(np.zeros(1000)) == pytest.approx(np.log2(BINS))
    assert rank_bits(np.linspace(0, 0.499, 1000)) == pytest.approx(1, abs=0.02)
    assert rank_bits(np.random.default_rng(0).random(5000)) < 0.01


def test_the_covariance_of_faces_follows_from_three_lengths():
    faces = face_covariance()
    inferred = infer_face_covariance(deaf_encoder(faces))
    assert inferred.half_gain_seconds == pytest.approx(faces.half_gain_seconds, rel=1e-3)
    np.testing.assert_allclose(inferred.prior, faces.prior, atol=1e-4)
    np.testing.assert_allclose(inferred.explained, faces.explained, atol=1e-4)


def test_a_model_deaf_to_length_is_refused():
    with pytest.raises(ModelError, match="length"):
        infer_face_covariance(
            deaf_encoder(FaceCovariance(covariance(0), np.zeros((SIZE, SIZE)), 1.0))
        )


def test_less_is_heard_of_short_noisy_and_narrow_sound():
    calibration = Calibration(0.0, 0.05, 1.0, 0.1)
    whole = evidence_weight_of_clip(calibration, 6.0, CLEAR)
    assert evidence_weight_of_clip(Calibration(), 0.5, SoundProperties(3.0, narrow=True)) == 1
    assert 0.95 < whole < 1
    assert evidence_weight_of_clip(calibration, 0.5, CLEAR) < whole
    assert evidence_weight_of_clip(calibration, 6.0, SoundProperties(7.0, narrow=False)) < whole
    assert evidence_weight_of_clip(calibration, 6.0, SoundProperties(30.0, narrow=True)) < whole


def test_what_was_not_heard_is_not_stated():
    faces = face_covariance()
    apart, after = shrink_to_prior(np.ones(SIZE), np.zeros(SIZE), faces, 3.0, weight=0.0)
    assert stated_bits(apart, after, np.zeros(SIZE), faces.prior) == pytest.approx(0, abs=1e-9)
    apart, after = shrink_to_prior(np.ones(SIZE), np.zeros(SIZE), faces, 3.0, weight=1.0)
    np.testing.assert_allclose(after, faces.prior - faces.gain(3.0) * faces.explained)


def test_sex_is_one_bit_at_most_and_no_more_than_the_whole():
    faces = FaceCovariance(np.eye(SIZE), 0.9 * np.eye(SIZE), 1e-6)
    first, second = np.eye(SIZE)[:2]
    calibration = Calibration(sex_axis=tuple(8 * first), age_axis=tuple(second))
    apart = 3 * first
    estimate = estimate_leakage(apart, np.zeros(SIZE), faces, 1e6, CLEAR, calibration)
    assert estimate.sex == pytest.approx(1, abs=0.01)
    one = (0.1 - 1 - np.log(0.1)) / (2 * np.log(2))  # a direction of which only the variance falls
    assert estimate.age == pytest.approx(one)
    assert estimate.bits > 1.5


def test_noise_narrows_the_range_and_a_telephone_is_heard():
    samples, _ = example_speech()
    clean = measure_sound(samples)
    noisy = measure_sound(add_noise(samples, 0, seed=1))
    assert noisy.range_db < 12 < clean.range_db
    assert not clean.narrow
    assert measure_sound(telephone(samples)).narrow


def make_model(folder: Path) -> Model:
    return Model(folder, replace(find_model().card, sha256={FILES[0]: "abc"}))


def test_calibration_is_read_and_a_broken_one_named(tmp_path: Path):
    model = make_model(tmp_path)
    assert read_calibration(model) == Calibration()
    stored = {"noise": 2.0, "sex_axis": [1, 2], "encoder": "abc"}  # of a version without averages
    (tmp_path / FILE).write_text(json.dumps(stored))
    calibration = Calibration(noise=2.0, sex_axis=(1, 2), encoder="abc")
    assert read_calibration(model) == calibration
    averages = (AverageBits(0.5, 9, 0.7, 0.6, 0.8), AverageBits(2.0, 8, 1.3, 1.2, 1.4))
    calibration = replace(calibration, averages=averages)
    write_calibration(calibration, model)
    assert read_calibration(model) == calibration
    for broken in ('{"unheard_of": 1}', '{"averages": [1]}', '{"averages": [{"seconds": 1}]}'):
        (tmp_path / FILE).write_text(broken)
        with pytest.raises(ModelError, match=FILE):
            read_calibration(model)


def test_the_calibration_of_another_encoder_is_none(tmp_path: Path):
    (tmp_path / FILE).write_text(json.dumps({"noise": 2.0, "people": 9, "encoder": "other"}))
    assert read_calibration(make_model(tmp_path)) == Calibration()
    assert read_calibration(find_model()).people > 700


def test_the_audit_of_a_recording_needs_the_core_alone():
    code = (
        "import sys, speech2face.privacy.audit_recording, speech2face.reports.audit_page; "
        "print(sorted({'torch', 'sklearn', 'scipy', 'cv2'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
