"""Measures how well pictures drawn from voices match the true faces of the speakers.

    python examples/evaluate.py [FOLDER]

FOLDER is what examples/train.py made; by default where that writes. Draws each clip by the released
model and prints two-way matching: how often the true face is picked of two; a coin gets .500. Here
it tells nothing of the model: the "true" faces were drawn by it. All other figures are in
FOLDER/evaluation/report.json, a page of them in report.html. Needs the extra train.

Pictures of any other system go the same way. Without `--pictures` the command trains the networks
by folds by person and measures those: that is how the figures of the model card came about.
"""

import json
import subprocess
import sys
from pathlib import Path

import speech2face

HERE = Path(__file__).resolve().parent


def main(folder: Path = HERE.parent / "out" / "train") -> None:
    pairs, pictures, out = folder / "pairs", folder / "pictures", folder / "evaluation"
    pictures.mkdir(exist_ok=True)
    model = speech2face.load()
    for clip in sorted((pairs / "audio").iterdir()):
        model.reconstruct(clip).image.save(pictures / f"{clip.stem}.png")

    words = ["evaluate", "pairs", pairs, "--pictures", pictures, "--folds", "2", "--out", out]
    print("$ speech2face", *words, flush=True)
    command = [sys.executable, "-m", "speech2face", *words]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

    report = json.loads((out / "report.json").read_text())
    print(f"{report['people']} people, {report['clips']} clips")
    for rater, figure in report["two_way"]["everybody"]["pictures"].items():
        interval = f"[{figure['low']:.3f}, {figure['high']:.3f}]"
        print(f"two-way, {rater}: {figure['value']:.3f} {interval}")
    print(out / "report.html")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
