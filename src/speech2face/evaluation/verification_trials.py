"""Trials of public lists: does this voice go with this face, and with which of two?

pairs      a voice, a face and a label: 1 for one person, 0 for two. So are the lists of Learnable
           PINs (Nagrani et al., ECCV 2018) on VoxCeleb.
triplets   a probe, two candidates of the other kind, and which of them is right: 0 and 1, or 1 and
           2 (Nagrani et al., CVPR 2018). Some lists do not tell, because the right one always has
           the same place; then the reader must be told.

A list is text (see tables.py), a trial a line, its fields parted by the first of comma, semicolon,
tab and blank that the first line holds. Columns are found by what they hold, the same in all lines:
a voice's file ends like sound or video, a face's like a picture. The first line is a header where
it names neither. The label is the column headed `label`, or the only further one, or the only one
of several that holds nothing but labels; all others are ignored. A trial listed twice counts twice.
Whatever is unclear is an error that names the line.

Whose a file is, its first folder says (PERSON/…/FILE), unless a mapping of files or first folders
says otherwise. Labels that contradict it are an error.

AUC        how often, of a trial of one person and one of two, the former has the greater score
EER        equal error rate: as many trials of one person refused as of two accepted
accuracy   share of triplets in which the right candidate has the greater score

Ties count half, and chance is .5 for all three. Scores are cosines after each side's mean is taken
away (see retrieval.py). Intervals are 95 %, by the bootstrap over people: a trial counts as often
as the person in it was drawn, or with two people, the one's times the other's.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from speech2face.data.pairs import PICTURES
from speech2face.errors import UsageError
from speech2face.inputs import SUFFIXES
from speech2face.metrics.intervals import Estimate, summarise
from speech2face.metrics.retrieval import area_under_roc, equal_error_rate
from speech2face.tables import drop_repeats, read_lines, read_table

SEPARATORS = ",;\t "
NAMED = 3  # missing files that an error names

Embeddings = Mapping[str, np.ndarray] | Callable[[str], np.ndarray]
"""File, as the list names it → embedding (D,), of voices and faces in one space."""


@dataclass(frozen=True)
class PairTrial:
    """Are this voice and this face of one person?"""

    voice: str
    face: str
    same: bool


@dataclass(frozen=True)
class TripletTrial:
    """Which candidate goes with the probe: of two faces with a voice, or two voices with a face?"""

    probe: str
    right: str
    wrong: str


@dataclass(frozen=True)
class PairScores:
    auc: Estimate
    eer: Estimate
    chance: float = 0.5  # of both


@dataclass(frozen=True)
class TripletScores:
    accuracy: Estimate
    chance: float = 0.5


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

    def unclear(self, row: int, what: str) -> UsageError:
        return UsageError(f"{self.path}: line {self.lines[row]}: {what}.")


def read_pair_trials(path: str | Path, root: str | Path) -> list[PairTrial]:
    """The pairs that a list holds. Raises UsageError where it is unclear or `root` lacks a file."""
    table = _read_table(Path(path))
    if (len(table.voices), len(table.faces)) != (1, 1):
        raise table.unclear(0, "a pair is one voice's file and one face's")
    labels = _find_labels(table, ("0", "1"))
    trials = [
        PairTrial(row[table.voices[0]], row[table.faces[0]], label == "1")
        for row, label in zip(table.rows, labels, strict=True)
    ]
    _check_answers(table, [((t.voice, t.face), t.same) for t in trials])
    _check_files(table, Path(root))
    return trials


def read_triplet_trials(
    path: str | Path, root: str | Path, right: int | None = None
) -> list[TripletTrial]:
    """The triplets that a list holds. Raises UsageError as `read_pair_trials` does.

    `right`, 1 or 2, is where the right candidate stands in a list that holds nothing but files.
    """
    table = _read_table(Path(path))
    probes, candidates = sorted((table.voices, table.faces), key=len)
    if (len(probes), len(candidates)) != (1, 2):
        raise table.unclear(0, "a triplet is a voice's file and two faces', or a face's and two")
    if right is None:
        labels = [int(label) for label in _find_labels(table, ("0", "1", "2"))]
        if set(labels) not in ({0, 1}, {1, 2}):
            odd = labels.index(max(labels))
            raise table.unclear(odd, "the labels are not 0 and 1, nor 1 and 2")
        places = [label - min(labels) for label in labels]
    elif table.further or right not in (1, 2):
        raise table.unclear(0, "a place is given, 1 or 2, only where there are files alone")
    else:
        places = [right - 1] * len(table.rows)
    trials = []
    for number, (row, place) in enumerate(zip(table.rows, places, strict=True)):
        pair = [row[i] for i in candidates]
        if pair[0] == pair[1]:
            raise table.unclear(number, f"both candidates are {pair[0]}")
        trials.append(TripletTrial(row[probes[0]], pair[place], pair[1 - place]))
    _check_answers(table, [((t.probe, frozenset((t.right, t.wrong))), t.right) for t in trials])
    _check_files(table, Path(root))
    return trials


def read_trials(
    path: str | Path, root: str | Path, right: int | None = None
) -> list[PairTrial] | list[TripletTrial]:
    """Pairs or triplets, whichever the list holds; `right` is of triplets."""
    table = _read_table(Path(path))
    if len(table.voices) == len(table.faces) == 1:
        return read_pair_trials(path, root)
    return read_triplet_trials(path, root, right)


def read_people(path: Path) -> dict[str, str]:
    """A table with the columns file and person → person of each file, or of each first folder.

    Raises UsageError where it is not as it should be (see tables.py).
    """
    rows = drop_repeats(read_table(path, ("file", "person")), "file", ("person",))
    return {row["file"]: row["person"] for row in rows}


def check_people(
    trials: Sequence[PairTrial | TripletTrial], people: Mapping[str, str] | None
) -> None:
    """Raise UsageError where a trial's label contradicts who is in its files."""
    for trial in trials:
        if isinstance(trial, PairTrial):
            _find_people([(trial.voice, trial.face, trial.same)], people)
        else:
            _find_people([(trial.probe, trial.right, True)], people)
            _find_people([(trial.probe, trial.wrong, False)], people)


def score_pairs(
    trials: Sequence[PairTrial],
    voices: Embeddings,
    faces: Embeddings,
    people: Mapping[str, str] | None = None,
    seed: int = 0,
    draws: int = 1_000,
) -> PairScores:
    """AUC and EER over all trials. `people`: file or first folder → person."""
    same = np.array([t.same for t in trials], bool)
    if same.all() or not same.any():
        raise UsageError(f"all {len(trials)} trials have one label; both are needed to score.")
    asked = [(t.voice, t.face) for t in trials]
    who = _find_people([(*files, s) for files, s in zip(asked, same, strict=True)], people)
    scores = _score(asked, voices, faces)
    level = np.unique(scores, return_inverse=True)[1]
    drawn = [_auc_and_eer(level, same, weights) for weights in _draw(who, seed, draws)]
    auc, eer = np.array([auc_and_eer(scores, same), *drawn]).T
    return PairScores(summarise(auc), summarise(eer))


def score_triplets(
    trials: Sequence[TripletTrial],
    voices: Embeddings,
    faces: Embeddings,
    people: Mapping[str, str] | None = None,
    seed: int = 0,
    draws: int = 1_000,
) -> TripletScores:
    """Accuracy over all trials. `people`: file or first folder → person."""
    if not trials:
        raise UsageError("no trials; one or more are needed to score.")
    check_people(trials, people)
    who = _find_people([(t.probe, t.wrong, False) for t in trials], people)
    asked = [(t.probe, t.right) for t in trials] + [(t.probe, t.wrong) for t in trials]
    asked = [files if is_voice(files[0]) else files[::-1] for files in asked]
    right, wrong = np.split(_score(asked, voices, faces), 2)
    wins = (right > wrong) + 0.5 * (right == wrong)
    drawn = [weights @ wins / weights.sum() for weights in _draw(who, seed, draws) if weights.any()]
    return TripletScores(summarise(np.array([wins.mean(), *drawn])))


def auc_and_eer(scores: np.ndarray, same: np.ndarray) -> tuple[float, float]:
    """Scores (N,) and whether they are of one person (N,) bool, some of each → AUC and EER.

    Between two thresholds the rates of error are taken to change together, along a line.
    """
    level = np.unique(scores, return_inverse=True)[1]
    return _auc_and_eer(level, same, np.ones(len(scores)))


def _auc_and_eer(level: np.ndarray, same: np.ndarray, weights: np.ndarray) -> tuple[float, float]:
    """The same of scores' ranks (N,) from 0 on, weighted; NaN where only one kind has weight."""
    curve = []
    for kind in (~same, same):  # false accepts, hits
        rates = np.cumsum(np.bincount(level, weights * kind)[::-1])  # thresholds fall
        if not rates[-1]:
            return np.nan, np.nan
        curve.append(np.concatenate([[0], rates / rates[-1]])[None])
    return float(area_under_roc(*curve)[0]), float(equal_error_rate(*curve)[0])


def _score(asked: Sequence[tuple[str, ...]], voices: Embeddings, faces: Embeddings) -> np.ndarray:
    """Centred cosine (N,) of each voice and face."""
    first = _centre([voice for voice, _ in asked], voices)
    second = _centre([face for _, face in asked], faces)
    return np.einsum("nd,nd->n", first, second)


def _centre(files: Sequence[str], embeddings: Embeddings) -> np.ndarray:
    """Unit vectors (N, D) from the files' mean; zero, and so a tie, where there is no telling."""
    row_of = {file: row for row, file in enumerate(dict.fromkeys(files))}
    look_up = embeddings if callable(embeddings) else embeddings.__getitem__
    try:
        rows = np.array([look_up(file) for file in row_of], np.float64)
    except KeyError as error:
        raise UsageError(f"{error.args[0]}: the trials name it, but it has no embedding.") from None
    least = 1e-9 * np.abs(rows).max()  # what is nearer to the mean is rounding
    rows -= rows.mean(0)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return (rows / np.where(lengths > least, lengths, np.inf))[[row_of[file] for file in files]]


def _find_people(
    asked: Sequence[tuple[str, str, bool]], people: Mapping[str, str] | None
) -> np.ndarray:
    """Two files, and whether they are of one person → the people's numbers (N, 2)."""
    people = people or {}
    numbers: dict[str, int] = {}
    found = []
    for *files, same in asked:
        folders = [PurePosixPath(file).parts[0] for file in files]
        names = [
            people.get(file, people.get(folder, folder))
            for file, folder in zip(files, folders, strict=True)
        ]
        if same != (names[0] == names[1]):
            raise UsageError(
                f"{files[0]} and {files[1]} are of {'one person' if same else 'two people'} by the "
                f"list, but of {' and '.join(names)} by name; name them by --people."
            )
        found.append([numbers.setdefault(name, len(numbers)) for name in names])
    return np.array(found)


def _draw(who: np.ndarray, seed: int, draws: int) -> Iterator[np.ndarray]:
    """People of each trial (N, 2) → weights (N,), once for each draw of as many people."""
    rng = np.random.default_rng(seed)
    count = int(who.max()) + 1
    one, other = who.T
    for _ in range(draws):
        times = np.bincount(rng.integers(count, size=count), minlength=count)
        yield times[one] * np.where(one == other, 1, times[other]).astype(float)


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
        raise table.unclear(0, f"{len(rows[0])} fields under a header of {len(header)}")
    for number, row in enumerate(rows):
        if len(row) != len(indices):
            raise table.unclear(number, f"{len(row)} fields where others have {len(indices)}")
        for kind, columns, fits in (("voice", voices, is_voice), ("face", faces, _is_face)):
            for i in columns:
                if not fits(row[i]):
                    raise table.unclear(number, f"{row[i]!r} stands where a {kind}'s file should")
    return table


def _find_labels(table: _Table, known: tuple[str, ...]) -> list[str]:
    """The label of each row (N,)."""
    columns = [i for i, name in enumerate(table.header) if name.lower() == "label"]
    columns = columns or table.further
    if len(columns) > 1:
        columns = [i for i in columns if all(row[i] in known for row in table.rows)]
    if len(columns) != 1:
        found = "several columns" if columns else "no column"
        raise table.unclear(0, f"{found} can be the label, {' or '.join(known)}")
    labels = [row[columns[0]] for row in table.rows]
    for number, label in enumerate(labels):
        if label not in known:
            raise table.unclear(number, f"the label is {label!r}, not {' or '.join(known)}")
    return labels


def _check_answers(table: _Table, trials: Sequence[tuple[Hashable, Hashable]]) -> None:
    """Files and their label, (N,): the same files always have the same label."""
    first: dict[Hashable, int] = {}
    for number, (files, label) in enumerate(trials):
        other = first.setdefault(files, number)
        if trials[other][1] != label:
            raise table.unclear(number, f"contradicts line {table.lines[other]}")


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
    """Whether a file's name ends like sound or video."""
    return PurePosixPath(field).suffix.lower() in SUFFIXES


def _is_face(field: str) -> bool:
    return PurePosixPath(field).suffix.lower() in PICTURES


def _is_file(field: str) -> bool:
    return is_voice(field) or _is_face(field)
