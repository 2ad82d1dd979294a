"""How docstrings become pages: what stands in comments is said too, and aligned columns stay so."""

from __future__ import annotations

import io
import re
import tokenize
from functools import cache
from pathlib import Path
from typing import Any

from griffe import Class, Docstring, Extension, Module, Object

COLUMNS = re.compile(r"^ *\S+(?: \S+)*  +\S", re.MULTILINE)  # a word, two blanks or more, a word


class ReadDocstrings(Extension):
    """Adds attributes' comments, which say shapes and units, to what they are attributes of."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Called by griffe for whatever it has read."""
        if obj.docstring:
            obj.docstring.value = fence_columns(obj.docstring.value)
        if isinstance(obj, Class | Module) and (described := describe_attributes(obj)):
            obj.docstring = obj.docstring or Docstring("", parent=obj, parser="google")
            obj.docstring.value += f"\n\nAttributes:\n{described}"


def fence_columns(words: str) -> str:
    """Paragraphs in columns become blocks of code, which keep them."""
    paragraphs = [
        f"```text\n{paragraph}\n```"
        if "\n" in paragraph and COLUMNS.search(paragraph)
        else paragraph
        for paragraph in words.split("\n\n")
    ]
    return "\n\n".join(paragraphs)


def describe_attributes(owner: Class | Module) -> str:
    """A line for each public attribute with a comment behind it, and no docstring below it."""
    if not isinstance(owner.filepath, Path):
        return ""
    comments = find_comments(owner.filepath)
    return "\n".join(
        f"    {name}: {comment}"
        for name, attribute in owner.attributes.items()
        if not attribute.is_alias and attribute.is_public and not attribute.docstring
        if (comment := comments.get(attribute.endlineno or 0))
    )


@cache
def find_comments(path: Path) -> dict[int, str]:
    """The comments behind code in a file, by their lines."""
    lines = io.StringIO(path.read_text(encoding="utf-8"))
    return {
        token.start[0]: token.string.removeprefix("#").strip()
        for token in tokenize.generate_tokens(lines.readline)
        if token.type == tokenize.COMMENT and token.line[: token.start[1]].strip()
    }
