"""How far from the average faces are drawn: what one number for all directions would do instead.

    python benchmarks/drawing_distance.py --pairs pairs --pairs more --run runs/evaluate [--write]

The run is a finished one of `speech2face evaluate pairs` on the same folders: its folds' encoders
and decoders draw the people whom they never met, once for each of `RULES`. A rule says how many
times as far out as it is told apart a face is drawn, and in how much of people's spread this is
to end in any direction. Measured among people with a published picture, as `evaluate pairs`
measures. About 4 min a rule on 2 cores. --write stores benchmarks/drawing_distance.json.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from speech2face.console import ProgressBars
from speech2face.data.attribute_classifier import find_judge
from speech2face.data.merge_pairs import read_sets
from speech2face.evaluation.cross_validation import DrawnFolds, draw_by_folds, draw_faces
from speech2face.evaluation.drawing_strength import TrueFaces, measure_drawn
from speech2face.evaluation.rated_pictures import SEXES, join_labels
from speech2face.evaluation.rating_networks import name_recognisers, rate_pictures
from speech2face.files import hash_file, write_text_atomically
from speech2face.training.face_decoder import WEIGHTS, load_face_decoder, set_hair_centre
from speech2face.training.gaussian_head import limit_reach
from speech2face.training.recipes import face_decoder, voice_encoder

STORED = Path(__file__).parent / "drawing_distance.json"
RULES: dict[str, tuple[float, float]] = {  # times as far out, and the most of people's spread
    "2.25 times in all directions": (2.25, np.inf),
    "2.25 times, at most as people differ": (2.25, 1.0),
    "2.9 times, at most as people differ": (2.9, 1.0),
    "2.9 times, at most 1.25 of that": (2.9, 1.25),
    "3.6 times, at most as people differ": (3.6, 1.0),
}
FOLDS, SEED = 5, 0


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure rules of how far out faces are drawn.")
    parser.add_argument("--pairs", type=Path, required=True, action="append")
    parser.add_argument("--run", type=Path, required=True, help="folder of a finished evaluation")
    parser.add_argument("--write", action="store_true", help="store drawing_distance.json")
    given = parser.parse_args()
    cache, rows = given.run / "cache", {}
    with ProgressBars() as show:
        recipes, pairs = (voice_encoder(), face_decoder()), read_sets(given.pairs)
        drawn = draw_by_folds(*recipes, pairs, given.run, FOLDS, SEED, show)
        rows_of = np.array([pair.published.is_file() for pair in drawn.pairs])

        def rate(pictures: list[Path], what: str) -> Any:
            return rate_pictures(pictures, find_judge(), cache, show, what, name_recognisers())

        faces = [pair.face for pair, one in zip(drawn.pairs, rows_of, strict=True) if one]
        rated, fold = rate(faces, "faces"), drawn.fold[rows_of].astype(str)
        sex = np.where(rated.age_sex[:, 1] > 0.5, *reversed(SEXES))
        strata = {"everybody": fold, "same_sex": join_labels(fold, sex)}
        nobody = np.full(len(faces), "")
        true = TrueFaces(rated, drawn.people[rows_of], strata, nobody)
        for name, rule in RULES.items():
            pictures = rate(draw_rule(drawn, rows_of, given.run, *rule), name)
            everyone = np.ones(len(faces), bool)
            measured = measure_drawn(pictures, everyone, nobody, true, system=name)
            rows[name] = summarise(measured)
            print(name, json.dumps(rows[name]), flush=True)
    if given.write:
        stored = {"people": measured.people, "clips": measured.clips, "rules": rows}
        write_text_atomically(STORED, json.dumps(stored, indent=1) + "\n")


def draw_rule(
    drawn: DrawnFolds, chosen: np.ndarray, run: Path, times: float, most: float
) -> list[Path]:
    """Pictures of the chosen clips (N,) bool, drawn by a rule of `RULES`."""
    pictures: dict[int, Path] = {}
    for k in range(FOLDS):
        own, head = np.flatnonzero(chosen & (drawn.fold == k)), drawn.encoders[k].head
        known = drawn.fold != k
        _, axes = np.linalg.eigh(np.cov(drawn.faces[known].T))
        away = times * (drawn.shown - head.average) @ axes
        reach = limit_reach(away[known], (drawn.faces - head.average)[known] @ axes, most)
        places = head.average + (away[own] * reach) @ axes.T
        weights = run / f"fold{k}" / WEIGHTS
        network, _ = load_face_decoder(weights)
        set_hair_centre(network, head.average)
        names = [drawn.pairs[i].clip for i in own]
        made = draw_faces(network, hash_file(weights), places, names, run / f"fold{k}", "rule")
        pictures |= dict(zip(own.tolist(), made, strict=True))
    return [pictures[i] for i in np.flatnonzero(chosen).tolist()]


def summarise(measured: Any) -> dict[str, Any]:
    """The figures of the table in docs/decoder.md, each with its interval."""
    found = {f"alike, {rater}": one for rater, one in measured.alikeness.items()}
    for stratum, raters in measured.two_way.items():
        found |= {f"two-way, {stratum}, {rater}": one for rater, one in raters.items()}
    found |= {"age bias": measured.age.bias, "age spread": measured.age.spread_share}
    found |= {"age bias over 60": measured.age.bias_of_old, "sex": measured.sex}
    return {
        name: [round(x, 4) for x in (one.value, one.low, one.high)] for name, one in found.items()
    }


if __name__ == "__main__":
    main()
