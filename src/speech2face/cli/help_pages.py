"""Help pages: each option with its name, text, default and range.

Help is plain text: to show it with rich takes twice the time.
"""

from __future__ import annotations

import re
import sys
from inspect import cleandoc
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

UNBROKEN_HYPHEN = "\u2011"  # stands for "-" inside a name while lines are broken


class Command(TyperCommand):
    """A command whose help names values in words: FOLDER and "0 to 64", not <path> and 0<=x<=64."""

    def get_help(self, ctx: Any) -> str:
        return super().get_help(ctx).replace(UNBROKEN_HYPHEN, "-")

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        return ["[OPTIONS]", *(usage_of(p) for p in _arguments_of(self, ctx))]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        _write_parameters(self, ctx, formatter)

    def format_help_text(self, ctx: Any, formatter: Any) -> None:
        _write_text(self, formatter)


class CommandGroup(TyperGroup):
    """Commands under headings. Without a command the help goes to stderr, with exit code 2."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args and not ctx.resilient_parsing:
            sys.stderr.write(f"{ctx.get_help()}\n")
            raise typer.Exit(2)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:  # whoever read stdout has gone: `| head`
            raise typer.Exit(141) from None

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        return ["[OPTIONS]", "COMMAND", "…"]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        self.format_commands(ctx, formatter)
        _write_parameters(self, ctx, formatter)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        groups: dict[str, list[tuple[str, str]]] = {}
        for name in self.list_commands(ctx):
            command: Any = self.get_command(ctx, name)
            heading = getattr(command, "rich_help_panel", None) or "Commands"
            groups.setdefault(heading, []).append((name, _first_sentence(command.help)))
        width = max(len(name) for rows in groups.values() for name, _ in rows)
        for heading, rows in groups.items():
            with formatter.section(heading):
                formatter.write_dl([(name.ljust(width), words) for name, words in rows])


class ListingGroup(CommandGroup):
    """Commands on things of one kind, which are listed where no command is given."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super(CommandGroup, self).parse_args(ctx, args)

    def format_help_text(self, ctx: Any, formatter: Any) -> None:
        _write_text(self, formatter)


def describe_parameter(parameter: Any) -> tuple[str, str]:
    """Name and text of an option or argument, as its line in the help."""
    if parameter.param_type_name == "argument":
        name = parameter.metavar or parameter.name.upper()
    else:
        name = ", ".join(sorted(parameter.opts, key=len))
        if not parameter.is_flag:
            name += f" {parameter.metavar or parameter.name.upper()}"
    notes = [note for note in _notes_on(parameter) if note]
    return name, " ".join([parameter.help, *([f"[{'; '.join(notes)}]"] if notes else [])])


def _notes_on(parameter: Any) -> list[str | None]:
    """Notes read from the parameter itself, so that none is written into its help by hand."""
    shown, default = parameter.show_default, parameter.default
    if not isinstance(shown, str):
        known = not (default is None or callable(default) or getattr(parameter, "is_flag", False))
        shown = str(default) if known and default not in ((), [], "") else ""
    return [
        "required" if parameter.required else None,
        "may be repeated" if getattr(parameter, "multiple", False) else None,
        describe_range(parameter),
        f"default: {shown}" if shown else None,
    ]


def describe_range(parameter: Any) -> str | None:
    """The numbers that a parameter takes, "0 to 64" or "1 or more"; None where any will do."""
    lowest, highest = getattr(parameter, "min", None), getattr(parameter, "max", None)
    if lowest is None:
        return None
    return f"{lowest} or more" if highest is None else f"{lowest} to {highest}"


def _write_text(command: Any, formatter: Any) -> None:
    formatter.write_paragraph()
    with formatter.indentation():
        formatter.write_text(_keep_names_whole(cleandoc(command.help or "")))


def _write_parameters(command: Any, ctx: Any, formatter: Any) -> None:
    arguments = _arguments_of(command, ctx)
    options = [p for p in command.get_params(ctx) if p not in arguments and not p.hidden]
    for heading, parameters in (("Arguments", arguments), ("Options", options)):
        if parameters:
            with formatter.section(heading):
                rows = map(describe_parameter, parameters)
                formatter.write_dl([(name, _keep_names_whole(words)) for name, words in rows])


def _arguments_of(command: Any, ctx: Any) -> list[Any]:
    return [p for p in command.get_params(ctx) if p.param_type_name == "argument"]


def usage_of(argument: Any) -> str:
    """An argument as it stands in the line of usage."""
    name, _ = describe_parameter(argument)
    if argument.nargs != 1 and "…" not in name:
        name = f"{name}…"
    return name if argument.required else f"[{name}]"


def _keep_names_whole(text: str) -> str:
    """No line ends inside a name such as voice-encoder."""
    return re.sub(r"(?<=\w)-(?=\w)", UNBROKEN_HYPHEN, text)


def _first_sentence(text: str) -> str:
    return text.split("\n\n")[0].replace("\n", " ").strip()
