"""A wrong call in one line: what is wrong with it, and what was probably meant."""

from __future__ import annotations

import os
import re
from typing import Any

import typer

from speech2face.cli.help_pages import describe_range
from speech2face.name_suggestions import find_meant

NUMBERS = {"integer": "a whole number", "number": "a number"}  # in the words of typer
UNKNOWN = re.compile(r"No such (option|command):? '?([^\s']+)")
TOO_MANY = re.compile(r"Got unexpected extra arguments?(?:\(s\))? \((.*)\)$")


def describe_wrong_call(error: typer.TyperException, arguments: list[str]) -> str:
    """The line for a call that typer refused; `arguments` are those of the whole call."""
    message = error.format_message().rstrip(".")
    context: Any = getattr(error, "ctx", None)
    see = f"see {context.command_path} --help." if context else "see speech2face --help."
    if unknown := UNKNOWN.match(message):
        kind, word = unknown.groups()
        if kind == "option" and len(word) == 2:  # typer reads -strength as -s
            word = next((a for a in arguments if a.startswith(word)), word).split("=")[0]
        if meant := _find_meant(kind, word, context):
            return f"No such {kind}: {word}. Did you mean {meant}?"
        files = [a for a in arguments if a.startswith("-") and os.path.isfile(a)]
        if files:
            return f"No such {kind}: {word}; the file {files[0]} is given as ./{files[0]}."
        return f"No such {kind}: {word}; {see}"
    if extra := TOO_MANY.match(message):
        return f"Too many arguments: {extra[1]}; {see}"
    if message.startswith("Invalid value"):
        message = _describe_value(message, getattr(error, "param", None))
    return f"{message.replace('requires an argument', 'needs a value')}; {see}"


def _find_meant(kind: str, word: str, context: Any) -> str | None:
    """The option or command of this context that is most like a misspelt one, if any is like it."""
    if context is None:
        return None
    if kind == "command":
        known = context.command.list_commands(context)
    else:
        options = context.command.get_params(context)
        known = [name for o in options for name in o.opts if name.startswith("--")]
        word = f"--{word.lstrip('-')}"
    return find_meant(word, known)


def _describe_value(message: str, option: Any) -> str:
    """The message with the numbers that may be given: typer leaves the range open."""
    which = message.split(": ")[0]
    if within := describe_range(option):
        return f"{which}: give a number, {within}"
    for kind, wanted in NUMBERS.items():
        if f"valid {kind}" in message:
            return f"{which}: give {wanted}"
    return message
