"""Fields of a recipe, which is a tree of frozen dataclasses: listed, set by name, read from JSON.

A field is named by its way through the tree, as in `tuning.steps`. What it means is the comment
behind it in the source, so it is said in one place.
"""

from __future__ import annotations

import ast
import inspect
import io
import math
import textwrap
import tokenize
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass, replace
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from speech2face.errors import UsageError
from speech2face.name_suggestions import suggest

Recipe = TypeVar("Recipe")

VALUE_WIDTH = 24  # columns, of values in a list; longer ones stand out of it
WORDS = {"true": True, "false": False, "none": None}
KINDS = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}


@dataclass(frozen=True)
class RecipeField:
    """A field of a recipe, with its value there."""

    name: str  # as in tuning.steps
    value: Any
    kind: Any  # its annotation
    meaning: str


def list_fields(recipe: Any, within: str = "") -> Iterator[RecipeField]:
    """List the fields of a recipe, depth first; one that is None has none below it."""
    meanings, hints = describe_fields(type(recipe)), get_type_hints(type(recipe))
    for f in fields(recipe):
        name, value = f"{within}{f.name}", getattr(recipe, f.name)
        if is_dataclass(value):
            yield from list_fields(value, f"{name}.")
        else:
            yield RecipeField(name, value, hints[f.name], meanings[f.name])


def format_fields(recipe: Any) -> str:
    """A recipe in lines: each field, its value as `--set` takes it, and what it means."""
    rows = [(f.name, _write(f.value), f.meaning) for f in list_fields(recipe)]
    first, second = (max(len(row[column]) for row in rows) for column in (0, 1))
    second = min(second, VALUE_WIDTH)
    return "".join(f"{a:{first}} = {b:{second}}  # {c}".rstrip("# ") + "\n" for a, b, c in rows)


def _write(value: Any) -> str:
    """A value as `_parse` reads it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


@cache
def describe_fields(kind: type) -> dict[str, str]:
    """The meaning of each field of a dataclass: the comment behind it, or nothing."""
    source = textwrap.dedent(inspect.getsource(kind))
    comments = {
        token.start[0]: token.string.lstrip("# ")
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    }
    (definition,) = ast.parse(source).body
    assert isinstance(definition, ast.ClassDef)
    return {
        node.target.id: comments.get(node.end_lineno or 0, "")
        for node in definition.body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }


def set_fields(recipe: Recipe, changes: Sequence[str]) -> Recipe:
    """The recipe with fields changed, each as in `tuning.steps=400`.

    Raises UsageError where there is no such field, or the value is not of its type.
    """
    for change in changes:
        name, equals, text = change.partition("=")
        name = name.strip()
        if not equals or not name:
            raise UsageError(f"--set {change}: give FIELD=VALUE, as in --set seed=1.")
        try:
            recipe = _set(recipe, name.split("."), text.strip(), recipe, name)
        except ValueError as error:
            raise UsageError(f"--set {change}: {end_sentence(error)}") from None
    return recipe


def end_sentence(error: Exception) -> str:
    """What an error says, with a full stop where it is no question."""
    return str(error) if str(error).endswith(("?", ".")) else f"{error}."


def _set(part: Any, path: Sequence[str], text: str, recipe: Any, name: str) -> Any:
    """`part` of the recipe, changed at `path`; `name` is the whole way from the recipe's root."""
    first, *rest = path
    known = {f.name for f in fields(part)}
    if first not in known:
        raise ValueError(_describe_unknown(name, recipe))
    value, kind = getattr(part, first), get_type_hints(type(part))[first]
    if rest:
        if not is_dataclass(value):
            above = name.removesuffix("." + ".".join(rest))
            state = "None in this recipe" if value is None else "a single value"
            raise ValueError(f"{above} is {state} and has no field {'.'.join(rest)}")
        new = _set(value, rest, text, recipe, name)
    elif is_dataclass(value) and not (text.lower() == "none" and _takes_none(kind)):
        below = ", ".join(f"{name}.{f.name}" for f in fields(value))
        raise ValueError(f"{name} has fields of its own, which are set one by one: {below}")
    else:
        new = convert(kind, _parse(kind, text), name)
    return replace(part, **{first: new})


def _describe_unknown(name: str, recipe: Any) -> str:
    names = [f.name for f in list_fields(recipe)]
    return f"no field {name}.{suggest(name, names)} There are {', '.join(names)}"


def _parse(kind: Any, text: str) -> Any:
    """A value as it is written on a command line; `convert` says whether it is of the kind."""
    if kind is str or (get_origin(kind) is Literal and text in get_args(kind)):
        return text
    if text.lower() in WORDS:
        return WORDS[text.lower()]
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        if "," not in text:
            value = text
        else:
            value = tuple(_parse(None, part.strip()) for part in text.split(",") if part.strip())
    wants_several = any(get_origin(one) is tuple for one in _choices(kind))
    return (value,) if wants_several and not isinstance(value, tuple | list) else value


def convert(kind: Any, value: Any, name: str = "", *, lenient: bool = False) -> Any:
    """The value of a kind (an annotation) that JSON or a command line gives: lists are tuples.

    `lenient` leaves out fields that a dataclass does not have: later versions drop some. Raises
    ValueError, which says what `name` is, where the value is of another kind.
    """
    origin = get_origin(kind)
    if len(choices := _choices(kind)) > 1 or origin in (Union, UnionType):
        return _convert_to_one(choices, value, name, lenient)
    if is_dataclass(kind):
        return _convert_fields(kind, value, name, lenient)
    if origin is Literal:
        if value not in get_args(kind):
            options = " or ".join(map(str, get_args(kind)))
            raise ValueError(f"{name} is {options}, not {value}.{suggest(value, get_args(kind))}")
        return value
    if origin is tuple:
        return _convert_several(kind, value, name, lenient)
    if kind is float and type(value) is int:
        value = float(value)
    if type(value) is not kind or (kind is float and not math.isfinite(value)):
        raise ValueError(f"{name} is {describe_kind(kind)}, not {value!r}")
    return value


def describe_kind(kind: Any) -> str:
    """An annotation in words, as in "two numbers"."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal:
        return " or ".join(map(str, arguments))
    if origin is tuple:
        inner = [describe_kind(one) for one in arguments if one is not ...]
        return (
            "values, with commas between: " + ", ".join(inner) + (" …" if ... in arguments else "")
        )
    if len(choices := _choices(kind)) > 1:
        return " or ".join(describe_kind(one) for one in choices)
    return "None" if kind is NoneType else KINDS.get(kind, getattr(kind, "__name__", str(kind)))


def _convert_to_one(choices: Sequence[Any], value: Any, name: str, lenient: bool) -> Any:
    if value is None and NoneType in choices:
        return None
    known = [one for one in choices if one is not NoneType]
    if len(known) > 1 and isinstance(value, Mapping):
        # Networks are told apart by what they are made of.
        def strangers(one: Any) -> int:
            return len(value.keys() ^ {f.name for f in fields(one)})

        known = [min(known, key=strangers)]
    return convert(known[0], value, name, lenient=lenient)


def _convert_fields(kind: Any, value: Any, name: str, lenient: bool) -> Any:
    within = f"{name}." if name else ""
    if not isinstance(value, Mapping):
        raise ValueError(f"{name or 'the recipe'} is made of fields, not {value!r}")
    hints, known = get_type_hints(kind), {f.name: f for f in fields(kind)}
    if (unknown := [key for key in value if key not in known]) and not lenient:
        raise ValueError(f"no field {within}{unknown[0]}.{suggest(unknown[0], known)}")
    missing = [
        key
        for key, f in known.items()
        if key not in value and f.default is MISSING and f.default_factory is MISSING
    ]
    if missing:
        raise ValueError(f"{within}{missing[0]} is missing")
    given = {
        key: convert(hints[key], one, f"{within}{key}", lenient=lenient)
        for key, one in value.items()
        if key in known
    }
    return kind(**given)


def _convert_several(kind: Any, value: Any, name: str, lenient: bool) -> Any:
    if not isinstance(value, list | tuple):
        raise ValueError(f"{name} is {describe_kind(kind)}, not {value!r}")
    kinds = get_args(kind)
    if kinds[-1] is ...:
        kinds = kinds[:1] * len(value)
    if len(kinds) != len(value):
        raise ValueError(f"{name} has {len(kinds)} values, not {len(value)}")
    return tuple(
        convert(one, part, name, lenient=lenient) for one, part in zip(kinds, value, strict=True)
    )


def _choices(kind: Any) -> tuple[Any, ...]:
    return get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)


def _takes_none(kind: Any) -> bool:
    return NoneType in _choices(kind)
