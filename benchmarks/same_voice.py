"""Who is the same person where faces leave a doubt: what voices add.

    python benchmarks/same_voice.py PAIRS ... --out runs/same-voice [--write]

PAIRS are folders as training reads them. Of all pairs of clips, those of one person, and strangers
whose faces are nearly alike, are heard by the released voice encoder's speaker network
(`speaker_features`). Told is how many of one person's pairs faces alone miss
(`split_leaks.SAME`), how many of these voices tell, and how many strangers voices would join,
by how alike the faces are. The limits in `data/person_linking.py` were chosen on these figures.
Names were given by faces and by eye, so pairs that no recogniser would tell may be missing among
them. --write stores same_voice.json; five minutes of one core.
"""

from __future__ import annotations

import argparse
import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np

from latency import describe_machine
from speech2face.console import ProgressBars
from speech2face.data.merge_pairs import embed_identities, read_sets
from speech2face.data.pairs import load_speech
from speech2face.data.person_linking import NEARLY, SAME_VOICE
from speech2face.data.split_leaks import DOUBTFUL, SAME, measure_likeness
from speech2face.errors import NoSpeechError
from speech2face.files import write_text_atomically
from speech2face.speaker_features import SpeakerFeatures

HERE = Path(__file__).parent
LISTENED = 0.10  # likeness of strangers' faces from which they are heard
EDGES = (LISTENED, 0.15, NEARLY, DOUBTFUL, SAME)
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure what voices add to faces.")
    parser.add_argument("pairs", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True, help="folder for what was measured")
    parser.add_argument("--write", action="store_true", help="store same_voice.json")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    clips = read_sets(given.pairs)
    with ProgressBars() as show:
        looks = embed_identities(clips, given.out, show)
    sface = looks.sface / np.linalg.norm(looks.sface, axis=1, keepdims=True)
    cosine = sface @ sface.T
    squares = (looks.dlib**2).sum(1)
    squared = squares[:, None] + squares - 2 * looks.dlib @ looks.dlib.T
    likeness = measure_likeness(cosine, np.sqrt(np.maximum(squared, 0)))
    people = np.array([clip.person for clip in clips])
    first, second = np.triu_indices(len(clips), 1)
    seen = np.isfinite(likeness[first, second])
    first, second = first[seen], second[seen]
    same, alike = people[first] == people[second], likeness[first, second]
    chosen = same | (alike >= LISTENED)
    features, voices = SpeakerFeatures(), {}
    for row in sorted({*first[chosen].tolist(), *second[chosen].tolist()}):
        try:
            voices[row] = features.embed(load_speech(clips[row].audio)[0])
        except NoSpeechError:
            continue
    heard = np.array(
        [
            [same[k], alike[k], voices[i] @ voices[j]]
            for k in np.flatnonzero(chosen)
            if (i := int(first[k])) in voices and (j := int(second[k])) in voices
        ]
    )
    told = {"machine": describe_machine(), **summarise(heard, len(clips), int((~same).sum()))}
    print(json.dumps(told, indent=2))
    if given.write:
        write_text_atomically(HERE / "same_voice.json", json.dumps(told, indent=2) + "\n")


def summarise(heard: np.ndarray, clips: int, strangers: int) -> dict[str, Any]:
    """Rows of (one person's, likeness of the faces, cosine of the voices) in figures."""
    one, alike, voice = heard[:, 0] > 0, heard[:, 1], heard[:, 2]
    missed = one & (alike < SAME)
    asked = (alike >= NEARLY) & (alike < SAME)
    bands = []
    for low, high in itertools.pairwise(EDGES):
        inside = (alike >= low) & (alike < high)
        bands.append(
            {
                "faces_alike": [low, high],
                "one_person": int((inside & one).sum()),
                "one_person_by_voice": int((inside & one & (voice >= SAME_VOICE)).sum()),
                "strangers": int((inside & ~one).sum()),
                "strangers_by_voice": int((inside & ~one & (voice >= SAME_VOICE)).sum()),
            }
        )
    return {
        "clips": clips,
        "pairs_of_one_person": int(one.sum()),
        "pairs_of_strangers": strangers,
        "missed_by_faces": int(missed.sum()),
        "missed_by_faces_and_voices": int((missed & ~(asked & (voice >= SAME_VOICE))).sum()),
        "strangers_joined_by_voice": int((asked & ~one & (voice >= SAME_VOICE)).sum()),
        "bands": bands,
        "voice": {
            name: np.quantile(voice[rows], QUANTILES).round(3).tolist()
            for name, rows in (("one person", one), ("strangers whose faces are alike", ~one))
        },
        "quantiles": QUANTILES,
    }


if __name__ == "__main__":
    main()
