"""report.json: written from an evaluation's results, and read again.

Everything that is shown of an evaluation is made of what report.json holds, so a page or a model
card can be written again from the file.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, is_dataclass, replace
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import numpy as np
from PIL import Image

from speech2face.data.pairs import Pair, Photograph, identify_pairs, identify_photographs
from speech2face.errors import UsageError
from speech2face.evaluation.evaluation_set import EvaluationSet
from speech2face.face_encoders import identify_face_encoder
from speech2face.files import hash_file
from speech2face.metrics.evaluation_results import EvaluationReport
from speech2face.run_provenance import Provenance, hash_rows

SHEET = 40  # clips of the gallery

Result = TypeVar("Result")


def read_report(path: Path) -> EvaluationReport:
    """Read report.json of `evaluate pairs`. Raises UsageError where it is none."""
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: not a report that can be read ({error}).") from None
    try:
        return from_plain(EvaluationReport, plain)
    except (AttributeError, KeyError, TypeError, ValueError):
        raise UsageError(
            f"{path}: not the report.json of `evaluate pairs`, or one of an older version; "
            "evaluate again."
        ) from None


def to_plain(value: Any) -> Any:
    """Dataclasses, arrays and numbers → what JSON holds, to six digits; NaN is None."""
    if is_dataclass(value):
        return {f.name: to_plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): to_plain(entry) for key, entry in value.items()}
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [to_plain(entry) for entry in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return float(f"{value:.6g}") if np.isfinite(value) else None
    return value


def from_plain(kind: type[Result], plain: Any) -> Result:
    """Restore a value of `kind` from what `to_plain` gave; None of a float becomes NaN.

    Raises KeyError, TypeError or ValueError where it is something else.
    """
    return _from_plain(kind, plain)


def _from_plain(kind: Any, plain: Any) -> Any:
    if isinstance(kind, UnionType):
        (known,) = (one for one in get_args(kind) if one is not NoneType)
        return None if plain is None else _from_plain(known, plain)
    if is_dataclass(kind):
        hints = get_type_hints(kind)
        return kind(**{name: _from_plain(hints[name], plain[name]) for name in hints})  # pyright: ignore[reportCallIssue]
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (dict, Mapping):
        keys, values = arguments
        return {_from_key(keys, key): _from_plain(values, one) for key, one in plain.items()}
    if origin in (list, tuple):
        return origin(_from_plain(arguments[0], one) for one in plain)
    if kind is np.ndarray:
        return np.array(plain)
    if kind is float:
        return np.nan if plain is None else float(plain)
    if kind in (int, str) and not isinstance(plain, kind):
        raise TypeError(f"{plain!r} is no {kind.__name__}")
    return plain


def _from_key(kind: Any, key: str) -> Any:
    return int(key) if kind is int else key


def describe_evaluation(
    run: Provenance,
    pairs: Sequence[Pair],
    photographs: Sequence[Photograph] = (),
    pictures: Path | None = None,
    actors: Path | None = None,
    recogniser: Path | None = None,
) -> Provenance:
    """The provenance of a report: that of the run, with all further data it was measured on."""
    data = dict(run.data) | {"pairs": asdict(identify_pairs(pairs))}
    if photographs:
        data["photographs"] = asdict(identify_photographs(photographs))
    for name, folder in (("pictures", pictures), ("actors", actors)):
        if folder:
            files = sorted(path for path in folder.rglob("*") if path.is_file())
            data[name] = hash_rows((str(p.relative_to(folder)), hash_file(p)) for p in files)
    if recogniser:
        data["recogniser"] = identify_face_encoder(str(recogniser))
    return replace(run, data=data)


def make_gallery(clips: EvaluationSet, seed: int = 0) -> str:
    """Draw forty clips by lot: the true face, and below it each system's picture; JPEG as base64.

    It shows people: only for the eyes of whoever holds the data.
    """
    count = len(clips.pairs)
    chosen = np.sort(np.random.default_rng(seed).permutation(count)[:SHEET])
    side, columns = 112, 10
    lines = [[p.face for p in clips.pairs], *clips.systems.values()]
    height = len(lines) * side + 8
    sheet = Image.new("RGB", (columns * side, -(-len(chosen) // columns) * height), "white")
    for place, i in enumerate(chosen):
        for line, pictures in enumerate(lines):
            if not pictures[i].is_file():
                continue
            with Image.open(pictures[i]) as picture:
                small = picture.convert("RGB").resize((side, side), Image.Resampling.LANCZOS)
            corner = (place % columns * side, place // columns * height + line * side)
            sheet.paste(small, corner)
    buffer = io.BytesIO()
    sheet.save(buffer, "JPEG", quality=88)
    return base64.b64encode(buffer.getvalue()).decode()
