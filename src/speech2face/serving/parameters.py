"""The parameters of requests: their types, bounds and descriptions, and no others."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from starlette.requests import HTTPConnection

from speech2face.errors import UsageError
from speech2face.media.stream import LONGEST
from speech2face.metrics.protection_results import RULES
from speech2face.name_suggestions import suggest
from speech2face.pictures import MOST_STRENGTH, SIZES, STYLES
from speech2face.privacy.anonymisers import ANONYMISERS
from speech2face.serving.limits import Limits
from speech2face.serving.websocket import ROUTE as STREAM

Style = Annotated[
    str,
    Query(description="cartoon: an illustration.", json_schema_extra={"enum": list(STYLES)}),
]
Size = Annotated[
    int, Query(ge=SIZES[0], le=Limits.side, description="Side of the pictures in pixels.")
]
Samples = Annotated[
    int, Query(ge=0, le=Limits.samples, description="More faces that this voice may have.")
]
Seed = Annotated[int, Query(ge=0, lt=2**32, description="Of the samples and of typical hair.")]
Strength = Annotated[
    float,
    Query(ge=0, le=MOST_STRENGTH, description="How far from the average: 0 average, 1 typical."),
]
Hair = Annotated[
    str,
    Query(
        description="typical, none, or a number from 1 to the `hair_shapes` of `/v1/models`.",
        json_schema_extra={"pattern": "^(typical|none|[1-9][0-9]*)$"},
    ),
]
From = Annotated[
    float, Query(alias="from", ge=0, le=LONGEST, description="Listen from here on, s.")
]
To = Annotated[
    float | None, Query(alias="to", gt=0, allow_inf_nan=False, description="Listen up to here, s.")
]
Track = Annotated[int | None, Query(ge=1, description="Sound track of a file.")]
Speaker = Annotated[
    str,
    Query(
        description="Whose speech is used where several people speak: longest (who speaks most), "
        "all (each, at its entry in `speakers`), or a number from 1, who speaks most.",
        json_schema_extra={"pattern": "^(longest|all|[1-9][0-9]{0,8})$"},
    ),
]
Keep = Annotated[
    str,
    Query(
        description="What to keep safe: words loses at most a tenth of them, both a quarter; "
        "voice hides the voice best, and a machine may speak the words.",
        json_schema_extra={"enum": list(RULES)},
    ),
]
Method = Annotated[
    str | None,
    Query(
        description="Method of disguise to take, without trying the others.",
        json_schema_extra={"enum": list(ANONYMISERS)},
    ),
]
Again = Annotated[bool, Query(description="Take a recording that is marked as disguised already.")]


def refuse_unknown(connection: HTTPConnection) -> None:
    """A parameter that is not known, or is given twice, must not be ignored without a word.

    Raises UsageError. The probes and the page take none and ignore all.
    """
    path = connection.scope["path"]
    no_socket = path == STREAM and connection.scope["type"] == "http"  # all it gives is the reason
    if not path.startswith("/v1/") or no_socket:
        return
    parameters = [field.alias for field in connection.scope["route"].dependant.query_params]
    given = [name for name, _ in connection.query_params.multi_items()]
    for name in given:
        if name not in parameters:
            takes = f"takes {', '.join(parameters)}" if parameters else "takes no parameters"
            meant = suggest(name, parameters)
            raise UsageError(f"{ascii(name[:50])[1:-1]}: no such parameter; {path} {takes}.{meant}")
        if given.count(name) > 1:
            raise UsageError(f"{name}: given {given.count(name)} times; give it once.")
