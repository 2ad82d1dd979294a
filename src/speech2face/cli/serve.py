"""The HTTP service: serve."""

from __future__ import annotations

from typing import Annotated

import typer

from speech2face.cli.extras import need_extras
from speech2face.cli.options import ModelName
from speech2face.errors import UsageError


def serve(
    host: Annotated[
        str, typer.Option(help="Address to listen on; there is no password and no TLS.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65_535, help="Port to listen on; 0 takes one that is free.")
    ] = 8000,
    workers: Annotated[
        int | None,
        typer.Option(min=1, max=256, help="Number of processes that draw. [default: one a core]"),
    ] = None,
    queue: Annotated[int, typer.Option(min=1, help="Largest number of requests that wait.")] = 32,
    origin: Annotated[
        list[str] | None,
        typer.Option(
            help="Address of the page as browsers see it, as https://face.example.com, where a "
            "proxy does not pass Host on; may be repeated."
        ),
    ] = None,
    log_level: Annotated[
        str, typer.Option(help="Lowest level that is logged: debug, info, warning or error.")
    ] = "info",
    model: ModelName = "default",
) -> None:
    """Serve faces over HTTP, with a page to try them on.

    Nothing that is sent is kept. See docs/serving.md.
    """
    need_extras("serve")
    from speech2face.serving.limits import Limits, count_cores
    from speech2face.serving.logs import LEVELS
    from speech2face.serving.origins import Origins
    from speech2face.serving.server import serve as run
    from speech2face.weights import find_model

    if log_level not in LEVELS:
        raise UsageError(f"--log-level is {', '.join(LEVELS)}, not {log_level}.")
    origins, limits = Origins(origin or ()), Limits(workers=workers or count_cores(), queue=queue)
    run(find_model(model), host, port, limits, origins, log_level)
