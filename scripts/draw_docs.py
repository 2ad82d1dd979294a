"""The pictures in docs/, drawn by the released model from the recordings in examples/.

    python scripts/draw_docs.py

Faces of nobody: the voices are synthesised.
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

import speech2face
from speech2face.pictures import contact_sheet, write_png
from speech2face.reconstruct import Speech2Face

HERE = Path(__file__).resolve().parents[1]
DOCS, EXAMPLES = HERE / "docs", HERE / "examples"
SAMPLED = ("bella", "george")
BETWEEN = (("emma", "michael"), ("sara", "bella"), ("george", "omega"))
STEPS = 7
STRENGTHS = (0, 0.5, 1, 1.5)


def main() -> None:
    argparse.ArgumentParser(description="Draw the pictures in docs/.").parse_args()
    model = speech2face.load()
    recordings = sorted(EXAMPLES.glob("*.flac"))
    for style, name in (("plain", "examples"), ("cartoon", "cartoons")):
        faces = [(path.stem, model.reconstruct(path, style=style).image) for path in recordings]
        save(contact_sheet(faces), name, model)

    samples = []
    for name in SAMPLED:
        face = model.reconstruct(EXAMPLES / f"{name}.flac", samples=6)
        samples.append((name, face.image))
        samples += [(f"sample {n}", picture) for n, picture in enumerate(face.samples, 1)]
    save(contact_sheet(samples, columns=7), "samples", model)

    strengths, hair = [], []
    for name in SAMPLED:
        voice = model.embed(EXAMPLES / f"{name}.flac")
        for strength in STRENGTHS:
            pixels = model.decode(voice.at_strength(strength)[None])[0][0]
            strengths.append((f"{name}, {strength:g}", Image.fromarray(pixels)))
        for kind in ("none", *range(1, model.hair_shapes + 1)):
            pixels = model.decode(voice.decoded_embedding[None], hair=kind)[0][0]
            hair.append((str(kind), Image.fromarray(pixels)))
        hair += [("", Image.new("RGB", hair[0][1].size, "white"))] * (len(hair) % 2)
    save(contact_sheet(strengths, columns=2 * len(STRENGTHS)), "strengths", model)
    save(contact_sheet(hair, columns=len(hair) // 4), "hair", model)  # two rows a voice

    steps = []
    for ends in BETWEEN:
        voices = [model.embed(EXAMPLES / f"{name}.flac") for name in ends]
        first, last = (voice.decoded_embedding for voice in voices)
        line = np.linspace(0, 1, STEPS)[:, None]
        names = [ends[0], *[""] * (STEPS - 2), ends[1]]
        pictures, _ = model.decode((1 - line) * first + line * last)
        steps += zip(names, map(Image.fromarray, pictures), strict=True)
    save(contact_sheet(steps, columns=STEPS), "interpolation", model)


def save(sheet: Image.Image, name: str, model: Speech2Face) -> None:
    write_png(sheet, DOCS / f"{name}.png", model.card.name, force=True)


if __name__ == "__main__":
    main()
