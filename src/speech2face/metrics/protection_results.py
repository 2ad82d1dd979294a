"""Results of `speech2face protect` as data: what was done to whom, and what remains.

The templates of reports/ hold the words; `as_json` gives what `speech2face protect --json` prints.
Times are in seconds of the recording.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from speech2face.metrics.audit_results import BitsLeft, MethodAttack, StatedBits

Span = tuple[float, float]  # start and end
Heard = Literal["understood", "not understood", "nothing", "no recogniser"]


@dataclass(frozen=True)
class WordsLost:
    """The words that a recogniser no longer understands after a disguise.

    `of` says whose words: of this recording, or, where they could not be counted, the average of
    others; then `errors` and `words` are 0.
    """

    share: float
    of: Literal["recording", "others"]
    errors: int = 0
    words: int = 0


@dataclass(frozen=True)
class AttackFound:
    """What one attacker, who learned from a method, found of a speaker in this very recording."""

    hearing: str  # the speaker network by which it hears
    bits: float  # of the face; below 0 where it is misled
    place: int  # of the true face among 1,000 strangers, on average; 500 by chance
    strangers: int  # of 1,000 whose plain voice fits the disguised one better than the speaker's


@dataclass(frozen=True)
class VoiceLeft:
    """What is left of one speaker to an attacker who knows the method and has trained on it."""

    speaker: int  # from 1, who speaks most
    original_bits: StatedBits  # of the face, that the plain voice discloses
    bits_left: BitsLeft  # of them, by what was found of other people
    attack: AttackFound | None  # by the attacker by whom methods are chosen; None without one
    judge: AttackFound | None  # by another, who has no part in choosing

    @property
    def most_bits(self) -> float:
        """The bits by which methods are compared: the more of what was found here and of others.

        Here a method may have been lucky, and others are not this speaker.
        """
        left = self.bits_left
        of_others = (left.high or 0.0) if left.value is None else left.value
        return max(of_others, self.attack.bits if self.attack else 0.0)

    @property
    def fewest_strangers(self) -> int | None:
        """Strangers of 1,000 whom the attacker who errs least puts before the speaker."""
        found = [one.strangers for one in (self.attack, self.judge) if one]
        return min(found) if found else None


@dataclass(frozen=True)
class MethodTrial:
    """One method, tried on the clearest speech of each speaker."""

    method: str
    words_lost: WordsLost | None  # None where nothing is known of them
    speech_kept: float  # share of the seconds in which speech is still found
    voices: tuple[VoiceLeft, ...]
    population: MethodAttack | None  # what attackers found of many others
    spoken_anew: bool  # the words are those that a recogniser heard, said by a machine

    @property
    def most_bits(self) -> float:
        """Bits left of the speaker of whom most is left."""
        return max(voice.most_bits for voice in self.voices)


@dataclass(frozen=True)
class ProtectedSpeaker:
    """One of the people who speak in the recording."""

    number: int  # from 1, who speaks most
    speech_seconds: float
    measured_seconds: float  # of it, in which the disguise was measured
    left: VoiceLeft


@dataclass(frozen=True)
class TellingWord:
    """A word of the transcript that may say who speaks or where; found by its spelling."""

    at: float
    words: str
    kind: Literal["name", "number", "date"]


@dataclass(frozen=True)
class Protection:
    """A disguised recording beside its original."""

    version: str
    model: str
    method: str | None  # None: of another program, which is not known
    chosen_by: Literal["rule", "user", "other program"]
    rule: Rule | None  # None where nothing was to be chosen
    exceeded: bool  # the rule allows no method, so the one that costs the fewest words was taken
    original_seconds: float
    disguised_seconds: float
    video: bool
    speakers: tuple[ProtectedSpeaker, ...]
    trials: tuple[MethodTrial, ...]  # of methods that were tried, best first
    left_out: dict[str, str]  # methods that were not tried, and why
    words_lost: WordsLost | None  # in what was written
    speech_kept: float  # share of the seconds in which speech is still found
    population: MethodAttack | None
    hearing: Heard  # of the words, by the recogniser
    telling_words: tuple[TellingWord, ...]
    not_understood: tuple[Span, ...]  # where the words were not clear, or not English
    plain: tuple[Span, ...]  # where the original's voice is heard unchanged
    silenced: tuple[Span, ...]  # where speech became silence
    warnings: tuple[str, ...]

    @property
    def same_length(self) -> bool:
        """True if the disguised recording lasts as long as the original, to a hundredth of it."""
        return abs(self.original_seconds - self.disguised_seconds) <= 0.01 * self.original_seconds

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Rule:
    """The rule by which a method is chosen; `--keep` moves it."""

    keep: str
    most_words_lost: float  # share
    own_words: bool  # whether the words have to be the speaker's own, not spoken anew

    def allows(self, trial: MethodTrial) -> bool:
        """True if a method is known to keep enough of the words, and leaves speech."""
        lost = trial.words_lost
        if lost is None or (self.own_words and trial.spoken_anew):
            return False
        return lost.share <= self.most_words_lost and trial.speech_kept >= LEAST_SPEECH

    def order(self, trials: Sequence[MethodTrial]) -> list[MethodTrial]:
        """Order methods, the best first.

        Of those that the rule allows, the one that leaves an attacker the least bits of the face of
        the speaker whom it hides worst, to a tenth; of equal ones that by which attackers err most
        about who speaks. Then the others, that which costs the fewest words first.
        """

        def rank(trial: MethodTrial) -> tuple[float, ...]:
            lost = 1.0 if trial.words_lost is None else trial.words_lost.share
            population = trial.population
            errors = population.equal_error_rate.after.value if population else 0.0
            if self.allows(trial):
                return (0, round(trial.most_bits, 1), -errors, lost)
            return (1, self.own_words and trial.spoken_anew, lost, trial.most_bits, -errors)

        return sorted(trials, key=rank)


LEAST_SPEECH = 0.7  # of the seconds of speech: a method that leaves less spoils the recording
RULES = {
    "words": Rule("words", 0.1, own_words=True),
    "both": Rule("both", 0.25, own_words=True),
    "voice": Rule("voice", 0.5, own_words=False),
}
