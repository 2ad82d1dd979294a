"""A model → the same with its voice encoder in 8 bits, in a folder of its own."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from speech2face import __version__
from speech2face.errors import ModelError, UsageError
from speech2face.files import hash_file
from speech2face.model_folders import FILES, UNTUNED, Card, Model, save_card
from speech2face.networks.voice_encoder import VoiceEncoder
from speech2face.training.checkpoint import save_weights
from speech2face.training.clip_features import hash_speech
from speech2face.training.encoder_factory import make_encoder
from speech2face.training.onnx_export import load_onnx_weights
from speech2face.training.package_model import export_encoder
from speech2face.training.quantisation import quantise_encoder
from speech2face.training.voice_encoder import load_start


def quantise_model(
    model: Model, speech: Sequence[np.ndarray], folder: Path, force: bool = False
) -> Card:
    """Write `folder` with the model's decoder and its encoder in 8 bits.

    `speech` are recordings float32 (n,) at 16 kHz, see `quantise_encoder`. What is left in
    untuned.safetensors are all weights that training starts from, for the encoder no longer has
    them. Raises UsageError where the folder holds a model already (without `force`), or is that of
    the model itself, and ModelError where its encoder has 8 bits already or is another network.
    """
    facts = model.find_facts("voice_encoder")
    if "quantised" in facts:
        raise ModelError(f"{model.folder}: its voice encoder has 8 bits already.")
    if folder.exists() and folder.samefile(model.folder):
        raise UsageError(f"{folder} is the model itself; name another folder.")
    if (folder / "card.json").exists() and not force:
        raise UsageError(f"{folder} holds a model; --force overwrites it.")
    encoder = make_encoder(facts)
    if not isinstance(encoder, VoiceEncoder):
        raise ModelError(
            f"{model.folder}: only the released network has a form in 8 bits, not a "
            f"{facts['network']}."
        )
    load_onnx_weights(encoder, model.voice_encoder)
    facts = facts | {"quantised": {"recordings": len(speech), "speech": hash_speech(speech)}}
    with tempfile.TemporaryDirectory() as temporary:
        whole = Path(temporary) / FILES[0]
        export_encoder(encoder, whole, facts)
        light = Path(temporary) / "light.onnx"
        quantise_encoder(whole, speech, light)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "card.json").unlink(missing_ok=True)  # no card while the files change
        shutil.copyfile(light, folder / FILES[0])
    shutil.copyfile(model.face_decoder, folder / FILES[1])
    start = load_start(model, encoder.speaker).state_dict()
    save_weights(
        folder / UNTUNED,
        {k: v.half() if v.is_floating_point() else v for k, v in start.items()},
        facts,
    )
    files = (*FILES, UNTUNED)
    card = replace(
        model.card,
        version=__version__,
        sha256={file: hash_file(folder / file) for file in files},
        facts=model.card.facts | {"voice_encoder": facts},
    )
    save_card(folder, card)
    return card
