"""What a command needs beyond inference: torch, OpenCV, recognisers."""

from __future__ import annotations

from speech2face.errors import ModelError


def need_extras(*extras: str) -> None:
    """Raise ModelError where packages of these extras are missing: a command's first step."""
    from speech2face.doctor import find_missing

    if missing := [name for extra in extras for name in find_missing(extra)]:
        names = ", ".join(dict.fromkeys(missing))
        raise ModelError(f"{names} not installed: pip install 'speech2face[{','.join(extras)}]'.")
