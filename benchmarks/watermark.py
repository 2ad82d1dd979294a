"""The watermark of drawn pictures: how often it is found, and how often where there is none.

    python benchmarks/watermark.py --faces FACES --out runs/watermark [--write]

Drawn are typical faces and samples of the example recordings, plain and as cartoons, at 224 and
448 px. Each is marked, then altered in ways that a picture meets on its way, and looked for again.
False alarms are counted on the photographs of FACES: the threshold is set by one half of them, what
is reported is the other half and all. Scores of photographs are kept in OUT, where a run that was
stopped goes on; all 10,594 take an hour on one core. `--part drawn` or `--part photographs`
measures one of them; --write stores benchmarks/watermark.json.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import speech2face
from speech2face import watermark
from speech2face.console import ProgressBars, ProgressCallback
from speech2face.face_drawing import HairChoice, draw_faces, finish_picture
from speech2face.files import hash_file, write_text_atomically
from speech2face.model_folders import find_model
from speech2face.photographs import load_image
from speech2face.runtime import open_session
from speech2face.watermark import Mark, add_mark, find_mark

HERE = Path(__file__).parent
STORED, EXAMPLES = HERE / "watermark.json", HERE.parent / "examples"
SAMPLES = 11  # beside the typical face and a strong one, of each recording
KINDS = {"plain": (224, 448), "cartoon": (224, 448)}

Alter = Callable[[Image.Image], Image.Image]


def compress(quality: int) -> Alter:
    def alter(picture: Image.Image) -> Image.Image:
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=quality)
        return Image.open(file).convert("RGB")

    return alter


def resize(factor: float, filter_name: str = "LANCZOS") -> Alter:
    def alter(picture: Image.Image) -> Image.Image:
        side = round(picture.width * factor)
        return picture.resize((side, side), Image.Resampling[filter_name])

    return alter


def crop(left: float, top: float, right: float, bottom: float) -> Alter:
    """Cut shares of the picture off its sides."""

    def alter(picture: Image.Image) -> Image.Image:
        n = picture.width
        sides = (n * left, n * top, n - n * right, n - n * bottom)
        return picture.crop(tuple(round(side) for side in sides))  # type: ignore[arg-type]

    return alter


def crop_anywhere(picture: Image.Image) -> Image.Image:
    """Cut a tenth of the width and of the height off, split by chance between opposite sides."""
    digest = hashlib.sha256(picture.tobytes()).digest()
    x, y = digest[0] / 2550, digest[1] / 2550
    return crop(x, y, 0.1 - x, 0.1 - y)(picture)


def chain(*steps: Alter) -> Alter:
    def alter(picture: Image.Image) -> Image.Image:
        for step in steps:
            picture = step(picture)
        return picture

    return alter


# The first seven are what a mark has to survive; the others are beside.
ALTERED: dict[str, Alter] = {
    "as drawn": lambda picture: picture,
    "JPEG 75": compress(75),
    "half the size": resize(0.5),
    "half the size, bilinear": resize(0.5, "BILINEAR"),
    "a tenth cropped anywhere": crop_anywhere,
    "a tenth cropped off all sides": crop(0.1, 0.1, 0.1, 0.1),
    "a tenth cropped off one side": crop(0.1, 0, 0, 0),
    "cropped, JPEG 75": chain(crop_anywhere, compress(75)),
    "half the size, JPEG 75": chain(resize(0.5), compress(75)),
    "half as large again, JPEG 75": chain(resize(1.5), compress(75)),
}


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the watermark of drawn pictures.")
    parser.add_argument("--faces", type=Path, required=True, help="folder with photographs")
    parser.add_argument("--out", type=Path, default=Path("runs/watermark"))
    parser.add_argument("--part", choices=("drawn", "photographs"), help="measure only one part")
    parser.add_argument("--write", action="store_true", help="store benchmarks/watermark.json")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    results = json.loads(STORED.read_text(encoding="utf-8")) if STORED.is_file() else {}
    with ProgressBars() as show:
        if given.part != "photographs":
            results["drawn"] = measure_drawn(given.out, show)
        if given.part != "drawn":
            results["photographs"] = count_alarms(given.faces, given.out, show)
    results["threshold"] = watermark.THRESHOLD
    print(json.dumps(results, indent=1))
    if given.write:
        write_text_atomically(STORED, json.dumps(results, indent=1) + "\n")
        write_table(draw_table(results))


def draw_pictures(style: str, size: int) -> Iterator[Image.Image]:
    """Unmarked pictures of the examples: the typical face, a strong one, and samples."""
    network = speech2face.load(threads=1)
    decoder = open_session(find_model().face_decoder, 1)
    for path in sorted(EXAMPLES.glob("*.flac")):
        voice = network.embed(path)
        faces = [voice.at_strength(1), voice.at_strength(1.5), *voice.sample(SAMPLES)]
        drawn = draw_faces(decoder, np.stack(faces), HairChoice())
        for pixels, landmarks in zip(*drawn, strict=True):
            yield finish_picture(pixels, landmarks, size, style)


def measure_drawn(out: Path, show: ProgressCallback) -> dict[str, Any]:
    """What is found in marked pictures after each alteration, by style and size.

    Each is kept in `out` as soon as it is measured, for this very text of the watermark's module.
    """
    stored = out / f"drawn-{hash_file(Path(watermark.__file__))[:16]}.json"
    results = json.loads(stored.read_text(encoding="utf-8")) if stored.is_file() else {}
    for style, sizes in KINDS.items():
        for size in sizes:
            if f"{style}, {size} px" in results:
                continue
            pictures = list(draw_pictures(style, size))
            numbers = np.random.default_rng(size).integers(0, 256, len(pictures)).tolist()
            marked = [add_mark(p, n) for p, n in zip(pictures, numbers, strict=True)]
            row: dict[str, Any] = {"pictures": len(pictures)}
            row["psnr"] = round(
                float(np.mean([measure_psnr(*x) for x in zip(pictures, marked, strict=True)])), 1
            )
            row["unmarked_highest"] = round(max(find_mark(p).score for p in pictures), 2)
            row["altered"] = {}
            for done, (name, alter) in enumerate(ALTERED.items(), 1):
                marks = [find_mark(alter(picture)) for picture in marked]
                row["altered"][name] = describe(marks, numbers)
                show(f"{style}, {size} px", done, len(ALTERED), name)
            results[f"{style}, {size} px"] = row
            write_text_atomically(stored, json.dumps(results))
    return results


def describe(marks: list[Mark], numbers: list[int]) -> dict[str, Any]:
    pairs = list(zip(marks, numbers, strict=True))
    return {
        "found": sum(mark.found for mark in marks),
        "number_right": sum(mark.number == number for mark, number in pairs),
        "number_wrong": sum(mark.number not in (None, number) for mark, number in pairs),
        "lowest_score": round(min(mark.score for mark in marks), 2),
    }


def measure_psnr(picture: Image.Image, other: Image.Image) -> float:
    """Peak signal-to-noise ratio, dB."""
    difference = np.asarray(picture, np.float64) - np.asarray(other, np.float64)
    return float(10 * np.log10(255**2 / (difference**2).mean()))


def count_alarms(faces: Path, out: Path, show: ProgressCallback) -> dict[str, Any]:
    """Photographs in which the pattern is found, which none of them carries."""
    paths = sorted(path for path in faces.rglob("*.jpg"))
    stored = out / "photographs.jsonl"
    scores: dict[str, float] = {}
    if stored.is_file():
        for line in stored.read_text(encoding="utf-8").splitlines():
            scores |= json.loads(line)
    with stored.open("a", encoding="utf-8") as file:
        for done, path in enumerate(paths, 1):
            if path.stem not in scores:
                scores[path.stem] = find_mark(Image.fromarray(load_image(path))).score
                file.write(json.dumps({path.stem: scores[path.stem]}) + "\n")
                file.flush()
            show("photographs", done, len(paths), "")
    return describe_alarms(scores)


def describe_alarms(scores: dict[str, float]) -> dict[str, Any]:
    """The halves are of photographs by the hash of their names."""
    halves: tuple[list[float], list[float]] = ([], [])
    for name, score in scores.items():
        halves[hashlib.sha256(name.encode()).digest()[0] % 2].append(score)
    tuned, held_out = (np.sort(half)[::-1] for half in halves)
    return {
        "photographs": len(scores),
        "false_alarms": sum(score >= watermark.THRESHOLD for score in scores.values()),
        "one_in_10000_by_tail_of_tuning_half": extrapolate(tuned),
        "held_out": len(held_out),
        "held_out_false_alarms": int((held_out >= watermark.THRESHOLD).sum()),
        "highest_of_tuning_half": [round(float(score), 2) for score in tuned[:5]],
        "highest_held_out": [round(float(score), 2) for score in held_out[:5]],
    }


def extrapolate(scores: np.ndarray, start: float = 5.6, rate: float = 1e-4) -> float:
    """The score that this share of photographs exceeds, if what exceeds `start` falls off
    exponentially (Pickands, "Statistical inference using extreme order statistics", 1975)."""
    beyond = scores[scores > start] - start
    share = len(beyond) / len(scores)
    return round(float(start + beyond.mean() * np.log(share / rate)), 2)


def draw_table(results: dict[str, Any]) -> str:
    """The table of docs/marks.md, a kind of picture a column, and what is said of photographs."""
    drawn, photographs = results["drawn"], results["photographs"]
    kinds = [f"{style}, {size} px" for style, sizes in KINDS.items() for size in sizes]
    lines = [f"| | {' | '.join(kinds)} |", "|--" * (len(kinds) + 1) + "|"]
    counts = [str(drawn[kind]["pictures"]) for kind in kinds]
    lines.append(f"| pictures | {' | '.join(counts)} |")
    for name in ALTERED:
        rows = [drawn[kind]["altered"][name] for kind in kinds]
        cells = [f"{row['found']}, number {row['number_right']}" for row in rows]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    wrong = [sum(row["number_wrong"] for row in drawn[k]["altered"].values()) for k in kinds]
    lines.append(f"| a wrong number read, of all | {' | '.join(map(str, wrong))} |")
    ratios = [f"{drawn[kind]['psnr']:.1f} dB" for kind in kinds]
    lines.append(f"| distance to the unmarked picture (PSNR) | {' | '.join(ratios)} |")
    alarms = f"{photographs['false_alarms']} of {photographs['photographs']:,}"
    held_out = f"{photographs['held_out_false_alarms']} of the {photographs['held_out']:,}"
    highest = max(photographs["highest_of_tuning_half"] + photographs["highest_held_out"])
    lines += [
        "",
        f"False alarms: the watermark was found in {alarms} photographs of people, in {held_out}",
        f"by which the threshold, {results['threshold']}, was not chosen. The highest score of a",
        f"photograph was {highest:.2f}.",
    ]
    return "\n".join(lines)


def write_table(table: str) -> None:
    path = HERE.parent / "docs/marks.md"
    start, end = "<!-- watermark -->\n", "\n<!-- /watermark -->"
    before, _, rest = path.read_text(encoding="utf-8").partition(start)
    write_text_atomically(path, before + start + table + end + rest.partition(end)[2])


if __name__ == "__main__":
    main()
