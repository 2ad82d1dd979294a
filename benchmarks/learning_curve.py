"""What more people would be worth: matching by how many people the voice encoder learned from.

    python benchmarks/learning_curve.py --pairs PAIRS … --out runs/learning-curve [ROW …] [--write]

A row is one of benchmarks/voice_encoders.py. An eighth, a quarter, half and all of the people of
four folds are learned from, the fifth is heard: five folds by person, and of the linear map five
draws of who belongs to an eighth. Smaller shares are parts of the larger ones. Finished parts are
kept in OUT, and a run that was stopped goes on; what voice_encoders.py left in the same OUT serves
for the whole share. --write stores what is there in
benchmarks/learning_curve.json and draws the table of docs/training.md; python
scripts/draw_figures.py draws the figure of it.

Three laws are fitted to the shares; none passes 1. By "error" the error falls by the same factor
with each doubling, by "deviate" the normal deviate of the score grows by the same step, by "floor"
the error falls towards one that no number of people takes away (Hestness et al., arXiv 1712.00409).
What they say of more people is an extrapolation, tested by what the smaller shares say of all.
On 2 cores: the linear map two minutes once the speaker networks have listened, a tuned row forty.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from scipy.stats import norm

from speech2face.console import ProgressBars, ProgressCallback
from speech2face.data.merge_pairs import join_people, read_sets
from speech2face.data.voice_encoder_data import load_pair_voices
from speech2face.evaluation.cross_validation import deal_folds
from speech2face.files import write_atomically, write_text_atomically
from speech2face.metrics.intervals import Estimate, summarise, weigh_people
from speech2face.metrics.matching import two_way
from speech2face.training.clip_features import ClipFeatures
from speech2face.training.recipes import voice_encoder
from speech2face.training.voice_encoder import load_speaker, prepare_clips
from voice_encoders import FOLDS, REFERENCE, ROWS, SEED, SHORT, Fold, find_folder, write_table
from voice_encoders import KEPT as ANSWER

HERE = Path(__file__).parent
FIGURES = HERE / "learning_curve.json"
SHARES = (0.125, 0.25, 0.5, 1.0)
DRAWS = {REFERENCE: 5}  # of who belongs to a share; a row that takes long has one
ASKED = (10_000, 100_000)  # people
KEPT = "wins.npy"

LAWS = ("error", "deviate", "floor")
EXPONENTS = np.linspace(0.02, 2, 100)  # of the law with a floor


@dataclass(frozen=True)
class Curve:
    """Scores of a row by share of the people, and what the laws make of them."""

    people: list[int]  # learned from, at each share
    scores: list[Estimate]
    foretold: dict[str, Estimate]  # of all people, from the smaller shares, by law
    extrapolated: dict[str, dict[str, Estimate]]  # by law, by number of people
    a_doubling: Estimate  # gained from half of the people to all


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure what more people would be worth.")
    parser.add_argument("rows", nargs="*", help=f"of: {'; '.join(ROWS)}")
    parser.add_argument("--pairs", type=Path, required=True, action="append")
    parser.add_argument("--out", type=Path, required=True, help="folder for runs; they go on")
    parser.add_argument("--fold", type=int, nargs="*", default=[*range(FOLDS)])
    parser.add_argument("--write", action="store_true", help="store what is there, draw the table")
    given = parser.parse_args()
    if unknown := {*given.rows} - {*ROWS}:
        parser.error(f"no row {', '.join(unknown)}")
    with ProgressBars() as show:
        clips, fold = gather(given.pairs, given.out, show)
        for name in given.rows:
            for draw in range(DRAWS.get(name, 1)):
                for k in given.fold:
                    for share in SHARES:
                        learn(name, clips, fold, k, share, draw, given.out, show)
        curves = {name: curve for name in ROWS if (curve := trace(name, clips, fold, given.out))}
    print(draw_table(curves))
    if given.write:
        facts = {
            "data": clips.voices.data,
            "people": len({*clips.voices.people}),
            "clips": len(clips.voices),
            "folds": FOLDS,
            "chance": 0.5,
            "shares": SHARES,
            "rows": {name: asdict(curve) for name, curve in curves.items()},
        }
        write_text_atomically(FIGURES, json.dumps(facts, indent=1) + "\n")
        write_table(draw_table(curves), "learning curve")


def gather(
    folders: list[Path], out: Path, show: ProgressCallback
) -> tuple[ClipFeatures, np.ndarray]:
    """Everybody, as the speaker networks hear them before tuning, and the fold of each clip.

    They are heard as by voice_encoders.py.
    """
    recipe, cache = replace(voice_encoder(), crop_seconds=(SHORT,)), out / "cache"
    pairs = join_people(read_sets(folders), cache, show)
    voices = load_pair_voices(pairs, recipe.face_encoder, cache, show, recognise=True)
    clips = prepare_clips(recipe, load_speaker(recipe), voices, cache, show)
    dealt, rows = deal_folds(pairs, voices, FOLDS, SEED)
    return clips, dealt[rows]


def learn(
    name: str,
    clips: ClipFeatures,
    fold: np.ndarray,
    k: int,
    share: float,
    draw: int,
    out: Path,
    show: ProgressCallback,
) -> None:
    """Learn a row from a share of the people of the other folds, and keep how the fold matches."""
    folder = find_part(name, k, share, draw, out)
    if (folder / KEPT).is_file():
        return
    folder.mkdir(parents=True, exist_ok=True)
    people = np.array(clips.voices.people)
    chosen = choose_people(people[fold != k], share, draw)
    rows = np.flatnonzero((fold == k) | np.isin(people, chosen))
    part = clips.take(rows)
    known = find_folder(name, k, out) / ANSWER
    if share == 1 and known.is_file():
        with np.load(known) as answer:
            ratios = answer["ratios"]
    else:
        _, ratios = ROWS[name](Fold(part, fold[rows] == k, folder, folder, show))
    with write_atomically(folder / KEPT) as file:
        np.save(file, two_way(ratios, people[fold == k]))


def choose_people(people: np.ndarray, share: float, draw: int) -> np.ndarray:
    """A share of the people, part of any larger share of the same draw."""
    names = np.unique(people)
    order = np.random.default_rng(draw).permutation(len(names))
    return names[order[: round(share * len(names))]]


def find_part(name: str, k: int, share: float, draw: int, out: Path) -> Path:
    return find_folder(name, k, out) / f"share{share:g}-draw{draw}"


def trace(name: str, clips: ClipFeatures, fold: np.ndarray, out: Path) -> Curve | None:
    """The curve of a row of which all parts are there."""
    people = np.array(clips.voices.people)
    wins = np.zeros((len(SHARES), len(people)))
    count = DRAWS.get(name, 1)
    for i, share in enumerate(SHARES):
        for k in range(FOLDS):
            for draw in range(count):
                path = find_part(name, k, share, draw, out) / KEPT
                if not path.is_file():
                    return None
                wins[i, fold == k] += np.load(path) / count
    others = np.mean([len(np.unique(people[fold != k])) for k in range(FOLDS)])
    learned = np.array(SHARES) * others
    scores = weigh_people(people) @ wins.T  # (1 + draws, shares)
    return Curve(
        [round(n) for n in learned],
        [summarise(column) for column in scores.T],
        {
            law: summarise(extrapolate(scores[:, :-1], learned[:-1], learned[-1], law))
            for law in LAWS
        },
        {
            law: {str(n): summarise(extrapolate(scores, learned, n, law)) for n in ASKED}
            for law in LAWS
        },
        summarise(scores[:, -1] - scores[:, -2]),
    )


def extrapolate(scores: np.ndarray, learned: np.ndarray, count: float, law: str) -> np.ndarray:
    """Scores (draws, shares) by how many people were learned from (shares,) → those of `count`
    people (draws,), if the law holds."""
    if law == "floor":
        return _approach_floor(scores, learned, count)
    bent = norm.ppf(scores) if law == "deviate" else np.log(1 - scores)
    slope, offset = np.polyfit(np.log2(learned), bent.T, 1)
    line = slope * np.log2(count) + offset
    return norm.cdf(line) if law == "deviate" else 1 - np.exp(line)


def _approach_floor(scores: np.ndarray, learned: np.ndarray, count: float) -> np.ndarray:
    """By least squares of error = floor + a · people^−b, the floor in [0, 0.5] and b of a grid."""
    best = np.full(len(scores), np.inf)
    found = np.empty(len(scores))
    for exponent in EXPONENTS:
        falling = learned**-exponent
        centred = falling - falling.mean()
        errors = 1 - scores
        factor = (errors - errors.mean(1, keepdims=True)) @ centred / (centred @ centred)
        floor = np.clip(errors.mean(1) - factor * falling.mean(), 0, 0.5)
        factor = (errors - floor[:, None]) @ falling / (falling @ falling)
        missed = ((errors - floor[:, None] - factor[:, None] * falling) ** 2).sum(1)
        better = missed < best
        best[better] = missed[better]
        found[better] = (1 - floor - factor * count**-exponent)[better]
    return found


def draw_table(curves: dict[str, Curve]) -> str:
    """The table of docs/training.md."""
    people = next(iter(curves.values())).people if curves else []
    header = ["people learned from", *(f"{n:,}" for n in people)]
    header += [f"{n:,}, extrapolated" for n in ASKED]
    lines = [f"| {' | '.join(header)} |", "|" + "--|" * len(header)]
    for name, curve in curves.items():
        cells = [name, *map(str, curve.scores)]
        for n in map(str, ASKED):
            laws = [curve.extrapolated[law][n] for law in LAWS]
            values = sorted(law.value for law in laws)
            low, high = min(law.low for law in laws), max(law.high for law in laws)
            cells.append(f"{values[0]:.3f} to {values[-1]:.3f} [{low:.3f}, {high:.3f}]")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
