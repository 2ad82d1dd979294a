"""Trained weights → a model that inference can run: two ONNX files and their card."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from speech2face import __version__
from speech2face.errors import ModelError, UsageError
from speech2face.model_folders import FILES, UNTUNED, Card, hash_file, save_card
from speech2face.networks.voice_encoder import VoiceEncoder
from speech2face.training.checkpoint import save_weights
from speech2face.training.face_decoder import load_face_decoder
from speech2face.training.onnx_export import export_onnx, round_to_half
from speech2face.training.untuned_weights import pack_untuned
from speech2face.training.voice_encoder import load_untuned, load_voice_encoder


def export_model(
    voice_encoder: Path,
    face_decoder: Path,
    folder: Path,
    *,
    name: str,
    licence: str = "unstated",
    summary: str = "",
    force: bool = False,
) -> Card:
    """Write `folder` with voice_encoder.onnx, face_decoder.onnx and card.json.

    Of a tuned encoder also untuned.safetensors.

    Raises UsageError where the folder holds a model already (without `force`), and ModelError
    where the two networks do not live in the same face embedding, or the encoder is another than
    the released network, which gives a Gaussian.
    """
    if (folder / "card.json").exists() and not force:
        raise UsageError(f"{folder} holds a model; --force overwrites it.")
    encoder, encoder_metadata = load_voice_encoder(voice_encoder)
    decoder, decoder_metadata = load_face_decoder(face_decoder)
    both = (encoder_metadata, decoder_metadata)
    spaces = {metadata["recipe"]["face_encoder"] for metadata in both}
    if len(spaces) > 1:
        raise ModelError(f"encoder and decoder live in different spaces: {', '.join(spaces)}.")
    contents = {
        metadata["face_encoder"]  # which older weights do not name
        for metadata in both
        if "face_encoder" in metadata
    }
    if len(contents) > 1:
        raise ModelError(
            f"encoder and decoder were trained with two recognisers of the name {spaces.pop()}: "
            f"{' and '.join(sorted(contents))}."
        )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "card.json").unlink(missing_ok=True)  # no card while the files change
    round_to_half(encoder.speaker)  # the head stays whole: a rounded covariance may not be one
    decoder.hair_centre.copy_(encoder.head.average)
    round_to_half(decoder)
    export_encoder(encoder, folder / FILES[0], encoder_metadata)
    hair, turn = torch.zeros(2, decoder.kinds), torch.zeros(2, decoder.kinds)
    export_onnx(
        decoder,
        folder / FILES[1],
        (torch.randn(2, decoder.config.embedding), hair, turn),
        ["embedding", "hair", "turn"],
        ["picture", "landmarks"],
        ({0: "batch"},) * 3,
        _to_onnx_metadata(decoder_metadata),
    )
    files = [*FILES]
    (folder / UNTUNED).unlink(missing_ok=True)
    if untuned := load_untuned(voice_encoder):
        packed = pack_untuned(untuned, encoder.speaker.state_dict())
        save_weights(folder / UNTUNED, packed, encoder_metadata)
        files.append(UNTUNED)
    card = Card(
        name=name,
        version=__version__,
        licence=licence,
        summary=summary,
        face_encoder=spaces.pop(),
        sha256={file: hash_file(folder / file) for file in files},
        facts={"voice_encoder": encoder_metadata, "face_decoder": decoder_metadata},
        typical=decoder_metadata["recipe"].get("typical", 1.0),
        hair_shapes=decoder.shapes - 1,
    )
    save_card(folder, card)
    return card


def export_encoder(encoder: VoiceEncoder, path: Path, metadata: Mapping[str, Any]) -> None:
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
