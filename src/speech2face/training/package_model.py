"""Trained weights → a model that inference can run: two ONNX files and their card."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from speech2face import __version__
from speech2face.errors import ModelError, UsageError
from speech2face.model_folders import (
    FILES,
    UNTUNED,
    Card,
    Model,
    find_model,
    hash_file,
    save_card,
)
from speech2face.networks.face_decoder import FaceDecoder
from speech2face.networks.voice_encoder import GaussianEncoder
from speech2face.training.checkpoint import save_weights
from speech2face.training.encoder_factory import load_encoder
from speech2face.training.face_decoder import load_face_decoder
from speech2face.training.onnx_export import export_onnx, round_to_half
from speech2face.training.untuned_weights import pack_untuned
from speech2face.training.voice_encoder import load_untuned


def export_model(
    voice_encoder: Path,
    face_decoder: Path | None,
    folder: Path,
    *,
    name: str,
    licence: str = "unstated",
    summary: str = "",
    force: bool = False,
) -> Card:
    """Write `folder` with voice_encoder.onnx, face_decoder.onnx and card.json.

    Without weights of a face decoder the released model's is taken. Of a tuned encoder also
    untuned.safetensors is written.

    Raises UsageError where the folder holds a model already (without `force`), and ModelError
    where the two networks do not live in the same face embedding.
    """
    if (folder / "card.json").exists() and not force:
        raise UsageError(f"{folder} holds a model; --force overwrites it.")
    encoder, encoder_metadata = load_encoder(voice_encoder)
    if face_decoder:
        decoder = TrainedDecoder(*load_face_decoder(face_decoder))
    else:
        decoder = ReleasedDecoder(find_model())
    space = find_common_space(encoder_metadata, decoder.facts, face_decoder is None)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "card.json").unlink(missing_ok=True)  # no card while the files change
    round_to_half(encoder.ear)  # the head stays whole: a rounded covariance may not be one
    export_encoder(encoder, folder / FILES[0], encoder_metadata)
    decoder.write(folder / FILES[1], encoder.head.average)
    files = [*FILES]
    (folder / UNTUNED).unlink(missing_ok=True)
    if untuned := load_untuned(voice_encoder):
        packed = pack_untuned(untuned, encoder.ear.state_dict())
        save_weights(folder / UNTUNED, packed, encoder_metadata)
        files.append(UNTUNED)
    card = Card(
        name=name,
        version=__version__,
        licence=licence,
        summary=summary,
        face_encoder=space,
        sha256={file: hash_file(folder / file) for file in files},
        facts={"voice_encoder": encoder_metadata, "face_decoder": decoder.facts},
        typical=decoder.typical,
        hair_shapes=decoder.hair_shapes,
    )
    save_card(folder, card)
    return card


@dataclass(frozen=True)
class TrainedDecoder:
    """A decoder of one's own, from its weights."""

    network: FaceDecoder
    facts: dict[str, Any]

    @property
    def typical(self) -> float:
        return self.facts["recipe"].get("typical", 1.0)

    @property
    def hair_shapes(self) -> int:
        return self.network.shapes - 1

    def write(self, path: Path, average: Tensor) -> None:
        """Write the ONNX file; hair is chosen by the direction from the average face (D,)."""
        network = self.network
        network.hair_centre.copy_(average)
        round_to_half(network)
        hair, turn = torch.zeros(2, network.kinds), torch.zeros(2, network.kinds)
        export_onnx(
            network,
            path,
            (torch.randn(2, network.config.embedding), hair, turn),
            ["embedding", "hair", "turn"],
            ["picture", "landmarks"],
            ({0: "batch"},) * 3,
            _to_onnx_metadata(self.facts),
        )


@dataclass(frozen=True)
class ReleasedDecoder:
    """The decoder of the released model, as it is."""

    model: Model

    @property
    def facts(self) -> dict[str, Any]:
        return self.model.find_facts("face_decoder")

    @property
    def typical(self) -> float:
        return self.model.card.typical

    @property
    def hair_shapes(self) -> int:
        return self.model.card.hair_shapes

    def write(self, path: Path, average: Tensor) -> None:
        """Copy the ONNX file, which chooses hair by the direction from its own average face."""
        shutil.copyfile(self.model.face_decoder, path)


def find_common_space(
    encoder: Mapping[str, Any], decoder: Mapping[str, Any], released: bool
) -> str:
    """The recogniser in whose space both networks live, by their metadata.

    Raises ModelError where there is none; `released` says that no decoder was named.
    """
    spaces = [metadata["recipe"]["face_encoder"] for metadata in (encoder, decoder)]
    # Older weights do not name the content of the recogniser's file.
    contents = [metadata.get("face_encoder") for metadata in (encoder, decoder)]
    same = None in contents or len({*contents}) == 1
    if spaces[0] == spaces[1] and same:
        return spaces[0]
    if released:
        raise ModelError(
            f"the released face decoder draws faces of {spaces[1]}, the encoder says those of "
            f"{spaces[0]}: train a face decoder with --face-encoder {spaces[0]} and name it."
        )
    if spaces[0] != spaces[1]:
        raise ModelError(f"encoder and decoder live in different spaces: {', '.join(spaces)}.")
    raise ModelError(
        f"encoder and decoder were trained with two recognisers of the name {spaces[0]}: "
        f"{' and '.join(sorted(map(str, contents)))}."
    )


def export_encoder(encoder: GaussianEncoder, path: Path, metadata: Mapping[str, Any]) -> None:
    """Write a voice encoder as inference runs it, with its metadata."""
    export_onnx(
        encoder,
        path,
        (torch.randn(2, 48_000) * 0.05,),
        ["waveform"],
        ["mean", "covariance", "average", "shown"],
        ({0: "batch", 1: "samples"},),
        _to_onnx_metadata(metadata),
    )


def _to_onnx_metadata(metadata: Mapping[str, Any]) -> dict[str, str]:
    return {"speech2face": json.dumps(metadata)}
