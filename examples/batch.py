"""Draws a face for each recording of a folder, with one model; a bad file stops nothing.

    python examples/batch.py [FOLDER] [OUT]

Prints a line for each file, and writes OUT/faces.csv: file, picture, seconds of speech, error.
Without FOLDER it takes the synthetic voices beside this script.
"""

import csv
import sys
from pathlib import Path

import speech2face
from speech2face.errors import Speech2FaceError
from speech2face.pictures import write_png

HERE = Path(__file__).resolve().parent
SOUNDS = {".flac", ".m4a", ".mp3", ".mp4", ".ogg", ".opus", ".wav", ".webm"}


def main(folder: Path = HERE, out: Path = HERE.parent / "out" / "batch") -> None:
    out.mkdir(parents=True, exist_ok=True)
    model = speech2face.load()
    rows: list[tuple[object, ...]] = [("file", "picture", "seconds", "error")]
    for recording in sorted(p for p in folder.iterdir() if p.suffix.lower() in SOUNDS):
        picture = f"{recording.name}.face.png"
        try:
            face = model.reconstruct(recording)
            write_png(face.image, out / picture, model.card.name, force=True)
            row = (recording.name, picture, round(face.voice.speech.speech_seconds, 2), "")
        except Speech2FaceError as error:  # one line for a person; its exit_code says which kind
            row = (recording.name, "", "", str(error))
        print(*row)
        rows.append(row)
    table = out / "faces.csv"
    with table.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    print(f"{len(rows) - 1} recordings: {table}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
