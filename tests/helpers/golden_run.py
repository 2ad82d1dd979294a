"""The course of a short end-to-end training, and how golden_end_to_end.json was made.

python tests/helpers/golden_run.py

It trains in a temporary folder and writes the file beside this program.

It is written again only when the curve is meant to change: another loss, network, schedule or
order of clips. Weights begin as torch and batches as numpy draw them for a seed, so another version
of either may be a reason, too.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np
import torch
from torch import nn

from speech2face.data.voice_encoder_data import Voices
from speech2face.training.end_to_end_voice_encoder import train_end_to_end
from speech2face.training.recipes import end_to_end_debug

GOLDEN = Path(__file__).with_name("golden_end_to_end.json")
LOG = Path("end-to-end") / "log.jsonl"
OF_THE_LOOP = ("learning_rate", "gradient_norm")


def make_voices(people: int = 8, clips: int = 2, size: int = 16) -> Voices:
    """Hoarse vowels of people whose pitch is a number of their face, which is about unit length."""
    chance = np.random.RandomState(0)
    speech, faces, owner = [], [], []
    for person in range(people):
        face = 0.25 + 0.1 * chance.standard_normal(size)
        for clip in range(clips):
            time = np.arange(16_000 + 4_000 * clip) / 16_000
            pitch = 2 * np.pi * (120 + 300 * face[0]) * time
            voiced = sum(np.sin(k * pitch) / k for k in range(1, 20))
            speech.append(0.05 * (voiced + 0.3 * chance.standard_normal(time.size)))
            faces.append(face + 0.01 * chance.standard_normal(size))
            owner.append(f"person {person}")
    return Voices(
        [f"{name}.{number}" for number, name in enumerate(owner)],
        owner,
        [s.astype(np.float32) for s in speech],
        np.array(faces, np.float32),
        data=f"{people} people, {clips} clips each",
    )


def make_layers(size: int = 16) -> tuple[nn.Linear, nn.Linear]:
    """In place of the decoder's first layer and the recogniser's last."""
    chance = np.random.RandomState(1)
    layers = nn.Linear(size, 20), nn.Linear(size, 30)
    for layer in layers:
        weight = torch.tensor(chance.standard_normal(tuple(layer.weight.shape)))
        layer.load_state_dict({"weight": weight, "bias": torch.zeros(len(weight))})
    return layers


def run(folder: Path) -> list[dict[str, float]]:
    """Train by the recipe `end-to-end-debug`; the losses of each step."""
    decoder, recogniser = make_layers()
    train_end_to_end(
        end_to_end_debug(),
        make_voices(),
        folder,
        lambda *_: None,
        decoder=decoder,
        recogniser=recogniser,
    )
    rows = [json.loads(line) for line in (folder / LOG).read_text().splitlines()]
    return [{k: v for k, v in row.items() if k not in OF_THE_LOOP} for row in rows]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        rows = run(Path(temporary))
    GOLDEN.write_text(json.dumps(rows, indent=1) + "\n")
