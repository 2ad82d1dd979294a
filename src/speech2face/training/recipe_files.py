"""Recipes by name, from a Python file of one's own, or from the recipe.json of a run.

default                 one of `recipes.py`
my_recipes.py:mine      what the function `mine` of that file returns, called without arguments
runs/mine/recipe.json   what a run was made by, resolved
"""

from __future__ import annotations

import inspect
import json
import runpy
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import torch

from speech2face import __version__
from speech2face.errors import UsageError
from speech2face.files import write_text_atomically
from speech2face.name_suggestions import suggest
from speech2face.networks.face_decoder import FaceDecoderConfig
from speech2face.training.encoder_factory import make_network
from speech2face.training.end_to_end_task import EndToEndRecipe
from speech2face.training.face_decoder import FaceDecoderRecipe
from speech2face.training.recipe_fields import convert, end_sentence, set_fields
from speech2face.training.recipes import Recipe, enter_space, find_recipe
from speech2face.training.voice_encoder import VoiceEncoderRecipe

FILE = "recipe.json"
KINDS = (FaceDecoderRecipe, VoiceEncoderRecipe, EndToEndRecipe)


@dataclass(frozen=True)
class RecipeSource:
    """The origin of a recipe."""

    name: str = ""  # as it was called for
    changes: tuple[str, ...] = ()  # that were made by --set


def load_recipe(
    source: RecipeSource,
    recipes: Mapping[str, Callable[[], Recipe]],
    face_encoder: str | None = None,
) -> Recipe:
    """The recipe of a source, resolved; `recipes` are those that have a name.

    With `face_encoder` it learns that recogniser's embeddings. Raises UsageError where there is no
    such recipe, it is none of the kind of `recipes`, or fields are wrong, and what
    `load_face_encoder` raises.
    """
    kinds = tuple({type(make()): None for make in recipes.values()})
    path, _, function = source.name.rpartition(":")
    if path.endswith(".py"):
        recipe = _run_recipe(Path(path), function, kinds)
    elif source.name.endswith(".py"):
        file = Path(source.name)
        names = ", ".join(_find_functions(file, _run_file(file))) or "none"
        raise UsageError(
            f"{source.name}: name one of its functions, as {source.name}:NAME; there are {names}."
        )
    elif source.name.endswith(".json"):
        recipe = _read_recipe(Path(source.name), kinds)
    else:
        recipe = find_recipe(recipes, source.name)
    return check_network(
        enter_space(set_fields(cast(Recipe, recipe), source.changes), face_encoder)
    )


def check_network(recipe: Recipe) -> Recipe:
    """The recipe itself. Raises UsageError where no network has the sizes that it gives."""
    if isinstance(recipe.network, FaceDecoderConfig):
        return recipe
    try:
        with torch.device("meta"):  # shapes without numbers
            make_network(recipe.network)
    except (RuntimeError, ValueError, TypeError, IndexError, ZeroDivisionError) as error:
        reason = str(error).partition("\n")[0]
        raise UsageError(f"recipe {recipe.name}: no network has these sizes ({reason}).") from None
    return recipe


def write_recipe(recipe: Any, source: RecipeSource, folder: Path) -> None:
    """Write recipe.json, with where the recipe came from, into a run's folder, if it has none."""
    if not (folder / FILE).exists():
        write_text_atomically(folder / FILE, format_json(recipe, source))


def format_json(recipe: Any, source: RecipeSource) -> str:
    """A recipe as recipe.json holds it."""
    told = {
        "version": __version__,
        "from": source.name,
        "set": source.changes,
        "recipe": asdict(recipe),
    }
    return json.dumps(told, indent=2) + "\n"


def _read_recipe(path: Path, kinds: Sequence[type]) -> Any:
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))["recipe"]
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror or error}).") from None
    except (ValueError, KeyError, TypeError):
        raise UsageError(f"{path}: not the {FILE} of a run.") from None
    try:
        return read_fields(stored, kinds)
    except ValueError as error:
        raise UsageError(f"{path}: {end_sentence(error)}") from None


def read_fields(stored: Any, kinds: Sequence[type], lenient: bool = False) -> Any:
    """The recipe that JSON holds; of the kind, among several, that has most of its fields.

    `lenient` as for `convert`. Raises ValueError where it is none of them.
    """
    if not isinstance(stored, Mapping):
        raise ValueError("the recipe is not made of fields")
    best = max(KINDS, key=lambda kind: len(kind.__dataclass_fields__.keys() & {*stored}))
    if best not in kinds:
        raise ValueError(f"a {_name(best)}; wanted a {' or a '.join(map(_name, kinds))}")
    return convert(best, stored, lenient=lenient)


def _run_recipe(path: Path, name: str, kinds: Sequence[type]) -> Any:
    functions = _find_functions(path, _run_file(path))
    if name not in functions:
        raise UsageError(
            f"{path}: no function {name or 'without a name'} that takes no arguments; there are "
            f"{', '.join(functions) or 'none'}.{suggest(name, functions)}"
        )
    recipe = _guard(path, functions[name])
    if type(recipe) not in kinds:
        wanted = " or a ".join(map(_name, kinds))
        got = "nothing" if recipe is None else f"a {type(recipe).__name__}"
        raise UsageError(f"{path}: {name}() returns {got}; wanted a {wanted}.")
    try:
        return convert(type(recipe), asdict(recipe))  # checks types, too
    except ValueError as error:
        raise UsageError(f"{path}: {name}(): {end_sentence(error)}") from None


def _run_file(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise UsageError(f"{path}: not found; a recipe of your own is FILE.py:NAME.")
    return _guard(path, lambda: runpy.run_path(str(path), run_name=path.stem))


def _guard(path: Path, run: Callable[[], Any]) -> Any:
    """What somebody else's code gives. Raises UsageError, with the line, where it fails."""
    try:
        return run()
    except (Exception, SystemExit) as error:
        reason = str(error).partition("\n")[0]
        if isinstance(error, SyntaxError):
            line, reason = error.lineno, error.msg
        else:
            own = [
                f.lineno
                for f in traceback.extract_tb(error.__traceback__)
                if f.filename == str(path)
            ]
            line = own[-1] if own else None
        where = f"{path}, line {line}" if line else str(path)
        raise UsageError(
            f"{where}: {type(error).__name__}, {reason or 'without a word'}."
        ) from None


def _find_functions(path: Path, names: Mapping[str, Any]) -> dict[str, Callable[[], Any]]:
    """The functions of a file's own, by name, that can be called without arguments."""
    return {
        name: thing
        for name, thing in names.items()
        if inspect.isfunction(thing)
        and thing.__code__.co_filename == str(path)
        and not name.startswith("_")
        and all(
            p.default is not p.empty or p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
            for p in inspect.signature(thing).parameters.values()
        )
    }


def _name(kind: type) -> str:
    return kind.__name__
