"""Makes `assets/synchrony.npz`: how mouths move with sounds, fitted to films of people who speak.

    python scripts/fit_synchrony.py TABLE.csv FOLDER ...

TABLE.csv (file, speaks) says of the clips beside it whether the face in view speaks; in the FOLDERs
everybody does. Of each clip that speaks the face most seen is taken. A minute on one core for 54
clips; the result is the same to rounding on any machine. No picture and no sound can be had back
from it: it holds principal components and directions, 64 kB. How well it does with people whom it
was not fitted to: benchmarks/speaking_faces.py.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from speech2face.data.samples import SampleSource
from speech2face.preparation import Refused
from speech2face.preparation.clip_to_sample import Models, StageTimer, find_speakers
from speech2face.preparation.lip_sync import ASSET, fit_synchrony
from speech2face.preparation.mouth_tracking import Mouth
from speech2face.preparation.sources import find_videos
from speech2face.preparation.video import Sound, find_clip
from speech2face.tables import read_table


def main() -> None:
    parser = argparse.ArgumentParser(description="Fit the measure of mouths and sounds.")
    parser.add_argument("table", type=Path, help="CSV of labelled clips: file, speaks")
    parser.add_argument("folders", type=Path, nargs="*", help="folders of clips that all speak")
    given = parser.parse_args()
    models = Models.load()
    fitted = fit_synchrony(
        [
            seen
            for path, speaks in list_clips(given.table, given.folders)
            if speaks and (seen := watch_largest(path, models))
        ]
    )
    fitted.save(ASSET)
    print(f"{ASSET}: correlations {fitted.weights.round(2)}")


def list_clips(table: Path, folders: list[Path]) -> list[tuple[Path, bool]]:
    """Each clip, and whether the face in view speaks."""
    rows = [
        (table.parent / row["file"], row["speaks"] == "yes")
        for row in read_table(table, ("file", "speaks"))
    ]
    return rows + [(path, True) for folder in folders for path in find_videos(folder).values()]


def watch_largest(path: Path, models: Models) -> tuple[Mouth, Sound] | None:
    """The mouth of the face most seen, and the sound while it is."""
    source = SampleSource(path.stem, path.name, 0, 60, path.stem)
    try:
        candidates, mouths, _ = find_speakers(
            find_clip(source, path.parent), models, None, StageTimer()
        )
    except Refused:
        return None
    return mouths[0], candidates[0].sound


if __name__ == "__main__":
    main()
