"""Folds by person."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from speech2face.data.splits import split_people

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
