"""Teaching of the attackers that are released, and whether what they state of a recording is true.

An attacker of a method learns from people who spoke plainly and through it. What he states of one
recording is checked by folds over people: attackers who never met them, by speaker networks that
never did, state bits and ranks, and what is found is where the true face stands in its fold, and
how many others of the fold are taken for the speaker before the speaker is.

The released attackers learn from all, on what the released encoder hears. It was tuned to the faces
of the same people, so for faces the check hears by the networks that it was tuned from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from speech2face.metrics.intervals import Estimate, bootstrap_people
from speech2face.metrics.rank_disclosure import fit_ranks
from speech2face.metrics.retrieval import Ranks
from speech2face.privacy.attacker_features import AttackerFeatures
from speech2face.privacy.attackers import learn_both_forms
from speech2face.privacy.leakage_estimate import BINS, FaceCovariance, shrink_to_prior
from speech2face.privacy.speaker_discriminant import Discriminant, TwoFormDiscriminant
from speech2face.privacy.trained_attackers import (
    PARTS,
    FaceReader,
    Hearing,
    PlainFace,
    TrainedAttacker,
    VoiceVerifier,
    sort_faces,
    stated_bits,
)
from speech2face.training.gaussian_head import TOLERANCE, HeadConfig, HeadSolution, solve_head

DIRECTIONS = 32  # of faces that a released attacker tells apart
TURNS = 64  # directions of voices that its verifier compares
STEPS = 401  # quantiles of strangers' scores that are kept
DOUBTS = (0.0, 0.1, 0.2, 0.3, 0.5, 0.8)  # that are tried
ANYWHERE = 0.02  # of people
GROUPS = 3  # of recordings, by what is stated of them
DRAWS = 1000  # of people, for intervals
STRANGERS = 1000


@dataclass(frozen=True)
class Clips:
    """N clips whose faces are known, as spoken and by a method, in folds by person."""

    plain: np.ndarray  # (N, F) features
    disguised: np.ndarray  # (N, F)
    plain_seconds: np.ndarray  # (N,)
    seconds: np.ndarray  # (N,) of the disguised
    unheard: np.ndarray  # (N,) what length, noise and narrowness take of the plain voice's evidence
    faces: np.ndarray  # (N, D)
    people: np.ndarray  # (N,)
    fold: np.ndarray  # (N,)

    def hear(self, hearing: Hearing) -> Clips:
        """The same, heard by some of the networks."""
        part = PARTS[hearing]
        return replace(self, plain=self.plain[:, part], disguised=self.disguised[:, part])


@dataclass(frozen=True)
class Halves:
    """M halves of recordings, pairs one after the other, as spoken and by a method."""

    plain: np.ndarray  # (M, F) features
    disguised: np.ndarray  # (M, F)
    people: np.ndarray  # (M,)
    fold: np.ndarray  # (M,)

    def hear(self, hearing: Hearing) -> Halves:
        """The same, heard by some of the networks."""
        part = PARTS[hearing]
        return replace(self, plain=self.plain[:, part], disguised=self.disguised[:, part])


@dataclass(frozen=True)
class Group:
    """Recordings of which about the same is stated: what is, and what is found, on average."""

    people: int
    stated: float
    found: Estimate


@dataclass(frozen=True)
class FaceCheck:
    """Bits of faces, stated and found."""

    all: Group
    groups: tuple[Group, ...]  # rising
    shares: np.ndarray  # (20,) of people, by the twentieth in which their face was found


@dataclass(frozen=True)
class VoiceCheck:
    """Strangers of 1,000 who would be taken for the speaker first, stated and found."""

    all: Group
    groups: tuple[Group, ...]
    strangers: np.ndarray  # (STEPS,) scores of two speakers, rising


def teach_attacker(
    method: str,
    hearing: Hearing,
    clips: Clips,
    halves: Halves,
    face: FaceCheck,
    voice: VoiceCheck,
    config: HeadConfig,
) -> TrainedAttacker:
    """The attacker of a method who learned from all; features are those of the released encoder.

    `face` and `voice` are what was found of attackers like this one by folds.
    """
    clips, halves = clips.hear(hearing), halves.hear(hearing)
    reader = teach_face(clips, np.ones(len(clips.people), bool), config)
    verifier = teach_voice(halves, np.ones(len(halves.people), bool), voice.strangers)
    return TrainedAttacker(method, hearing, reader, verifier, face.shares)


def teach_face(clips: Clips, chosen: np.ndarray, config: HeadConfig) -> FaceReader:
    """Learn to read faces from the chosen clips (N,) bool, in both forms; keep what tells most."""
    head, centre = learn_both_forms(
        AttackerFeatures(clips.plain[chosen], clips.plain_seconds[chosen]),
        AttackerFeatures(clips.disguised[chosen], clips.seconds[chosen]),
        clips.faces[chosen],
        clips.people[chosen],
        config,
    )
    return _reduce(head, centre)


def _reduce(head: HeadSolution, centre: np.ndarray) -> FaceReader:
    """The directions of faces that a head for features less `centre` (F,) explains most of.

    They are as `log_likelihood_ratios` sees them: in a space where the widened prior is 1 in all
    directions, and the explained part lies along them.
    """
    size = len(head.average)
    tolerance = TOLERANCE * np.trace(head.residual_covariance) / size * np.eye(size)
    root = np.linalg.inv(np.linalg.cholesky(head.prior + tolerance))
    shares, turn = np.linalg.eigh(root @ head.explained_covariance @ root.T)
    axes = root.T @ turn[:, ::-1][:, :DIRECTIONS]
    shown = head.unshrink.T @ axes
    reading = head.weight.T @ shown
    return FaceReader(
        reading,
        head.bias @ shown - centre @ reading,
        axes,
        head.average @ axes,
        np.clip(shares[::-1][:DIRECTIONS], 0, 0.99),
        head.half_gain_seconds,
    )


def teach_voice(halves: Halves, chosen: np.ndarray, strangers: np.ndarray) -> VoiceVerifier:
    """Learn from the chosen halves (M,) bool to tell whether two are of one speaker.

    `strangers`: see `VoiceVerifier`.
    """
    learned = TwoFormDiscriminant.learn(
        halves.plain[chosen], halves.disguised[chosen], halves.people[chosen]
    )
    most = np.argsort(-learned.model.between)[:TURNS]
    model = Discriminant(
        learned.model.centre, learned.model.turn[:, most], learned.model.between[most]
    )
    return VoiceVerifier(replace(learned, model=model), strangers)


def state_plain_faces(clips: Clips, config: HeadConfig) -> list[PlainFace]:
    """Where the face of each clip (N) may lie by its plain voice, stated by folds.

    As the released encoder's evidence is weighted by what was found of plain voices, so is this: by
    a doubt for each fold with which, of the others' plain voices, as much is stated as is found.
    """
    plain = replace(clips, disguised=clips.plain, seconds=clips.plain_seconds)
    sorting = _sort_by_folds(plain, config)
    heads = {int(k): _learn_plain(clips, clips.fold != k, config) for k in np.unique(clips.fold)}
    faces = {doubt: _state_faces(clips, heads, doubt) for doubt in DOUBTS}
    excess = {doubt: np.subtract(*_state_bits(plain, sorting, faces[doubt])) for doubt in DOUBTS}

    def fit_doubt(fold: int) -> float:
        others = clips.fold != fold
        return min(DOUBTS, key=lambda doubt: abs(float(excess[doubt][others].mean())))

    doubts = {fold: fit_doubt(fold) for fold in heads}
    return [faces[doubts[int(fold)]][row] for row, fold in enumerate(clips.fold)]


def check_faces(clips: Clips, plain: Sequence[PlainFace], config: HeadConfig) -> FaceCheck:
    """Bits that are stated of each clip, and found, by folds; `plain`: see `state_plain_faces`."""
    sorting = _sort_by_folds(clips, config)
    stated, found = _state_bits(clips, sorting, plain)
    everyone = np.ones(len(clips.people), bool)
    shares = fit_places(sorting.rank, sorting.gallery, clips.people, everyone)
    return FaceCheck(*_group(stated, found, clips.people), shares)


@dataclass(frozen=True)
class _Sorting:
    """Readers by fold, and the place of each clip's true face among so many of its fold."""

    readers: Mapping[int, FaceReader]
    rank: np.ndarray  # (N,) 1 first
    gallery: np.ndarray  # (N,)


def _sort_by_folds(clips: Clips, config: HeadConfig) -> _Sorting:
    rank, gallery = np.zeros((2, len(clips.people)), int)
    readers = {int(k): teach_face(clips, clips.fold != k, config) for k in np.unique(clips.fold)}
    for k, reader in readers.items():
        test = np.flatnonzero(clips.fold == k)
        faces = clips.faces[test] @ reader.axes
        for row in test:
            scores = reader.score(clips.disguised[row], clips.seconds[row], faces)
            others = clips.people[test] != clips.people[row]
            rank[row] = 1 + (scores[others] > scores[test == row][0]).sum()
            gallery[row] = 1 + others.sum()
    return _Sorting(readers, rank, gallery)


def _learn_plain(clips: Clips, chosen: np.ndarray, config: HeadConfig) -> HeadSolution:
    whole, people = np.ones(int(chosen.sum()), bool), clips.people[chosen].tolist()
    taught = clips.plain[chosen], clips.plain_seconds[chosen], clips.faces[chosen]
    return solve_head(*taught, people, whole, config)


def _state_faces(clips: Clips, heads: Mapping[int, HeadSolution], doubt: float) -> list[PlainFace]:
    stated = []
    for row, fold in enumerate(clips.fold):
        head, seconds = heads[int(fold)], clips.plain_seconds[row]
        covariance = FaceCovariance(head.prior, head.explained_covariance, head.half_gain_seconds)
        mean = head.predict(clips.plain[row][None].astype(np.float64), clips.plain_seconds[[row]])[
            0
        ]
        weight = 1 / (1 + doubt + clips.unheard[row])
        seen = shrink_to_prior(mean, head.average, covariance, seconds, weight)
        stated.append(PlainFace(head.average, head.prior, *seen))
    return stated


def _state_bits(
    clips: Clips, sorting: _Sorting, plain: Sequence[PlainFace]
) -> tuple[np.ndarray, np.ndarray]:
    """Bits stated of each clip, and found (N,), by the places of everybody outside its fold."""
    stated, found = np.zeros((2, len(clips.people)))
    true = (sorting.rank - 0.5) / sorting.gallery
    for k, reader in sorting.readers.items():
        shares = fit_places(sorting.rank, sorting.gallery, clips.people, clips.fold != k)
        for row in np.flatnonzero(clips.fold == k):
            places = sort_faces(reader, clips.disguised[row], clips.seconds[row], plain[int(row)])
            stated[row] = stated_bits(places, shares)
            found[row] = stated_bits(true[row : row + 1], shares)
    return stated, found


def fit_places(
    ranks: np.ndarray, gallery: np.ndarray, people: np.ndarray, chosen: np.ndarray
) -> np.ndarray:
    """Share of people in each twentieth (20,), by a beta-binomial of ranks among so many (N,).

    A part of them, `ANYWHERE`, may stand anywhere: no place is impossible.
    """
    from scipy.stats import beta

    rows = np.flatnonzero(chosen)
    ties = np.zeros(len(rows), int)
    _, index, counts = np.unique(people[rows], return_inverse=True, return_counts=True)
    weights = 1 / counts[index] / len(counts)
    model = fit_ranks(Ranks(rows, ranks[rows], ties, gallery[rows]), weights)
    shares = np.diff(beta.cdf(np.arange(BINS + 1) / BINS, model.a, model.b))
    return (1 - ANYWHERE) * shares + ANYWHERE / BINS


def check_voices(halves: Halves) -> VoiceCheck:
    """Strangers who would be taken for each speaker, stated and found, by folds."""
    rows: list[tuple[int, str, float, np.ndarray]] = []  # fold, speaker, own score, strangers'
    for k in np.unique(halves.fold):
        compare = teach_voice(halves, halves.fold != k, np.empty(0)).model.compare
        own = np.flatnonzero(halves.fold == k)
        names, plain, disguised = halves.people[own], halves.plain[own], halves.disguised[own]
        # Rows are disguised recordings, columns plain ones: each half with the other one.
        scores = compare(disguised[1::2], plain[::2]) + compare(disguised[::2], plain[1::2])
        for place, name in enumerate(names[::2]):
            others = scores[place, names[::2] != name] / 2
            rows.append((int(k), str(name), float(scores[place, place] / 2), others))
    stated, found = [], []
    for k, _, score, strangers in rows:
        others = np.concatenate([row[3] for row in rows if row[0] != k])
        stated.append(STRANGERS * float((others >= score).mean()))
        found.append(STRANGERS * float((strangers >= score).mean()))
    pool = np.concatenate([row[3] for row in rows])
    return VoiceCheck(
        *_group(np.array(stated), np.array(found), np.array([row[1] for row in rows])),
        np.quantile(pool, np.linspace(0, 1, STEPS)),
    )


def _group(
    stated: np.ndarray, found: np.ndarray, people: np.ndarray
) -> tuple[Group, tuple[Group, ...]]:
    """All recordings, and those in `GROUPS` parts by what is stated of them, rising."""

    def measure(rows: np.ndarray) -> Group:
        both = (bootstrap_people(x[rows], people[rows], draws=DRAWS) for x in (stated, found))
        mean, estimate = both
        return Group(len(set(people[rows].tolist())), mean.value, estimate)

    order = np.argsort(stated, kind="stable")
    parts = tuple(measure(rows) for rows in np.array_split(order, GROUPS))
    return measure(order), parts
