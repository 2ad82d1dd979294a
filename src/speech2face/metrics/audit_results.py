"""Results of audits as data: of one recording, and of a population under attack.

Bits are of the face. Attackers are named "ignorant", "lazy-informed" and "semi-informed"
(privacy/attackers.py), anonymisers as by `speech2face anonymise --method`. The templates of
reports/ hold the words; `as_json` gives what `speech2face audit --json` prints.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import log2
from typing import Any, ClassVar, Literal

from speech2face.metrics.intervals import Estimate
from speech2face.speech import SpeechFacts

DECISIVE = "semi-informed"  # the attacker by whom a method is judged
UNTRAINED = "lazy-informed"  # the one who knows the method too, but learns nothing
NOTHING = 0.05  # share of the bits, at the interval's upper end, that is called nothing
SHARES = tuple(share / 20 for share in range(21))  # of people, at which bits of each are given

# One recording ------------------------------------------------------------------------------------


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
    """Results of a semi-informed attacker on many people whose voices one method disguised."""

    method: str
    people: int  # whose faces were attacked
    speakers: int  # who were verified
    face_bits: PlainAndDisguised
    share_kept: Estimate  # of the bits, 0 … 1
    equal_error_rate: PlainAndDisguised  # of verifying speakers; .5 by chance

    @property
    def leaves_nothing(self) -> bool:
        """True if so little of the face is left that it may be called nothing."""
        return self.share_kept.high <= NOTHING


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


# A population -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Verification:
    """Whether two are of one person, by one threshold for all pairs. 95 % intervals over people."""

    people: int
    true_pairs: int
    false_pairs: int
    equal_error_rate: Estimate  # .5 by chance
    true_at_1_percent: Estimate | None  # share of true pairs accepted where 1 % of false ones are
    true_at_01_percent: Estimate | None  # where 0.1 % are; None where false pairs are too few


@dataclass(frozen=True)
class AttackMetrics:
    """Figures of one attack: bits, and shares. Intervals are 95 %, over people."""

    people: int
    probes: int
    gallery: float  # mean, of one fold
    bits: Estimate  # by histogram; none by chance
    fitted_bits: Estimate  # by beta-binomial
    beta: Sequence[float]  # its two parameters
    worst_rank_bits: float  # at the likeliest rank
    of_people: Sequence[float]  # bits of each person by the beta-binomial, at SHARES of the people
    two_way: Estimate  # .5 by chance
    equal_error_rate: Estimate  # .5 by chance
    linkability: Estimate  # 0 by chance
    # older reports have none of the following
    exposed_bits: Estimate | None = None  # mean of the tenth of people of whom most is found
    mixed: Verification | None = None  # all pairs
    one_sex: Verification | None = None  # false pairs of one sex; None where sexes are not known


@dataclass(frozen=True)
class FaceAndVoice:
    """Attacks on the face behind a voice, and on who speaks."""

    face: AttackMetrics
    voice: AttackMetrics


@dataclass(frozen=True)
class AttackResult(FaceAndVoice):
    """Attacks on anonymised voices."""

    face_bits_hidden: Estimate  # less than from plain voices


@dataclass(frozen=True)
class MethodAudit:
    """One anonymiser under attack."""

    cost: float | None  # share of words lost, where it is known
    attackers: Mapping[str, AttackResult]  # by name

    @property
    def trained_in_vain(self) -> tuple[Literal["face", "voice"], ...]:
        """Of what the attacker who trained finds no more than the one who did not.

        That one could do as much by not training: the attack is weaker than it might be.
        """
        if not {DECISIVE, UNTRAINED} <= set(self.attackers):
            return ()
        trained, untrained = self.attackers[DECISIVE], self.attackers[UNTRAINED]
        vain: list[Literal["face", "voice"]] = []
        if trained.face.bits.value <= untrained.face.bits.value:
            vain.append("face")
        if trained.voice.equal_error_rate.value >= untrained.voice.equal_error_rate.value:
            vain.append("voice")
        return tuple(vain)


@dataclass(frozen=True)
class PopulationAudit:
    """The disclosure of a population's voices, unchanged and after each anonymiser."""

    version: str
    people: int  # whose faces were attacked
    clips: int
    speakers: int  # who were verified
    folds: int
    seed: int
    before: FaceAndVoice
    methods: Mapping[str, MethodAudit]  # by name
    left_out: Mapping[str, str]  # methods that could not run, and why
    clips_left_out: Mapping[str, int]  # of the pairs and of the voices
    provenance: Mapping[str, Any] | None  # as JSON holds it

    def decisive(self) -> dict[str, AttackResult]:
        """Results of the attacker by whom methods are judged, by method."""
        return {name: method.attackers[DECISIVE] for name, method in self.methods.items()}

    def trained_in_vain(self) -> dict[str, list[str]]:
        """Methods of which training found no more, by what was sought: "face", or "voice"."""
        vain: dict[str, list[str]] = {"face": [], "voice": []}
        for name, method in self.methods.items():
            for of in method.trained_in_vain:
                vain[of].append(name)
        return {of: names for of, names in vain.items() if names}

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def read_population_audit(stored: Mapping[str, Any]) -> PopulationAudit:
    """Read what `PopulationAudit.as_json` wrote. Raises KeyError or TypeError on anything else."""

    def value(stored: Any) -> Any:
        if not isinstance(stored, Mapping):
            return stored
        inner = {name: value(part) for name, part in stored.items()}
        return Estimate(**inner) if "low" in inner else Verification(**inner)

    def metrics(row: Mapping[str, Any]) -> AttackMetrics:
        return AttackMetrics(**{name: value(part) for name, part in row.items()})

    def result(row: Mapping[str, Any]) -> AttackResult:
        hidden = Estimate(**row["face_bits_hidden"])
        return AttackResult(metrics(row["face"]), metrics(row["voice"]), hidden)

    before = stored["before"]
    methods = {
        name: MethodAudit(
            method["cost"], {k: result(row) for k, row in method["attackers"].items()}
        )
        for name, method in stored["methods"].items()
    }
    return PopulationAudit(
        **{"clips_left_out": {}, "provenance": None, **stored}  # both are missing in old reports
        | {
            "before": FaceAndVoice(metrics(before["face"]), metrics(before["voice"])),
            "methods": methods,
        }
    )
