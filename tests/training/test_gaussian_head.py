"""The head in closed form, in a world where the truth is known.

A face is `average` + B z + what no voice tells; a voice of t seconds is heard as z + √(a/t) noise.
That is the world the head assumes, so it must find B, a and how sure it may be.
"""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from torch.distributions import MultivariateNormal

from speech2face.networks.voice_encoder import GaussianHead
from speech2face.training.gaussian_head import (
    MOST_SPREAD,
    TOLERANCE,
    HeadConfig,
    HeadSolution,
    log_likelihood_ratios,
    solve_head,
    solve_head_of_points,
)

D, F, TOLD = 10, 16, 4  # the first TOLD of F features tell of the face
HALF = 0.8
LENGTHS = (5.0, 0.5, 1.0, 2.0, 3.0)
CONFIG = HeadConfig(ridge=1.0, shrinkage=0.0)

_rng = np.random.default_rng(0)
AVERAGE = _rng.normal(size=D)
WEIGHT = np.zeros((D, F))
WEIGHT[:6, :TOLD] = _rng.normal(size=(6, TOLD))  # voices tell nothing of the last four
RESIDUAL = np.diag(np.linspace(0.5, 3.0, D))
TRUTH = WEIGHT @ WEIGHT.T + RESIDUAL


@dataclass(frozen=True)
class World:
    """Whole clips of each person (the first length), then crops."""

    features: np.ndarray
    seconds: np.ndarray
    faces: np.ndarray
    people: list[str]
    whole: np.ndarray


def make_world(people: int, seed: int, lengths: tuple[float, ...] = LENGTHS) -> World:
    rng = np.random.default_rng(seed)
    latent = rng.normal(size=(people, F))
    faces = AVERAGE + latent @ WEIGHT.T + rng.multivariate_normal(np.zeros(D), RESIDUAL, people)
    # Each length is heard by itself: noise of its own.
    heard = [latent + np.sqrt(HALF / length) * rng.normal(size=latent.shape) for length in lengths]
    count = len(lengths)
    return World(
        np.concatenate(heard),
        np.repeat(lengths, people),
        np.tile(faces, (count, 1)),
        [f"p{i}" for i in range(people)] * count,
        np.arange(people * count) < people,
    )


def solve(world: World, config: HeadConfig = CONFIG) -> HeadSolution:
    return solve_head(world.features, world.seconds, world.faces, world.people, world.whole, config)


@pytest.fixture(scope="module")
def head() -> HeadSolution:
    return solve(make_world(1500, seed=1))


def test_the_planted_map_and_noise_are_found(head):
    np.testing.assert_allclose(head.average, AVERAGE, atol=0.25)
    assert HALF / 1.8 < head.half_gain_seconds < HALF * 1.8
    error = np.linalg.norm(head.weight - WEIGHT) / np.linalg.norm(WEIGHT)
    assert error < 0.2


def test_what_voices_do_not_tell_gets_no_weight(head):
    told = np.linalg.norm(head.weight[:6, :TOLD])
    assert np.linalg.norm(head.weight[6:]) < 0.15 * told  # of these directions nothing
    assert np.linalg.norm(head.weight[:, TOLD:]) < 0.15 * told  # from these features nothing
    assert (
        np.diag(head.explained_covariance)[6:].max()
        < 0.1 * np.diag(head.explained_covariance)[:6].max()
    )


def test_what_shrank_a_mean_is_undone_where_it_is_drawn():
    """As a plain ridge would have it, for clips of the length that it was solved for."""
    world = make_world(300, seed=4, lengths=(3.0,))
    head = solve(world)
    x, y = world.features - world.features.mean(0), world.faces - world.faces.mean(0)
    plain = x @ np.linalg.solve(x.T @ x + CONFIG.ridge * np.eye(F), x.T @ y)
    means = head.predict(world.features, world.seconds)
    np.testing.assert_allclose(head.show(means) - head.average, plain, atol=1e-6)
    lengths = [np.square(faces).sum(1).mean() for faces in (means - head.average, plain)]
    assert lengths[0] < 0.9 * lengths[1]


def test_faces_are_drawn_no_farther_than_people_differ():
    """Where voices say much; where they say little, as far as they are told apart best."""
    world = make_world(2000, seed=4, lengths=(3.0,))
    head = solve(world)
    _, axes = np.linalg.eigh(np.cov(world.faces.T))
    means = head.predict(world.features, world.seconds)
    drawn, apart, true = (
        ((points - head.average) @ axes).std(0)
        for points in (head.draw(means), head.show(means), world.faces)
    )
    limit = MOST_SPREAD * true
    far = apart > 1.2 * limit
    assert 0 < far.sum() < D
    np.testing.assert_allclose(drawn[far], limit[far], rtol=0.1)
    near = apart < 0.8 * limit
    np.testing.assert_allclose(drawn[near], apart[near], rtol=1e-6)


def test_voices_that_tell_nothing_give_the_average_face():
    world = make_world(400, seed=2)
    shuffled = np.tile(np.random.default_rng(0).permutation(400), len(LENGTHS))
    shuffled += np.repeat(np.arange(len(LENGTHS)) * 400, 400)
    head = solve(replace(world, features=world.features[shuffled]))
    assert np.trace(head.explained_covariance) < 0.05 * np.trace(TRUTH)
    fresh = make_world(300, seed=3, lengths=(5.0,))
    guesses = head.predict(fresh.features, fresh.seconds) - head.average
    assert (guesses**2).sum(1).mean() < 0.05 * np.trace(TRUTH)


@pytest.mark.parametrize("length", [0.5, 1.0, 3.0, 5.0, 20.0])
def test_the_head_is_as_sure_as_it_may_be_of_people_it_never_met(head, length):
    fresh = make_world(3000, seed=4, lengths=(length,))
    errors = fresh.faces - head.predict(fresh.features, fresh.seconds)
    covariance = head.covariance(length)
    squared = (errors * np.linalg.solve(covariance, errors.T).T).sum(1)
    assert 0.88 < squared.mean() / D < 1.12
    within = (squared < np.quantile(_chi_squared(), 0.9)).mean()
    assert 0.85 < within < 0.95  # of 90 % regions
    # Not only on the whole: along and across what voices tell.
    ratio = errors.var(0) / np.diag(covariance)
    assert ratio.min() > 0.75
    assert ratio.max() < 1.3


def _chi_squared() -> np.ndarray:
    return (np.random.default_rng(0).normal(size=(200_000, D)) ** 2).sum(1)


@pytest.mark.parametrize("people", [60, 120])
def test_few_people_do_not_make_it_overconfident(people):
    """Inner folds: with as many features as a quarter of the people, still calibrated."""
    ratios = []
    for seed in range(4):
        head = solve(make_world(people, seed=10 + seed))
        fresh = make_world(1000, seed=5, lengths=(5.0,))
        errors = fresh.faces - head.predict(fresh.features, fresh.seconds)
        squared = (errors * np.linalg.solve(head.covariance(5.0), errors.T).T).sum(1)
        ratios.append(squared.mean() / D)
    # A covariance of n faces in D directions is itself off by about D / n.
    assert 0.85 < np.mean(ratios) < 1.15 + 1.5 * D / people


def test_the_law_of_total_variance_holds(head):
    np.testing.assert_allclose(head.prior, TRUTH, atol=0.16 * np.diag(TRUTH).max())
    assert np.trace(head.prior) == pytest.approx(np.trace(TRUTH), rel=0.1)
    gain = 2.0 / (2.0 + head.half_gain_seconds)
    fresh = make_world(4000, seed=6, lengths=(2.0,))
    explained = np.cov(head.predict(fresh.features, fresh.seconds).T)
    assert np.trace(explained) == pytest.approx(
        gain * np.trace(head.explained_covariance), rel=0.15
    )


def test_shorter_clips_are_less_certain_and_none_is_certain(head):
    volumes = []
    for seconds in (0.5, 1.0, 2.0, 5.0, 10.0, 1e6):
        covariance = head.covariance(seconds)
        np.testing.assert_allclose(covariance, covariance.T, atol=1e-9)
        assert np.linalg.eigvalsh(covariance).min() > 0
        # Never less sure than without a voice.
        assert np.linalg.eigvalsh(head.prior - covariance).min() > -1e-9
        volumes.append(np.linalg.slogdet(covariance)[1])
    assert volumes == sorted(volumes, reverse=True)
    assert volumes[0] - volumes[-1] > 0.5
    assert volumes[0] < np.linalg.slogdet(head.prior)[1]
    means = [
        np.linalg.norm(head.predict(np.ones((1, F)), np.array([s])) - head.average)
        for s in (0.5, 1.0, 5.0)
    ]
    assert means == sorted(means)  # and their faces lie nearer the average


@pytest.mark.parametrize("people", [12, 30, 200])
@pytest.mark.parametrize("config", [HeadConfig(inner_folds=2), HeadConfig()])
def test_covariances_are_positive_definite_whatever_the_data(people, config):
    """Fewer people than directions included, as a debug run has."""
    world = make_world(people, seed=people)
    wide = np.random.default_rng(0).normal(size=(D, 40))  # faces in 40 directions, of rank 10
    head = solve(replace(world, faces=world.faces @ wide), config)
    for seconds in (0.5, 3.0, 10.0):
        np.linalg.cholesky(head.covariance(seconds))
    assert all(np.isfinite(v).all() for v in vars(head).values())


def test_shrinkage_keeps_variances_and_weakens_correlations():
    world = make_world(300, seed=7)
    plain, shrunk = solve(world, CONFIG), solve(world, replace(CONFIG, shrinkage=0.5))
    assert np.trace(shrunk.residual_covariance) == pytest.approx(
        np.trace(plain.residual_covariance), rel=0.05
    )
    plainly, less = (np.linalg.cond(h.residual_covariance) for h in (plain, shrunk))
    assert less < plainly


def test_the_network_computes_what_was_solved(head):
    module = GaussianHead(F, D)
    module.load_state_dict(
        {
            "linear.weight": torch.tensor(head.weight),
            "linear.bias": torch.tensor(head.bias),
            "average": torch.tensor(head.average),
            "residual_covariance": torch.tensor(head.residual_covariance),
            "explained_covariance": torch.tensor(head.explained_covariance),
            "half_gain_seconds": torch.tensor(head.half_gain_seconds),
            "unshrink": torch.tensor(head.unshrink),
            "reach": torch.tensor(head.reach),
        }
    )
    fresh = make_world(5, seed=8, lengths=(0.5, 2.0, 7.0))
    mean, covariance = module(
        torch.tensor(fresh.features, dtype=torch.float32),
        torch.tensor(fresh.seconds, dtype=torch.float32),
    )
    wanted = head.predict(fresh.features, fresh.seconds)
    np.testing.assert_allclose(mean.detach().numpy(), wanted, atol=1e-4)
    np.testing.assert_allclose(module.show(mean).detach(), head.draw(wanted), atol=1e-3)
    for row, seconds in enumerate(fresh.seconds):
        np.testing.assert_allclose(covariance[row], head.covariance(seconds), atol=1e-4)


def test_likelihood_ratios_are_those_of_the_gaussians_widened():
    rng = np.random.default_rng(0)
    size = 6
    residual, explained = (np.cov(rng.normal(size=(size, 40))) for _ in range(2))
    zeros, stretch = np.zeros((size, 3)), rng.normal(size=(size, size))
    average = rng.normal(size=size)
    head = HeadSolution(
        zeros, zeros[:, 0], average, residual, explained, 0.8, stretch, np.eye(size)
    )
    means, faces = rng.normal(size=(4, size)), rng.normal(size=(5, size))
    seconds = np.array([0.5, 1.0, 3.0, 6.0])
    ratios = log_likelihood_ratios(head, means, seconds, faces)
    wide = TOLERANCE * np.trace(residual) / size * np.eye(size)

    def density(mean, covariance):
        gaussian = MultivariateNormal(torch.tensor(mean), torch.tensor(covariance + wide))
        return gaussian.log_prob(torch.tensor(faces)).numpy()

    for row in range(4):
        covariance = residual + (1 - seconds[row] / (seconds[row] + 0.8)) * explained
        shown = average + stretch @ (means[row] - average)
        wanted = density(shown, covariance) - density(average, residual + explained)
        np.testing.assert_allclose(ratios[row], wanted)


def test_a_voice_that_tells_nothing_changes_no_odds():
    zeros, one = np.zeros((4, 4)), np.eye(4)
    average = np.arange(4.0)
    head = HeadSolution(zeros, zeros[0], average, one, zeros, 0.5, unshrink=one, reach=one)
    faces = np.random.default_rng(0).normal(size=(7, 4))
    ratios = log_likelihood_ratios(head, average[None], np.array([3.0]), faces)
    np.testing.assert_allclose(ratios, 0, atol=1e-12)


# Networks that say a point ----------------------------------------------------------------------


class Sayer:
    """Says points of faces: true in four of sixteen directions but for noise that falls with
    length, chance in the others, and all of it at a place and a scale of its own."""

    SIZE, TOLD, HALF = 16, 4, 0.5

    def __init__(self, scale: float = 1.0) -> None:
        rng = np.random.default_rng(0)
        self.scale = scale
        self.turn, _ = np.linalg.qr(rng.normal(size=(self.SIZE, self.SIZE)))
        self.deviation = np.linspace(0.2, 0.05, self.SIZE)
        self.average = rng.normal(size=self.SIZE)

    def draw(self, count: int, seconds: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Faces and points (count, D)."""
        rng = np.random.default_rng(seed)
        faces = rng.normal(size=(count, self.SIZE)) * self.deviation
        noise = rng.normal(size=faces.shape) * self.deviation
        said = np.where(
            np.arange(self.SIZE) < self.TOLD, faces + noise * (self.HALF / seconds) ** 0.5, noise
        )
        return self.average + faces @ self.turn.T, 7.0 + self.scale * said @ self.turn.T

    def solve(self, people: int) -> HeadSolution:
        everybody, _ = self.draw(3000, 1.0, 1)
        parts = [(t, *self.draw(people, t, 2)) for t in (4.0, 0.5, 1.0, 2.0)]
        seconds = np.repeat([t for t, *_ in parts], people)
        faces, points = (np.concatenate([part[i] for part in parts]) for i in (1, 2))
        whole = np.arange(len(faces)) < people
        eye = np.eye(self.SIZE)
        return solve_head_of_points(eye, points, seconds, faces, whole, everybody)


@pytest.mark.parametrize("scale", [1.0, 4.0, 0.2])
def test_the_gaussian_of_points_holds_for_people_whom_nobody_met(scale):
    sayer = Sayer(scale)
    head = sayer.solve(people=400)
    for seconds in (0.5, 1.0, 4.0):
        faces, points = sayer.draw(2000, seconds, seed=3)
        errors = faces - head.predict(points, np.full(len(points), seconds))
        white = np.linalg.solve(np.linalg.cholesky(head.covariance(seconds)), errors.T)
        assert (white**2).mean() == pytest.approx(1, abs=0.12)
        # At the best: what is told, and no more.
        share = sayer.TOLD * seconds / (seconds + sayer.HALF)
        before = ((faces - sayer.average) ** 2 @ np.ones(16)).mean()
        told = (sayer.deviation[: sayer.TOLD] ** 2).sum() * share / sayer.TOLD
        assert (errors**2).sum(1).mean() == pytest.approx(before - told, rel=0.06)
    assert head.half_gain_seconds == pytest.approx(sayer.HALF, rel=0.5)
    shown = head.show(head.predict(points, np.full(len(points), 4.0)))
    assert np.corrcoef((shown - sayer.average).ravel(), (points - 7.0).ravel())[0, 1] > 0.9


def test_what_is_said_of_everybody_alike_explains_nothing():
    rng = np.random.default_rng(0)
    faces, same = rng.normal(size=(90, 8)), np.full((90, 8), 0.3)
    same += 1e-8 * rng.normal(size=same.shape)  # rounding
    whole, eye = np.arange(90) < 30, np.eye(8)
    seconds = np.where(whole, 3.0, 1.0)
    head = solve_head_of_points(eye, same, seconds, faces, whole, faces)
    means = head.predict(same, seconds)
    assert np.ptp(means[whole], axis=0).max() < 1e-3
    np.testing.assert_allclose(means, np.tile(faces.mean(0), (90, 1)), atol=1e-3)
    assert np.trace(head.explained_covariance) < 0.2 * np.trace(head.prior)
    assert np.trace(head.prior) == pytest.approx(np.trace(np.cov(faces.T)), rel=0.25)
