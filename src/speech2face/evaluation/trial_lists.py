"""Lists of trials, read: pairs of files to verify, or candidates to choose among, with labels.

pairs      a voice, a face and a label: 1 for one person, 0 for two. So are the lists of Learnable
           PINs (Nagrani et al., ECCV 2018) on VoxCeleb.
matching   a probe, N candidates of the other kind, and which of them is right, counted from 0 or
           from 1 (two: Nagrani et al., CVPR 2018; more: Wen et al., ICLR 2019). Some lists do not
           say, because the right one always has the same place; then the caller must give it.

A list is text (see tables.py), a trial a line, its fields parted by the first of comma, semicolon,
tab and blank that the first line holds. Columns are found by what they hold, the same in all lines:
a voice's file ends like sound or video, a face's like a picture. The first line is a header where
it names neither. The label is the column headed `label`, or the only further one, or the only one
of several that holds nothing but labels; all others are ignored. A trial listed twice counts twice.
Whatever is unclear is an error that names the line.

A file's first folder says whose it is (PERSON/…/FILE), unless a mapping of files or first folders
says otherwise. Labels that contradict it are an error. What else a table of people says of them, as
gender and nationality in that of VoxCeleb, makes strata: trials among people who share it.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from speech2face.data.pairs import PICTURES
from speech2face.errors import UsageError
from speech2face.inputs import SUFFIXES
from speech2face.tables import drop_repeats, read_lines, read_table

SEPARATORS = ",;\t "
NAMED = 3  # missing files that an error names


@dataclass(frozen=True)
class PairTrial:
    """A voice and a face, and whether they are of one person."""

    voice: str
    face: str
    same: bool


@dataclass(frozen=True)
class MatchingTrial:
    """A probe and its candidates: a voice and faces, or a face and voices."""

    probe: str
    right: str
    wrong: tuple[str, ...]  # one or more


Trial = PairTrial | MatchingTrial


@dataclass(frozen=True)
class _Table:
    """A list as it stands: N rows without the header, and which columns hold what."""

    path: Path
    header: list[str]  # empty where there is none
    rows: list[list[str]]
    lines: list[int]  # (N,) of the file
    voices: list[int]
    faces: list[int]
    further: list[int]

    def error(self, row: int, what: str) -> UsageError:
        return UsageError(f"{self.path}: line {self.lines[row]}: {what}.")


def read_pair_trials(path: str | Path, root: str | Path) -> list[PairTrial]:
    """The pairs that a list holds. Raises UsageError where it is unclear or `root` lacks a file."""
    table = _read_table(Path(path))
    if (len(table.voices), len(table.faces)) != (1, 1):
        raise table.error(0, "a pair is one voice's file and one face's")
    labels = _find_labels(table, ("0", "1"))
    trials = [
        PairTrial(row[table.voices[0]], row[table.faces[0]], label == "1")
        for row, label in zip(table.rows, labels, strict=True)
    ]
    _check_answers(table, [((t.voice, t.face), t.same) for t in trials])
    _check_files(table, Path(root))
    return trials


def read_matching_trials(
    path: str | Path, root: str | Path, right: int | None = None
) -> list[MatchingTrial]:
    """The matching trials that a list holds. Raises UsageError as `read_pair_trials` does.

    `right`, from 1 on, is where the right candidate stands in a list that holds nothing but files.
    """
    table = _read_table(Path(path))
    probes, candidates = sorted((table.voices, table.faces), key=len)
    count = len(candidates)
    if len(probes) != 1 or count < 2:
        raise table.error(0, "a matching trial is one file and two or more of the other kind")
    if right is None:
        places = _find_places(table, count)
    elif table.further or not 1 <= right <= count:
        raise table.error(0, f"a place is given, 1 to {count}, only where there are files alone")
    else:
        places = [right - 1] * len(table.rows)
    trials = []
    for number, (row, place) in enumerate(zip(table.rows, places, strict=True)):
        files = [row[i] for i in candidates]
        if twice := next((file for i, file in enumerate(files) if file in files[:i]), None):
            raise table.error(number, f"two candidates are {twice}")
        wrong = tuple(file for i, file in enumerate(files) if i != place)
        trials.append(MatchingTrial(row[probes[0]], files[place], wrong))
    answers = [((t.probe, frozenset((t.right, *t.wrong))), t.right) for t in trials]
    _check_answers(table, answers)
    _check_files(table, Path(root))
    return trials


def read_trials(
    path: str | Path, root: str | Path, right: int | None = None
) -> list[PairTrial] | list[MatchingTrial]:
    """Pairs or matching trials, whichever the list holds; `right` is of the latter."""
    table = _read_table(Path(path))
    if len(table.voices) == len(table.faces) == 1:
        return read_pair_trials(path, root)
    return read_matching_trials(path, root, right)


def read_people(path: Path) -> dict[str, str]:
    """A table with the columns file and person → person of each file, or of each first folder.

    Raises UsageError where it is not as it should be (see tables.py).
    """
    rows = drop_repeats(read_table(path, ("file", "person")), "file", ("person",))
    return {row["file"]: row["person"] for row in rows}


def read_traits(path: Path) -> dict[str, dict[str, str]]:
    """The further columns of the same table: what it says of each person, by column.

    Raises UsageError where it says two things of one person.
    """
    rows = read_table(path, ("file", "person"))
    columns = [name for name in rows[0].fields if name and name not in ("file", "person")]
    people = drop_repeats(rows, "person", columns)
    return {row["person"]: {name: row[name] for name in columns} for row in people}


def name_person(file: str, people: Mapping[str, str] | None) -> str:
    """Who is in a file: by `people`, of files or first folders, or else by its first folder."""
    folder = PurePosixPath(file).parts[0]
    return (people or {}).get(file, (people or {}).get(folder, folder))


def find_strata(
    trials: Sequence[Trial],
    people: Mapping[str, str] | None,
    traits: Mapping[str, Mapping[str, str]],
) -> dict[str, list[int]]:
    """The trials, by number, whose people share a trait; by trait, and then those who share all.

    Who has nothing in a column shares it with nobody.
    """
    columns = list(dict.fromkeys(name for one in traits.values() for name in one))
    strata: dict[str, list[int]] = {name: [] for name in columns}
    whole = ", ".join(columns)
    for number, trial in enumerate(trials):
        names = {name_person(file, people) for file in list_files(trial)}
        values = {
            column: {traits.get(name, {}).get(column, "") for name in names} for column in columns
        }
        shared = [column for column, held in values.items() if len(held) == 1 and "" not in held]
        for column in shared:
            strata[column].append(number)
        if len(shared) == len(columns) > 1:
            strata.setdefault(whole, []).append(number)
    return {name: numbers for name, numbers in strata.items() if numbers}


def list_files(trial: Trial) -> tuple[str, ...]:
    """The files of a trial: the voice and the face, or the probe and its candidates."""
    if isinstance(trial, PairTrial):
        return trial.voice, trial.face
    return trial.probe, trial.right, *trial.wrong


def check_people(trials: Sequence[Trial], people: Mapping[str, str] | None) -> None:
    """Raise UsageError where a trial's label contradicts who is in its files."""
    for trial in trials:
        if isinstance(trial, PairTrial):
            find_people([(trial.voice, trial.face, trial.same)], people)
        else:
            find_people([(trial.probe, trial.right, True)], people)
            find_people([(trial.probe, wrong, False) for wrong in trial.wrong], people)


def find_people(
    pairs: Sequence[tuple[str, str, bool]], people: Mapping[str, str] | None
) -> np.ndarray:
    """Two files, and whether they are of one person → the people's numbers (N, 2)."""
    numbers: dict[str, int] = {}
    rows = []
    for *files, same in pairs:
        names = [name_person(file, people) for file in files]
        if same != (names[0] == names[1]):
            raise UsageError(
                f"{files[0]} and {files[1]} are of {'one person' if same else 'two people'} by the "
                f"list, but of {' and '.join(names)} by name; name them by --people."
            )
        rows.append([numbers.setdefault(name, len(numbers)) for name in names])
    return np.array(rows)


def _read_table(path: Path) -> _Table:
    held = read_lines(path, SEPARATORS)
    lines, rows = [line for line, _ in held], [row for _, row in held]
    header = [] if not rows or any(map(_is_file, rows[0])) else rows[0]
    if header:
        rows, lines = rows[1:], lines[1:]
    if not rows:
        raise UsageError(f"{path}: holds no trials.")
    indices = range(len(rows[0]))
    voices = [i for i in indices if is_voice(rows[0][i])]
    faces = [i for i in indices if _is_face(rows[0][i])]
    further = [i for i in indices if i not in voices and i not in faces]
    table = _Table(path, header, rows, lines, voices, faces, further)
    if header and len(header) != len(rows[0]):
        raise table.error(0, f"{len(rows[0])} fields under a header of {len(header)}")
    for number, row in enumerate(rows):
        if len(row) != len(indices):
            raise table.error(number, f"{len(row)} fields where others have {len(indices)}")
        for kind, columns, fits in (("voice", voices, is_voice), ("face", faces, _is_face)):
            for i in columns:
                if not fits(row[i]):
                    raise table.error(number, f"{row[i]!r} stands where a {kind}'s file should")
    return table


def _find_labels(table: _Table, allowed: tuple[str, ...]) -> list[str]:
    """The label of each row (N,)."""
    columns = [i for i, name in enumerate(table.header) if name.lower() == "label"]
    columns = columns or table.further
    if len(columns) > 1:
        columns = [i for i in columns if all(row[i] in allowed for row in table.rows)]
    if len(columns) != 1:
        count = "several columns" if columns else "no column"
        raise table.error(0, f"{count} can be the label, {' or '.join(allowed)}")
    labels = [row[columns[0]] for row in table.rows]
    for number, label in enumerate(labels):
        if label not in allowed:
            raise table.error(number, f"the label is {label!r}, not {' or '.join(allowed)}")
    return labels


def _find_places(table: _Table, count: int) -> list[int]:
    """The place of the right one among so many candidates, from 0 on, of each row (N,)."""
    labels = [int(label) for label in _find_labels(table, tuple(map(str, range(count + 1))))]
    lowest, highest = min(labels), max(labels)
    if lowest == highest or highest - lowest >= count or not (lowest == 0 or highest == count):
        odd = labels.index(highest)
        raise table.error(odd, f"the labels are not from 0 to {count - 1}, nor from 1 to {count}")
    return [label - (lowest > 0) for label in labels]


def _check_answers(table: _Table, trials: Sequence[tuple[Hashable, Hashable]]) -> None:
    """Files and their label, (N,): the same files always have the same label."""
    first: dict[Hashable, int] = {}
    for number, (files, label) in enumerate(trials):
        other = first.setdefault(files, number)
        if trials[other][1] != label:
            raise table.error(number, f"contradicts line {table.lines[other]}")


def _check_files(table: _Table, root: Path) -> None:
    columns = table.voices + table.faces
    files = list(dict.fromkeys(row[i] for row in table.rows for i in columns))
    if missing := [file for file in files if not (root / file).is_file()]:
        names = ", ".join(missing[:NAMED]) + (" …" if len(missing) > NAMED else "")
        raise UsageError(
            f"{table.path}: {len(missing)} of the {len(files)} files that it names are not in "
            f"{root} ({names})."
        )


def is_voice(field: str) -> bool:
    """True if a file's name ends like sound or video."""
    return PurePosixPath(field).suffix.lower() in SUFFIXES


def _is_face(field: str) -> bool:
    return PurePosixPath(field).suffix.lower() in PICTURES


def _is_file(field: str) -> bool:
    return is_voice(field) or _is_face(field)
