"""Recipes of one's own: found, changed field by field, written and read back, or refused."""

from __future__ import annotations

import json
from dataclasses import asdict, fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest

from helpers.command import refuse, succeed
from speech2face.errors import UsageError
from speech2face.training.end_to_end_task import EndToEndRecipe
from speech2face.training.recipe_fields import describe_fields, format_fields, list_fields
from speech2face.training.recipe_files import (
    FILE,
    RecipeSource,
    format_json,
    load_recipe,
    read_fields,
    write_recipe,
)
from speech2face.training.recipes import ENCODERS, FACE_DECODERS, attentive, voice_encoder
from speech2face.training.voice_encoder import VoiceEncoderRecipe

OWN = """
from dataclasses import replace

from speech2face.training.recipes import attentive as start, paper


def mine():
    return replace(start(), name="mine", crop_seconds=[1, 2.5])


def broken():
    return 1 / 0


def stopped():
    raise SystemExit


def asks(steps):
    return start()


def unlike():
    return {"steps": 3}


def mistyped():
    return replace(start(), held_out="some")


def mischecked():
    return replace(start(), batch="many")


def unbuildable():
    return replace(start(), network=replace(start().network, kernels=(3, 3)))
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    path = tmp_path / "my recipes.py"
    path.write_text(OWN)
    return path


def load(name: object, *changes: str) -> Any:
    return load_recipe(RecipeSource(str(name), changes), ENCODERS)


def test_a_function_of_a_file_is_a_recipe(own: Path):
    recipe = load(f"{own}:mine")
    assert (recipe.name, recipe.batch) == ("mine", attentive().batch)
    assert recipe.crop_seconds == (1.0, 2.5)
    assert all(type(seconds) is float for seconds in recipe.crop_seconds)
    assert [path.name for path in own.parent.iterdir()] == [own.name]  # nothing is cached there


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("{}:min", r"no function min .*; there are mine, broken, .*\. Did you mean mine\?$"),
        ("{}:asks", r"no function asks that takes no arguments; there are mine"),
        ("{}:broken", r"my recipes\.py, line 12: ZeroDivisionError, division by zero\.$"),
        ("{}:stopped", r"line 16: SystemExit, without a word\.$"),
        ("{}:unlike", r"unlike\(\) returns a dict; wanted a VoiceEncoderRecipe or a EndToEnd"),
        ("{}:mistyped", r"mistyped\(\): held_out is a number, not 'some'\.$"),
        ("{}:mischecked", r"line 32: ValueError, batch is a whole number, 1 or more, not 'many'"),
        ("{}:unbuildable", r"recipe attentive: no network has these sizes \("),
        ("{}", r"name one of its functions, as .*:NAME; there are mine, broken"),
        ("{}x.py:mine", r"x\.py: not found; a recipe of your own is FILE\.py:NAME\.$"),
        ("{}.json", r"\.json: cannot be read \(No such file"),
        ("defualt", r"no recipe defualt; there are default, .*Did you mean default\?$"),
    ],
)
def test_what_is_no_recipe_is_told_in_one_line(own: Path, name: str, message: str):
    with pytest.raises(UsageError, match=message) as error:
        load(name.format(own))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["def x(:\n", "import nothing_of_this_name\n", "raise KeyError"])
def test_a_file_that_fails_is_told_with_its_line(tmp_path: Path, text: str):
    path = tmp_path / "mine.py"
    path.write_text(text)
    with pytest.raises(UsageError, match=rf"^{path}, line 1: \w+Error, ") as error:
        load(f"{path}:x")
    assert "\n" not in str(error.value)


def test_fields_are_set_by_name():
    recipe = load(
        "default",
        "tuning.steps=400",
        "tuning.learning_rate=1",
        "tuning.bfloat16=false",
        "tuning.schedule=decay",
        "tuning.factors=(('head.', 0.5), ('speaker.', 2))",
        "head.inner_folds = 3",
        "crop_seconds=1,2",
        "tuned=campplus.exit.,campplus.embed.",
        "frames=mean",
    )
    tuning = recipe.tuning
    assert (tuning.steps, tuning.learning_rate, tuning.bfloat16) == (400, 1.0, False)
    assert (tuning.schedule, tuning.factors) == ("decay", (("head.", 0.5), ("speaker.", 2.0)))
    assert (recipe.head.inner_folds, recipe.crop_seconds) == (3, (1.0, 2.0))
    assert recipe.tuned == ("campplus.exit.", "campplus.embed.")
    assert recipe.frames == "mean"
    assert recipe.head.ridge == voice_encoder().head.ridge
    assert load("default", "tuning=none", "crop_seconds=3").tuning is None
    assert load("contrastive", "start.head.ridge=3", "augmentation=None").augmentation is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            "tuning.stps=3",
            r"no field tuning\.stps\. Did you mean tuning\.steps\? There are name, n",
        ),
        ("tuning.steps.x=3", r"tuning\.steps is a single value and has no field x\.$"),
        ("tuning.steps=many", r"tuning\.steps is a whole number, not 'many'\.$"),
        ("tuning.steps=2.5", r"tuning\.steps is a whole number, not 2\.5\.$"),
        ("tuning.steps=true", r"tuning\.steps is a whole number, not True\.$"),
        ("tuning.steps=0", r"steps is a whole number, 1 or more, not 0\.$"),
        ("tuning.clip=1e999", r"tuning\.clip is a number, not inf\.$"),
        ("tuning.bfloat16=yes", r"is true or false, not 'yes'\.$"),
        ("tuning.schedule=cosin", r"is cosine or decay, not cosin\. Did you mean cosine\?$"),
        ("tuning.betas=0.9", r"tuning\.betas has 2 values, not 1\.$"),
        ("tuning=3", r"tuning has fields of its own, .*: tuning\.steps, "),
        ("crop_seconds=1,x", r"crop_seconds is a number, not 'x'\.$"),
        ("crop_seconds=0.1", r"crop_seconds: of 0\.5 s or more, not \(0\.1,\)\.$"),
        ("tuned=ge2e.", r"ge2e\.: cannot be tuned"),
        ("tuning.steps", r"give FIELD=VALUE, as in --set seed=1\.$"),
    ],
)
def test_a_wrong_field_or_value_is_told_in_one_line(change: str, message: str):
    with pytest.raises(UsageError, match=message) as error:
        load("default", change)
    assert str(error.value).startswith(f"--set {change}: ")
    assert "\n" not in str(error.value)


def test_a_field_within_what_is_none_cannot_be_set():
    with pytest.raises(UsageError, match=r"tuning is None in this recipe and has no field steps"):
        load("frozen", "tuning.steps=3")


@pytest.mark.parametrize("name", [*ENCODERS])
def test_a_recipe_is_written_whole_and_read_back(name: str, tmp_path: Path):
    source = RecipeSource(name, ("seed=7",))
    recipe = load_recipe(source, ENCODERS)
    write_recipe(recipe, source, tmp_path)
    told = json.loads((tmp_path / FILE).read_text())
    assert (told["from"], told["set"]) == (name, ["seed=7"])
    assert load(tmp_path / FILE) == recipe
    assert recipe.seed == 7


def test_what_is_read_back_is_checked(tmp_path: Path):
    path = tmp_path / FILE
    text = format_json(attentive(), RecipeSource("attentive"))
    for old, new, message in (
        ('"batch": 64', '"batch": "64"', r"batch is a whole number, not '64'\.$"),
        ('"batch": 64', '"bacth": 64', r"no field bacth\. Did you mean batch\?$"),
        ('"attention": 64', '"attn": 64', r"no field network\.attn"),
        ('"steps": 5000,', "", r"loop\.steps is missing\.$"),
        ('"recipe"', '"recpe"', r"not the recipe\.json of a run\.$"),
        ("{", "[", r"not the recipe\.json of a run\.$"),
    ):
        assert old in text
        path.write_text(text.replace(old, new, 1))
        with pytest.raises(UsageError, match=message):
            load(path)
    path.write_text(text)
    with pytest.raises(UsageError, match="a EndToEndRecipe; wanted a FaceDecoderRecipe"):
        load_recipe(RecipeSource(str(path)), FACE_DECODERS)


def test_cards_of_other_versions_may_lack_fields_or_have_more():
    stored = json.loads(json.dumps(asdict(voice_encoder())))
    del stored["frames"]
    stored["tuning"]["momentum"] = 0.3
    kinds = (VoiceEncoderRecipe, EndToEndRecipe)
    assert read_fields(stored, kinds, lenient=True) == voice_encoder()
    with pytest.raises(ValueError, match=r"no field tuning\.momentum"):
        read_fields(stored, kinds)


def find_kinds(recipe: Any) -> set[type]:
    """The dataclasses that a recipe is made of."""
    inner = [getattr(recipe, f.name) for f in fields(recipe)]
    return {type(recipe)}.union(*(find_kinds(one) for one in inner if is_dataclass(one)))


def test_each_field_says_what_it_means():
    recipes = [make() for make in (*ENCODERS.values(), *FACE_DECODERS.values())]
    kinds = set().union(*map(find_kinds, recipes))
    assert len(kinds) >= 14
    for kind in kinds:
        meanings = describe_fields(kind)
        assert {f.name for f in fields(kind)} == meanings.keys()
        assert not [name for name, meaning in meanings.items() if not meaning], kind


def test_a_recipe_is_shown_with_values_that_may_be_given_again():
    recipe = voice_encoder()
    shown = dict(line.split(" = ", 1) for line in format_fields(recipe).splitlines())
    assert [name.strip() for name in shown] == [field.name for field in list_fields(recipe)]
    values = [
        f"{name.strip()}={value.partition('  #')[0].strip()}" for name, value in shown.items()
    ]
    assert load("frozen", "tuning=none") != recipe
    assert load("default", "seed=3", "tuning.steps=3", "frames=mean", *values) == recipe


def test_the_command_shows_a_recipe_as_it_is_resolved(own: Path):
    lines = succeed("train", "recipe", f"{own}:mine", "--set", "loop.steps=12").stdout.splitlines()
    assert any(line.split()[:3] == ["loop.steps", "=", "12"] for line in lines)
    told = succeed("train", "recipe", f"{own}:mine", "--face-encoder", "sface", "--json").stdout
    assert json.loads(told)["recipe"]["face_encoder"] == "sface"
    assert "penalty" in succeed("train", "recipe", "--face-decoder").stdout
    assert "Did you mean loop.steps?" in refuse(
        2, "train", "recipe", "attentive", "--set", "loop.step=3"
    )
