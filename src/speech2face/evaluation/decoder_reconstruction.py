"""Decoder reconstruction: how well a decoder draws photographs from their own embeddings.

No voice plays a part: what is lost here, the recogniser and the decoder lose. The figures say how
new faces fare only where the decoder was not trained on these photographs. A picture drawn from a
photograph is called its copy.

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

import numpy as np
from PIL import Image

from speech2face.console import ProgressCallback
from speech2face.data.attribute_classifier import AgeSexJudge
from speech2face.data.pairs import PICTURES, Photograph, find_files, identify_photographs
from speech2face.errors import ModelError, UsageError
from speech2face.evaluation.attribute_agreement import compare_age_sex, judge_clips
from speech2face.evaluation.rating_networks import embed_pictures
from speech2face.evaluation.sharpness import PARTS, measure_sharpness
from speech2face.face_detection import FaceDetector
from speech2face.face_drawing import draw_faces
from speech2face.files import hash_file, write_atomically, write_text_atomically
from speech2face.metrics.evaluation_results import (
    RECOGNISERS,
    GroupedFigures,
    GroupFigures,
    NoseOffset,
    ReconstructionReport,
    Sharpness,
)
from speech2face.metrics.fairness import GroupName, compare_groups
from speech2face.metrics.matching import centred_cosine, two_way
from speech2face.photographs import load_image
from speech2face.pictures import write_png
from speech2face.run_provenance import describe, hash_key
from speech2face.runtime import open_session

BATCH = 8  # faces drawn at a time
SHEET = 60  # photographs on the sheet


@dataclass(frozen=True)
class PictureMeasures:
    """Measures of N pictures; NaN where no face is found."""

    detected: np.ndarray  # (N,) 1 where a face is found without a border around the picture
    sharpness: np.ndarray  # (N, 3) see `measure_sharpness`
    age_sex: np.ndarray  # (N, 2) see `AgeSexJudge.judge`


def measure_reconstruction(
    decoder: Path,
    photographs: Sequence[Photograph],
    folder: Path,
    show: ProgressCallback,
    seed: int = 0,
    beside: Sequence[Path] = (),
    face_encoder: str = "dlib",
    cache: Path | None = None,
) -> ReconstructionReport:
    """Draw and judge copies; write copies.json and sheet.png in `folder`.

    `decoder` is an ONNX file that takes embeddings of `face_encoder`; what it drew in `folder`
    before is kept. The sharpness of the pictures in the folders `beside` is measured too.
    `sheet.png` shows real people: it is for the eyes of whoever holds the photographs.
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
    true, predicted = (
        {name: embed_pictures(paths, name, cache, show, what) for name in RECOGNISERS}
        for paths, what in ((every, "photographs"), (pictures, "copies"))
    )
    if any(np.isfinite(faces.embeddings[:, 0]).sum() < 2 for faces in predicted.values()):
        raise ModelError(f"{decoder}: no faces are found in what it draws.")
    wins = {
        name: match_copies(predicted[name].embeddings, true[name].embeddings[seen])
        for name in RECOGNISERS
    }

    chosen = [photographs[i] for i in seen]
    original = measure_pictures([p.path for p in chosen], judge, show, "photographs")
    drawn = measure_pictures(pictures, judge, show, "copies")
    groups, worst = group_figures(wins, chosen, seed)
    same_sex, years_apart = judge_clips(drawn.age_sex, original.age_sex)
    judged, _ = group_figures({"years_apart": years_apart, "same_sex": same_sex}, chosen, seed)
    sharp = {k: measure_pictures(v, None, show, k).sharpness for k, v in others.items()}
    data = {"photographs": identify_photographs(photographs), "decoder": hash_file(decoder)}
    report = ReconstructionReport(
        provenance=describe({"seed": seed, "face_encoder": face_encoder}, data),
        decoder=hash_file(decoder),
        photographs=len(seen),
        without_a_face=len(every) - len(seen),
        chance=0.5,
        two_way=groups,
        worst_group=worst,
        detected=float(drawn.detected.mean()),
        nose=NoseOffset(_median(abs(predicted["dlib"].yaw)), _median(abs(noses[seen]))),
        sharpness={
            part: Sharpness(
                _median(drawn.sharpness[:, column]),
                _median(original.sharpness[:, column]),
                {k: _median(values[:, column]) for k, values in sharp.items()},
            )
            for column, part in enumerate(PARTS)
        },
        age_sex=compare_age_sex(drawn.age_sex, original.age_sex, [p.gender for p in chosen]),
        age_sex_groups=judged,
    )
    write_text_atomically(folder / "copies.json", json.dumps(asdict(report), indent=2) + "\n")
    sheet = _sheet([p.path for p in chosen], pictures)
    with write_atomically(folder / "sheet.png") as file:
        sheet.save(file, "PNG")
    return report


def draw_copies(
    decoder: Path, embeddings: np.ndarray, pictures: Sequence[Path], show: ProgressCallback
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


def group_figures(
    figures: dict[str, np.ndarray], photographs: Sequence[Photograph], seed: int
) -> tuple[GroupedFigures, dict[str, GroupName | None]]:
    """Figures (N,) by name → their means of all and by label; the lowest group by name."""
    people = np.arange(len(photographs))
    labels = {
        label: np.array([getattr(p, label) for p in photographs])
        for label in ("age", "gender", "race")
    }
    compared = {name: compare_groups(f, people, labels, seed) for name, f in figures.items()}
    everybody = {name: fairness.everybody for name, fairness in compared.items()}
    groups: dict[str, dict[str, GroupFigures]] = {}
    for name, fairness in compared.items():
        for kind, by_label in fairness.groups.items():
            for label, group in by_label.items():
                row = groups.setdefault(kind, {}).setdefault(label, GroupFigures(group.people, {}))
                row.figures[name] = group.figure
    return (
        GroupedFigures(GroupFigures(len(photographs), everybody), groups),
        {name: fairness.worst for name, fairness in compared.items()},
    )


def measure_pictures(
    pictures: Sequence[Path], judge: AgeSexJudge | None, show: ProgressCallback, what: str
) -> PictureMeasures:
    """Detection, sharpness and, with a judge, age and sex of the largest face of each picture."""
    detector, count = FaceDetector(), len(pictures)
    measures = PictureMeasures(
        np.zeros(count), np.full((count, len(PARTS)), np.nan), np.full((count, 2), np.nan)
    )
    for i, path in enumerate(pictures):
        image = load_image(path)
        faces = detector.detect(image)
        measures.detected[i] = len(faces) > 0
        if face := faces[0] if faces else detector.largest(image):
            measures.sharpness[i] = measure_sharpness(image, face.landmarks)
            if judge:
                measures.age_sex[i] = judge.judge(image, face.landmarks)
        show(f"measuring {what}", i + 1, count, "")
    return measures


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
