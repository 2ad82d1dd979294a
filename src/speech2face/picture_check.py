"""Is a picture generated? Answered from its metadata, its content credentials and the watermark.

Yes where a mark says so. No only where credentials that an authority vouches for say that a camera
took it. All else is unknown: marks are lost on the way, can be removed, and most programs add none.
"""

from __future__ import annotations

import re
import sys
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

from speech2face.content_credentials import Credentials, read_credentials
from speech2face.errors import UnreadableMediaError
from speech2face.extras import how_to_install
from speech2face.model_folders import name_models
from speech2face.photographs import Photograph, read_photograph
from speech2face.pictures import NOTICE
from speech2face.watermark import Mark, find_mark

MOST_BYTES = 1 << 29  # of a picture's file: 512 MiB
_SOURCE_TYPE = re.compile(rb"cv\.iptc\.org/newscodes/digitalsourcetype/(\w+)")
# The IPTC's digital source types (NewsCodes, 2025): of what a program drew, and of cameras' own.
GENERATED = {
    "trainedAlgorithmicMedia": "made by a trained model",
    "algorithmicMedia": "made by a program",
    "compositeWithTrainedAlgorithmicMedia": "made in part by a trained model",
    "compositeSynthetic": "made in part by a program",
}
CAPTURED = {"digitalCapture", "computationalCapture", "negativeFilm", "positiveFilm", "print"}
_KINDS = {b"\x89PNG": "image/png", b"\xff\xd8": "image/jpeg", b"II*\0": "image/tiff"}


@dataclass(frozen=True)
class PictureCheck:
    """Whether a picture is generated, and why that is said."""

    answer: Literal["yes", "no", "unknown"]
    reasons: tuple[str, ...]  # a clause each, the strongest first
    source_types: tuple[str, ...]  # the IPTC's words in its XMP
    credentials: Credentials
    watermark: Mark
    models: tuple[str, ...]  # of this installation, whose number the watermark holds

    @property
    def words(self) -> str:
        """The answer as one sentence: yes, no or unknown, then why."""
        return f"{self.answer}: {'; '.join(self.reasons)}."

    def as_json(self) -> dict[str, Any]:
        """The same fields as in the command and over HTTP."""
        credentials = asdict(self.credentials)
        return {
            "answer": self.answer,
            "words": self.words,
            "reasons": list(self.reasons),
            "source_types": list(self.source_types),
            "credentials": credentials | {"source_types": list(self.credentials.source_types)},
            "watermark": asdict(self.watermark)
            | {"score": round(self.watermark.score, 2), "models": list(self.models)},
            "warnings": [],
        }


def check_picture(source: str | Path | bytes, *, anchors: str = "") -> PictureCheck:
    """Look for marks in a picture: a path, "-" for standard input, or a file's bytes.

    `anchors` are certificates in PEM of authorities whose word on cameras' credentials is trusted.
    Raises UnreadableMediaError where there is no picture that can be read.
    """
    name = "the picture" if isinstance(source, bytes) else str(source)
    data = source if isinstance(source, bytes) else _read(source)
    picture = read_photograph(BytesIO(data), name)
    mark = find_mark(picture.image)
    models = name_models(mark.number) if mark.number is not None else ()
    credentials = read_credentials(data, _guess_type(data), anchors)
    types = tuple(dict.fromkeys(word.decode() for word in _SOURCE_TYPE.findall(picture.xmp)))
    answer, reasons = _judge(picture, types, credentials, mark, models)
    return PictureCheck(answer, tuple(reasons), types, credentials, mark, models)


def _judge(
    picture: Photograph,
    types: tuple[str, ...],
    credentials: Credentials,
    mark: Mark,
    models: tuple[str, ...],
) -> tuple[Literal["yes", "no", "unknown"], list[str]]:
    signed = credentials.state in ("valid", "trusted")
    said = [GENERATED[word] for word in types if word in GENERATED]
    signed_as = [GENERATED[word] for word in credentials.source_types if word in GENERATED]
    yes = []
    if mark.found:
        yes.append(f"it carries the watermark of speech2face{_name_model(mark, models)}")
    if signed and signed_as:
        yes.append(f"its content credentials say that it was {signed_as[0]}")
    if said:
        yes.append(f"its metadata say that it was {said[0]}")
    elif picture.texts.get("Description") == NOTICE:
        yes.append("its metadata are those of speech2face")
    about = _describe_credentials(credentials)
    if yes:
        return "yes", yes + about
    words = set(credentials.source_types)
    if credentials.state == "trusted" and words and words <= CAPTURED:
        return "no", ["trusted content credentials say that a camera took it", *about]
    nothing = "no mark of a generated picture was found, and marks can be lost or removed"
    return "unknown", [nothing, *about]


def _name_model(mark: Mark, models: tuple[str, ...]) -> str:
    if mark.number is None:
        return ", whose model's number cannot be read any more"
    which = f" ({' or '.join(models)})" if models else ""
    return f", model number {mark.number}{which}"


def _describe_credentials(credentials: Credentials) -> list[str]:
    signer = f", signed by {credentials.signer!r}" if credentials.signer else ""
    match credentials.state:
        case "unverified":
            return [f"it carries content credentials, not verified ({how_to_install('c2pa')})"]
        case "changed":
            why = f" ({credentials.problem})" if credentials.problem else ""
            return [f"its content credentials do not fit it: changed after it was signed{why}"]
        case "valid":
            return [f"its content credentials fit{signer}, for whom no known authority vouches"]
        case "trusted":
            return [f"its content credentials fit{signer}, for whom a trusted authority vouches"]
    return []


def _read(source: str | Path) -> bytes:
    """A file's bytes. Raises UnreadableMediaError where it cannot be read or is too large."""
    try:
        if source == "-":
            data = sys.stdin.buffer.read(MOST_BYTES + 1)
        else:
            with open(source, "rb") as file:
                data = file.read(MOST_BYTES + 1)
    except FileNotFoundError:
        raise UnreadableMediaError(f"{source} does not exist; check the path") from None
    except OSError as error:
        raise UnreadableMediaError(f"{source}: cannot be read ({error.strerror}).") from None
    if len(data) > MOST_BYTES:
        raise UnreadableMediaError(f"{source}: larger than {MOST_BYTES >> 20} MiB; no picture.")
    return data


def _guess_type(data: bytes) -> str:
    """The MIME type of a picture that can be read, as c2pa-python wants it."""
    for start, kind in _KINDS.items():
        if data.startswith(start):
            return kind
    if data[8:12] == b"WEBP":
        return "image/webp"
    return "image/avif" if data[4:8] == b"ftyp" else "image/gif"
