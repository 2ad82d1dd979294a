"""What each part of the face decoder is worth: the decoder without it, on photographs kept out.

    python benchmarks/decoder_ablation.py --faces faces --pairs pairs --out runs/ablation [--write]

Each variant is trained by the recipe at half the size, its first phase shortened to --steps and its
second to a sixth of that, so that all of them fit into an hour on 2 cores, and draws every fourth
photograph of `val` from its own embedding. "linear" is a ridge regression from the embedding to
the pixels of faces that are moved, turned and scaled onto the canvas. Needs the judge of
`speech2face evaluate copies`. A run that was stopped goes on. --write stores
benchmarks/decoder_ablation.json.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from speech2face.console import ProgressBars, Show
from speech2face.data.pairs import Pair, Photograph, read_pairs, read_photographs
from speech2face.data.targets import build_targets, even_light, find_typical
from speech2face.data.textures import find_mean_shape, measure_faces
from speech2face.evaluation.copies import report_copies
from speech2face.networks.face_decoder import FaceDecoderConfig
from speech2face.training.export import export_onnx
from speech2face.training.face_decoder import (
    load_face_decoder,
    train_on_canonical,
    train_on_photographs,
)
from speech2face.training.recipes import face_decoder

HERE = Path(__file__).parent
VARIANTS: dict[str, dict[str, Any]] = {
    "all": {},
    "no warp": {"warp": False},
    "no likeness": {"likeness_weight": 0.0},
    "no critic": {"critic_weight": 0.0},
    "no edges": {"edge_weight": 0.0},
    "no edges, critic": {"edge_weight": 0.0, "critic_weight": 0.0},
}
NETWORK = FaceDecoderConfig(size=112, channels=(256, 160, 80))
RIDGE = 30.0  # on standardised embeddings


class LinearDecoder(nn.Module):
    """Embedding (B, D) → picture (B, 3, S, S), linear but for being cut to [0, 1]."""

    def __init__(self, embeddings: np.ndarray, pictures: np.ndarray) -> None:
        """Ridge regression of `pictures` (N, S, S, 3), uint8, on `embeddings` (N, D)."""
        super().__init__()
        self.size = pictures.shape[1]
        x = (embeddings - embeddings.mean(0)) / embeddings.std(0)
        mean = pictures.mean(0, dtype=np.float64)
        products = np.zeros((x.shape[1], mean.size))
        for start in range(0, len(x), 256):
            rows = slice(start, start + 256)
            products += x[rows].T @ (pictures[rows] - mean).reshape(len(x[rows]), -1)
        weights = np.linalg.solve(x.T @ x + RIDGE * np.eye(x.shape[1]), products)  # (D, S·S·3)
        weights /= embeddings.std(0)[:, None]
        self.linear = nn.Linear(*weights.shape)
        with torch.no_grad():
            self.linear.weight.copy_(torch.tensor(weights.T / 255))
            bias = mean.ravel() - embeddings.mean(0) @ weights
            self.linear.bias.copy_(torch.tensor(bias / 255))

    def forward(self, embedding: Tensor) -> Tensor:
        picture = self.linear(embedding).clamp(0, 1)
        return picture.unflatten(1, (self.size, self.size, 3)).permute(0, 3, 1, 2)


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure what parts of the decoder are worth.")
    parser.add_argument("--faces", type=Path, required=True, help="folder with faces.csv")
    parser.add_argument("--pairs", type=Path, required=True, help="folder with pairs.csv")
    parser.add_argument("--out", type=Path, required=True, help="folder for runs; they go on")
    parser.add_argument("--cache", type=Path, help="folder of measured pictures (OUT/cache)")
    parser.add_argument("--steps", type=int, default=1200)
    parser.add_argument("--only", nargs="*", default=["linear", *VARIANTS])
    parser.add_argument("--write", action="store_true", help="store decoder_ablation.json")
    given = parser.parse_args()
    cache = given.cache or given.out / "cache"
    train, val = (read_photographs(given.faces, split) for split in ("train", "val"))
    pairs, rows, few = read_pairs(given.pairs), {}, val[::4]
    for name in given.only:
        run = given.out / name.replace(" ", "-").replace(",", "")
        with ProgressBars() as show:
            onnx = train_variant(name, train, pairs, run, cache, given.steps, show)
            report_copies(onnx, few, run, show, cache=cache)
        rows[name] = json.loads((run / "copies.json").read_text())
        print(tell(name, rows[name]), flush=True)
    if given.write:
        facts = {"steps": given.steps, "variants": rows}
        (HERE / "decoder_ablation.json").write_text(json.dumps(facts, indent=2) + "\n")


def train_variant(
    name: str,
    photographs: list[Photograph],
    pairs: list[Pair],
    run: Path,
    cache: Path,
    steps: int,
    show: Show,
) -> Path:
    """A variant's decoder as an ONNX file."""
    file = run / "face_decoder.onnx"
    paths = [p.path for p in photographs]
    if file.is_file():
        return file
    run.mkdir(parents=True, exist_ok=True)
    if name == "linear":
        decoder: nn.Module = fit_linear(paths, cache, show)
        outputs = ["picture"]
    else:
        recipe = face_decoder()
        second = replace(recipe.canonical, loop=replace(recipe.canonical.loop, steps=steps // 6))
        recipe = replace(
            recipe,
            network=NETWORK,
            photographs=replace(recipe.photographs, steps=steps),
            canonical=second,
            **VARIANTS[name],
        )
        start = train_on_photographs(recipe, paths, run, cache, show)
        weights = train_on_canonical(recipe, start, paths, pairs, run, cache, show)
        decoder, _ = load_face_decoder(weights)
        outputs = ["picture", "landmarks"]
    inputs = (torch.randn(2, NETWORK.embedding),)
    export_onnx(decoder, file, inputs, ["embedding"], outputs, ({0: "batch"},), {})
    return file


def fit_linear(paths: list[Path], cache: Path, show: Show) -> LinearDecoder:
    recipe = face_decoder()
    faces = measure_faces(paths, recipe.face_encoder, cache).frontal()
    shape = find_mean_shape(faces.landmarks)
    targets = build_targets(paths, faces, shape, NETWORK.size, show, warp=False)
    targets = targets.take(find_typical(targets, shape))
    even_light(targets, shape)
    return LinearDecoder(targets.embeddings[:, 0], targets.textures)


def tell(name: str, facts: dict[str, Any]) -> str:
    """One row of the table in docs/decoder.md."""
    two_way, looks = facts["two_way"]["all"], facts["age_sex"]
    cells = [
        name,
        *(f"{two_way[judge]['value']:.3f}" for judge in ("sface", "dlib")),
        f"{facts['detected']:.3f}",
        f"{facts['nose']['drawn']:.3f}",
        f"{facts['sharpness']['drawn']:.0f}",
        f"{looks['years_apart']:.1f}",
        f"{looks['same_sex']:.3f}",
    ]
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
