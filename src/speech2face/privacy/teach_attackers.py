"""Teaching of the attackers that are released, and whether what they state of a recording is true.

An attacker of a method learns from people who spoke plainly and through it. What he states of one
recording is checked by folds over people: attackers who never met them, by speaker networks that
never did, state bits and ranks, and what is found is where the true face stands in its fold, and
how many others of the fold are taken for the speaker before the speaker is.

The released attackers learn from all, on what the released encoder hears. It was tuned to the faces
of the same people, so for faces the check hears by the networks that it was tuned from.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from speech2face.metrics.intervals import Estimate, bootstrap_people
from speech2face.metrics.rank_disclosure import fit_ranks
from speech2face.metrics.retrieval import Ranks
from speech2face.privacy.leakage_estimate import BINS, FaceCovariance, shrink_to_prior
from speech2face.privacy.speaker_discriminant import Discriminant
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
    weight: np.ndarray  # (N,) κ of the plain voice, see leakage_estimate.py
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
    reader = teach_face(clips.disguised, clips.seconds, clips.faces, clips.people, config)
    everyone = np.ones(len(halves.people), bool)
    verifier = teach_voice(halves, everyone, voice.strangers)
    return TrainedAttacker(method, hearing, reader, verifier, face.shares)


def teach_face(
    features: np.ndarray,
    seconds: np.ndarray,
    faces: np.ndarray,
    people: np.ndarray,
    config: HeadConfig,
) -> FaceReader:
    """Learn to read faces (N, D) from features (N, F); keep what tells them apart best."""
    whole = np.ones(len(people), bool)
    return _reduce(solve_head(features, seconds, faces, people.tolist(), whole, config))


def _reduce(head: HeadSolution) -> FaceReader:
    """The directions of faces that a head explains most of, as `log_likelihood_ratios` sees them.

    In a space where the widened prior is 1 in all directions, and the explained part lies along
    them.
    """
    size = len(head.average)
    tolerance = TOLERANCE * np.trace(head.residual_covariance) / size * np.eye(size)
    root = np.linalg.inv(np.linalg.cholesky(head.prior + tolerance))
    shares, turn = np.linalg.eigh(root @ head.explained_covariance @ root.T)
    axes = root.T @ turn[:, ::-1][:, :DIRECTIONS]
    shown = head.unshrink.T @ axes
    return FaceReader(
        head.weight.T @ shown,
        head.bias @ shown,
        axes,
        head.average @ axes,
        np.clip(shares[::-1][:DIRECTIONS], 0, 0.99),
        head.half_gain_seconds,
    )


def teach_voice(halves: Halves, chosen: np.ndarray, strangers: np.ndarray) -> VoiceVerifier:
    """Learn from the chosen halves (M,) bool to tell whether two are of one speaker.

    `strangers`: see `VoiceVerifier`.
    """
    plain, disguised = halves.plain[chosen], halves.disguised[chosen]
    people = np.tile(halves.people[chosen], 2)
    centres = plain.mean(0, np.float64), disguised.mean(0, np.float64)
    apart = np.concatenate([plain - centres[0], disguised - centres[1]])
    learned = Discriminant.learn(apart, people)
    most = np.argsort(-learned.between)[:TURNS]
    reduced = Discriminant(np.zeros(apart.shape[1]), learned.turn[:, most], learned.between[most])
    return VoiceVerifier(*centres, reduced, strangers)


def check_faces(clips: Clips, config: HeadConfig) -> FaceCheck:
    """Bits that are stated of each clip, and found, by folds."""
    found = np.zeros(len(clips.people))  # place of the true face, a share
    stated_places: list[np.ndarray] = [np.empty(0)] * len(found)
    gallery = np.zeros(len(found), int)
    for k in np.unique(clips.fold):
        test, others = np.flatnonzero(clips.fold == k), clips.fold != k
        own = clips.faces[others], clips.people[others]
        reader = teach_face(clips.disguised[others], clips.seconds[others], *own, config)
        whole = np.ones(int(others.sum()), bool)
        head = solve_head(
            clips.plain[others],
            clips.plain_seconds[others],
            own[0],
            own[1].tolist(),
            whole,
            config,
        )
        covariance = FaceCovariance(head.prior, head.explained_covariance, head.half_gain_seconds)
        means = head.predict(clips.plain[test].astype(np.float64), clips.plain_seconds[test])
        for mean, row in zip(means, test, strict=True):
            other = clips.people[test] != clips.people[row]
            scores = reader.score(
                clips.disguised[row], clips.seconds[row], clips.faces[test] @ reader.axes
            )
            true = scores[test == row][0]
            gallery[row] = other.sum() + 1
            found[row] = ((scores[other] > true).sum() + 0.5) / gallery[row]
            face = PlainFace(
                head.average,
                head.prior,
                *shrink_to_prior(
                    mean, head.average, covariance, clips.plain_seconds[row], clips.weight[row]
                ),
            )
            stated_places[row] = sort_faces(reader, clips.disguised[row], clips.seconds[row], face)
    ranks = (found * gallery + 0.5).round()
    stated, true = np.zeros(len(found)), np.zeros(len(found))
    for k in np.unique(clips.fold):
        shares = fit_places(ranks, gallery, clips.people, clips.fold != k)
        for row in np.flatnonzero(clips.fold == k):
            stated[row] = stated_bits(stated_places[row], shares)
            true[row] = stated_bits(found[row : row + 1], shares)
    everyone = np.ones(len(found), bool)
    return FaceCheck(
        *_group(stated, true, clips.people),
        fit_places(ranks, gallery, clips.people, everyone),
    )


def fit_places(
    ranks: np.ndarray, gallery: np.ndarray, people: np.ndarray, chosen: np.ndarray
) -> np.ndarray:
    """Share of people in each twentieth (20,), by a beta-binomial of ranks among so many (N,)."""
    from scipy.stats import beta

    rows = np.flatnonzero(chosen)
    ties = np.zeros(len(rows), int)
    _, index, counts = np.unique(people[rows], return_inverse=True, return_counts=True)
    weights = 1 / counts[index] / len(counts)
    model = fit_ranks(Ranks(rows, ranks[rows], ties, gallery[rows]), weights)
    return np.diff(beta.cdf(np.arange(BINS + 1) / BINS, model.a, model.b))


def check_voices(halves: Halves) -> VoiceCheck:
    """Strangers who would be taken for each speaker, stated and found, by folds."""
    rows: list[tuple[int, str, float, np.ndarray]] = []  # fold, speaker, own score, strangers'
    for k in np.unique(halves.fold):
        verifier = teach_voice(halves, halves.fold != k, np.empty(0))
        own = np.flatnonzero(halves.fold == k)
        firsts = own[::2]
        compare = verifier.discriminant.compare
        plain = halves.plain[own] - verifier.plain
        disguised = halves.disguised[own] - verifier.disguised
        # rows are plain speakers, columns disguised ones: the first half with the second, and back
        scores = (compare(plain[::2], disguised[1::2]) + compare(plain[1::2], disguised[::2])) / 2
        for place, first in enumerate(firsts):
            person = halves.people[first]
            other = halves.people[firsts] != person
            rows.append((int(k), str(person), float(scores[place, place]), scores[other, place]))
    stated, found = [], []
    for k, _, score, strangers in rows:
        others = np.concatenate([row[3] for row in rows if row[0] != k])
        stated.append(STRANGERS * float((others >= score).mean()))
        found.append(STRANGERS * float((strangers >= score).mean()))
    people = np.array([row[1] for row in rows])
    pool = np.concatenate([row[3] for row in rows])
    return VoiceCheck(
        *_group(np.array(stated), np.array(found), people),
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
