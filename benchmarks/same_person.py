"""Who is the same person: how often rules join strangers, and how often they miss one person.

    python benchmarks/same_person.py --pairs PAIRS [--pairs MORE] --actors RAVDESS --faces FACES
        --out runs/same-person [--write]

Missed are pairs of clips of one person, and altered copies of one picture. Strangers are people of
different names in PAIRS and RAVDESS, frames of videos, and photographs of FACES: adults looking at
the camera, by the annotators' groups. FACES holds many people more than once, without saying so.
Pairs there with a `measure_likeness` of .34 to .55 were looked at by eye, once and by one: those in
different_people.csv were taken for two people, where in doubt, too, all others for one, and so were
pairs that are more alike. Those that are less count as strangers, and some are none: that
overstates what rules join that hear only one recogniser, or either.

Intervals are 95 %: by the bootstrap over people (a pair is drawn as often as both are), or, where
that is wider, of counts as if pairs were independent (Garwood 1936). 20 minutes on 2 cores;
pictures that were measured are kept in OUT. --write stores benchmarks/same_person.json and the
table of docs/data.md.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from scipy.stats import chi2

from speech2face.console import ProgressBars, ProgressCallback
from speech2face.data.face_unwarping import measure_faces
from speech2face.data.merge_pairs import embed_identities, read_sets
from speech2face.data.pairs import Pair, Photograph, read_photographs
from speech2face.data.split_leaks import (
    DLIB_ALONE,
    RECOGNISERS,
    SAME,
    SFACE_ALONE,
    IdentityEmbeddings,
    measure_likeness,
)
from speech2face.evaluation.emotion_robustness import read_actors
from speech2face.files import write_text_atomically
from speech2face.metrics.intervals import Estimate, bootstrap_people
from speech2face.photographs import load_image
from speech2face.tables import read_table

HERE = Path(__file__).parent
STORED, TOLD_APART = HERE / "same_person.json", HERE / "different_people.csv"
LOOKED_AT = 0.34  # likeness from which pairs of photographs were looked at
PHOTOGRAPHS = 4_000  # by lot; those that were looked at
COPIED = 200  # people of whom one picture is altered
DRAWS = 1_000
BLOCK = 1_000
CANDIDATES = (0.40, 0.46)  # cosine from which, or distance up to which, pairs are kept

Rule = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Cosines by SFace and distances by dlib (n,) → whether one person (n,)."""

RULES: dict[str, Rule] = {
    "dlib < .35": lambda cosine, distance: distance < DLIB_ALONE,
    "dlib < .45": lambda cosine, distance: distance < 0.45,
    "SFace ≥ .52, or ≥ .40 with dlib < .42": lambda cosine, distance: (
        (cosine >= 0.52) | ((cosine >= 0.40) & (distance < 0.42))
    ),
    "both: SFace less half of dlib ≥ .36": lambda cosine, distance: (
        measure_likeness(cosine, distance) >= SAME
    ),
    "SFace ≥ .60": lambda cosine, distance: cosine >= SFACE_ALONE,
}
ALTERED: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "recompressed": lambda image: _compress(image, 20),
    "darker": lambda image: (image * 0.6).astype(np.uint8),
    "cropped": lambda image: image[_edge(image, 0) : -_edge(image, 0), _edge(image, 1) :],
    "half the size": lambda image: _halve(image),
    "mirrored": lambda image: np.ascontiguousarray(image[:, ::-1]),
    "mirrored, halved, recompressed": lambda image: _compress(_halve(image[:, ::-1]), 20),
}


@dataclass(frozen=True)
class Candidates:
    """Pairs of N faces that any rule might join; all others count only."""

    first: np.ndarray  # (n,)
    second: np.ndarray  # (n,)
    cosine: np.ndarray  # (n,)
    distance: np.ndarray  # (n,)

    def take(self, rows: np.ndarray) -> Candidates:
        columns = (self.first, self.second, self.cosine, self.distance)
        return Candidates(*(column[rows] for column in columns))


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure how people are told apart by faces.")
    parser.add_argument("--pairs", type=Path, required=True, action="append")
    parser.add_argument("--actors", type=Path, required=True, help="folder of RAVDESS")
    parser.add_argument("--faces", type=Path, required=True, help="folder with faces.csv")
    parser.add_argument("--out", type=Path, default=Path("runs/same-person"))
    parser.add_argument("--write", action="store_true", help="store the results, draw the table")
    given = parser.parse_args()
    with ProgressBars() as show:
        facts = measure(given, show)
    print(json.dumps(facts, indent=1, ensure_ascii=False))
    if given.write:
        write_text_atomically(STORED, json.dumps(facts, indent=1, ensure_ascii=False) + "\n")
        write_table(draw_table(facts))


def measure(given: argparse.Namespace, show: ProgressCallback) -> dict[str, Any]:
    cache = given.out / "cache"
    pairs = read_sets(given.pairs)
    clips = embed_identities(pairs, cache, show)
    missed = miss_clips(pairs, clips) | miss_copies(pairs, clips, given.out, show)
    actors = {pair.person: pair for pair in read_actors(given.actors)[0]}
    filmed = IdentityEmbeddings.join([clips, embed_identities([*actors.values()], cache, show)])
    people = [pair.person for pair in pairs] + [f"actor {name}" for name in actors]
    joined = {"frames of videos": join_strangers(filmed, np.array(people))}
    joined |= join_photographs(given.faces, cache, show)
    return {
        "rules": [*RULES],
        "people": len(set(people)),
        "photographs": PHOTOGRAPHS,
        "missed": missed,
        "joined": joined,
    }


def miss_clips(pairs: list[Pair], looks: IdentityEmbeddings) -> dict[str, Any]:
    """Pairs of clips of one person, by their names, that each rule takes for two people."""
    rows = [
        (i, j)
        for i, one in enumerate(pairs)
        for j in range(i)
        if pairs[j].person == one.person and np.isfinite(looks.dlib[[i, j], 0]).all()
    ]
    first, second = np.array(rows).T
    people = np.array([pairs[i].person for i in first])
    told = {"clips of one person": _miss(looks, first, looks, second, people)}
    for name in sorted({pair.set for pair in pairs} - {""}):
        own = np.array([pairs[i].set == name for i in first])
        part = _miss(looks, first[own], looks, second[own], people[own])
        told[f"clips of one person, {name}"] = part
    return told


def miss_copies(
    pairs: list[Pair], looks: IdentityEmbeddings, out: Path, show: ProgressCallback
) -> dict[str, Any]:
    """Altered copies that each rule takes for another person than the picture."""
    first = {pair.person: i for i, pair in reversed([*enumerate(pairs)])}
    seen = [i for i in first.values() if np.isfinite(looks.dlib[i, 0])]
    chosen = np.sort(np.random.default_rng(0).permutation(seen)[:COPIED])
    told = {}
    for kind, alter in ALTERED.items():
        folder = out / "altered" / kind.replace(", ", "-").replace(" ", "-")
        folder.mkdir(parents=True, exist_ok=True)
        copies = [folder / f"{n}.png" for n in range(len(chosen))]
        for path, i in zip(copies, chosen, strict=True):
            if not path.is_file():
                cv2.imwrite(str(path), alter(load_image(pairs[i].face))[..., ::-1])
        altered = _look(copies, out / "cache", show)
        known = np.flatnonzero(np.isfinite(altered.dlib[:, 0]))
        told[kind] = _miss(altered, known, looks, chosen[known], known.astype(str))
    return told


def _miss(
    one: IdentityEmbeddings,
    rows: np.ndarray,
    other: IdentityEmbeddings,
    columns: np.ndarray,
    people: np.ndarray,
) -> dict[str, Any]:
    """Of pairs of one person (n): which share each rule takes for two."""
    cosine = (_unit(one.sface[rows]) * _unit(other.sface[columns])).sum(1)
    distance = np.linalg.norm(one.dlib[rows] - other.dlib[columns], axis=1)
    return {
        "pairs": len(rows),
        "rules": {
            name: asdict(bootstrap_people((~rule(cosine, distance)).astype(float), people))
            for name, rule in RULES.items()
        },
    }


def join_photographs(folder: Path, cache: Path, show: ProgressCallback) -> dict[str, Any]:
    """What each rule joins of strangers' photographs: of all, and within each group."""
    every = read_photographs(folder)
    order = np.random.default_rng(0).permutation(len(every))[:PHOTOGRAPHS]
    photographs = [every[i] for i in order]
    looks = _look([p.path for p in photographs], cache, show)
    found = find_candidates(looks)
    likeness = measure_likeness(found.cosine, found.distance)
    strangers = found.take((likeness < LOOKED_AT) | find_told_apart(photographs, found))
    seen = np.isfinite(looks.dlib[:, 0])
    told = {"photographs": _join(strangers, seen)}
    for label in ("race", "gender"):
        labels = np.array([getattr(p, label) for p in photographs])
        for group in sorted(set(labels)):
            own = seen & (labels == group)
            within = strangers.take(own[strangers.first] & own[strangers.second])
            told[f"photographs, {group}"] = _join(within, own)
    return told


def find_told_apart(photographs: list[Photograph], found: Candidates) -> np.ndarray:
    """Which pairs (n,) were taken for two people by who looked at them."""
    rows = read_table(TOLD_APART, ("image", "other"))
    apart = {frozenset((row["image"], row["other"])) for row in rows}
    names = [p.path.name for p in photographs]
    places = zip(found.first, found.second, strict=True)
    return np.array([frozenset((names[i], names[j])) in apart for i, j in places])


def join_strangers(looks: IdentityEmbeddings, people: np.ndarray) -> dict[str, Any]:
    """What each rule joins of people (N,) who are known to be different."""
    found = find_candidates(looks)
    seen = np.isfinite(looks.dlib[:, 0])
    return _join(found.take(people[found.first] != people[found.second]), seen, people)


def _join(found: Candidates, seen: np.ndarray, people: np.ndarray | None = None) -> dict[str, Any]:
    """Pairs of strangers among the faces `seen` (N,) bool; a face is a person if no `people`."""
    names = np.arange(len(seen)) if people is None else np.unique(people, return_inverse=True)[1]
    of_person = np.bincount(names[seen], minlength=names.max() + 1).astype(float)
    rng = np.random.default_rng(0)
    there = np.flatnonzero(of_person)
    weights = np.zeros((DRAWS, len(of_person)))
    weights[:, there] = rng.multinomial(len(there), np.full(len(there), 1 / len(there)), DRAWS)
    pairs = _count_pairs(of_person[None])[0]
    drawn = _count_pairs(of_person * weights)
    told = {}
    for name, rule in RULES.items():
        joined = found.take(rule(found.cosine, found.distance))
        first, second = names[joined.first], names[joined.second]
        rates = (weights[:, first] * weights[:, second]).sum(1) / drawn
        count = len(first)
        counted = chi2.ppf([0.025, 0.975], [2 * count, 2 * count + 2]) / 2 / pairs
        low = min(np.quantile(rates, 0.025), counted[0] if count else 0.0)
        high = max(np.quantile(rates, 0.975), counted[1])
        rate = Estimate(*(round(float(1e6 * x), 3) for x in (count / pairs, low, high)))
        told[name] = {"joined": count, "per_million": asdict(rate)}
    return {"pairs": round(pairs), "rules": told}


def _count_pairs(faces: np.ndarray) -> np.ndarray:
    """Faces of each person (draws, P) → pairs of faces of two people (draws,)."""
    return (faces.sum(1) ** 2 - (faces**2).sum(1)) / 2


def find_candidates(looks: IdentityEmbeddings) -> Candidates:
    """All pairs of faces, but for those that are alike to neither recogniser."""
    sface, dlib = _unit(looks.sface), looks.dlib.astype(np.float64)
    squares = (dlib**2).sum(1)
    parts: list[np.ndarray] = []
    least, most = CANDIDATES
    for top in range(0, len(dlib), BLOCK):
        rows = slice(top, top + BLOCK)
        cosine = sface[rows] @ sface.T
        squared = squares[rows, None] + squares - 2 * dlib[rows] @ dlib.T
        distance = np.sqrt(np.maximum(squared, 0))
        later = np.arange(len(dlib)) > np.arange(top, top + len(cosine))[:, None]
        i, j = np.nonzero(later & ((cosine >= least) | (distance < most)))
        parts.append(np.stack([i + top, j, cosine[i, j], distance[i, j]]))
    first, second, cosine, distance = np.concatenate(parts, axis=1)
    return Candidates(first.astype(int), second.astype(int), cosine, distance)


def _look(paths: list[Path], cache: Path, show: ProgressCallback) -> IdentityEmbeddings:
    found: dict[str, np.ndarray] = {}
    for name in RECOGNISERS:
        measured = measure_faces(paths, name, cache, show, also=RECOGNISERS)
        found[name] = np.full((len(paths), 128), np.nan, np.float32)
        found[name][measured.index] = measured.embeddings
    return IdentityEmbeddings.gather(found, len(paths))


def _unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def _compress(image: np.ndarray, quality: int) -> np.ndarray:
    _, data = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1]


def _halve(image: np.ndarray) -> np.ndarray:
    return cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)


def _edge(image: np.ndarray, axis: int) -> int:
    """What is cropped of a side, pixels."""
    return image.shape[axis] // 10


def draw_table(facts: dict[str, Any]) -> str:
    """The table of docs/data.md: a rule a column."""
    rules = facts["rules"]
    lines = [f"| | pairs | {' | '.join(rules)} |", "|--" * (len(rules) + 2) + "|"]
    for what, told in facts["missed"].items():
        cells = [format_share(told["rules"][rule]) for rule in rules]
        lines.append(f"| missed: {what} | {told['pairs']:,} | {' | '.join(cells)} |")
    for what, told in facts["joined"].items():
        cells = [format_rate(told["rules"][rule]["per_million"]) for rule in rules]
        lines.append(f"| joined: {what} | {told['pairs']:,} | {' | '.join(cells)} |")
    return "\n".join(lines)


def format_share(estimate: dict[str, float]) -> str:
    value, low, high = (f"{100 * estimate[key]:.0f}" for key in ("value", "low", "high"))
    return f"{value} % [{low}, {high}]"


def format_rate(estimate: dict[str, float]) -> str:
    places = 0 if estimate["value"] >= 10 else 1
    value, low, high = (f"{estimate[key]:,.{places}f}" for key in ("value", "low", "high"))
    return f"{value} [{low}, {high}]"


def write_table(table: str) -> None:
    path = HERE.parent / "docs/data.md"
    start, end = "<!-- same person -->\n", "\n<!-- /same person -->"
    before, _, rest = path.read_text().partition(start)
    write_text_atomically(path, before + start + table + end + rest.partition(end)[2])


if __name__ == "__main__":
    main()
