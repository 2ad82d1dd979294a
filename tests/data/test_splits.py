"""Folds and splits by person."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from speech2face.data.split_leaks import IdentityEmbeddings, compare_faces
from speech2face.data.splits import merge_people, read_shares, split_people, split_shares
from speech2face.errors import UsageError

clips_of_people = st.lists(st.sampled_from([f"p{i}" for i in range(30)]), min_size=2, max_size=80)


@st.composite
def splits(draw):
    people = draw(clips_of_people.filter(lambda people: len(set(people)) >= 2))
    folds = draw(st.integers(2, len(set(people))))
    return people, folds, draw(st.integers(0, 5))


@given(splits())
def test_nobody_stands_in_two_folds_and_folds_are_even(case):
    people, folds, seed = case
    fold = split_people(people, folds, seed)
    met = [{p for p, f in zip(people, fold, strict=True) if f == k} for k in range(folds)]
    assert sum(len(m) for m in met) == len(set(people))  # disjoint, and nobody is lost
    assert set.union(*met) == set(people)
    sizes = [len(m) for m in met]
    assert max(sizes) - min(sizes) <= 1


@given(splits(), st.randoms())
def test_the_order_of_clips_does_not_matter(case, random):
    people, folds, seed = case
    order = list(range(len(people)))
    random.shuffle(order)
    shuffled = split_people([people[i] for i in order], folds, seed)
    np.testing.assert_array_equal(shuffled, split_people(people, folds, seed)[order])


def test_seeds_give_different_folds():
    people = [f"p{i}" for i in range(40)]
    first, other = split_people(people, 5, seed=0), split_people(people, 5, seed=1)
    assert (first != other).any()
    np.testing.assert_array_equal(first, split_people(people, 5, seed=0))


@pytest.mark.parametrize("folds", [-1, 0, 1, 4])
def test_folds_that_cannot_be(folds):
    with pytest.raises(ValueError, match="folds of 3 people: need 2 to 3"):
        split_people(["a", "b", "c", "a"], folds)


shares_of = st.sampled_from([(1.0,), (0.5, 0.5), (0.8, 0.1, 0.1), (0.1, 0.2, 0.7)])


@given(clips_of_people, shares_of, st.integers(0, 5), st.randoms())
def test_sides_have_their_shares_and_nobody_stands_on_two(people, shares, seed, random):
    names = set(people)
    if len(names) < len(shares):
        with pytest.raises(UsageError, match=r"\d sides need as many people"):
            split_shares(people, shares, seed)
        return
    side = split_shares(people, shares, seed)
    met = [{p for p, s in zip(people, side, strict=True) if s == k} for k in range(len(shares))]
    assert sum(len(m) for m in met) == len(names)  # disjoint, and nobody is lost
    assert set.union(*met) == names
    for share, there in zip(shares, met, strict=True):
        assert there
        assert abs(len(there) - share * len(names)) < 2
    order = list(range(len(people)))
    random.shuffle(order)
    shuffled = split_shares([people[i] for i in order], shares, seed)
    np.testing.assert_array_equal(shuffled, side[order])


def test_shares_are_exact_and_few_move_when_a_set_grows():
    people = [f"p{i}" for i in range(1_000)]
    side = split_shares(people, (0.8, 0.1, 0.1))
    np.testing.assert_array_equal(np.bincount(side), [800, 100, 100])
    grown = split_shares([*people, *(f"q{i}" for i in range(100))], (0.8, 0.1, 0.1))
    assert (grown[:1_000] != side).mean() < 0.05
    assert (split_shares(people, (0.8, 0.1, 0.1), seed=1) != side).mean() > 0.2


@pytest.mark.parametrize(
    ("text", "shares"),
    [("80/10/10", (0.8, 0.1, 0.1)), ("90/10", (0.9, 0.1)), ("100", (1.0,)), ("70/12.5/17.5", None)],
)
def test_shares_are_read(text, shares):
    assert read_shares(text) == pytest.approx(shares or (0.7, 0.125, 0.175))


@pytest.mark.parametrize("text", ["", "80", "80/10", "80/20/0", "a/b", "50/20/20/10", "nan/50/50"])
def test_shares_that_are_none(text):
    with pytest.raises(UsageError, match="is no split: give up to three shares of 100"):
        read_shares(text)


def looks_along(*places: float) -> IdentityEmbeddings:
    """Faces (n) on a line, at these places, of whom SFace says nothing."""
    line = np.array(places, np.float32)[:, None] * np.eye(1, 128, dtype=np.float32)
    return IdentityEmbeddings.gather({"dlib": line}, len(places))


def test_names_of_one_person_become_one():
    people = ["d", "a", "b", "c", "e", "a", "e"]
    looks = looks_along(0.0, 0.3, 0.6, 5.0, 1.5, 1.4, np.nan)
    # d is near a, a near b; by their other clip a and e are near as well; c is near nobody.
    pairs = compare_faces(looks, people)
    assert merge_people(people, pairs) == {"a": "a", "b": "a", "c": "c", "d": "a", "e": "a"}
    assert merge_people(people, pairs[:1]) == {n: "a" if n in "ae" else n for n in "abcde"}
    doubtful = compare_faces(looks_along(0.0, 0.37), ["a", "b"])
    assert len(doubtful) == 1
    assert merge_people(["a", "b"], doubtful) == {"a": "a", "b": "b"}


@given(st.lists(st.integers(0, 40), min_size=8, max_size=40), st.integers(0, 5), st.randoms())
def test_no_merged_person_stands_on_two_sides(places, seed, random):
    people = [f"name {i // 2}" for i in range(len(places))]
    looks = looks_along(*(1.0 * place for place in places))  # one person lives at each place
    names = merge_people(people, compare_faces(looks, people))
    one_name = [names[person] for person in people]
    if len(set(one_name)) >= 3:
        side = split_shares(one_name, (0.6, 0.2, 0.2), seed)
        for label in (people, places):
            for one in set(label):
                assert len({s for s, other in zip(side, label, strict=True) if other == one}) == 1
    order = list(range(len(places)))
    random.shuffle(order)
    shuffled = [people[i] for i in order]
    assert merge_people(shuffled, compare_faces(looks.take(order), shuffled)) == names
