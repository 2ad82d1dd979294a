"""Recipes: found by name, told by their docstrings, and the paper's own as it was published."""

import pytest

from speech2face.errors import UsageError
from speech2face.training.loop import _schedule
from speech2face.training.recipes import (
    END_TO_END,
    FACE_DECODERS,
    VOICE_ENCODERS,
    contrastive,
    find_recipe,
    paper,
    paper_pairs,
)


@pytest.mark.parametrize("name", END_TO_END)
def test_an_end_to_end_recipe_says_how_it_is_run(name):
    make = END_TO_END[name]
    assert find_recipe(END_TO_END, name) == make()
    assert make().name == name
    if not name.endswith("debug"):
        assert f"train voice-encoder --recipe {name} " in make.__doc__


def test_no_name_is_taken_twice():
    assert not VOICE_ENCODERS.keys() & END_TO_END.keys()
    with pytest.raises(UsageError, match="no recipe x; there are default, debug"):
        find_recipe(FACE_DECODERS, "x")


def test_the_paper_s_recipe_is_that_of_the_paper():
    """Oh et al., section 4: Adam, betas .5 and .999, epsilon 1e-4, rate .001, times .95 each
    10,000 iterations, batches of 8, 3 epochs of 1.7 million."""
    recipe = paper()
    loop = recipe.loop
    assert recipe.batch * loop.steps == pytest.approx(3 * 1.7e6)
    assert (loop.betas, loop.epsilon, loop.weight_decay) == ((0.5, 0.999), 1e-4, 0)
    rates = [loop.learning_rate * _schedule(step, loop) for step in (0, 9_999, 10_000, 20_000)]
    assert rates == pytest.approx([1e-3, 1e-3, 0.95e-3, 0.95**2 * 1e-3])
    assert recipe.seconds == (6, 6)
    assert recipe.start is None
    few = paper_pairs()
    assert (few.network, few.weights, few.paper) == (recipe.network, recipe.weights, recipe.paper)
    assert few.loop.steps < loop.steps / 100


def test_pretrained_parts_move_a_tenth_as_fast_or_less():
    recipe = contrastive()
    assert recipe.start
    assert dict(recipe.loop.factors)["speaker."] <= 0.1
    assert recipe.augmentation
