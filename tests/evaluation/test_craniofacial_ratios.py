"""Craniofacial ratios: a face whose distances are known, and found that are known."""

import numpy as np
import pytest

from speech2face.errors import UsageError
from speech2face.evaluation.craniofacial_ratios import (
    MEAN,
    MIDLINE,
    PAIRED,
    RATIOS,
    compare_ratios,
    correlate_ratios,
    measure_ratios,
)
from speech2face.metrics.correlation import pearson

# A face in millimetres, x to the image's right of the middle line, y downwards from the nasion.
MIDDLE = {"n": 0, "sn": 50, "ls": 64, "sto": 72, "li": 81, "gn": 120}
SIDE = {
    "en": (16, 4),
    "ex": (45, 3),
    "al": (17, 42),
    "sbal": (12, 50),
    "cph": (5, 63),
    "ls'": (12, 66),
    "ch": (26, 73),
    "zy": (68, 20),
    "go": (52, 80),
}
PLANTED = {
    "upper_lip_height": 22 / 90,
    "lateral_upper_lip_heights": 16 / 90,
    "jaw_width": 104 / 90,
    "nose_height": 50 / 90,
    "nose_width": 34 / 90,
    "labio_oral_region": 52 / 90,
    "mandibular_index": 48 / 104,
    "intercanthal_index": 32 / 90,
    "nasal_index": 34 / 50,
    "vermilion_height_index": 8 / 9,
    "mouth_face_width_index": 52 / 136,
    "nose_area": 34 * 50 / 2 / 90**2,
    "philtrum_width": 10 / 90,
}


@pytest.fixture
def face() -> np.ndarray:
    """That face as a mesh (468, 2); of points no ratio needs, somewhere."""
    mesh = np.random.default_rng(0).uniform(-99, 99, (468, 2))
    for name, index in MIDLINE.items():
        opening = np.linspace(-1, 1, len(index)) if len(index) > 1 else np.zeros(1)
        mesh[list(index)] = np.stack([np.zeros(len(index)), MIDDLE[name] + opening], 1)
    for name, (left, right) in PAIRED.items():
        x, y = SIDE[name]
        mesh[left], mesh[right] = (-x, y), (x, y)
    return mesh


def test_planted_distances_give_the_planted_ratios(face):
    assert tuple(PLANTED) == RATIOS
    assert len(RATIOS) == 13
    np.testing.assert_allclose(measure_ratios(face[None])[0], list(PLANTED.values()))


def test_scale_rotation_translation_and_mirroring_do_not_matter(face):
    turn = np.deg2rad(37)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    mirrored = face * [-1, 1]
    moved = np.stack([3.7 * face @ rotation.T + [120, -40], mirrored, face.astype(np.float32)])
    np.testing.assert_allclose(
        measure_ratios(moved), np.tile(measure_ratios(face[None]), (3, 1)), rtol=1e-5
    )


def test_each_length_moves_only_its_own_ratios(face):
    wide = face.copy()
    wide[list(PAIRED["ch"])] *= [1.1, 1]
    changed = measure_ratios(wide[None])[0] / measure_ratios(face[None])[0]
    longer = ("labio_oral_region", "mouth_face_width_index")
    np.testing.assert_allclose(changed, [1.1 if name in longer else 1 for name in RATIOS])


def test_a_face_without_a_shape_has_no_ratios(face):
    ratios = measure_ratios(np.stack([np.zeros((468, 2)), face]))
    assert np.isnan(ratios[0]).all()
    assert np.isfinite(ratios[1]).all()
    with pytest.raises(UsageError, match=r"\(N, 468, 2\)"):
        measure_ratios(face)


# Correlations ------------------------------------------------------------------------------------


def make_pair(count: int, r: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Ratios (count, 13) twice that go together by r on average."""
    rng = np.random.default_rng(seed)
    a, noise = rng.normal(size=(2, count, len(RATIOS)))
    return a, r * a + np.sqrt(1 - r**2) * noise


def test_pearson_is_numpys():
    a, b = make_pair(50, 0.4)
    found = correlate_ratios(a, b, np.arange(50))
    for column, name in enumerate(RATIOS):
        assert found[name].r.value == pytest.approx(np.corrcoef(a[:, column], b[:, column])[0, 1])
        assert found[name].r.low < found[name].r.value < found[name].r.high
        assert found[name].n == 50
        assert found[name].within == {}
    known = np.mean([found[name].r.value for name in RATIOS])
    assert found[MEAN].r.value == pytest.approx(known)
    widths = [found[name].r.high - found[name].r.low for name in RATIOS]
    assert 0 < found[MEAN].r.high - found[MEAN].r.low < np.mean(widths)
    assert tuple(found) == (*RATIOS, MEAN)


def test_the_same_faces_go_together_wholly_and_others_not_at_all():
    a, b = make_pair(100, 0.0)
    a[:, np.array(RATIOS) != "nasal_index"] = np.nan  # one ratio is enough here
    people = np.arange(100)
    same = correlate_ratios(a, 2 * a + 1, people)["nasal_index"]
    assert (same.r.value, same.r.low, same.r.high) == pytest.approx((1, 1, 1))
    assert same.shuffled.value == pytest.approx(-1 / 99)  # all shifts and the true one sum to zero
    unlike = correlate_ratios(a, b, people)["nasal_index"]
    assert unlike.r.low < 0 < unlike.r.high
    assert unlike.shuffled.low < unlike.r.value < unlike.shuffled.high


def test_within_a_sex_nothing_is_left_of_what_sex_explains():
    rng = np.random.default_rng(1)
    sex = np.array(["female", "male"] * 60)
    offset = 3.0 * (sex == "male")[:, None]
    a, b = rng.normal(size=(2, 120, len(RATIOS))) + offset
    a[:, 3:] = np.nan  # three ratios are enough here
    sex[:4] = ""  # of some the sex is not known
    found = correlate_ratios(a, b, np.arange(120), sex)["jaw_width"]
    assert found.r.value > 0.5
    assert list(found.within) == ["female", "male"]
    for part in found.within.values():
        assert part.n == 58
        assert abs(part.r.value) < 0.3


def test_two_systems_are_compared_by_the_mean_over_ratios():
    people = np.arange(60)  # of one clip each
    a, good = make_pair(60, 0.9)
    _, poor = make_pair(60, 0.0, seed=3)
    same = compare_ratios((a, good), (a, good), people)
    assert (same.value, same.low, same.high) == (0, 0, 0)
    less = compare_ratios((a, good), (a, poor), people)
    means = [correlate_ratios(a, b, people)[MEAN].r.value for b in (good, poor)]
    assert less.value == pytest.approx(means[0] - means[1])
    assert less.value == pytest.approx(0.9, abs=0.1)
    assert 0.5 < less.low < less.value < less.high
    own = compare_ratios((a, 2 * a), (good, good - 1), people)  # each beside its own copies
    assert (own.value, own.low, own.high) == pytest.approx((0, 0, 0))


def test_a_side_that_does_not_vary_has_no_correlation():
    a, b = make_pair(20, 0.5)
    b[:, 3] = 0.7
    found = correlate_ratios(a, b, np.arange(20))["nose_height"]
    assert (found.n, found.r, found.shuffled) == (20, None, None)
    assert correlate_ratios(a, b, np.arange(20))[MEAN].r is None
    assert np.isnan(pearson(a[:, 0], b[:, 3]))


def test_faces_without_a_shape_are_left_out():
    a, b = make_pair(20, 0.5)
    b[4] = a[7, 0] = np.nan
    found = correlate_ratios(a, b, np.arange(20))
    assert (found[RATIOS[0]].n, found[RATIOS[1]].n) == (18, 19)
    rows = np.delete(np.arange(20), 4)
    assert found[RATIOS[1]].r.value == pytest.approx(np.corrcoef(a[rows, 1], b[rows, 1])[0, 1])
    assert found[MEAN].n == 18  # of whom all are known
    b[:] = np.nan
    assert correlate_ratios(a, b, np.arange(20))["nose_area"].r is None


def test_a_persons_own_other_clips_are_no_shuffled_pairs():
    rng = np.random.default_rng(2)
    a = np.repeat(rng.normal(size=(30, len(RATIOS))), 2, axis=0)  # two like clips each
    found = correlate_ratios(a, a, np.arange(60) // 2)["jaw_width"]
    assert found.r.value == pytest.approx(1)
    assert found.shuffled.high < 0.6


def test_ratios_of_other_lists_are_refused():
    a, b = make_pair(5, 0.5)
    with pytest.raises(UsageError, match="ratios are of shape"):
        correlate_ratios(a, b[:4], np.arange(5))
    with pytest.raises(UsageError, match="4 labels of sex for 5 clips"):
        correlate_ratios(a, b, np.arange(5), np.array(list("ffmm")))
