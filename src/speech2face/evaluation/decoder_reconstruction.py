"""Copies: how well a decoder draws photographs from their own embeddings.

No voice plays a part: what is lost here is lost by the recogniser and the decoder alone. It says
how new faces fare only where the decoder was not trained on these photographs.

two-way       how often the drawn face is nearer to its own photograph than to another person's
detected      share of the drawn pictures in which the detector finds a face
nose          how far its tip is from the middle of the eyes, along their line, in eye distances
sharpness     of the whole face, of skin and of hair, see sharpness.py
age and sex   drawn beside photographed, as a judge sees them
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from speech2face.console import Show
from speech2face.data.attribute_classifier import AgeSexJudge
from speech2face.data.pairs import PICTURES, Photograph, find_files, identify_photographs
from speech2face.errors import ModelError, UsageError
from speech2face.evaluation.attribute_agreement import compare_age_sex, judge_clips
from speech2face.evaluation.raters import JUDGES, embed_pictures
from speech2face.evaluation.sharpness import PARTS, measure_sharpness
from speech2face.face_detection import FaceDetector
from speech2face.face_drawing import draw_faces
from speech2face.files import write_atomically
from speech2face.metrics.fairness import FEWEST, compare_groups
from speech2face.metrics.intervals import Estimate
from speech2face.metrics.matching import centred_cosine, two_way
from speech2face.photographs import load_image
from speech2face.pictures import write_png
from speech2face.provenance import describe, hash_key
from speech2face.runtime import open_session
from speech2face.weights import hash_file

BATCH = 8  # faces drawn at a time
SHEET = 60  # photographs on the sheet


@dataclass(frozen=True)
class Looks:
    """What a look at each of N pictures showed; NaN where no face is found."""

    detected: np.ndarray  # (N,) 1 where a face is found without a border around the picture
    sharpness: np.ndarray  # (N, 3) see `measure_sharpness`
    age_sex: np.ndarray  # (N, 2) see `AgeSexJudge.judge`


def report_copies(
    decoder: Path,
    photographs: Sequence[Photograph],
    folder: Path,
    show: Show,
    seed: int = 0,
    beside: Sequence[Path] = (),
    face_encoder: str = "dlib",
    cache: Path | None = None,
) -> str:
    """Draw and judge copies; write copies.json and sheet.png in `folder`; return the table.

    `decoder` is an ONNX file that takes embeddings of `face_encoder`; what it drew in `folder`
    before is kept. The sharpness of the pictures in the folders `beside` is told too. `sheet.png`
    shows real people: it is for the eyes of whoever holds the photographs.
    """
    judge = AgeSexJudge()
    others = {
        str(place): [path for paths in find_files(place, PICTURES).values() for path in paths]
        for place in beside
    }
    if empty := [place for place, pictures in others.items() if not pictures]:
        raise UsageError(f"{empty[0]}: no pictures there.")
    cache = cache or folder / "cache"
    every = [p.path for p in photographs]
    own = embed_pictures(every, face_encoder, cache, show, "photographs")
    embeddings, noses = own.embeddings, own.yaw
    seen = [int(i) for i in np.flatnonzero(np.isfinite(embeddings[:, 0]))]
    if len(seen) < 2:
        raise UsageError(f"a face is found in {len(seen)} photographs; two or more are needed.")

    shown = hashlib.sha256(embeddings[seen].tobytes()).hexdigest()
    names = [every[i].name for i in seen]
    run = folder / f"drawn-{hash_key(hash_file(decoder), shown, names)[:16]}"
    pictures = [run / f"{i}-{every[i].stem}.png" for i in seen]
    draw_copies(decoder, embeddings[seen], pictures, show)
    true = {
        name: embed_pictures(every, name, cache, show, "photographs").embeddings for name in JUDGES
    }
    made = {name: embed_pictures(pictures, name, cache, show, "copies") for name in JUDGES}
    if any(np.isfinite(faces.embeddings[:, 0]).sum() < 2 for faces in made.values()):
        raise ModelError(f"{decoder}: no faces are found in what it draws.")
    wins = {name: match_copies(made[name].embeddings, true[name][seen]) for name in JUDGES}

    chosen = [photographs[i] for i in seen]
    original = look_at([p.path for p in chosen], judge, show, "photographs")
    drawn = look_at(pictures, judge, show, "copies")
    groups, worst = compare_labels(wins, chosen, seed)
    same_sex, years_apart = judge_clips(drawn.age_sex, original.age_sex)
    judged, _ = compare_labels({"years_apart": years_apart, "same_sex": same_sex}, chosen, seed)
    sharp = {k: look_at(v, None, show, k).sharpness for k, v in others.items()}
    whole, *parts = (
        {
            "drawn": _median(drawn.sharpness[:, part]),
            "photographs": _median(original.sharpness[:, part]),
            "beside": {k: _median(v[:, part]) for k, v in sharp.items()},
        }
        for part in range(len(PARTS))
    )
    data = {"photographs": identify_photographs(photographs), "decoder": hash_file(decoder)}
    facts = {
        "provenance": asdict(describe({"seed": seed, "face_encoder": face_encoder}, data)),
        "decoder": hash_file(decoder),
        "photographs": len(seen),
        "without_a_face": len(every) - len(seen),
        "chance": 0.5,
        "two_way": groups,
        "worst_group": worst,
        "detected": float(drawn.detected.mean()),
        "nose": {"drawn": _median(abs(made["dlib"].yaw)), "photographs": _median(abs(noses[seen]))},
        "sharpness": whole | dict(zip(PARTS[1:], parts, strict=True)),
        "age_sex": compare_age_sex(drawn.age_sex, original.age_sex, [p.gender for p in chosen]),
        "age_sex_groups": judged,
    }
    with write_atomically(folder / "copies.json") as file:
        file.write((json.dumps(facts, indent=2) + "\n").encode())
    sheet = _sheet([p.path for p in chosen], pictures)
    with write_atomically(folder / "sheet.png") as file:
        sheet.save(file, "PNG")
    return tell(facts)


def draw_copies(
    decoder: Path, embeddings: np.ndarray, pictures: Sequence[Path], show: Show
) -> None:
    """Draw the face at each embedding (N, D) into its file; files that exist are left alone."""
    session = open_session(decoder)
    todo = [i for i, path in enumerate(pictures) if not path.is_file()]
    for start in range(0, len(todo), BATCH):
        rows = todo[start : start + BATCH]
        pixels, _ = draw_faces(session, embeddings[rows].astype(np.float32))
        for i, picture in zip(rows, pixels, strict=True):
            pictures[i].parent.mkdir(parents=True, exist_ok=True)
            write_png(Image.fromarray(picture), pictures[i], decoder.stem)
        show("drawing", len(pictures) - len(todo) + start + len(rows), len(pictures), "")


def match_copies(drawn: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Embeddings (N, D) twice, each row another person → two-way wins (N,).

    A picture in which no face is found (NaN) wins nothing, and its photograph is no opponent.
    """
    found = np.flatnonzero(np.isfinite(drawn[:, 0]))
    wins = np.zeros(len(drawn))
    wins[found] = two_way(centred_cosine(drawn[found], true[found]), found)
    return wins


def compare_labels(
    figures: dict[str, np.ndarray], photographs: Sequence[Photograph], seed: int
) -> tuple[dict[str, dict[str, Any]], dict[str, str | None]]:
    """Figures (N,) by name → n and estimates by group, of all and by label; the lowest by name."""
    people = np.arange(len(photographs))
    labels = {
        label: np.array([getattr(p, label) for p in photographs])
        for label in ("age", "gender", "race")
    }
    found = {name: compare_groups(f, people, labels, seed) for name, f in figures.items()}
    groups: dict[str, dict[str, Any]] = {"all": {"n": len(photographs)}}
    for name, fairness in found.items():
        groups["all"][name] = asdict(fairness.everybody)
        for group, told in fairness.groups.items():
            groups.setdefault(group, {"n": told.people})[name] = asdict(told.figure)
    return groups, {name: fairness.worst for name, fairness in found.items()}


def look_at(pictures: Sequence[Path], judge: AgeSexJudge | None, show: Show, what: str) -> Looks:
    """Detection, sharpness and, with a judge, age and sex of the largest face of each picture."""
    detector, count = FaceDetector(), len(pictures)
    looks = Looks(
        np.zeros(count), np.full((count, len(PARTS)), np.nan), np.full((count, 2), np.nan)
    )
    for i, path in enumerate(pictures):
        image = load_image(path)
        found = detector.detect(image)
        looks.detected[i] = len(found) > 0
        if face := found[0] if found else detector.largest(image):
            looks.sharpness[i] = measure_sharpness(image, face.landmarks)
            if judge:
                looks.age_sex[i] = judge.judge(image, face.landmarks)
        show(f"looking at {what}", i + 1, count, "")
    return looks


def tell(facts: dict[str, Any]) -> str:
    """What copies.json holds, as a table."""
    nose, sharpness, looks = facts["nose"], facts["sharpness"], facts["age_sex"]
    right = "" if looks["judge_right"] is None else f"; judge by labels {looks['judge_right']:.3f}"
    lowest = ", ".join(
        f"{group or 'none'} by {name}" for name, group in facts["worst_group"].items()
    )
    lines = [
        f"Copies of {facts['photographs']} photographs, drawn from their own embeddings; "
        f"photographs without a face found: {facts['without_a_face']}",
        f"  a face is found in     {facts['detected']:.3f} of the copies",
        f"  nose off the middle    {nose['drawn']:.3f} of the eyes' distance; "
        f"photographs {nose['photographs']:.3f}",
        _tell_sharpness("sharpness", sharpness),
        _tell_sharpness("… in skin", sharpness["skin"]),
        _tell_sharpness("… in hair", sharpness["hair"]),
        f"  age, years apart       {looks['years_apart']:.1f}, {looks['years_older']:+.1f} on "
        f"average; all at the median age {looks['years_apart_at_median']:.1f}",
        f"  sex, share the same    {looks['same_sex']:.3f}; "
        f"all of one sex {looks['same_sex_by_majority']:.3f}{right}",
        "Two-way matching (chance .500), years apart and share of the same sex; 95 % intervals "
        "over people",
        f"  {'':<24} {'n':>5}  "
        + "".join(f"{name:<24}" for name in (*JUDGES, "years apart", "same sex")).rstrip(),
    ]
    for group, row in facts["two_way"].items():
        judged = facts["age_sex_groups"].get(group, {})
        told = [row[name] for name in JUDGES]
        told += [judged.get(name) for name in ("years_apart", "same_sex")]
        estimates = "".join(f"{Estimate(**one) if one else '-'!s:<24}" for one in told).rstrip()
        lines.append(f"  {group:<24} {row['n']:>5}  {estimates}")
    return "\n".join([*lines, f"  lowest of the groups of {FEWEST} or more: {lowest}"])


def _tell_sharpness(name: str, told: dict[str, Any]) -> str:
    figures = {"": told["drawn"], "; photographs": told["photographs"]}
    figures |= {f", {place}": value for place, value in told["beside"].items()}
    shown = ("–" if value is None else f"{value:.0f}" for value in figures.values())
    words = (f"{who} {value}" for who, value in zip(figures, shown, strict=True))
    return f"  {name:<22}{''.join(words)}"


def _median(values: np.ndarray) -> float | None:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else None


def _sheet(photographs: Sequence[Path], copies: Sequence[Path]) -> Image.Image:
    """Sixty photographs, evenly chosen, each with its copy beneath."""
    chosen = np.linspace(0, len(copies) - 1, min(SHEET, len(copies))).astype(int)
    side, columns = 112, 15
    height = 2 * side + 8
    sheet = Image.new("RGB", (columns * side, -(-len(chosen) // columns) * height), "white")
    for place, i in enumerate(chosen):
        for line, path in enumerate((photographs[i], copies[i])):
            small = Image.fromarray(load_image(path)).resize((side, side), Image.Resampling.LANCZOS)
            sheet.paste(small, (place % columns * side, place // columns * height + line * side))
    return sheet
