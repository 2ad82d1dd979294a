"""How many people speak in a recording, and when.

The speech is cut into windows of 1.5 s, and the speaker network says of each what the speaker is
like (`speaker_features.py`). Windows are grouped from the most alike on, by the mean cosine between
two groups (average linkage), down to `ALIKE`: on recordings of people who were in no way used for
the final figures, windows of one voice are nearer than that whatever its mood, and those of two
people are not (benchmarks/speakers.json). A group must have `LEAST_WINDOWS`: where two people
speak at once, or one follows the other, a window is of neither. Each chunk of 32 ms then belongs to
the group that the windows over it are nearest to.

Of a long recording `MOST_WINDOWS`, spread evenly, are listened to, and the speech between two
belongs to whom the nearest window does. So time and memory do not grow with its length.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from speech2face.media import SAMPLE_RATE
from speech2face.speaker_features import SHORTEST, WIDTH, open_speaker_features
from speech2face.speech_selection import Stretch
from speech2face.voice_activity import CHUNK

WINDOW, HOP = 47, 23  # chunks: 1.5 s, and what a window lies after the one before
MOST_WINDOWS = 160
SPREAD = (5**0.5 - 1) / 2  # multiples of it, without their whole part, fill an interval evenly
ALIKE = 0.33  # mean cosine down to which two groups of windows are one person
FULL = SAMPLE_RATE  # samples: windows that are shorter form no groups
LEAST_WINDOWS = 2  # of a person
LEAST_SECONDS = 1.0  # of a person's speech
SURE = 0.1  # by how much a chunk must be nearer to one person than to any other to be drawn from
SHORT = 6  # chunks: less than 0.19 s is not drawn from
REASSIGNED = 2  # times that windows are given to the nearest group


@dataclass(frozen=True)
class Speaker:
    """One of the people who speak in a recording."""

    number: int  # from 1, who speaks most
    speech_seconds: float
    segments: tuple[tuple[float, float], ...]  # start and end in the recording, s, in time order

    def as_json(self) -> dict[str, Any]:
        """The facts by their names, times to a thousandth of a second."""
        return {
            "number": self.number,
            "speech_seconds": round(self.speech_seconds, 3),
            "segments": [[round(start, 3), round(end, 3)] for start, end in self.segments],
        }


def describe_speakers(speakers: Sequence[Speaker]) -> str:
    """How many speak, and each for how long."""
    if len(speakers) < 2:
        return "one person speaks"
    *parts, last = (f"{who.number} for {who.speech_seconds:.1f} s" for who in speakers)
    return f"{len(speakers)} people speak, {', '.join(parts)} and {last}"


@dataclass(frozen=True)
class Voices:
    """Who speaks, who speaks most first, and what was listened to of each: nothing of one alone."""

    speakers: tuple[Speaker, ...]
    stretches: tuple[list[Stretch], ...]


class SpeakerSearch:
    """Finds who speaks in a recording given stretch by stretch, in time order."""

    def __init__(self) -> None:
        self._spans: list[tuple[int, int]] = []  # of all speech: first and last sample
        self._windows: list[tuple[float, Stretch]] = []  # the least numbers are kept
        self._seen = 0

    def add(self, stretches: Sequence[Stretch]) -> None:
        """The next speech."""
        for stretch in stretches:
            self._spans.append((stretch.start, stretch.end))
            for window in _cut_windows(stretch):
                self._seen += 1
                self._windows.append((self._seen * SPREAD % 1, window))
        if len(self._windows) > 2 * MOST_WINDOWS:
            self._drop()

    def _drop(self) -> None:
        self._windows.sort(key=lambda window: window[0])
        del self._windows[MOST_WINDOWS:]

    def find(self) -> Voices:
        """Raises ModelError where the speaker network is not installed properly."""
        self._drop()
        windows = sorted((window for _, window in self._windows), key=lambda w: w.start)
        if len(windows) < 2 * LEAST_WINDOWS:
            return _all_of_one(self._spans)
        features = _embed(windows)
        centres = _find_centres(features, np.array([len(w.samples) >= FULL for w in windows]))
        timeline = _Timeline(self._spans, windows, features @ centres.T)
        while len(timeline.people) > 1 and timeline.seconds.min() < LEAST_SECONDS:
            timeline.leave_out(int(timeline.seconds.argmin()))
        if len(timeline.people) < 2:
            return _all_of_one(self._spans)
        order = np.argsort(-timeline.seconds, kind="stable").tolist()
        return Voices(
            tuple(timeline.describe(k, number) for number, k in enumerate(order, 1)),
            tuple(timeline.collect(k) for k in order),
        )


def _all_of_one(spans: list[tuple[int, int]]) -> Voices:
    if not spans:
        return Voices((), ())
    seconds = sum(end - start for start, end in spans) / SAMPLE_RATE
    return Voices((Speaker(1, seconds, tuple(join_spans(spans))),), ([],))


def join_spans(spans: Iterable[tuple[int, int]]) -> list[tuple[float, float]]:
    """Spans in samples → in seconds; those that a block's border parted are one."""
    joined: list[tuple[float, float]] = []
    for first, last in spans:
        start, end = first / SAMPLE_RATE, last / SAMPLE_RATE
        if joined and joined[-1][1] == start:
            start = joined.pop()[0]
        joined.append((start, end))
    return joined


def _cut_windows(stretch: Stretch) -> list[Stretch]:
    """Windows over a stretch, evenly, the last of which ends where it ends; none of a short one."""
    if len(stretch.samples) < SHORTEST:
        return []
    room = max(len(stretch.probabilities) - WINDOW, 0)
    count = 1 + max(round(room / HOP), 1 if room else 0)
    firsts = np.linspace(0, room, count).round().astype(int).tolist()
    return [stretch.part(first, first + WINDOW) for first in firsts]


def _embed(windows: Sequence[Stretch]) -> np.ndarray:
    """The embedding of each: (n, 192), of length 1."""
    places = defaultdict(list)
    for place, window in enumerate(windows):
        places[len(window.samples)].append(place)
    features = np.empty((len(windows), WIDTH), np.float32)
    for alike in places.values():
        sound = np.stack([windows[place].samples for place in alike])
        features[alike] = open_speaker_features().embed_batch(sound)
    return features


def _find_centres(features: np.ndarray, full: np.ndarray) -> np.ndarray:
    """Embeddings (n, 192) → that of each person (k, 192); only windows in `full` make people."""
    if not full.any():
        full = np.ones(len(features), bool)
    labels = group(features[full])
    counts = np.bincount(labels)
    people = np.flatnonzero(counts >= min(LEAST_WINDOWS, counts.max()))
    centres = _unit(np.stack([features[full][labels == k].mean(0) for k in people]))
    for _ in range(REASSIGNED):
        nearest = (features @ centres.T).argmax(axis=1)
        own = [features[(nearest == k) & full] for k in range(len(centres))]
        centres = _unit(
            np.stack([x.mean(0) if len(x) else c for x, c in zip(own, centres, strict=True)])
        )
    return centres


def group(features: np.ndarray, alike: float = ALIKE) -> np.ndarray:
    """Embeddings (n, d) of length 1 → the number of the group of each (n,), from 0.

    Agglomerative clustering with average linkage: while the mean cosine between the members of two
    groups is at least `alike`, the two for which it is greatest become one.
    """
    cosines = (features @ features.T).astype(np.float64)
    np.fill_diagonal(cosines, -np.inf)
    sizes, labels = np.ones(len(features)), np.arange(len(features))
    while True:
        kept, gone = np.unravel_index(cosines.argmax(), cosines.shape)
        if cosines[kept, gone] < alike:
            return np.unique(labels, return_inverse=True)[1]
        weights = sizes[[kept, gone]] / sizes[[kept, gone]].sum()
        mean = weights @ cosines[[kept, gone]]
        cosines[kept], cosines[:, kept] = mean, mean
        cosines[gone], cosines[:, gone] = -np.inf, -np.inf
        cosines[kept, kept] = -np.inf
        sizes[kept] += sizes[gone]
        labels[labels == gone] = kept


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


class _Timeline:
    """Who speaks in each chunk of a recording."""

    def __init__(
        self, spans: list[tuple[int, int]], windows: list[Stretch], scores: np.ndarray
    ) -> None:
        """`scores` (windows, people): how near each window is to each of them."""
        self._base = spans[0][0]
        self._windows = windows
        self.people = list(range(scores.shape[1]))
        chunks = -(-(spans[-1][1] - self._base) // CHUNK)
        self._end = spans[-1][1]
        self._speech = np.zeros(chunks, bool)
        for start, end in spans:
            self._speech[self._chunk(start) : self._chunk(end + CHUNK - 1)] = True
        self._votes = np.zeros((chunks, len(self.people)))
        weights = np.zeros(chunks)
        for window, score in zip(windows, scores, strict=True):
            first, count = self._chunk(window.start), len(window.probabilities)
            hill = np.bartlett(count + 2)[1:-1]  # most where the window's middle is
            self._votes[first : first + count] += hill[:, None] * score
            weights[first : first + count] += hill
        self._heard = weights > 0
        self._votes[self._heard] /= weights[self._heard, None]
        self._decide()

    def _chunk(self, sample: int) -> int:
        return (sample - self._base) // CHUNK

    def _decide(self) -> None:
        self._labels = np.full(len(self._speech), -1)
        near = _nearest(self._heard)
        winners = np.array(self.people)[self._votes[:, self.people].argmax(axis=1)]
        self._labels[self._speech] = winners[near][self._speech]
        counts = np.array([(self._labels == k).sum() for k in self.people])
        self.seconds = counts * CHUNK / SAMPLE_RATE  # of each of `people`

    def leave_out(self, place: int) -> None:
        """One of `people` is none: what was theirs is given to the others."""
        del self.people[place]
        self._decide()

    def describe(self, place: int, number: int) -> Speaker:
        runs = self._runs(self._labels == self.people[place])
        spans = [(self._sample(first), min(self._sample(last), self._end)) for first, last in runs]
        return Speaker(number, float(self.seconds[place]), tuple(join_spans(spans)))

    def _sample(self, chunk: int) -> int:
        return self._base + chunk * CHUNK

    @staticmethod
    def _runs(wanted: np.ndarray) -> list[tuple[int, int]]:
        """Chunks (n,) → first and last + 1 of each run of them."""
        edges = np.flatnonzero(np.diff(wanted, prepend=False, append=False)).tolist()
        return list(zip(edges[::2], edges[1::2], strict=True))

    def collect(self, place: int) -> list[Stretch]:
        """What was listened to of one of `people`, without what may be somebody else's too."""
        said = self._labels == self.people[place]
        own = self._votes[:, self.people[place]]
        others = np.delete(self._votes[:, self.people], place, axis=1).max(axis=1)
        sure = said & (own - others >= SURE)
        parts = self._take(sure, SHORT)
        if sum(part.seconds for part in parts) < LEAST_SECONDS:
            parts = self._take(said, 1)
        return parts

    def _take(self, chosen: np.ndarray, least: int) -> list[Stretch]:
        """The sound of the chosen chunks that is in a window, in runs of `least` and more."""
        parts: list[Stretch] = []
        after = 0  # the chunk up to which sound was taken
        for window in self._windows:
            first = self._chunk(window.start)
            last = first + len(window.probabilities)
            wanted = chosen[first:last].copy()
            wanted[: max(after - first, 0)] = False
            for a, b in self._runs(wanted):
                part = window.part(a, b)
                if parts and parts[-1].end == part.start:
                    part = parts.pop().extended_by(part)
                parts.append(part)
            after = max(after, last)
        return [part for part in parts if len(part.probabilities) >= least]


def _nearest(known: np.ndarray) -> np.ndarray:
    """For each place of (n,) the nearest one that is known."""
    places = np.flatnonzero(known)
    middles = (places[1:] + places[:-1]) / 2
    return places[np.searchsorted(middles, np.arange(len(known)))]
