"""Results of an audit of a population under attack, as data.

Bits are of the face. Attackers are named as in privacy/attackers.py, anonymisers as by `speech2face
anonymise --method`. The templates of reports/ hold the words; `as_json` gives what `speech2face
audit --json` prints.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from speech2face.metrics.intervals import Estimate

SEMI_INFORMED = "semi-informed"  # the attacker who learned from others' anonymised voices
BOTH_FORMS = "semi-informed, both forms"  # one who learned from them plain and anonymised
TUNED = "semi-informed, tuned"  # the same, whose speaker network learned from them, too
LEARNED = (SEMI_INFORMED, BOTH_FORMS, TUNED)
SHARES = tuple(share / 20 for share in range(21))  # of people, at which bits of each are given


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
class TuningGain:
    """What tuning the speaker network adds to the attacker who learned from both forms, paired
    over people."""

    face_bits: Estimate  # more
    equal_error_rate: Estimate  # less, if it is below 0


@dataclass(frozen=True)
class MethodAudit:
    """One anonymiser under attack."""

    cost: float | None  # share of words lost, where it is known
    attackers: Mapping[str, AttackResult]  # by name
    tuning_gain: TuningGain | None = None  # None where no network was tuned

    @property
    def strongest(self) -> AttackResult:
        """The results by which the method is judged: of the face most bits, of the voice least
        errors, each of whatever attacker they are."""
        return _find_strongest([*self.attackers.values()])

    @property
    def trained_in_vain(self) -> tuple[Literal["face", "voice"], ...]:
        """Of what those attackers who trained find no more than one who did not.

        They could do as much by not training: the attack is weaker than it might be.
        """
        learned = [row for name, row in self.attackers.items() if name in LEARNED]
        others = [row for row in self.attackers.values() if row not in learned]
        if not learned or not others:
            return ()
        trained, untrained = map(_find_strongest, (learned, others))
        vain: list[Literal["face", "voice"]] = []
        if trained.face.bits.value <= untrained.face.bits.value:
            vain.append("face")
        if trained.voice.equal_error_rate.value >= untrained.voice.equal_error_rate.value:
            vain.append("voice")
        return tuple(vain)


def _find_strongest(results: Sequence[AttackResult]) -> AttackResult:
    face = max(results, key=lambda result: result.face.bits.value)
    voice = min(results, key=lambda result: result.voice.equal_error_rate.value)
    return AttackResult(face.face, voice.voice, face.face_bits_hidden)


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

    def strongest(self) -> dict[str, AttackResult]:
        """The results by which methods are judged, by method."""
        return {name: method.strongest for name, method in self.methods.items()}

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

    def gain(row: Mapping[str, Any] | None) -> TuningGain | None:
        parts = {name: Estimate(**part) for name, part in (row or {}).items()}
        return TuningGain(**parts) if parts else None

    def metrics(row: Mapping[str, Any]) -> AttackMetrics:
        return AttackMetrics(**{name: value(part) for name, part in row.items()})

    def result(row: Mapping[str, Any]) -> AttackResult:
        hidden = Estimate(**row["face_bits_hidden"])
        return AttackResult(metrics(row["face"]), metrics(row["voice"]), hidden)

    before = stored["before"]
    methods = {
        name: MethodAudit(
            method["cost"],
            {k: result(row) for k, row in method["attackers"].items()},
            gain(method.get("tuning_gain")),
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
