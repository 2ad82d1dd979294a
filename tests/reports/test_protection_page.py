"""The page and the text on a disguised recording, of results of every kind."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from speech2face.metrics.audit_results import BitsLeft, MethodAttack, PlainAndDisguised, StatedBits
from speech2face.metrics.intervals import Estimate
from speech2face.metrics.protection_results import (
    LEAST_SPEECH,
    RULES,
    AttackFound,
    MethodTrial,
    ProtectedSpeaker,
    Protection,
    TellingWord,
    VoiceLeft,
    WordsLost,
)
from speech2face.privacy.method_trials import FEWEST
from speech2face.reports.protection_page import draw_protection, format_protection, group_mentions

WEAK = PlainAndDisguised(Estimate(0.004, 0.0, 0.01), Estimate(0.02, 0.01, 0.03))
GUIDE = Path(__file__).parents[2] / "docs" / "protect.md"
ESTIMATE = Estimate(0.4, 0.3, 0.5)
POPULATION = MethodAttack(
    "whisper",
    775,
    256,
    PlainAndDisguised(Estimate(1.25, 1.1, 1.4), ESTIMATE),
    Estimate(0.5, 0.4, 0.6),
    PlainAndDisguised(Estimate(0.004, 0.0, 0.01), Estimate(0.1, 0.08, 0.12)),
)


def left_of(speaker: int, bits: float) -> VoiceLeft:
    attack = AttackFound("campplus", bits, 300, 40)
    judge = AttackFound("ge2e", bits - 0.1, 350, 90)
    left = BitsLeft(bits, bits - 0.1, bits + 0.1, bound=False)
    return VoiceLeft(speaker, StatedBits(1.3, 1.1, 1.5), left, attack, judge)


def make_result() -> Protection:
    """An interview of two, disguised by the rule."""
    lost = WordsLost(0.15, "recording", 15, 100)
    voices = (left_of(1, 0.6), left_of(2, 0.9))
    return Protection(
        version="1.2.3",
        model="default 1",
        method="whisper",
        chosen_by="rule",
        rule=RULES["both"],
        exceeded=False,
        original_seconds=3725.0,
        disguised_seconds=3725.0,
        video=False,
        speakers=tuple(ProtectedSpeaker(voice.speaker, 1200.0, 60.0, voice) for voice in voices),
        trials=(
            MethodTrial("whisper", lost, 0.98, voices, POPULATION, False),
            MethodTrial("telephone", None, 1.0, voices, None, False),
        ),
        left_out={"resynthesis": "it understands English only"},
        words_lost=lost,
        speech_kept=0.98,
        population=POPULATION,
        hearing="understood",
        telling_words=(
            TellingWord(3.0, "Maria <b>", "name"),
            TellingWord(3661.0, "maria <b>", "name"),
            TellingWord(70.0, "March 2011", "date"),
        ),
        not_understood=(),
        plain=(),
        silenced=(),
        warnings=("the sound is clipped",),
    )


def test_the_page_says_what_was_done_and_what_remains() -> None:
    page = draw_protection(make_result())
    text = " ".join(re.sub(r"<[^>]+>", " ", page.split("</style>")[1]).split())
    for words in (
        "1:02:05 min; 2 people speak",
        "Disguised, but not anonymous: whoever has another recording of the speaker",
        "0.9 bits of the face are left, of 1.3; 0.8 to 1.0",
        "The voices of 2 speakers were disguised by the method whisper, each with a secret",
        "speaker 2, of whom most is left, discloses about 1.3 bits of the face (1.1 to 1.5)",
        "wrong about in 10 % of cases",
        "the plain voices of speaker 2, from the same day and microphone, and of 1,000 strangers",
        "finds 40 strangers whose voice fits better (500 by chance)",
        "100 people are still in question",
        "keep it as safe as the recording",
        "15 % of the words (15 of 100",
        "March 2011 date 1:10",
        "Of this recording: the sound is clipped.",
        "whisper (taken) 15 % 0.9 10 % 98 %",
        "telephone not known 0.9 not measured 100 %",
        "Not tried: resynthesis (it understands English only).",
        "lose at most 25 % of this recording's words and keep them the speaker's own",
    ):
        assert words in text, words
    assert "Maria &lt;b&gt;" in page
    assert "0:03, 1:01:01" in text
    assert "None" not in text


CASES = {
    "video": ({"video": True}, "The picture is NOT disguised"),
    "plain": ({"plain": ((3.0, 4.5),)}, "The plain voice can be heard: from 0:03 to 0:04"),
    "silenced": ({"silenced": ((20.0, 40.0),)}, "Speech became silence: from 0:20 to 0:40"),
    "language": ({"hearing": "not understood", "telling_words": ()}, "the words are not English"),
    "nothing to hear with": (
        {"hearing": "no recogniser", "telling_words": ()},
        "no speech recogniser is installed",
    ),
    "partly": ({"not_understood": ((60.0, 65.0),)}, "not understood from 1:00 to 1:05"),
    "no words": ({"telling_words": ()}, "No names, numbers or dates were found"),
    "others": (
        {"words_lost": WordsLost(0.2, "others"), "hearing": "nothing"},
        "20 % of the words are lost on average",
    ),
    "more lost than tried": (
        {"words_lost": WordsLost(0.39, "recording", 39, 100)},
        "That is more than the 25 % asked for",
    ),
    "unknown words": ({"words_lost": None}, "How many words are lost was not measured"),
    "named": ({"rule": None, "chosen_by": "user", "trials": ()}, "by the method whisper"),
    "weak": (
        {"population": replace(POPULATION, equal_error_rate=WEAK)},
        "Hardly disguised",
    ),
    "costly": ({"exceeded": True}, "No method keeps to the limit of 25 %"),
    "length": ({"disguised_seconds": 3000.0}, "lasts 3000.0 s, the original 3725.0 s"),
    "other": (
        {"chosen_by": "other program", "method": None, "population": None, "trials": ()},
        "by a program that is not known; here it was only measured",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_each_kind_of_result_is_told(case: str) -> None:
    changes, words = CASES[case]
    result = replace(make_result(), **changes)
    assert words in " ".join(format_protection(result))
    assert words in " ".join(re.sub(r"<[^>]+>", "", draw_protection(result)).split())


def test_of_an_unknown_method_all_may_be_left() -> None:
    voice = VoiceLeft(1, StatedBits(1.3, 1.1, 1.5), BitsLeft(None, None, 1.5, True), None, None)
    who = ProtectedSpeaker(1, 60.0, 60.0, voice)
    result = replace(
        make_result(), speakers=(who,), method=None, population=None, trials=(), rule=None
    )
    page = draw_protection(result)
    assert "≤ 1.5" in page
    assert "nobody knows how well" in page
    assert "strangers of 1,000" not in page


def test_files_are_named_for_ones_own_records_alone() -> None:
    made = {
        "version": "1.2.3",
        "date": "2026-11-30T10:00:00",
        "command": "speech2face protect secret.m4a",
        "data": {"recording": "abc123"},
        "recipe": {},
    }
    assert "secret.m4a" not in draw_protection(make_result(), made)
    page = draw_protection(make_result(), made, for_records=True)
    assert "secret.m4a" in page
    assert "abc123" in page


def test_options_are_named_as_the_reader_writes_them() -> None:
    by_command, over_http = (
        draw_protection(make_result(), over_http=http) for http in (False, True)
    )
    for words in ("<code>--keep words</code>", "<code>--disguised</code>"):
        assert words in by_command
    assert "<code>keep=words</code>" in over_http
    assert "<code>--" not in over_http


def test_a_word_is_listed_once_with_all_its_times() -> None:
    words = make_result().telling_words
    assert [times for _, times in group_mentions(words)] == [[3.0, 3661.0], [70.0]]


def test_the_guide_states_the_rule_as_it_is() -> None:
    guide = " ".join(GUIDE.read_text(encoding="utf-8").split())
    shares = {0.1: "a tenth", 0.25: "a quarter", 0.5: "half"}
    for name, rule in RULES.items():
        given = f"`{name}`{' (default)' if name == 'both' else ''}"
        anew = "no" if rule.own_words else "yes, in English"
        assert f"| {given} | {shares[rule.most_words_lost]} | {anew} |" in guide
    assert f"at least {LEAST_SPEECH:.0%}".replace("%", " %") in guide
    assert f"at least {FEWEST} were heard" in guide
