"""What each part of the face decoder is worth: the decoder without it, on photographs of strangers.

    python benchmarks/decoder_ablation.py --faces faces --pairs pairs --out runs/ablation [--write]

Each variant is solved by the recipe and draws every second photograph of `val` from its own
embedding. Needs the judge of `speech2face evaluate copies`. 10 min on 2 cores. --write stores
benchmarks/decoder_ablation.json, under "layers"; what else stands there is kept: the same figures
of the decoders before, "linear" that of version 0.2.0, and "networks" a convolutional network,
measured at commit d72c540.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from speech2face.console import ProgressBars
from speech2face.data.merge_pairs import read_sets
from speech2face.data.pairs import read_photographs
from speech2face.evaluation.decoder_reconstruction import measure_reconstruction
from speech2face.face_drawing import CERTAIN
from speech2face.files import write_text_atomically
from speech2face.run_provenance import hide_folders
from speech2face.training.face_decoder import load_face_decoder, train_face_decoder
from speech2face.training.onnx_export import export_onnx
from speech2face.training.recipes import face_decoder

STORED = Path(__file__).parent / "decoder_ablation.json"
VARIANTS: dict[str, dict[str, Any]] = {
    "all": {},
    "no warp": {"warp": False},
    "no sharpening": {"sharpening": 0.0},
    "a third of the penalty": {"penalty": 10.0},
    "ten times the penalty": {"penalty": 300.0},
    "no hair": {},
    "one haircut": {},
}
WORN = {"no hair": 0, "one haircut": 1}  # by everybody: which shape


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure what parts of the decoder are worth.")
    parser.add_argument("--faces", type=Path, required=True, help="folder with faces.csv")
    parser.add_argument(
        "--pairs",
        type=Path,
        required=True,
        action="append",
        help="folder with pairs.csv; may be repeated",
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for runs; they go on")
    parser.add_argument("--cache", type=Path, help="folder of measured pictures (OUT/cache)")
    parser.add_argument("--only", nargs="*", default=[*VARIANTS])
    parser.add_argument("--write", action="store_true", help="store decoder_ablation.json")
    given = parser.parse_args()
    cache = given.cache or given.out / "cache"
    pairs, few, rows = read_sets(given.pairs), read_photographs(given.faces, "val")[::2], {}
    for name in given.only:
        run = given.out / name.replace(" ", "-")
        recipe, onnx = replace(face_decoder(), **VARIANTS[name]), run / "face_decoder.onnx"
        with ProgressBars() as show:
            decoder, _ = load_face_decoder(train_face_decoder(recipe, pairs, run, cache, show))
            if name in WORN:
                decoder.hair_offset[WORN[name]] += CERTAIN
                decoder.hair_offset[decoder.shapes] += CERTAIN  # the first colour
            inputs = torch.randn(2, 128), *(torch.zeros(2, decoder.kinds),) * 2
            names = ["embedding", "hair", "turn"], ["picture", "landmarks"]
            batch = ({0: "batch"},) * 3
            export_onnx(decoder, onnx, inputs, *names, batch, {})
            measure_reconstruction(onnx, few, run, show, cache=cache)
        rows[name] = json.loads((run / "copies.json").read_text())
        made = rows[name]["provenance"]
        made["command"] = hide_folders(made["command"])
        print(format_row(name, rows[name]), flush=True)
    if given.write:
        facts = json.loads(STORED.read_text()) | {"layers": rows}
        write_text_atomically(STORED, json.dumps(facts, indent=2) + "\n")


def format_row(name: str, facts: dict[str, Any]) -> str:
    """One row of the table in docs/decoder.md."""
    two_way, agreement = facts["two_way"]["everybody"]["figures"], facts["age_sex"]
    cells = [
        name,
        *(f"{two_way[rater]['value']:.3f}" for rater in ("sface", "dlib")),
        f"{facts['detected']:.3f}",
        f"{facts['nose']['drawn']:.3f}",
        f"{facts['sharpness']['face']['drawn']:.0f}",
        f"{agreement['years_apart']:.1f}",
        f"{agreement['same_sex']:.3f}",
    ]
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
