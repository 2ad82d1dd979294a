"""Compares a set that was begun with its sources as they are now: what must be done again.

A clip is known by its name and by the content of the files that it is made from:

the same                nothing is done
other content, or       what was made of it is void, and it is done again
another person
no longer there         what was kept of it stays
another name            where the same content has one now: it stays, under its old name
new                     it is done

Every source is read once for that, but decoded by no means.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from speech2face.data.ledger import Entry
from speech2face.errors import UsageError
from speech2face.preparation.sources import SourceClip, hash_clip, hash_source

THREADS = 8  # that read sources at a time


@dataclass
class Comparison:
    """The clips of a source beside those of a set."""

    todo: list[SourceClip] = field(default_factory=list)  # new, or to be done again
    void: list[str] = field(default_factory=list)  # clips of the set to be taken out of it
    gone: list[str] = field(default_factory=list)  # kept clips whose source is no longer there
    renamed: list[str] = field(default_factory=list)  # kept clips whose source has another name
    same: int = 0

    def describe(self) -> list[str]:
        """A line for each kind of change."""
        changes = {
            "has changed: done again": self.void,
            "is no longer there: what was kept of it stays": self.gone,
            "has another name now: kept under the old one": self.renamed,
        }
        return [
            f"{len(clips):,} clip{'s' * (len(clips) > 1)} whose source {what} ({_name(clips)})"
            for what, clips in changes.items()
            if clips
        ]


def compare_sources(
    clips: Sequence[SourceClip], entries: Sequence[Entry], fetch: bool = False
) -> Comparison:
    """Compare `clips` with the `entries` of a set's ledger: what is to be done, void or kept.

    With `fetch`, videos that were missing are tried again. Raises UsageError where the set was made
    from something else altogether.
    """
    if not entries:
        return Comparison(list(clips))
    entry_of = {entry.source.clip: entry for entry in entries}
    given = {clip.source.clip for clip in clips}
    comparison, new = Comparison(), []
    with ThreadPoolExecutor(THREADS) as pool:
        begun = [clip for clip in clips if clip.source.clip in entry_of]
        for clip, content in zip(begun, pool.map(hash_clip, begun), strict=True):
            entry = entry_of[clip.source.clip]
            missing = fetch and not content and entry.stage == "decode"
            if not content and not missing:
                (comparison.gone if entry.kept else []).append(clip.source.clip)
                comparison.same += not entry.kept
            elif missing or not _is_same(entry, clip, content):
                comparison.void.append(clip.source.clip)
                comparison.todo.append(clip)
            else:
                comparison.same += 1
        new = [clip for clip in clips if clip.source.clip not in entry_of]
        missing = [entry for entry in entries if entry.source.clip not in given]
        _place_missing(comparison, missing, clips)
        old: dict[tuple[str, float, float], list[str]] = {}  # of copies there are several
        for name in comparison.gone:
            if entry_of[name].content:
                old.setdefault(_identity(entry_of[name]), []).append(name)
        contents = pool.map(hash_clip, new) if old else [""] * len(new)
        for clip, content in zip(new, contents, strict=True):
            names = old.get((content, clip.source.start, clip.source.end))
            if not names:
                comparison.todo.append(clip)
                continue
            name = names.pop(0)
            if clip.audio and entry_of[name].source.person != clip.source.person:
                comparison.void.append(name)
                comparison.gone.remove(name)
                comparison.todo.append(clip)
            else:
                comparison.renamed.append(name)
                comparison.gone.remove(name)
    if not (comparison.same or comparison.void or comparison.renamed) and comparison.todo:
        raise UsageError(
            f"none of the {len(entries):,} clips that the set was begun with is among those given; "
            "give that source again, or a new folder."
        )
    comparison.todo.sort(key=lambda clip: clip.source.clip)
    return comparison


def _place_missing(
    comparison: Comparison, missing: Sequence[Entry], clips: Sequence[SourceClip]
) -> None:
    """Entries whose clips are not given: void where their file is, and has changed."""
    files = {clip.source.path: clip.video or clip.audio for clip in clips}
    for entry in missing:
        file, content = files.get(entry.source.path), entry.content.split(" ")[0]
        now = hash_source(file) if file else ""
        if now and content and now != content:
            comparison.void.append(entry.source.clip)
        elif entry.kept:
            comparison.gone.append(entry.source.clip)


def _is_same(entry: Entry, clip: SourceClip, content: str) -> bool:
    noted = entry.content or (content if entry.kept else "")  # earlier versions noted none
    return (noted, entry.source) == (content, clip.source)


def _identity(entry: Entry) -> tuple[str, float, float]:
    return entry.content, entry.source.start, entry.source.end


def _name(clips: Sequence[str], most: int = 3) -> str:
    names = [" ".join(clip.split()) for clip in clips[:most]]  # in one line
    return ", ".join(names) + (", …" if len(clips) > most else "")
