"""Trains both networks on pairs of voice and face, and draws a face with them.

    python examples/train.py [OUT]

Makes a tiny set of nobody (parts of the synthetic voices here, faces drawn by the released model),
trains by the recipes `debug`, exports a model and uses it. Prints each command before it runs. It
takes about a minute, needs the extra train, and learns nothing of worth: for that
give thousands of pairs and leave `--recipe` out.
"""

import csv
import subprocess
import sys
import wave
from pathlib import Path

import numpy as np

import speech2face
from speech2face.media import SAMPLE_RATE, load_audio

HERE = Path(__file__).resolve().parent


def main(out: Path = HERE.parent / "out" / "train") -> None:
    pairs, runs = out / "pairs", out / "runs"
    make_set(pairs)
    voice = ("train", "voice-encoder", "--pairs", pairs, "--out", runs / "voice")
    speech2face_command(*voice, "--recipe", "debug")
    face = ("train", "face-decoder", "--pairs", pairs, "--out", runs / "face")
    speech2face_command(*face, "--recipe", "debug")
    weights = (runs / "voice/voice_encoder.safetensors", runs / "face/face_decoder.safetensors")
    speech2face_command("export", *weights, "--out", out / "model", "--force")
    picture = ("-o", out / "emma.png", "--force")
    speech2face_command("reconstruct", HERE / "emma.flac", "--model", out / "model", *picture)


def make_set(pairs: Path) -> None:
    """The folder that docs/data.md describes: 8 people with 2 clips each."""
    for folder in (pairs / "audio", pairs / "face", pairs / "canonical"):
        folder.mkdir(parents=True, exist_ok=True)
    model, rows = speech2face.load(), [("clip", "person")]
    for seed, recording in enumerate(sorted(HERE.glob("*.flac"))):
        voice = model.reconstruct(recording, samples=2, seed=seed)
        for number, part in enumerate(np.array_split(load_audio(recording).samples, 2)):
            clip = f"{recording.stem}{number}"
            with wave.open(str(pairs / "audio" / f"{clip}.wav"), "wb") as file:
                file.setparams((1, 2, SAMPLE_RATE, 0, "NONE", ""))
                file.writeframes((part * 32767).astype("<i2").tobytes())
            for kind in ("face", "canonical"):
                voice.samples[number].save(pairs / kind / f"{clip}.jpg", quality=95)
            rows.append((clip, recording.stem))
    with (pairs / "pairs.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)


def speech2face_command(*arguments: object) -> None:
    words = [str(argument) for argument in arguments]
    print("$ speech2face", *words, flush=True)
    subprocess.run([sys.executable, "-m", "speech2face", *words], check=True)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
