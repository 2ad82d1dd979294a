"""Models by name or by folder, each with a card, each file checked against its sha256.

A model is a folder with voice_encoder.onnx, face_decoder.onnx and card.json, and, for whoever
trains from it, untuned.safetensors where its speaker networks were tuned or have 8 bits. The
released model lies in the package; `speech2face export` makes such folders.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from speech2face.errors import ModelError, UsageError
from speech2face.files import write_text_atomically
from speech2face.name_suggestions import suggest

ASSETS = Path(__file__).parent / "assets"
FILES = ("voice_encoder.onnx", "face_decoder.onnx")
# The weights that tuning changed, as they were; of a model in 8 bits all that training starts from.
UNTUNED = "untuned.safetensors"


@dataclass(frozen=True)
class Card:
    """The card of a model, `card.json` in its folder: its files, data and recipes."""

    name: str  # by which it is loaded, where it comes with the package
    version: str  # as 1.2.3
    licence: str  # of the weights: an SPDX identifier
    summary: str  # one sentence: what goes in, what comes out, who it learned from
    face_encoder: str  # whose embedding space the faces lie in, as dlib
    sha256: dict[str, str]  # of each file by its name, in hexadecimal
    facts: dict[str, dict[str, Any]]  # of each network: recipe, seed, data, people
    typical: float = 1.0  # distance of a typical face from the average, times the encoder's
    hair_shapes: int = 0  # that can be chosen among; 0: the decoder draws no hair of its own

    @property
    def number(self) -> int:
        """The number in the watermark of its pictures: the first byte of the decoder's sha256."""
        return int(self.sha256[FILES[1]][:2], 16)


@dataclass(frozen=True)
class Model:
    """A model whose files are there and are what the card says."""

    folder: Path  # that holds its files
    card: Card  # the contents of its card.json

    @property
    def voice_encoder(self) -> Path:
        """The network from a waveform to a Gaussian over face embeddings, an ONNX file."""
        return self.folder / FILES[0]

    @property
    def face_decoder(self) -> Path:
        """The network from a face embedding to a picture, an ONNX file."""
        return self.folder / FILES[1]

    @property
    def untuned(self) -> Path | None:
        """What training starts from, but for what is in the encoder's file; None where all is."""
        return self.folder / UNTUNED if UNTUNED in self.card.sha256 else None

    @property
    def megabytes(self) -> float:
        """Size of its files on the disk, in MB (10⁶ bytes)."""
        return sum((self.folder / name).stat().st_size for name in self.card.sha256) / 1e6


def model_names() -> list[str]:
    """The models that come with the package."""
    return sorted(path.parent.name for path in ASSETS.glob("*/card.json"))


def name_models(number: int) -> tuple[str, ...]:
    """The models that come with the package whose pictures' watermark holds this number."""
    cards = [_read_card(ASSETS / name) for name in model_names()]
    return tuple(f"{card.name} {card.version}" for card in cards if card.number == number)


def find_model(name_or_folder: str | Path = "default") -> Model:
    """The model of a name, or in a folder, its files verified.

    Raises ModelError where there is none, or a file is missing or not the one on the card, and
    UsageError where the argument is neither a name nor a path.
    """
    if not isinstance(name_or_folder, str | os.PathLike):
        kind = type(name_or_folder).__name__
        raise UsageError(f"a model is given by its name or its folder, not by a {kind}.")
    name_or_folder = os.fsdecode(name_or_folder)
    if name_or_folder in model_names():
        folder = ASSETS / name_or_folder
    else:
        folder = Path(os.path.expanduser(name_or_folder))
    try:
        card = _read_card(folder)
        hashes = dict(card.sha256)
        if not (0 < card.typical < math.inf and card.hair_shapes >= 0):
            raise ValueError("typical is above 0, hair_shapes 0 or more")
    except NotADirectoryError:
        raise ModelError(
            f"{folder}: a file, not a model's folder; give a folder with a card.json."
        ) from None
    except FileNotFoundError:
        names = ", ".join(model_names())
        shown = name_or_folder if name_or_folder.strip() else repr(name_or_folder)
        raise ModelError(
            f"no model {shown}: give one of {names}, or a folder with a card.json."
            f"{suggest(name_or_folder, model_names())}"
        ) from None
    except (OSError, ValueError, TypeError) as error:
        raise ModelError(f"{folder / 'card.json'}: not a model's card ({error}).") from None
    for name in {*FILES, *hashes}:
        path = folder / name
        if not path.is_file():
            raise ModelError(f"{path} is missing; install the package, or export, again.")
        if hash_file(path) != hashes.get(name):
            raise ModelError(f"{path} is not the file on its card (damaged or changed).")
    return Model(folder, card)


def _read_card(folder: Path) -> Card:
    return Card(**json.loads((folder / "card.json").read_text(encoding="utf-8")))


def save_card(folder: Path, card: Card) -> None:
    """Write card.json, last of a model's files."""
    write_text_atomically(folder / "card.json", json.dumps(asdict(card), indent=2) + "\n")


def hash_file(path: Path) -> str:
    with path.open("rb") as file:
        return hash_open_file(file)


def hash_open_file(file: Any) -> str:
    """The sha256 of a binary file, from where it stands to its end."""
    return hashlib.file_digest(file, "sha256").hexdigest()
