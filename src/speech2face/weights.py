"""Models by name or by folder, each with a card, each file checked against its sha256.

A model is a folder with voice_encoder.onnx, face_decoder.onnx and card.json, and, for whoever
trains from it, untuned.safetensors where its speaker networks were tuned. The released model lies
in the package; `speech2face export` makes such folders.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from speech2face.errors import ModelError
from speech2face.files import write_atomically

ASSETS = Path(__file__).parent / "assets"
FILES = ("voice_encoder.onnx", "face_decoder.onnx")
UNTUNED = "untuned.safetensors"  # of a tuned model: the weights that tuning changed, as they were


@dataclass(frozen=True)
class Card:
    """What a model is made of; `card.json` in its folder."""

    name: str
    version: str
    licence: str
    summary: str
    face_encoder: str  # whose embedding space it lives in
    sha256: dict[str, str]  # of each file
    facts: dict[str, dict[str, Any]]  # of each network: recipe, seed, data, people


@dataclass(frozen=True)
class Model:
    """A model whose files are there and are what the card says."""

    folder: Path
    card: Card

    @property
    def voice_encoder(self) -> Path:
        return self.folder / FILES[0]

    @property
    def face_decoder(self) -> Path:
        return self.folder / FILES[1]

    @property
    def untuned(self) -> Path | None:
        return self.folder / UNTUNED if UNTUNED in self.card.sha256 else None

    @property
    def megabytes(self) -> float:
        return sum((self.folder / name).stat().st_size for name in self.card.sha256) / 1e6


def model_names() -> list[str]:
    """The models that come with the package."""
    return sorted(path.parent.name for path in ASSETS.glob("*/card.json"))


def find_model(name_or_folder: str = "default") -> Model:
    """The model of a name, or in a folder, its files verified.

    Raises ModelError where there is none, or a file is missing or not the one on the card.
    """
    folder = ASSETS / name_or_folder
    if name_or_folder not in model_names():
        folder = Path(name_or_folder)
    try:
        card = Card(**json.loads((folder / "card.json").read_text(encoding="utf-8")))
        hashes = dict(card.sha256)
    except NotADirectoryError:
        raise ModelError(
            f"{folder}: a file, not a model's folder; give a folder with a card.json."
        ) from None
    except FileNotFoundError:
        names = ", ".join(model_names())
        raise ModelError(
            f"no model {name_or_folder or repr('')}: give one of {names}, or a folder with a "
            "card.json."
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


def write_card(folder: Path, card: Card) -> None:
    """Write card.json, last of a model's files."""
    with write_atomically(folder / "card.json") as file:
        file.write(f"{json.dumps(asdict(card), indent=2)}\n".encode())


def hash_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
