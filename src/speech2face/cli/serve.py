"""The HTTP service: serve."""

from __future__ import annotations

from typing import Annotated

import typer

from speech2face.cli.options import ModelName
from speech2face.errors import UsageError
from speech2face.extras import need_extras
from speech2face.name_suggestions import suggest


def serve(
    host: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS",
            help="Address to listen on. Beware: there is no password and no TLS.",
        ),
    ] = "127.0.0.1",
    port: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=0,
            max=65_535,
            help="Port to listen on. 0 takes any that is free.",
        ),
    ] = 8000,
    workers: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            max=256,
            show_default="one for each core",
            help="Number of processes that draw faces.",
        ),
    ] = None,
    queue: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=1,
            help="Largest number of requests that wait. More are refused, with status 503.",
        ),
    ] = 32,
    protectors: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=0,
            max=256,
            help="Number of recordings that are disguised at a time, each by a process of its own. "
            "0 offers no disguising.",
        ),
    ] = 1,
    origin: Annotated[
        list[str] | None,
        typer.Option(
            metavar="URL",
            show_default="what the header Host says",
            help="Address of the page as browsers see it, such as https://face.example.com. Needed "
            "behind a proxy that does not pass the header Host on.",
        ),
    ] = None,
    log_level: Annotated[
        str,
        typer.Option(
            metavar="LEVEL",
            help="Lowest level of messages to log: debug, info, warning or error.",
        ),
    ] = "info",
    model: ModelName = "default",
) -> None:
    """Serve faces and disguised voices over HTTP, with a web page to try it on.

    Recordings that are sent are not kept. docs/serving.md describes the service.
    """
    need_extras("serve")
    from speech2face.model_folders import find_model
    from speech2face.serving.limits import Limits, count_cores
    from speech2face.serving.logs import LEVELS
    from speech2face.serving.origins import Origins
    from speech2face.serving.server import serve as run

    if log_level not in LEVELS:
        raise UsageError(
            f"--log-level is {', '.join(LEVELS)}, not {log_level}.{suggest(log_level, LEVELS)}"
        )
    limits = Limits(workers=workers or count_cores(), queue=queue, protectors=protectors)
    run(find_model(model), host, port, limits, Origins(origin or ()), log_level)
