"""Strengths: what is gained and lost by drawing farther out, on faces of which all is known."""

import numpy as np
import pytest

from speech2face.evaluation.drawing_strength import TrueFaces, compare_drawn_ages, measure_drawn
from speech2face.evaluation.rating_networks import RatedPictures
from speech2face.metrics.evaluation_results import RECOGNISERS, DrawnPictures
from speech2face.metrics.intervals import Estimate, bootstrap_people, bootstrap_statistic

COUNT = 80
EVERY = np.ones(COUNT, bool)
NOBODY = np.full(COUNT, "")


class Faces:
    """Eighty faces in two folds, half of either sex, and pictures of them at any distance."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.points = rng.normal(size=(COUNT, 16))
        self.male = np.arange(COUNT) % 2
        self.points[:, 0] += 2 * self.male
        self.age = rng.uniform(20, 80, COUNT)
        self.people = np.arange(COUNT).astype(str)
        fold = (np.arange(COUNT) // 40).astype(str)
        sexed = np.char.add(fold, self.male.astype(str))
        self.group = np.where(self.points[:, 1] > 0, "one", "other")
        true = self.draw(1.0)
        self.true = TrueFaces(true, self.people, {"everybody": fold, "same_sex": sexed}, self.group)

    def draw(self, strength: float) -> RatedPictures:
        """Pictures so much of the way from the average face to each person's own."""
        points = 3 + strength * self.points
        age = 50 + strength * (self.age - 50)
        male = 0.5 + strength * 0.4 * (2 * self.male - 1) - 0.01
        age_sex = np.stack([age, male], axis=1)
        return RatedPictures({name: points for name in RECOGNISERS}, points[:, :13], age_sex)

    def group_at(self, strength: float) -> np.ndarray:
        return np.where(strength * self.points[:, 1] > 0.5, "one", "other")


@pytest.fixture(scope="module")
def faces() -> Faces:
    return Faces()


def measure(pictures, has_picture, group, true) -> DrawnPictures:
    return measure_drawn(pictures, has_picture, group, true, system="voice", draws=100)


def test_farther_out_faces_differ_more_and_ages_spread(faces):
    drawn = {
        s: measure(faces.draw(s), EVERY, faces.group_at(s), faces.true) for s in (0.3, 1.0, 1.5)
    }
    near, right, far = drawn.values()
    for rater in RECOGNISERS:
        alike = [one.alikeness[rater].value for one in drawn.values()]
        assert alike == sorted(alike, reverse=True)
        assert near.alikeness[rater].low > right.alikeness[rater].high
        for stratum in ("everybody", "same_sex"):
            assert right.two_way[stratum][rater].value == 1
    for strength, one in drawn.items():
        assert one.age
        assert one.age.spread_share.value == pytest.approx(strength)
        assert one.age.spread.value == pytest.approx(strength * faces.age.std())
        assert one.age.true_spread.value == pytest.approx(faces.age.std())
        assert one.age.correlation.value == pytest.approx(1)
    assert near.age.bias_of_old.high < -5
    assert right.age.bias_of_old.value == pytest.approx(0, abs=1e-9)
    assert far.age.bias_of_old.low > 5
    assert near.groups["one"].figure.value < right.groups["one"].figure.value < 1
    assert right.groups["other"].figure.value == 1
    counts = [group.people for group in right.groups.values()]
    assert counts == [(faces.group == name).sum() for name in ("one", "other")]


def test_the_average_face_is_alike_for_all_and_tells_nothing(faces):
    drawn = measure(faces.draw(0.0), EVERY, faces.group_at(0), faces.true)
    for rater in RECOGNISERS:
        assert drawn.alikeness[rater].low == pytest.approx(1)
        for wins in drawn.two_way.values():
            assert (wins[rater].low, wins[rater].high) == (0.5, 0.5)
    assert drawn.age
    assert np.isnan(drawn.age.correlation.value)
    assert drawn.age.spread_share.high == 0
    assert drawn.sex
    assert drawn.sex.value == pytest.approx(0.5)  # all women


def test_a_picture_without_a_face_loses_and_has_no_age(faces):
    unseen = np.arange(COUNT) < 8
    rows = np.where(unseen, -1, np.arange(COUNT))
    group = np.where(unseen, "", faces.group)
    drawn = measure(faces.draw(1.0).take(rows), EVERY, group, faces.true)
    assert (drawn.people, drawn.clips, drawn.undetected) == (COUNT, COUNT, 8)
    for rater in RECOGNISERS:
        assert drawn.two_way["everybody"][rater].value == pytest.approx(1 - 8 / COUNT)
    assert drawn.age
    assert drawn.age.true_spread.value == pytest.approx(faces.age[8:].std())
    assert sum(group.people for group in drawn.groups.values()) == COUNT - 8

    # There is no such picture.
    some = measure(faces.draw(1.0).take(rows), ~unseen, group, faces.true)
    assert (some.people, some.undetected) == (COUNT - 8, 0)
    assert some.two_way["everybody"]["dlib"].value == 1


def test_without_a_judge_and_a_probe_only_matching_is_measured(faces):
    blind = faces.draw(1.0)
    blind.age_sex[:] = np.nan
    true = TrueFaces(blind, faces.people, {"everybody": NOBODY + "0"}, NOBODY)
    drawn = measure(blind, EVERY, NOBODY, true)
    assert (drawn.age, drawn.sex, drawn.alikeness, drawn.groups) == (None, None, {}, {})
    assert list(drawn.two_way) == ["everybody"]


def figures(estimate: Estimate) -> tuple[float, float, float]:
    return estimate.value, estimate.low, estimate.high


def near(estimate: Estimate):
    return pytest.approx(figures(estimate))


def test_figures_of_age_are_those_of_clips_in_which_everybody_weighs_the_same():
    rng = np.random.default_rng(1)
    people = np.repeat(np.arange(30), rng.integers(1, 4, size=30))
    true = rng.uniform(20, 90, len(people))
    drawn = 40 + 0.3 * (true - 40) + rng.normal(scale=6, size=len(people))
    ages = compare_drawn_ages(drawn, true, people, seed=2, draws=200)
    assert figures(ages.bias) == near(bootstrap_people(drawn - true, people, 2, 200))
    old = true > 60
    assert ages.bias_of_old == bootstrap_people((drawn - true)[old], people[old], 2, 200)

    def correlate(weights: np.ndarray) -> float:
        cov = np.cov(drawn, true, aweights=weights, ddof=0)
        return cov[0, 1] / np.sqrt(cov[0, 0] * cov[1, 1])

    def spread(weights: np.ndarray) -> float:
        return np.sqrt(np.cov(drawn, aweights=weights, ddof=0))

    for estimate, statistic in ((ages.correlation, correlate), (ages.spread, spread)):
        wanted = bootstrap_statistic(statistic, people, seed=2, draws=200)
        assert figures(estimate) == near(wanted)
    young = compare_drawn_ages(drawn[~old], true[~old], people[~old])
    assert young.bias_of_old is None
