"""Draws the face of one recording, and three more that such a voice may have.

    python examples/one_file.py [RECORDING] [OUT]

Prints what was listened to and where the pictures lie. RECORDING is any sound or video file;
without one it is a synthetic voice. OUT is a folder.
"""

import sys
from pathlib import Path

import speech2face
from speech2face.errors import Speech2FaceError
from speech2face.pictures import write_png

HERE = Path(__file__).resolve().parent


def main(recording: Path = HERE / "emma.flac", out: Path = HERE.parent / "out") -> None:
    model = speech2face.load()
    face = model.reconstruct(recording, samples=3)
    speech = face.voice.speech
    used, whole = speech.speech_seconds, speech.analysed_seconds
    print(f"{recording.name}: {used:.1f} s of speech in {whole:.1f} s")
    for warning in face.warnings:
        print(f"careful: {warning}")

    out.mkdir(parents=True, exist_ok=True)
    names = ["face", *(f"face.sample{n}" for n in range(1, 4))]
    for name, picture in zip(names, [face.image, *face.samples], strict=True):
        path = out / f"{recording.stem}.{name}.png"
        write_png(picture, path, model.card.name, force=True)  # marks it as generated
        print(path)


if __name__ == "__main__":
    try:
        main(*map(Path, sys.argv[1:]))
    except Speech2FaceError as error:
        sys.exit(str(error))
