"""Pages and texts from the templates of this package (Jinja2).

Templates hold the words for people; what fills them are dataclasses, or the same as JSON holds it.
In templates that end in .html all values are escaped; what is markup already, such as a plot,
comes as `Markup`. A value that a template names and nobody gave is an error.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from speech2face.errors import UsageError
from speech2face.extras import how_to_install
from speech2face.files import write_text_atomically
from speech2face.pictures import check_place

if TYPE_CHECKING:
    from jinja2 import Environment


def render_page(template: str, **values: Any) -> str:
    """A template, as "audit.html", filled with `values` → HTML."""
    return environment().get_template(template).render(values)


def render_blocks(template: str, **values: Any) -> dict[str, str]:
    """The blocks of a text template, as "audit.txt", that are not empty → text by their names.

    White space, line ends too, becomes single spaces.
    """
    blocks = environment().get_template(template)
    texts = {
        name: " ".join("".join(block(blocks.new_context(values))).split())
        for name, block in blocks.blocks.items()
    }
    return {name: text for name, text in texts.items() if text}


def write_page(page: str, path: Path, force: bool = False) -> None:
    """Write HTML, whole or not at all.

    Raises UsageError as `check_page` does, and StorageError where the disk is full or fails.
    """
    check_page(path, force)
    write_text_atomically(path, page)


def check_page(path: Path, force: bool) -> None:
    """Raise UsageError where `path` is no name of an HTML page, or as `check_place` does."""
    if path.suffix.lower() not in (".html", ".htm") and not os.path.isdir(path):
        raise UsageError(f"{path}: a page is written as HTML; end the name in .html.")
    check_place(path, force)


@cache
def environment() -> Environment:
    """The Jinja2 environment: the folder of the templates, and the functions they may call."""
    from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

    from speech2face.reports.number_words import FILTERS

    made = Environment(
        loader=PackageLoader("speech2face.reports"),
        autoescape=select_autoescape(("html", "svg"), default=False),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= FILTERS
    made.globals["how_to_install"] = how_to_install
    return made


def write_report(plain: Mapping[str, Any], folder: Path, page: str) -> None:
    """report.json and report.html in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = {"report.json": json.dumps(plain, indent=2) + "\n", "report.html": page}
    for name, text in texts.items():
        write_text_atomically(folder / name, text)
