"""The page that draws in the browser: page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from speech2face.cli.options import Force, ModelName


def page(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder to write the page to: new, or empty.")
    ],
    force: Force = False,
    model: ModelName = "default",
) -> None:
    """Write a web page that draws faces in the browser itself: no recording leaves the device.

    The folder holds static files, which any web server can serve: `python -m http.server --bind
    127.0.0.1 --directory DIR` is one. Once visited, the page opens without a network.
    """
    from speech2face.model_folders import find_model
    from speech2face.serving.static_page import write_static_page

    size = write_static_page(folder, find_model(model), force)
    print(f"{folder}  {size / 1e6:.1f} MB")
