"""What the folds showed: two-way matching from pictures and embeddings, as text, JSON, a sheet."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
from PIL import Image

from speech2face.console import Show
from speech2face.data.textures import measure_faces
from speech2face.evaluation.folds import DrawnFolds
from speech2face.evaluation.matching import (
    Estimate,
    bootstrap_people,
    centred_cosine,
    two_way,
)

JUDGES = ("sface", "dlib")  # dlib's is the space that was trained on; SFace's is not
SHEET = 40


def report_pairs(drawn: DrawnFolds, folder: Path, seed: int, show: Show) -> str:
    """Judge all pictures; write report.json and sheet.png in `folder`; return the table."""
    wins: dict[str, np.ndarray] = {}  # of each figure: (N,), NaN where a face is missing
    undetected: dict[str, int] = {}
    for judge in JUDGES:
        true = _embed(judge, [p.face for p in drawn.pairs], folder, show)
        kinds = {"voice": drawn.pictures, "face": drawn.copies}
        if all(p.published.is_file() for p in drawn.pairs):
            kinds["published"] = [p.published for p in drawn.pairs]
        for kind, pictures in kinds.items():
            made = _embed(judge, pictures, folder, show)
            undetected[kind] = int(np.isnan(made[:, 0]).sum())
            wins[f"{kind}, {judge}"] = _match(made, true, drawn)
    ratios = np.full(len(drawn.pairs), np.nan)
    cosines = np.full(len(drawn.pairs), np.nan)
    for k, scores in enumerate(drawn.log_ratios):
        rows = drawn.fold == k
        ratios[rows] = two_way(scores, drawn.people[rows])
        cosines[rows] = two_way(
            centred_cosine(drawn.means[rows], drawn.faces[rows]), drawn.people[rows]
        )
    wins["embedding, likelihood ratio"], wins["embedding, cosine"] = ratios, cosines
    for judge in JUDGES:
        if f"published, {judge}" in wins:
            difference = wins[f"voice, {judge}"] - wins[f"published, {judge}"]
            wins[f"voice − published, {judge}"] = difference

    figures = {name: _estimate(w, drawn.people, seed) for name, w in wins.items()}
    people = len(set(drawn.people))
    facts = {
        "people": people,
        "clips": len(drawn.pairs),
        "left_out": [p.clip for p in drawn.left_out],
        "folds": len(drawn.log_ratios),
        "chance": 0.5,
        "undetected": undetected,
        "two_way": {name: asdict(figure) for name, figure in figures.items()},
    }
    (folder / "report.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    _sheet(drawn).save(folder / "sheet.png")
    lines = [
        f"Two-way matching, {people} people, {len(drawn.pairs)} clips, "
        f"{len(drawn.log_ratios)} folds by person; 95 % intervals over people; chance .500",
        *(f"  {name:<32} {figure}" for name, figure in figures.items()),
        f"  pictures without a face found: {undetected}; clips left out: {len(drawn.left_out)}",
    ]
    return "\n".join(lines)


def _embed(judge: str, pictures: list[Path], folder: Path, show: Show) -> np.ndarray:
    """Embeddings (N, D) by a judge; a row of NaN where no face is found."""

    def told(done: int, total: int) -> None:
        show(f"judging by {judge}", done, total, "")

    measured = measure_faces(pictures, judge, folder / "cache", told)
    embeddings = np.full((len(pictures), measured.embeddings.shape[1]), np.nan)
    embeddings[measured.index] = measured.embeddings
    return embeddings


def _match(made: np.ndarray, true: np.ndarray, drawn: DrawnFolds) -> np.ndarray:
    """Wins (N,) within each fold. A picture in which no face is found wins nothing."""
    wins = np.zeros(len(made))
    for k in range(len(drawn.log_ratios)):
        rows = np.flatnonzero((drawn.fold == k) & ~np.isnan(made[:, 0]) & ~np.isnan(true[:, 0]))
        wins[rows] = two_way(centred_cosine(made[rows], true[rows]), drawn.people[rows])
    wins[np.isnan(true[:, 0])] = np.nan
    return wins


def _estimate(wins: np.ndarray, people: np.ndarray, seed: int) -> Estimate:
    known = ~np.isnan(wins)
    return bootstrap_people(wins[known], people[known], seed)


def _sheet(drawn: DrawnFolds) -> Image.Image:
    """Forty clips, evenly chosen: the true face, the one drawn from the voice, the published."""
    chosen = np.linspace(0, len(drawn.pairs) - 1, min(SHEET, len(drawn.pairs))).astype(int)
    side, columns = 112, 10
    rows = -(-len(chosen) // columns)
    sheet = Image.new("RGB", (columns * side, rows * (3 * side + 8)), "white")
    for place, i in enumerate(chosen):
        pair = drawn.pairs[i]
        for line, path in enumerate((pair.face, drawn.pictures[i], pair.published)):
            if path.is_file():
                with Image.open(path) as picture:
                    small = picture.convert("RGB").resize((side, side), Image.Resampling.LANCZOS)
                corner = (place % columns * side, place // columns * (3 * side + 8) + line * side)
                sheet.paste(small, corner)
    return sheet
