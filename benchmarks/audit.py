"""How far the audit can be trusted: statements beside what happened, and anonymisers attacked.

    python benchmarks/audit.py calibrate --pairs PAIRS --faces FACES [--write]
    python benchmarks/audit.py attack [METHOD …] --pairs PAIRS --voices VOICES [--write]
    python benchmarks/audit.py draw

`draw` writes the tables and plots of docs/privacy.md from benchmarks/audit.json. The others need
the extras `train` and `data`, and keep what was heard in --cache. On one core attacking takes 3
minutes for each method, calibrating 40, most of it tuning in every fold. Nobody is heard by an
encoder that has met them: five folds by person, beginning from the speaker networks as they were
before tuning. `calibrate --write` stores the numbers of the released model beside it
(disclosure.json); both put what they measured into benchmarks/audit.json. FACES is a folder with
faces.csv whose `age` and `gender` serve to find the lines of sex and age in the space of faces.
"""

from __future__ import annotations

import argparse
import json
import re
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from speech2face.console import ProgressBars
from speech2face.data.degradations import DEGRADATIONS
from speech2face.data.pairs import read_pairs, read_photographs
from speech2face.data.textures import measure_faces
from speech2face.data.voices import hear_pairs
from speech2face.evaluation.intervals import bootstrap_people, bootstrap_statistic
from speech2face.evaluation.plots import Axis, Series, draw_lines
from speech2face.media import SAMPLE_RATE
from speech2face.privacy.anonymise import ANONYMISERS, load_anonymiser
from speech2face.privacy.attackers import Crowd
from speech2face.privacy.audit import Audit
from speech2face.privacy.calibrating import (
    Condition,
    check_by_folds,
    compare_statements,
    fit_axes,
    fit_doubt,
    fit_weights,
    foresee_by_folds,
    rank_by_folds,
    standard_error,
)
from speech2face.privacy.disclosure import (
    BINS,
    FILE,
    Calibration,
    Spread,
    measure_sound,
    rank_bits,
    turn_to_prior,
)
from speech2face.privacy.overheard import Recording, overhear
from speech2face.privacy.population_page import draw_face
from speech2face.training.gaussian_head import HeadSolution
from speech2face.training.recipes import voice_encoder, voice_encoder_frozen
from speech2face.training.voice_encoder import (
    HeardClips,
    VoiceEncoderRecipe,
    hear_clips,
    load_speaker,
    solve,
    tune,
)
from speech2face.weights import find_model

HERE = Path(__file__).parent
DOCS = HERE.parent / "docs"
RELIABLE = ("whole", "3 s", "1 s", "noise 10 dB", "noise 0 dB")  # drawn
COLOURS = (
    ":root{--ground:#fff;--ink:#1d2329;--line:#e3e6ea;--faint:#8a939d;--s0:#0072b2;--s1:#d55e00;"
    "--s2:#009e73;--s3:#b4589a;--s4:#7a6a00}.small{font-size:11.5px;fill:var(--ink)}"
)
DEGRADED = ("noise 20 dB", "noise 10 dB", "noise 0 dB", "telephone", "reverberation 0.6 s")
PLACED = ("whole", "1 s", "3 s")  # by whose places d is found
PLACE_DRAWS = 300
GROUPS = 5  # of equal size, by what is stated


def main() -> None:
    parser = argparse.ArgumentParser(description="Check the audit, and attack anonymisers.")
    parser.add_argument("what", choices=("calibrate", "attack", "draw"))
    parser.add_argument("methods", nargs="*", help="[default: all]")
    parser.add_argument("--pairs", type=Path)
    parser.add_argument("--faces", type=Path)
    parser.add_argument("--voices", type=Path)
    parser.add_argument("--cache", type=Path, default=Path("runs/audit"))
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    if given.what == "draw":
        draw(json.loads((HERE / "audit.json").read_text()))
        return
    with ProgressBars() as show:
        if given.what == "calibrate":
            results = calibrate(given.pairs, given.faces, given.cache, given.write, show)
        else:
            audit = Audit(given.pairs, given.voices, given.cache, show)
            methods = [load_anonymiser(name) for name in given.methods or ANONYMISERS]
            results = audit.measure(methods, HERE / "anonymisers.json")
    print(json.dumps(results, indent=2))
    if given.write:
        path = HERE / "audit.json"
        told = json.loads(path.read_text()) if path.is_file() else {}
        path.write_text(json.dumps(told | {given.what: results}, indent=1) + "\n")


def calibrate(pairs: Path, faces: Path, cache: Path, write: bool, show: Any) -> dict[str, Any]:
    """a, b and c by frozen speaker networks, d by networks tuned as the released ones are."""
    voices = Heard.read(pairs, cache, show)
    conditions = [*voices.shortened(), *voices.degraded(cache, show)]
    told = check_by_folds(conditions)
    fitted = fit_weights(conditions)
    released = voices.tuned(cache, show).shortened()
    placed = [c for c in released if c.name in PLACED]
    doubt = fit_doubt(placed, fitted, PLACE_DRAWS)
    by_fold = doubt_by_fold(placed, fitted)
    axis, offset, age = fit_axes(*read_labelled(faces, cache, show))
    calibration = replace(
        fitted,
        doubt=round(doubt, 4),
        deviation=round(standard_error(conditions, told), 4),
        sex_axis=tuple(axis.round(4).tolist()),
        sex_offset=round(offset, 4),
        age_axis=tuple(age.round(4).tolist()),
        people=len(np.unique(released[0].people)),
    )
    if write:
        path = find_model().folder / FILE
        path.write_text(json.dumps(asdict(calibration)) + "\n")
    return {
        "people": calibration.people,
        "constants": {k: v for k, v in asdict(calibration).items() if not k.endswith("axis")},
        "conditions": {c.name: compare(c, *told[c.name]) for c in conditions},
        "places": {c.name: compare_places(c, by_fold) for c in released},
    }


def doubt_by_fold(placed: list[Condition], fitted: Calibration) -> dict[int, Calibration]:
    """d of each fold, from all others."""
    return {
        int(fold): replace(fitted, doubt=fit_doubt(placed, fitted, PLACE_DRAWS, int(fold)))
        for fold in np.unique(placed[0].fold)
    }


def compare(condition: Condition, stated: np.ndarray, came_out: np.ndarray) -> dict[str, Any]:
    """Means over people of what was stated and came out, and by groups of what was stated."""
    raw, _ = compare_statements(condition, np.ones(len(stated)))
    groups = np.array_split(np.argsort(stated, kind="stable"), GROUPS)
    return {
        "clips": len(stated),
        "uncalibrated": asdict(bootstrap_people(raw, condition.people)),
        "stated": asdict(bootstrap_people(stated, condition.people)),
        "came_out": asdict(bootstrap_people(came_out, condition.people)),
        "groups": [
            {
                "stated": float(stated[rows].mean()),
                "came_out": asdict(bootstrap_people(came_out[rows], condition.people[rows])),
            }
            for rows in groups
        ],
    }


def compare_places(condition: Condition, by_fold: dict[int, Calibration]) -> dict[str, Any]:
    """Where true faces were stated to stand among strangers, and where they stood."""
    weights = np.empty(len(condition.fold))
    for fold, calibration in by_fold.items():
        own = condition.fold == fold
        weights[own] = condition.weights(calibration)[own]
    stood = rank_by_folds(condition, weights)
    stated = foresee_by_folds(condition, weights, PLACE_DRAWS)
    within = {
        f"{share:.0%}": asdict(
            bootstrap_people(
                (stood <= np.quantile(stated, share, axis=1)).astype(float), condition.people
            )
        )
        for share in (0.1, 0.5, 0.9)
    }
    return {
        "mean_stated": float(stated.mean()),
        "mean_stood": asdict(bootstrap_people(stood, condition.people)),
        "within": within,
        "bits_stated": float(np.mean([rank_bits(row) for row in stated])),
        "pooled_bits_stated": rank_bits(stated.ravel()),
        "pooled_bits_stood": asdict(
            bootstrap_statistic(lambda w: resampled_bits(stood, w), condition.people)
        ),
    }


def resampled_bits(stood: np.ndarray, weights: np.ndarray) -> float:
    """Places (n,) and weights that sum to 1 → bits, as `rank_bits`; a draw's repeats add bias."""
    part, _ = np.histogram(stood, BINS, (0, 1), weights=weights)
    part = part[part > 0]
    luck = (len(part) - 1) * (weights @ weights) / (2 * np.log(2))
    return float((part * np.log2(part * BINS)).sum() - luck)


@dataclass(frozen=True)
class Heard:
    """Clips and crops as networks hear them that have not met their speakers."""

    recipe: VoiceEncoderRecipe
    clips: HeardClips
    crowd: Crowd
    features: list[np.ndarray]  # of each fold (M, F)
    heads: list[HeadSolution]  # of each fold

    @classmethod
    def read(cls, folder: Path, cache: Path, show: Any) -> Heard:
        """By frozen networks."""
        recipe = voice_encoder_frozen()
        network = load_speaker(recipe)
        voices = hear_pairs(read_pairs(folder), recipe.face_encoder, cache, show)
        clips = hear_clips(recipe, network, voices, cache, show)
        crowd = Crowd.divide(voices.clips, voices.people, voices.faces, recipe.face_encoder)
        folds = np.unique(crowd.fold)
        heads = [solve(recipe, clips, crowd.fold != k) for k in folds]
        return cls(recipe, clips, crowd, [clips.features for _ in folds], heads)

    def tuned(self, cache: Path, show: Any) -> Heard:
        """By networks tuned in each fold, as the released ones are on everybody."""
        recipe, features, heads = voice_encoder(), [], []
        for k in np.unique(self.crowd.fold):
            folder = cache / f"fold{k}"
            folder.mkdir(parents=True, exist_ok=True)
            network = load_speaker(recipe)
            head, heard = tune(
                recipe, network, self.clips, self.crowd.fold != k, folder, {"fold": int(k)}, show
            )
            features.append(heard.features)
            heads.append(head)
        return replace(self, features=features, heads=heads)

    def shortened(self) -> list[Condition]:
        """Whole clips, and crops of several lengths."""
        speech, pieces = self.clips.voices.speech, cut_like(self.recipe, self.clips.voices.speech)
        sounds = [*speech, *pieces]
        rows = {"whole": np.flatnonzero(self.clips.whole)} | {
            f"{t:g} s": np.flatnonzero(~self.clips.whole & (self.clips.seconds == t))
            for t in self.recipe.crop_seconds
        }
        return [
            self._condition(
                name,
                [features[row] for features in self.features],
                self.clips.seconds[row],
                self.clips.clip[row],
                [sounds[i] for i in row],
            )
            for name, row in rows.items()
        ]

    def degraded(self, cache: Path, show: Any) -> list[Condition]:
        """Whole clips made worse; by frozen networks."""
        voices, network, made = self.clips.voices, load_speaker(self.recipe), []
        for name in DEGRADED:
            sounds = [DEGRADATIONS[name](sound, i) for i, sound in enumerate(voices.speech)]
            named = zip(voices.clips, sounds, strict=True)
            spoken = [Recording(f"{clip} {name}", sound) for clip, sound in named]
            heard = overhear(network, None, spoken, cache, show)
            features = [heard.features for _ in self.heads]
            clip = np.arange(len(voices))
            made.append(self._condition(name, features, heard.seconds, clip, sounds))
        return made

    def _condition(
        self,
        name: str,
        features: list[np.ndarray],
        seconds: np.ndarray,
        clip: np.ndarray,
        sounds: list[np.ndarray],
    ) -> Condition:
        faces = self.clips.voices.faces[clip]
        fold = self.crowd.fold[clip]
        means, true, shares = (np.empty(faces.shape) for _ in range(3))
        for k, head in enumerate(self.heads):
            rows = fold == k
            spread = Spread(head.prior, head.explained, head.half_seconds)
            turn, explained = turn_to_prior(spread)
            means[rows] = (head.predict(features[k][rows], seconds[rows]) - head.average) @ turn
            true[rows] = (faces[rows] - head.average) @ turn
            gain = seconds[rows] / (seconds[rows] + head.half_seconds)
            shares[rows] = gain[:, None] * explained
        told = tuple(measure_sound(sound) for sound in sounds)
        return Condition(name, means, true, shares, seconds, told, self.crowd.people[clip], fold)


def cut_like(recipe: Any, speech: list[np.ndarray]) -> list[np.ndarray]:
    """The crops that `embed_clips` takes, in its order: its chance, drawn again."""
    rng = np.random.default_rng(recipe.seed)
    pieces = []
    for seconds in recipe.crop_seconds:
        length = round(seconds * SAMPLE_RATE)
        for samples in speech:
            if len(samples) > length:
                start = rng.integers(len(samples) - length)
                pieces.append(samples[start : start + length])
    return pieces


def read_labelled(
    folder: Path, cache: Path, show: Any
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Embeddings (n, D) of labelled photographs, whether male (n,), and years (n,)."""
    photographs = read_photographs(folder, "train")
    measured = measure_faces(
        [p.path for p in photographs],
        "dlib",
        cache,
        lambda done, total: show("measuring faces", done, total, ""),
    )
    known = [photographs[i] for i in measured.index]
    male = np.array([p.gender == "Male" for p in known])
    years = np.array([np.mean([int(y) for y in p.age.replace("+", "").split("-")]) for p in known])
    return measured.embeddings.astype(np.float64), male, years


def draw(told: dict[str, Any]) -> None:
    """Tables and plots of docs/privacy.md."""
    conditions, places = told["calibrate"]["conditions"], told["calibrate"]["places"]
    plots = {"audit-reliability": draw_reliability(conditions)}
    lines = [
        "| heard | stated, bits | found, bits | stated place | found | within the stated 90 % |"
    ]
    lines.append("|--|--|--|--|--|--|")
    for name, row in places.items():
        lines.append(
            f"| {name} | {row['pooled_bits_stated']:.2f} | {tell(row['pooled_bits_stood'])} | "
            f"{1000 * row['mean_stated']:.0f} | {tell(row['mean_stood'], 0, 1000)} | "
            f"{tell(row['within']['90%'], 1, 100)} % |"
        )
    lines += ["", "| heard | before | stated, bits | came out, bits |", "|--|--|--|--|"]
    for name, row in conditions.items():
        before, after = row["uncalibrated"]["value"], row["stated"]["value"]
        lines.append(f"| {name} | {before:.2f} | {after:.2f} | {tell(row['came_out'])} |")
    write_between(lines, "calibration")
    if attacked := told.get("attack"):
        plots["audit-anonymisers"] = draw_face(attacked)
        header = [
            "method",
            "attacker",
            "face, bits",
            "hidden",
            "two-way",
            "linkability of the face",
        ]
        header += ["voice, equal error, %", "linkability of the voice"]
        lines = [f"| {' | '.join(header)} |", "|--" * len(header) + "|"]
        lines.append(f"| unchanged | | {' | '.join(cells(attacked['before'], None))} |")
        for name, method in attacked["methods"].items():
            for attacker, row in method["attackers"].items():
                told_cells = " | ".join(cells(row, row["face_bits_hidden"]))
                lines.append(f"| {name} | {attacker} | {told_cells} |")
        write_between(lines, "attacks")
    for name, figure in plots.items():
        (DOCS / f"{name}.svg").write_text(stand_alone(figure))


def cells(row: dict[str, Any], hidden: dict[str, float] | None) -> list[str]:
    face, voice = row["face"], row["voice"]
    return [
        tell(face["bits"]),
        tell(hidden) if hidden else "",
        tell(face["two_way"], 3),
        tell(face["linkability"]),
        tell(voice["equal_error_rate"], 1, 100),
        tell(voice["linkability"]),
    ]


def tell(figure: dict[str, float], digits: int = 2, scale: float = 1) -> str:
    value, low, high = (scale * figure[key] for key in ("value", "low", "high"))
    return f"{value:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def draw_reliability(conditions: dict[str, Any]) -> str:
    """What came out by what was stated, in groups of clips."""
    curves = []
    for name in RELIABLE:
        groups = conditions[name]["groups"]
        came_out = [group["came_out"] for group in groups]
        curves.append(
            Series(
                name,
                [group["stated"] for group in groups],
                *([estimate[key] for estimate in came_out] for key in ("value", "low", "high")),
            )
        )
    curves.append(Series("as stated", [0, 2.5], [0, 2.5], plain=True))
    ticks = (0, 0.5, 1, 1.5, 2, 2.5)
    x, y = Axis("bits stated", 0, 2.5, ticks), Axis("bits that came out", 0, 2.5, ticks)
    return draw_lines(curves, x, y, "Statements of single recordings, by what came out")


def stand_alone(figure: str) -> str:
    """The drawing and the legend of a page's figure as a file of its own."""
    drawing = figure[figure.index("<svg") : figure.index("</svg>")]
    size = re.search(r'viewBox="0 0 (\d+) (\d+)" width="\d+"', drawing)
    if not size:
        raise ValueError("not a figure of evaluation/plots.py")
    width, height = (int(number) for number in size.groups())
    entries = re.findall(r"<span>(<svg.*?</svg>)(.*?)</span>", figure)
    legend, place = "", 56
    for mark, name in entries:
        placed = mark.replace("<svg", f'<svg x="{place}" y="{height + 4}"', 1)
        legend += f'{placed}<text x="{place + 26}" y="{height + 14}" class="small">{name}</text>'
        place += 44 + 7 * len(name)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {max(width, place)} {height + 24}" '
        f'width="{max(width, place)}" font-family="sans-serif"><style>{COLOURS}</style>'
        '<rect width="100%" height="100%" fill="var(--ground)"/>'
    )
    return f"{head}{drawing[drawing.index('>') + 1 :]}{legend}</svg>\n"


def write_between(lines: list[str], name: str) -> None:
    """Replace what stands between two markers of docs/privacy.md."""
    path = DOCS / "privacy.md"
    before, first, rest = path.read_text().partition(f"<!-- {name} -->")
    _, last, after = rest.partition(f"<!-- /{name} -->")
    text = "\n".join(lines)
    path.write_text(f"{before}{first}\n{text}\n{last}{after}")


if __name__ == "__main__":
    main()
