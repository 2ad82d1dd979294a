"""Models by name, folder or address, each with a card, each file checked against its sha256.

A model is a folder with voice_encoder.onnx, face_decoder.onnx and card.json, and, for whoever
trains from it, untuned.safetensors where its speaker networks were tuned or have 8 bits. The
released model lies in the package; `speech2face export` makes such folders, and model_cache.py
keeps those that were fetched by their address.
"""

from __future__ import annotations

import json
import math
import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from speech2face.console import ProgressCallback
from speech2face.errors import ModelError, UsageError
from speech2face.files import hash_file, write_text_atomically
from speech2face.model_addresses import is_model_address, parse_address
from speech2face.model_cache import fetch_model, find_kept, list_kept
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

    def find_facts(self, network: str) -> dict[str, Any]:
        """What the card says of a network: its recipe, seed, data, people.

        Raises ModelError where it says nothing of recipe or data.
        """
        facts = self.card.facts.get(network)
        if not (isinstance(facts, dict) and isinstance(facts.get("recipe"), dict)):
            facts = {}
        if "data" not in facts:
            raise ModelError(
                f"{self.folder / 'card.json'}: does not say by which recipe and data the "
                f"{network.replace('_', ' ')} was trained; export the model again."
            )
        return facts

    @property
    def megabytes(self) -> float:
        """Size of its files on the disk, in MB (10⁶ bytes)."""
        return sum((self.folder / name).stat().st_size for name in self.card.sha256) / 1e6


def model_names() -> list[str]:
    """The models that come with the package."""
    return sorted(path.parent.name for path in ASSETS.glob("*/card.json"))


def name_models(number: int) -> tuple[str, ...]:
    """The models that are there whose pictures' watermark holds this number: those of the package,
    and those that were fetched, by the names on their cards."""
    cards = [_read_card(ASSETS / name) for name in model_names()]
    for kept in list_kept():
        with suppress(OSError, ValueError, TypeError):  # a damaged one draws nothing
            cards.append(_read_card(kept.folder))
    named = (f"{card.name} {card.version}" for card in cards if card.number == number)
    return tuple(dict.fromkeys(named))


def find_model(
    name_or_address: str | Path = "default", show: ProgressCallback | None = None
) -> Model:
    """The model of a name, in a folder, or at an address, its files verified.

    A model at an address (model_addresses.py) is fetched first, if it is not kept already
    (model_cache.py); `show` is told how far that is.

    Raises ModelError where there is none, or a file is missing or not the one on the card, and
    UsageError where the argument is neither a name, nor a path, nor an address.
    """
    if not isinstance(name_or_address, str | os.PathLike):
        kind = type(name_or_address).__name__
        raise UsageError(f"a model is given by its name, folder or address, not by a {kind}.")
    name_or_address = os.fsdecode(name_or_address)
    if name_or_address in model_names():
        return read_model(ASSETS / name_or_address)
    if is_model_address(name_or_address):
        kept = fetch_model(parse_address(name_or_address), _read_fetched, show or _show_nothing)
    else:
        kept = find_kept(name_or_address)
    if kept:
        try:
            return _read_fetched(kept.folder)
        except ModelError as error:
            name = kept.name or kept.address
            raise ModelError(
                f"{error} Remove it by `speech2face models remove {name}`, and fetch it again."
            ) from None
    try:
        return read_model(Path(os.path.expanduser(name_or_address)))
    except FileNotFoundError:
        names = [*model_names(), *(model.name for model in list_kept() if model.name)]
        shown = name_or_address if name_or_address.strip() else repr(name_or_address)
        raise ModelError(
            f"no model {shown}: give one of {', '.join(names)}, a folder with a card.json, or an "
            f"address.{suggest(name_or_address, names)}"
        ) from None


def read_model(folder: Path) -> Model:
    """The model in a folder, its files verified.

    Raises FileNotFoundError where there is no card, and ModelError where a file is missing or not
    the one on the card.
    """
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
        raise
    except (OSError, ValueError, TypeError) as error:
        raise ModelError(f"{folder / 'card.json'}: not a model's card ({error}).") from None
    for name in {*FILES, *hashes}:
        path = folder / name
        if not path.is_file():
            raise ModelError(f"{path} is missing; install the package, or export, again.")
        if hash_file(path) != hashes.get(name):
            raise ModelError(f"{path} is not the file on its card (damaged or changed).")
    return Model(folder, card)


def _read_fetched(folder: Path) -> Model:
    try:
        return read_model(folder)
    except FileNotFoundError:
        raise ModelError(f"{folder / 'card.json'} is missing: no model.") from None


def _show_nothing(what: str, done: int, total: int, words: str) -> None:
    pass


def _read_card(folder: Path) -> Card:
    return Card(**json.loads((folder / "card.json").read_text(encoding="utf-8")))


def save_card(folder: Path, card: Card) -> None:
    """Write card.json, last of a model's files."""
    write_text_atomically(folder / "card.json", json.dumps(asdict(card), indent=2) + "\n")
