"""The ledger of a set: one JSON line for each clip, kept or refused and why, and what follows.

    {"content": "9f2c…", "quality": {…}, "seconds": {"detect": 0.41, …}, "source": {"clip": …}}
    {"content": "71b0…", "reason": "no face", "seconds": {…}, "source": {…}, "stage": "detect"}

`content` is the sha256 of what the clip was made from: it tells whether a source is still the same.
Lines are only added, unless a source has changed: then its line is taken out. A last line that a
kill cut off counts as not written.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from speech2face.data.samples import Quality, Refusal, Sample, SampleSource
from speech2face.errors import UsageError
from speech2face.files import write_atomically

YAWS = (0.05, 0.1, 0.2, 0.35)  # up to where the card counts poses
LENGTHS = (0.5, 1, 2, 4, 6, 8, 10)  # seconds, edges of the card's table
AGES = (0, 18, 30, 45, 60, 100)  # years, edges of the card's table
LOOKED_AT = 20  # pairs of faces that the card lists
LISTED = 10  # reasons that the card lists, and the terminal for each stage

JOINED = (
    "Two names that are one person's by these clips: their faces are alike, or nearly so and their "
    "voices are."
)
DOUBTFUL = (
    "Taken for two people, and nearly alike enough to be one; the likeliest first. What is given "
    "in a table can be told there: one person, one name."
)


@dataclass(frozen=True)
class Entry:
    """The outcome of a clip: kept with its quality, or refused with a reason."""

    source: SampleSource
    quality: Quality | None = None  # of the sample; none where the clip was refused
    stage: str = ""  # that refused it
    reason: str = ""
    seconds: Mapping[str, float] = field(default_factory=dict)  # that each stage took
    content: str = ""  # sha256 of the files it was made from; none where one could not be read

    @property
    def kept(self) -> bool:
        return self.quality is not None


@dataclass(frozen=True)
class Summary:
    """A ledger in figures."""

    clips: int
    kept: int
    people: int  # of whom something was kept, by their names
    speech_hours: float
    video_hours: float  # of the clips whose end is known
    refused: dict[str, dict[str, int]]  # stage → reason → clips, most frequent first
    seconds: dict[str, float]  # by stage, most first

    @property
    def kept_share(self) -> float:
        return self.kept / self.clips if self.clips else 0.0


def make_entry(outcome: Sample | Refusal, seconds: Mapping[str, float], content: str = "") -> Entry:
    """The entry for a clip: what its stages gave, and the seconds that each of them took."""
    if isinstance(outcome, Sample):
        return Entry(outcome.source, outcome.quality, seconds=seconds, content=content)
    # One line that can be printed, whatever a file's name is made of.
    reason = " ".join(outcome.reason.encode(errors="backslashreplace").decode().split())
    return Entry(outcome.source, None, outcome.stage, reason, seconds, content)


def append_entry(path: Path, entry: Entry) -> None:
    """Add a line, in one write."""
    line: dict[str, Any] = {"source": asdict(entry.source)}
    if entry.content:
        line["content"] = entry.content
    if entry.quality:
        line["quality"] = asdict(entry.quality)
    else:
        line |= {"stage": entry.stage, "reason": entry.reason}
    line["seconds"] = {stage: round(spent, 4) for stage, spent in entry.seconds.items()}
    with path.open("ab") as file:  # of a disk that is full it may write less, and raises
        file.write(f"{to_json(line)}\n".encode())


def read_ledger(path: Path) -> Iterator[Entry]:
    """The entries, in the order in which they were written. Raises UsageError at a false line."""
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.endswith(b"\n"):
                return  # cut off by a kill
            yield _parse(line, f"{path}: line {number}")


def repair_ledger(path: Path, holds: Callable[[Entry], bool]) -> None:
    """Remove a line that a kill cut off, and entries for which `holds` is false."""
    with path.open("rb") as file, write_atomically(path) as repaired:
        for number, line in enumerate(file, 1):
            if line.endswith(b"\n") and holds(_parse(line, f"{path}: line {number}")):
                repaired.write(line)


def summarise(entries: Iterable[Entry]) -> Summary:
    clips = kept = 0
    people: set[str] = set()
    speech = video = 0.0
    refused: dict[str, Counter[str]] = {}
    seconds: Counter[str] = Counter()
    for entry in entries:
        clips += 1
        length = entry.source.end - entry.source.start
        video += length if math.isfinite(length) else 0
        for stage, spent in entry.seconds.items():
            seconds[stage] += spent  # pyright: ignore[reportArgumentType]
        if entry.quality:
            kept += 1
            people.add(entry.source.person)
            speech += entry.quality.speech_seconds
        else:
            refused.setdefault(entry.stage, Counter())[entry.reason] += 1
    stages = sorted(refused, key=lambda stage: (-refused[stage].total(), stage))
    return Summary(
        clips,
        kept,
        len(people),
        speech / 3_600,
        video / 3_600,
        {stage: dict(_by_count(refused[stage])) for stage in stages},
        dict(_by_count(seconds)),
    )


def format_summary(summary: Summary) -> str:
    """The summary in a few lines for the terminal."""
    lines = [
        f"{summary.clips:,} clips, {summary.kept:,} kept ({summary.kept_share:.1%}): "
        f"{summary.speech_hours:.2f} hours of speech of {summary.people:,} people"
    ]
    for stage, reasons in summary.refused.items():
        counts = [f"{reason} ({count:,})" for reason, count in reasons.items()]
        rest = [f"other reasons ({sum([*reasons.values()][LISTED:]):,})"] if counts[LISTED:] else []
        lines.append(f"refused at {stage}: {', '.join(counts[:LISTED] + rest)}")
    if summary.seconds:
        total = sum(summary.seconds.values()) or 1
        shares = ", ".join(f"{s} {v:,.1f} ({v / total:.0%})" for s, v in summary.seconds.items())
        lines.append(f"seconds by stage: {shares}")
    return "\n".join(lines)


def format_data_card(
    name: str,
    entries: Iterable[Entry],
    sides: Mapping[str, Collection[str]] | None = None,
    judged: np.ndarray | None = None,
    gone: int = 0,
    doubtful: Sequence[Mapping[str, Any]] = (),
    joined: Sequence[Mapping[str, Any]] = (),
) -> str:
    """The card of a set in Markdown; `sides` are the people on each side of the split.

    `gone` is how many of the clips that were kept have a source that is no longer there.
    `judged` (n, 2) is what `AgeSexJudge` says of faces of the set that were drawn by lot.
    `joined` are pairs of clips by which two names became one person's, `doubtful` such as are
    nearly alike enough, see person_linking.py.
    """
    entries = list(entries)
    summary = summarise(entries)
    kept = [(entry.source.person, entry.quality) for entry in entries if entry.quality]
    clips = Counter(person for person, _ in kept)
    yaws = np.abs([quality.yaw for _, quality in kept if math.isfinite(quality.yaw)])
    lengths = np.array([quality.speech_seconds for _, quality in kept])
    lines = [
        f"# {name}",
        "",
        "Written by `speech2face prepare` from the ledger of the set. Everything here was "
        "measured; nobody labelled anything.",
        "",
        "| | |",
        "|--|--|",
        f"| speech | {summary.speech_hours:.2f} hours |",
        f"| people, by their names in the source | {summary.people:,} |",
        f"| clips | {summary.kept:,} of {summary.clips:,} ({summary.kept_share:.1%}) |",
    ]
    if trusted := sum(quality.trusted for _, quality in kept):
        lines.append(
            f"| clips whose speaker was trusted to be who is seen, not tested | {trusted:,} |"
        )
    if gone:
        lines.append(f"| clips whose source is no longer there | {gone:,} |")
    if kept:
        spread = np.percentile(list(clips.values()), [50, 95, 100])
        middle = np.percentile(lengths, [5, 50, 95])
        lines += [
            f"| clips a person | median {spread[0]:.0f}, 95 % up to {spread[1]:.0f}, "
            f"most {spread[2]:.0f} |",
            f"| seconds of speech a clip | median {middle[1]:.1f} ({middle[0]:.1f} to "
            f"{middle[2]:.1f} for 90 %) |",
        ]
    if sides:
        lines += ["", "## Split", "", "| side | people | clips | hours |", "|--|--|--|--|"]
        for side, people in sides.items():
            chosen = set(people)
            here = [quality.speech_seconds for person, quality in kept if person in chosen]
            lines.append(f"| {side} | {len(chosen):,} | {len(here):,} | {sum(here) / 3_600:.2f} |")
    if joined:
        lines += _describe_pairs("People joined", JOINED, joined)
    if doubtful:
        lines += _describe_pairs("Faces to look at", DOUBTFUL, doubtful)
    if len(yaws):
        lines += ["", "## Pose", "", "How far the nose stands off the middle of the eyes, in eye"]
        lines += [f"distances; median {np.median(yaws):.2f}.", "", "| up to | clips |", "|--|--|"]
        lines += [f"| {yaw:g} | {(yaws <= yaw).mean():.1%} |" for yaw in YAWS]
    if kept:
        lines += ["", "## Length", "", "| seconds of speech | clips |", "|--|--|"]
        counts, _ = np.histogram(lengths, LENGTHS)
        for low, high, count in zip(LENGTHS, LENGTHS[1:], counts, strict=False):
            lines.append(f"| {low:g} to {high:g} | {count / len(lengths):.1%} |")
    if judged is not None:
        lines += _describe_looks(judged)
    reasons = [(n, s, r) for s, counts in summary.refused.items() for r, n in counts.items()]
    if reasons:
        lines += ["", "## Refused", "", "| clips | stage | reason |", "|--|--|--|"]
        reasons = sorted(reasons, key=lambda row: (-row[0], row[1:]))
        for count, stage, reason in reasons[:LISTED]:
            lines.append(f"| {count:,} | {stage} | {reason.replace('|', '/')} |")
        rest = sum(n for n, *_ in reasons[LISTED:])
        lines += [f"| {rest:,} | | for other reasons |"] if rest else []
    return "\n".join(lines) + "\n"


def _describe_pairs(title: str, words: str, pairs: Sequence[Mapping[str, Any]]) -> list[str]:
    """A part of the card about pairs of clips, and how alike they are."""
    lines = [
        "",
        f"## {title}",
        "",
        words,
        "",
        "| clip | clip | SFace, cosine | dlib, distance | voice, cosine |",
        "|--|--|--|--|--|",
    ]
    for pair in pairs[:LOOKED_AT]:
        clips = (clip.replace("|", "/") for clip in pair["clips"])
        alike = (pair.get(measure) for measure in ("sface", "dlib", "voice"))
        cells = ("–" if value is None else f"{value:.2f}" for value in alike)
        lines.append(f"| {' | '.join([*clips, *cells])} |")
    count = len(pairs) - LOOKED_AT
    return lines + ([f"| {count} more in index.json | | | | |"] if count > 0 else [])


def _describe_looks(judged: np.ndarray) -> list[str]:
    """The part of the card about age and sex, of (n, 2) estimates."""
    ages, male = judged[:, 0], judged[:, 1] > 0.5
    counts, _ = np.histogram(ages, AGES)
    return [
        "",
        "## Age and sex, as they look",
        "",
        f"Estimates by a judge that errs, of {len(judged):,} faces drawn by lot: they tell of the "
        "set's balance, not of anybody in it.",
        "",
        "| | |",
        "|--|--|",
        f"| taken for men | {male.mean():.1%} |",
        f"| taken for women | {1 - male.mean():.1%} |",
        *(
            f"| {low} to {high - 1} years | {count / len(judged):.1%} |"
            for low, high, count in zip(AGES, AGES[1:], counts, strict=False)
        ),
    ]


def to_json(value: Any, indent: int | None = None) -> str:
    """JSON with sorted keys and numbers of numpy as numbers; what is not finite becomes null."""
    return json.dumps(_plain(value), sort_keys=True, indent=indent, allow_nan=False)


def read_source(fields: Mapping[str, Any]) -> SampleSource:
    end = fields["end"]
    return SampleSource(**{**fields, "end": math.inf if end is None else end})


def read_quality(fields: Mapping[str, Any]) -> Quality:
    values: dict[str, Any] = {name: math.nan if v is None else v for name, v in fields.items()}
    return Quality(**values)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(held) for key, held in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(held) for held in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _parse(line: bytes, where: str) -> Entry:
    try:
        fields = json.loads(line)
        quality = fields.get("quality")
        return Entry(
            read_source(fields["source"]),
            read_quality(quality) if quality else None,
            "" if quality else fields["stage"],
            "" if quality else fields["reason"],
            fields["seconds"],
            fields.get("content", ""),
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UsageError(f"{where} is not of a ledger; mend it or take it out.") from None


def _by_count(counts: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))
