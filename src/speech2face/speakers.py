"""Speakers of a recording: how many there are, and when each speaks.

The speech is cut into windows of 1.5 s, and the speaker network says of each what the speaker is
like (`speaker_features.py`). Windows of which the voices are alike are one person's
(`speaker_clustering.py`); the limit was chosen on people who are not among those of the figures
(benchmarks/speakers.json). There windows of one voice are nearer than it whatever the mood, and
those of two people are not. A single window makes no person: where two speak at once, or one
follows the other, it is of neither. Each chunk of 32 ms belongs to whom the windows over it are
nearest to. Where each person has a channel (`speaker_channels.py`), channels tell who speaks.

Where every other window leaves no doubt that one person speaks, as mostly where one does, the rest
are not listened to. Of a long recording there are `MOST_WINDOWS`, spread evenly, and the speech
between two belongs to whom the nearest window does. So time and memory do not grow with its length.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from speech2face.media import SAMPLE_RATE
from speech2face.speaker_channels import NONE, find_own_channel, find_voice_channels
from speech2face.speaker_clustering import LEAST_WINDOWS, find_people, sound_like_one
from speech2face.speaker_features import SHORTEST, WIDTH, open_speaker_features
from speech2face.speech_selection import Stretch
from speech2face.voice_activity import CHUNK

WINDOW, HOP = 47, 23  # chunks: 1.5 s, and what a window lies after the one before
MOST_WINDOWS = 96
SPREAD = (5**0.5 - 1) / 2  # multiples of it, without their whole part, fill an interval evenly
FULL = SAMPLE_RATE  # samples: windows that are shorter form no groups
LEAST_SECONDS = 1.0  # of a person's speech
SURE = 0.1  # by how much a chunk must be nearer to one person than to any other to be drawn from
SHORT = 6  # chunks: less than 0.19 s is not drawn from


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
    """Say how many people speak, and each for how long."""
    if len(speakers) < 2:
        return "one person speaks"
    *parts, last = (f"{who.number} for {who.speech_seconds:.1f} s" for who in speakers)
    return f"{len(speakers)} people speak, {', '.join(parts)} and {last}"


def join_speakers(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What was made of each speaker, as JSON holds it → that of the first, with each one's own
    facts at its entry in `speakers`: `used_` begins the names of those on the speech used."""
    shared = {"speakers", "speaker", "analysed_seconds", "warnings", "model", "notice"}
    speakers = []
    for who, row in zip(rows[0]["speakers"], rows, strict=True):
        own = {name: value for name, value in row.items() if name not in shared}
        speakers.append(who | {f"used_{n}" if n in who else n: x for n, x in own.items()})
    return rows[0] | {"speakers": speakers}


@dataclass(frozen=True)
class Voices:
    """Voices of a recording, longest first, each with the sound of it that was listened to."""

    speakers: tuple[Speaker, ...]
    stretches: tuple[list[Stretch], ...]


class SpeakerSearch:
    """Finds who speaks in a recording given stretch by stretch, in time order."""

    def __init__(self) -> None:
        self._spans: list[tuple[int, int]] = []  # of all speech: first and last sample
        self._windows: list[tuple[float, Stretch]] = []  # the least numbers are kept
        self._seen, self._limit = 0, 1.0  # windows of greater numbers are not kept

    def add(self, stretches: Sequence[Stretch]) -> None:
        """The next speech."""
        for stretch in stretches:
            self._spans.append((stretch.start, stretch.end))
            for window in _cut_windows(stretch):
                self._seen += 1
                number = self._seen * SPREAD % 1
                if number < self._limit:
                    self._windows.append((number, window.copy()))
        if len(self._windows) > 2 * MOST_WINDOWS:
            self._drop()

    def _drop(self) -> None:
        self._windows.sort(key=lambda window: window[0])
        if len(self._windows) > MOST_WINDOWS:
            self._limit = self._windows[MOST_WINDOWS][0]
            del self._windows[MOST_WINDOWS:]

    def find(self, channel_levels: np.ndarray | None = None) -> Voices:
        """`channel_levels` are those of the recording's `AudioStream`.

        Raises ModelError where the speaker network is not installed properly.
        """
        self._drop()
        windows = sorted((window for _, window in self._windows), key=lambda w: w.start)
        if len(windows) < 2 * LEAST_WINDOWS:
            return _all_of_one(self._spans)
        features = np.empty((len(windows), WIDTH), np.float32)
        features[::2] = _embed(windows[::2])
        if sound_like_one(features[::2]):
            return _all_of_one(self._spans)
        features[1::2] = _embed(windows[1::2])
        timeline = _Timeline(self._spans, windows)
        timeline.judge(features, channel_levels)
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


class _Timeline:
    """Timeline of who speaks in each chunk of a recording, from the first speech on."""

    def __init__(self, spans: list[tuple[int, int]], windows: list[Stretch]) -> None:
        self._base, self._end = spans[0][0], spans[-1][1]
        self._windows = windows
        self._speech = np.zeros(self._chunk(self._end + CHUNK - 1), bool)
        for start, end in spans:
            self._speech[self._chunk(start) : self._chunk(end + CHUNK - 1)] = True

    def judge(self, features: np.ndarray, channel_levels: np.ndarray | None) -> None:
        """Find people by the embeddings of the windows, and give each chunk to one of them."""
        before = self._base // CHUNK  # chunks of the recording
        levels = None if channel_levels is None else channel_levels[before:]
        channels = find_voice_channels(levels, self._speech)
        full = np.array([len(window.samples) >= FULL for window in self._windows])
        of_windows = None
        if channels is not None:
            of_windows = np.array([find_own_channel(channels[w]) for w in self._slices()])
            full &= of_windows != NONE
        if not full.any():
            full[:], channels, of_windows = True, None, None
        centres = find_people(features[full], None if of_windows is None else of_windows[full])
        scores = features @ centres.T
        self.people = list(range(len(centres)))
        self._votes = self._spread(scores)
        self._alone = self._speech
        if channels is not None and of_windows is not None:
            self._alone = channels != NONE
            nearest = scores[full].argmax(axis=1)
            for person in self.people:
                own = find_own_channel(of_windows[full][nearest == person])
                if own != NONE:
                    self._votes[self._alone & (channels != own), person] -= 1
        self._decide()

    def _slices(self) -> list[slice]:
        """The chunks of each window."""
        firsts = [self._chunk(window.start) for window in self._windows]
        return [
            slice(first, first + len(window.probabilities))
            for first, window in zip(firsts, self._windows, strict=True)
        ]

    def _chunk(self, sample: int) -> int:
        return (sample - self._base) // CHUNK

    def _spread(self, scores: np.ndarray) -> np.ndarray:
        """Likeness of each window to each person (windows, people) → of each chunk (chunks,
        people): the mean over the windows there, weighed by how near their middles are; where there
        is none, that of the nearest chunk."""
        votes = np.zeros((len(self._speech), scores.shape[1]))
        weights = np.zeros(len(votes))
        for place, score in zip(self._slices(), scores, strict=True):
            hill = np.bartlett(place.stop - place.start + 2)[1:-1]
            votes[place] += hill[:, None] * score
            weights[place] += hill
        heard = weights > 0
        votes[heard] /= weights[heard, None]
        return votes[_nearest(heard)]

    def _decide(self) -> None:
        winners = np.array(self.people)[self._votes[:, self.people].argmax(axis=1)]
        self._labels = np.where(self._speech, winners, -1)
        counts = np.array([(self._labels == person).sum() for person in self.people])
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
        """Collect what was listened to of one of `people`, without what may be somebody else's
        too."""
        said = self._labels == self.people[place]
        own = self._votes[:, self.people[place]]
        others = np.delete(self._votes[:, self.people], place, axis=1).max(axis=1)
        sure = said & self._alone & (own - others >= SURE)
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
    """The nearest known place to each of (n,)."""
    places = np.flatnonzero(known)
    middles = (places[1:] + places[:-1]) / 2
    return places[np.searchsorted(middles, np.arange(len(known)))]
