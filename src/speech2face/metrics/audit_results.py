"""Results of audits of one recording, as data; those of a population are in population_results.py.

Bits are of the face. Anonymisers are named as by `speech2face anonymise --method`. The templates of
reports/ hold the words; `as_json` gives what `speech2face audit --json` prints.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import log2
from typing import Any, ClassVar, Literal

from speech2face.metrics.intervals import Estimate
from speech2face.speech import SpeechFacts

NOTHING = 0.05  # share of the bits, at the interval's upper end, that is called nothing


@dataclass(frozen=True)
class Disguise:
    """Evidence that a recording is disguised, and where it comes from."""

    by: Literal["mark", "option", "detector"] | None  # None: nothing speaks for it
    method: str | None  # of `anonymise`, where it is known
    probability: float  # the classifier's, whatever the mark says
    version: str | None = None  # of speech2face, in the mark

    def as_json(self) -> dict[str, Any]:
        probability = round(self.probability, 3)
        return {"by": self.by, "method": self.method, "probability": probability}


@dataclass(frozen=True)
class StatedBits:
    """Bits stated of one voice, with their 95 % interval where the model was calibrated."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class BitsByCause:
    """The bits by their cause; None where the model's calibration cannot tell causes apart."""

    sex: float | None
    age: float | None  # among people of one sex
    rest: float | None

    def as_json(self) -> dict[str, float | None]:
        return {"sex": self.sex, "age": self.age, "everything else": self.rest}


@dataclass(frozen=True)
class PlainAndDisguised:
    """A figure of plain voices, and of the same voices disguised."""

    before: Estimate
    after: Estimate


@dataclass(frozen=True)
class MethodAttack:
    """Results of the strongest attackers on many people whose voices one method disguised."""

    method: str
    people: int  # whose faces were attacked
    speakers: int  # who were verified
    face_bits: PlainAndDisguised
    share_kept: Estimate  # of the bits, 0 … 1
    equal_error_rate: PlainAndDisguised  # of verifying speakers; .5 by chance

    @property
    def leaves_nothing(self) -> bool:
        """True if so little of the face is left that it may be called nothing."""
        return self.share_kept.low <= 0 and self.share_kept.high <= NOTHING


@dataclass(frozen=True)
class VoiceAudit(SpeechFacts):
    """The disclosure of a speaker's face by one voice.

    Of a disguised voice `bits`, `place` and the like are None: they are calibrated on plain voices.
    """

    model: str
    calibrated_on: int  # people; 0: without a calibration no interval is known
    range_db: float  # of loud over quiet
    noisy: bool
    telephone: bool
    weight: float  # κ, the share of the evidence that counts, 0 … 1
    disguised: Disguise
    population: MethodAttack | None  # of a disguised voice, where its method was attacked
    bits: StatedBits | None
    bits_if_plain: float | None  # of a disguised voice: what would be stated of a plain one
    parts: BitsByCause
    strangers: int  # among whom places are counted
    mean_place: int | None  # of the true face among strangers, 1 first
    places: Mapping[int, int] | None  # per cent of cases → the place that is not exceeded in them

    @property
    def bits_to_single_out(self) -> float:
        """The bits that would find one person among the strangers."""
        return log2(self.strangers)

    def as_json(self) -> dict[str, Any]:
        places, own = self.places, dict(vars(self))
        del own["recordings"]  # None where there is one recording
        return {
            **own,
            **super().as_json(),
            "disguised": self.disguised.as_json(),
            "population": self.population and asdict(self.population),
            "bits": self.bits and asdict(self.bits),
            "parts": self.parts.as_json(),
            "places": places and {f"{share} %": place for share, place in places.items()},
        }


@dataclass(frozen=True)
class CurvePoint:
    """Bits disclosed by so many seconds of speech."""

    seconds: float
    bits: float


@dataclass(frozen=True)
class AverageBits:
    """Bits found of many people's speech of one length, all their places together."""

    seconds: float
    people: int
    bits: float
    low: float  # 95 % interval over people
    high: float


@dataclass(frozen=True)
class PairMatch:
    """Comparison of two recordings: `same` speech or not, None where that is not known."""

    same: bool | None
    correlation: float  # of their levels
    seconds: tuple[float, float]  # of the original, and of the disguised


@dataclass(frozen=True)
class BitsLeft:
    """The part of the original's bits that an attacker who learned may still have.

    `bound`: the method was not measured, and `high` is all that the original discloses.
    """

    LEAST: ClassVar[float] = 0.05  # bits, which a figure of one digit would call none

    value: float | None
    low: float | None
    high: float | None
    bound: bool

    @property
    def negligible(self) -> bool:
        """True if the bits left, by their whole interval, are less than LEAST."""
        return not self.bound and max(self.value or 0, self.high or 0) < self.LEAST


@dataclass(frozen=True)
class OriginalAudit:
    """The original of a disguised recording, and what the disguise leaves of its bits."""

    bits: StatedBits
    warnings: tuple[str, ...]
    sounds_disguised: bool
    pair: PairMatch
    bits_left: BitsLeft


@dataclass(frozen=True)
class RecordingAudit:
    """The audit of one recording. Of a disguised one both curves are empty."""

    version: str
    voice: VoiceAudit
    curve: tuple[CurvePoint, ...]  # by the seconds heard from the beginning, all of it last
    average_voice: tuple[AverageBits, ...]  # found by `speech2face calibrate`, shortest first
    original: OriginalAudit | None

    def as_json(self) -> dict[str, Any]:
        return {
            "version": self.version,
            **self.voice.as_json(),
            "curve": [asdict(point) for point in self.curve],
            "average_voice": [asdict(point) for point in self.average_voice],
            "original": self.original and asdict(self.original),
        }
