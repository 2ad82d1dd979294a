"""Who speaks is kept and who does not is refused: on labelled clips, and on mixtures made of them.

    python benchmarks/speaking_faces.py TABLE.csv FOLDER ... [--write]

TABLE.csv (file, speaks) says of the clips beside it whether the face in view speaks; in the FOLDERs
everybody does. Everything is cross-validated by person: a clip is judged by a measure that was
fitted, as scripts/fit_synchrony.py does, to other people only. Told are, with 95 % intervals over
people:

prepare       what becomes of each clip in all stages, and of photographs that are zoomed into
agreement     area under the curve and a table of thresholds: speakers against silent faces, against
              their own pictures with another clip's sound, and with their own sound shifted
two faces     two clips side by side with one's sound: whether the right face is taken
cuts          made transitions between people in one place, and what only looks like a cut

--write stores benchmarks/speaking_faces.json. Takes about 15 minutes of one core.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from sklearn.metrics import roc_auc_score

from latency import describe_machine
from speech2face.data.samples import Sample, SampleSource
from speech2face.data.splits import split_people
from speech2face.face_encoders import TEMPLATES
from speech2face.files import write_text_atomically
from speech2face.metrics.intervals import bootstrap_people, bootstrap_statistic
from speech2face.preparation import Refused
from speech2face.preparation.active_speaker import CONTEXT, SpeakerThresholds
from speech2face.preparation.clip_to_sample import Models, StageTimer, find_speakers, make_sample
from speech2face.preparation.face_tracking import Linker, Track, look
from speech2face.preparation.lip_sync import Synchrony, fit_synchrony
from speech2face.preparation.mouth_tracking import Mouth
from speech2face.preparation.video import Frame, Sound, decode_frames, find_clip

sys.path.append(str(Path(__file__).parents[1] / "scripts"))
from fit_synchrony import list_clips

HERE = Path(__file__).parent
FOLDS = 6
SAME = 0.5  # cosine of two clips' mean faces, SFace, from which they are one person's
OTHERS = 12  # clips whose sound a clip is given
SHIFTS = (-2.0, -1.0, -0.6, -0.3, 0.3, 0.6, 1.0, 2.0)  # s of sound against picture
THRESHOLDS = (0.0, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5)
STILLS = 12  # photographs that are zoomed into
CUTS = 15  # pairs of clips between which there are transitions
SHORT = 1.8  # s: shorter clips are told apart
# What the version before this measure did with the same clips, measured once with it.
BEFORE = {"speaking": [30, 54], "silent_refused": [7, 9], "videos": [10, 10]}


@dataclass(frozen=True)
class Watched:
    """One clip: its largest face."""

    path: Path
    speaks: bool
    mouth: Mouth
    sound: Sound
    segments: list[tuple[float, float]]
    face: np.ndarray  # (D,) mean of its embeddings

    @property
    def seconds(self) -> float:
        return float(np.ptp(self.mouth.times)) if len(self.mouth.times) else 0.0


@dataclass(frozen=True)
class Judged:
    """A mouth held against a sound."""

    kind: str  # speaking, silent, dubbed or shifted
    clip: int
    sound: int
    agreement: float
    short: bool


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure who is taken for the speaker.")
    parser.add_argument("table", type=Path)
    parser.add_argument("folders", type=Path, nargs="*")
    parser.add_argument("--write", action="store_true", help="store speaking_faces.json")
    given = parser.parse_args()
    cv2.setNumThreads(1)
    models = Models.load()
    listed = list_clips(given.table, given.folders)
    clips = [one for path, speaks in listed if (one := watch(path, speaks, models))]
    people = np.array(group_people([clip.face for clip in clips]))
    fold = split_people([str(person) for person in people], FOLDS)
    fitted = [
        fit_synchrony(
            [(c.mouth, c.sound) for c, f in zip(clips, fold, strict=True) if f != k and c.speaks]
        )
        for k in range(FOLDS)
    ]
    print(f"{len(clips)} of {len(listed)} clips with a face, {len(set(people))} people", flush=True)
    told: dict[str, Any] = {"machine": describe_machine(), "before": BEFORE}
    told["clips"] = {
        "speaking": sum(speaks for _, speaks in listed),
        "silent": sum(not speaks for _, speaks in listed),
        "people": len(set(people.tolist())),
        "folds": FOLDS,
    }
    of_clip = {clip.path: fitted[k] for clip, k in zip(clips, fold, strict=True)}
    named = {clip.path: person for clip, person in zip(clips, people, strict=True)}
    told["prepare"] = run_prepare(listed, of_clip, named, models)
    show("prepare", told["prepare"])
    judged = judge_mixtures(clips, people, fold, fitted)
    told["agreement"] = describe_curve(judged, people)
    show("agreement", told["agreement"])
    told["two_faces"] = side_by_side(judged)
    show("two faces", told["two_faces"])
    told["cuts"] = make_cuts([(c.path, p) for c, p in zip(clips, people, strict=True)], models)
    show("cuts", told["cuts"])
    if given.write:
        write_text_atomically(HERE / "speaking_faces.json", json.dumps(told, indent=2) + "\n")


def show(name: str, figures: Any) -> None:
    print(f"{name}: {json.dumps(figures, indent=2)}", flush=True)


def watch(path: Path, speaks: bool, models: Models) -> Watched | None:
    source = SampleSource(path.stem, path.name, 0, 60, path.stem)
    try:
        candidates, mouths, views = find_speakers(
            find_clip(source, path.parent), models, None, StageTimer()
        )
    except Refused as refused:
        print(f"{path.name}: {refused}")
        return None
    places = TEMPLATES["canvas"] * len(views[0][0].face)
    faces = [models.likeness.embed(view.face, places) for view in views[0][:8]]
    mean = np.mean([face / np.linalg.norm(face) for face in faces], 0)
    one = candidates[0]
    return Watched(path, speaks, mouths[0], one.sound, list(one.segments), mean)


def group_people(faces: list[np.ndarray]) -> list[int]:
    """A number for each face, the same for faces of one person."""
    units = np.array([face / np.linalg.norm(face) for face in faces])
    numbers = list(range(len(units)))
    for i, j in np.argwhere(units @ units.T >= SAME):
        low, high = sorted((numbers[i], numbers[j]))
        numbers = [low if number == high else number for number in numbers]
    return numbers


def run_prepare(
    listed: list[tuple[Path, bool]],
    of_clip: dict[Path, Synchrony],
    named: dict[Path, int],
    models: Models,
) -> dict[str, Any]:
    """What all stages make of each clip, by a measure fitted to other people."""
    kept: dict[bool, list[tuple[bool, str]]] = {True: [], False: []}
    reasons: dict[bool, Counter[str]] = {True: Counter(), False: Counter()}
    for path, speaks in listed:
        fitted = replace(models, synchrony=of_clip.get(path, models.synchrony))
        source = SampleSource(path.stem, path.name, 0, 60, path.stem)
        outcome, _ = make_sample(source, path.parent, fitted)
        good = isinstance(outcome, Sample)
        kept[speaks].append((good, str(named.get(path, path.stem))))
        if not isinstance(outcome, Sample):
            reasons[speaks][f"{outcome.stage}: {outcome.reason.split(':')[0]}"] += 1
    with tempfile.TemporaryDirectory() as folder:
        stills = [path for path, speaks in listed if speaks][:: max(len(listed) // STILLS, 1)]
        refused = [
            not isinstance(
                make_sample(
                    SampleSource("still", zoom_into(path, Path(folder)).name, 0, 60, "still"),
                    Path(folder),
                    models,
                )[0],
                Sample,
            )
            for path in stills
        ]
    right = [good for good, _ in kept[True]]
    wrong = [good for good, _ in kept[False]]
    precision = sum(right) / max(sum(right) + sum(wrong), 1)
    return {
        "speaking_kept": estimate_share(right, [who for _, who in kept[True]]),
        "silent_refused": estimate_share(
            [not good for good in wrong], [who for _, who in kept[False]]
        ),
        "precision": precision,
        "precision_of_keeping_all": len(right) / (len(right) + len(wrong)),
        "zoomed_photographs_refused": [sum(refused), len(refused)],
        "speaking_refused_for": dict(reasons[True].most_common()),
        "silent_refused_for": dict(reasons[False].most_common()),
    }


def zoom_into(path: Path, folder: Path) -> Path:
    """A video of the first picture of a clip, slowly enlarged, with the clip's sound."""
    target = folder / "still.mp4"
    with av.open(str(path)) as film, av.open(str(target), "w") as output:
        picture = next(film.decode(video=0)).to_ndarray(format="rgb24")
        height, width = (side // 2 * 2 for side in picture.shape[:2])
        drawn = output.add_stream("libx264", rate=25)
        drawn.width, drawn.height, drawn.pix_fmt = width, height, "yuv420p"
        film.seek(0)
        sounds = list(film.decode(audio=0))
        heard = output.add_stream("aac", rate=sounds[0].sample_rate)
        length = sum(sound.samples for sound in sounds) / sounds[0].sample_rate
        for number in range(round(length * 25)):
            matrix = cv2.getRotationMatrix2D((width / 2, height / 2), 0, 1 + 0.002 * number)
            moved = cv2.warpAffine(picture, matrix, (width, height))
            output.mux(drawn.encode(av.VideoFrame.from_ndarray(moved, format="rgb24")))
        for sound in sounds:
            sound.pts = None
            output.mux(heard.encode(sound))
        output.mux(drawn.encode(None))
        output.mux(heard.encode(None))
    return target


def judge_mixtures(
    clips: list[Watched], people: np.ndarray, fold: np.ndarray, fitted: list[Synchrony]
) -> list[Judged]:
    random = np.random.default_rng(0)
    judged = []
    for i, clip in enumerate(clips):
        measure, spans = fitted[fold[i]], [(a - CONTEXT, b + CONTEXT) for a, b in clip.segments]
        short = clip.seconds < SHORT

        def note(
            kind: str,
            sound: Sound,
            place: int,
            *,
            clip: Watched = clip,
            measure: Synchrony = measure,
            spans: list[tuple[float, float]] = spans,
            i: int = i,
            short: bool = short,
        ) -> None:
            agreement, _ = measure.agreement(clip.mouth, sound, spans)
            judged.append(Judged(kind, i, place, agreement, short))

        note("speaking" if clip.speaks else "silent", clip.sound, i)
        if not clip.speaks:
            continue
        long_enough = [
            k
            for k, other in enumerate(clips)
            if people[k] != people[i] and other.speaks and other.seconds >= 0.95 * clip.seconds
        ]
        for k in random.permutation(long_enough)[:OTHERS]:
            length = len(clip.sound.samples)
            note("dubbed", Sound(clip.sound.start, clips[k].sound.samples[:length]), k)
        for shift in SHIFTS:
            if clip.seconds > 2 * abs(shift):
                note("shifted", roll(clip.sound, shift), i)
    return judged


def roll(sound: Sound, seconds: float) -> Sound:
    """The sound that much later; what falls out at its end begins it."""
    return Sound(sound.start, np.roll(sound.samples, round(seconds * 16_000)))


def describe_curve(judged: list[Judged], people: np.ndarray) -> dict[str, Any]:
    def pick(kind: str, short: bool | None = None) -> list[Judged]:
        return [j for j in judged if j.kind == kind and short in (None, j.short)]

    areas: dict[str, Any] = {}
    for against in ("silent", "dubbed", "shifted"):
        for name, short in (("all", None), ("short", True), ("long", False)):
            right, wrong = pick("speaking", short), pick(against, short)
            if against == "silent" and short is not None:
                continue
            scores = np.array([j.agreement for j in right + wrong])
            labels = np.repeat([1, 0], [len(right), len(wrong)])
            who = np.array([people[j.clip] for j in right + wrong])

            def area(weights: np.ndarray, labels=labels, scores=scores) -> float:
                if not weights[labels == 1].any() or not weights[labels == 0].any():
                    return float("nan")
                return float(roc_auc_score(labels, scores, sample_weight=weights))

            found = bootstrap_statistic(area, who, draws=500)
            areas[f"{against} {name}"] = {"n": [len(right), len(wrong)], **asdict(found)}
    table = []
    for threshold in sorted({*THRESHOLDS, SpeakerThresholds().agreement}):
        row: dict[str, float] = {"threshold": threshold}
        for kind in ("speaking", "silent", "dubbed", "shifted"):
            above = np.array([j.agreement >= threshold for j in pick(kind)])
            row["recall" if kind == "speaking" else f"{kind}_refused"] = float(
                above.mean() if kind == "speaking" else 1 - above.mean()
            )
        kept = {kind: sum(j.agreement >= threshold for j in pick(kind)) for kind in ("silent",)}
        speaking = sum(j.agreement >= threshold for j in pick("speaking"))
        row["precision"] = speaking / max(speaking + kept["silent"], 1)
        table.append(row)
    at = SpeakerThresholds().agreement
    kept = [j for j in pick("speaking")]
    return {
        "chance": 0.5,
        "area_under_curve": areas,
        "curve": table,
        "limit": at,
        "recall_at_limit": estimate_share(
            [j.agreement >= at for j in kept], [str(people[j.clip]) for j in kept]
        ),
        "dubbed_refused_at_limit": {
            name: estimate_share(
                [j.agreement < at for j in pick("dubbed", short)],
                [str(people[j.clip]) for j in pick("dubbed", short)],
            )
            for name, short in (("all", None), ("short", True), ("long", False))
        },
    }


def side_by_side(judged: list[Judged]) -> dict[str, Any]:
    """The clip whose sound it is beside another mouth that moves, by `SpeakerThresholds`."""
    thresholds, own = (
        SpeakerThresholds(),
        {j.clip: j.agreement for j in judged if j.kind == "speaking"},
    )
    outcomes: Counter[str] = Counter()
    for one in judged:
        if one.kind != "dubbed":
            continue
        right, wrong = own[one.sound], one.agreement
        if max(right, wrong) < thresholds.agreement:
            outcomes["none"] += 1
        elif min(right, wrong) >= thresholds.agreement and abs(right - wrong) < thresholds.margin:
            outcomes["unclear"] += 1
        else:
            outcomes["right" if right > wrong else "wrong"] += 1
    total = sum(outcomes.values())
    return {"pairs": total, "chance": 0.5, **{k: v / total for k, v in outcomes.items()}}


def make_cuts(clips: list[tuple[Path, int]], models: Models) -> dict[str, Any]:
    """How often a track goes on over a transition, between two people and within one clip."""
    random, joined = np.random.default_rng(0), defaultdict(list)
    usable = []
    for path, person in clips:
        frames = [
            cv2.resize(frame.image, (224, 224))
            for frame in decode_frames(
                find_clip(SampleSource(path.stem, path.name, 0, 2, ""), path.parent)
            )
        ]
        if len(frames) >= 30:
            usable.append((frames[:45], person))
    for _ in range(CUTS):
        i, k = random.choice(len(usable), 2, replace=False)
        while usable[i][1] == usable[k][1]:
            i, k = random.choice(len(usable), 2, replace=False)
        first, second = usable[i][0], usable[k][0]
        for name, join in BETWEEN.items():
            joined[f"two people, {name}"].append(goes_on(join(first[:20], second[:24]), models))
        for name, join in WITHIN.items():
            joined[f"one person, {name}"].append(goes_on(join(first[:15], first[15:]), models))
    return {"chance": 0.5} | {
        name: {"n": len(found), "joined": float(np.mean(found))} for name, found in joined.items()
    }


def goes_on(frames: list[np.ndarray], models: Models) -> bool:
    """Whether one track reaches from the beginning of the frames, 25 a second, to their end."""
    linker = Linker(models.likeness)
    for number in range(0, len(frames), 4):
        linker.add(look(Frame(number / 25, frames[number]), models.detector))
    try:
        found: list[Track] = linker.tracks()
    except Refused:
        return False
    end = (len(frames) - 1) / 25
    return any(track.start < 0.2 and track.end > end - 0.4 for track in found)


Frames = list[np.ndarray]


def blend(a: np.ndarray, b: np.ndarray | float, share: float) -> np.ndarray:
    return np.round((1 - share) * a + share * np.asarray(b)).astype(np.uint8)


def dissolve(first: Frames, second: Frames, count: int) -> Frames:
    shares = (np.arange(count) + 1) / (count + 1)
    pairs = zip(first[-1:] * count, second[:1] * count, shares, strict=True)
    return first + [blend(a, b, share) for a, b, share in pairs] + second


def through_black(first: Frames, second: Frames) -> Frames:
    shares = np.arange(1, 7) / 6
    out = [blend(first[-1], 0, share) for share in shares]
    return first + out + [blend(second[0], 0, share) for share in shares[::-1]] + second


BETWEEN: dict[str, Callable[[Frames, Frames], Frames]] = {
    "hard cut": lambda a, b: a + b,
    "blended frames": lambda a, b: dissolve(a, b, 3),
    "dissolve of 0.6 s": lambda a, b: dissolve(a, b, 15),
    "dissolve of 1 s": lambda a, b: dissolve(a, b, 25),
    "through black": through_black,
}
WITHIN: dict[str, Callable[[Frames, Frames], Frames]] = {
    "as it is": lambda a, b: a + b,
    "flash": lambda a, b: a + [blend(a[-1], 255, 0.8)] * 3 + b,
    "through black": through_black,
    "lost for 0.4 s": lambda a, b: a + [np.full_like(a[-1], 90)] * 10 + b,
    "lights on": lambda a, b: a + [blend(frame, 255, 0.3) for frame in b],
    "zoom by 1.3": lambda a, b: a + [cv2.resize(f[26:198, 26:198], (224, 224)) for f in b],
}


def estimate_share(good: list[bool], people: list[str]) -> dict[str, Any]:
    """How many of the clips, and the share of a person's clips, mean over people."""
    found = bootstrap_people(np.array(good, float), np.array(people))
    return {"n": len(good), "clips": sum(good), **asdict(found)}


if __name__ == "__main__":
    main()
