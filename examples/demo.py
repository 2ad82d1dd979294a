"""Draws a face for each recording in examples/, and a sheet of all of them: `make demo`."""

import subprocess
import sys
from pathlib import Path

from PIL import Image

from speech2face.pictures import contact_sheet, write_png

EXAMPLES = Path(__file__).parent
OUT = EXAMPLES.parent / "out"
COMMAND = Path(sys.executable).with_name("speech2face")


def main() -> None:
    recordings = sorted(EXAMPLES.glob("*.flac"))
    command = [COMMAND, "reconstruct", *recordings, "--out-dir", OUT, "--force"]
    subprocess.run(command, check=True)
    faces = [(path.stem, Image.open(OUT / f"{path.stem}.face.png")) for path in recordings]
    sheet = OUT / "demo.png"
    write_png(contact_sheet(faces), sheet, "default", force=True)
    print(f"all {len(faces)} beside each other: {sheet}")


if __name__ == "__main__":
    main()
