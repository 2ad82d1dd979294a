"""A recording is protected: each speaker by a secret of their own, and what remains is measured."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from helpers.command import refuse, succeed
from helpers.sounds import EXAMPLES, RATE, encode, load_example, noise, talk
from speech2face.errors import ModelError, UsageError
from speech2face.media import load_audio
from speech2face.metrics.audit_results import StatedBits
from speech2face.metrics.protection_results import (
    RULES,
    AttackFound,
    MethodTrial,
    Protection,
    VoiceLeft,
    WordsLost,
)
from speech2face.model_folders import find_model
from speech2face.privacy import method_trials, protect_recording, transcript
from speech2face.privacy.anonymise_recording import write_sound
from speech2face.privacy.anonymisers import load_anonymiser
from speech2face.privacy.asr import Utterance
from speech2face.privacy.disguise_metadata import find_mark
from speech2face.privacy.plain_passages import correlate_frames
from speech2face.privacy.protect_recording import measure_disguised
from speech2face.privacy.protect_recording import protect_recording as protect
from speech2face.privacy.remaining_disclosure import find_attack, state_bits_left
from speech2face.privacy.voice_left import CHOOSER, JUDGE

QUICK = ("mcadams", "telephone")


@pytest.fixture
def no_recogniser(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ModelError("no recogniser")

    for module, name in ((method_trials, "transcribe"), (transcript, "transcribe")):
        monkeypatch.setattr(module, name, fail)
    monkeypatch.setattr(protect_recording, "ANONYMISERS", QUICK)


@pytest.fixture(scope="module")
def conversation() -> np.ndarray:
    """Two people by turns, 8 s and no round number of samples."""
    sound, _ = talk(("alex", 4.5), ("emma", 4))
    return sound[:-123]


class Noted:
    """A method that notes the seeds it was given, and draws the same in every run of the tests."""

    name = "mcadams-random"

    def __init__(self) -> None:
        self.seeds: list[int] = []

    def __call__(self, samples: np.ndarray, seed: int) -> np.ndarray:
        self.seeds.append(seed)
        return load_anonymiser(self.name)(samples, list(dict.fromkeys(self.seeds)).index(seed))


@dataclass(frozen=True)
class Protected:
    file: Path
    result: Protection
    seeds: list[int]


@pytest.fixture(scope="module")
def protected(conversation: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Protected:
    target, method = tmp_path_factory.mktemp("protect") / "safe.flac", Noted()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(protect_recording, "load_anonymiser", lambda _: method)
        patch.setattr(method_trials, "FEWEST", 10)  # words
        result = protect((conversation, RATE), target, find_model(), method=method.name)
    return Protected(target, result, method.seeds)


def test_each_speaker_has_a_secret_of_their_own(protected: Protected) -> None:
    assert [who.number for who in protected.result.speakers] == [1, 2]
    assert len(set(protected.seeds)) == 2
    told = json.dumps(protected.result.as_json()) + str(soundfile.info(protected.file))
    assert not any(str(seed) in told for seed in protected.seeds)


def test_nothing_is_lost_and_nothing_passes_through_plain(
    protected: Protected, conversation: np.ndarray
) -> None:
    disguised = load_audio(protected.file).samples
    assert len(disguised) == len(conversation)
    found = correlate_frames(conversation, disguised)
    assert np.isfinite(found).sum() > 250
    assert np.nanmax(found) < 0.99
    assert protected.result.plain == ()
    assert protected.result.same_length


def test_the_file_says_that_it_is_disguised(protected: Protected) -> None:
    with av.open(str(protected.file)) as file:
        mark = find_mark(file.metadata)
    assert mark
    assert mark.method == "mcadams-random"


def test_what_remains_is_measured_on_what_was_written(protected: Protected) -> None:
    result = protected.result
    attack = find_attack("mcadams-random")
    assert attack
    assert result.population == attack
    for who in result.speakers:
        assert who.measured_seconds > 3
        left = who.left.bits_left
        assert left.value is not None
        expected = who.left.original_bits.value * attack.share_kept.value
        assert left.value == pytest.approx(expected, abs=0.002)


@pytest.mark.skipif(not find_spec("moonshine_voice"), reason="not installed")
def test_words_lost_are_counted_in_what_was_written(protected: Protected) -> None:
    result = protected.result
    assert result.hearing == "understood"
    assert result.words_lost
    assert result.words_lost.of == "recording"
    assert 10 <= result.words_lost.words < 40
    lost = result.words_lost.errors / result.words_lost.words
    assert result.words_lost.share == pytest.approx(min(1.0, lost), abs=0.001)


@pytest.mark.usefixtures("no_recogniser")
def test_without_a_recogniser_other_peoples_words_count(tmp_path: Path) -> None:
    result = protect(EXAMPLES / "alex.flac", tmp_path / "safe.wav", find_model(), keep="voice")
    assert result.hearing == "no recogniser"
    assert result.telling_words == ()
    assert {trial.method for trial in result.trials} == set(QUICK)
    for trial in result.trials:
        assert trial.words_lost
        assert trial.words_lost.of == "others"
    best = min(trial.most_bits for trial in result.trials)
    (chosen,) = (trial for trial in result.trials if trial.method == result.method)
    assert round(chosen.most_bits, 1) == round(best, 1)  # compared to a tenth


@pytest.mark.usefixtures("no_recogniser")
def test_one_attacker_chooses_and_another_judges(tmp_path: Path) -> None:
    result = protect(EXAMPLES / "alex.flac", tmp_path / "safe.wav", find_model(), method="vocoder")
    (who,) = result.speakers
    chooser, judge = who.left.attack, who.left.judge
    assert chooser
    assert judge
    assert (chooser.hearing, judge.hearing) == (CHOOSER, JUDGE)
    for attack in (chooser, judge):
        assert attack.bits < who.left.original_bits.value + 1
        assert 1 <= attack.place <= 1000
        assert 0 <= attack.strangers <= 1000
    assert who.left.fewest_strangers == min(chooser.strangers, judge.strangers)


@pytest.mark.usefixtures("no_recogniser")
def test_two_runs_have_different_secrets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    method = Noted()
    monkeypatch.setattr(protect_recording, "load_anonymiser", lambda _: method)
    for name in ("one.wav", "two.wav"):
        protect(EXAMPLES / "alex.flac", tmp_path / name, find_model(), method=method.name)
    assert len(set(method.seeds)) == 2


def test_an_unknown_language_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def mishear(_: np.ndarray) -> list[Utterance]:
        return [Utterance(0, 5, "The only key to the world is Paris.", -1.6, False)]

    monkeypatch.setattr(method_trials, "transcribe", mishear)
    monkeypatch.setattr(protect_recording, "ANONYMISERS", ("mcadams", "resynthesis"))
    sound, target = EXAMPLES / "alex.flac", tmp_path / "safe.flac"
    result = protect(sound, target, find_model(), keep="voice")
    assert result.hearing == "not understood"
    assert result.left_out == {"resynthesis": "it understands English only"}
    assert result.telling_words == ()
    assert result.words_lost
    assert result.words_lost.of == "others"


@pytest.mark.usefixtures("no_recogniser")
def test_words_are_spoken_anew_only_where_that_is_allowed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(protect_recording, "ANONYMISERS", ("mcadams", "resynthesis"))
    result = protect(EXAMPLES / "alex.flac", tmp_path / "safe.flac", find_model())
    assert [trial.method for trial in result.trials] == ["mcadams"]
    assert "keep=voice" in result.left_out["resynthesis"]


# The rule


def trial(name: str, lost: float | None, kept: float = 1.0, anew: bool = False) -> MethodTrial:
    words = None if lost is None else WordsLost(lost, "recording", 1, 10)
    attack = find_attack(name)
    assert attack
    bits = StatedBits(1.0, 0.9, 1.1)
    voice = VoiceLeft(1, bits, state_bits_left(bits, name), None, None)
    return MethodTrial(name, words, kept, (voice,), attack, anew)


TRIALS = [
    trial("mcadams", 0.02),
    trial("whisper", 0.2),
    trial("vocoder", 0.22),
    trial("resynthesis", 0.2, anew=True),
    trial("mcadams-random", 0.6),
]


@pytest.mark.parametrize(
    ("keep", "best"), [("words", "mcadams"), ("both", "vocoder"), ("voice", "resynthesis")]
)
def test_the_rule(keep: str, best: str) -> None:
    assert RULES[keep].order(TRIALS)[0].method == best


def test_a_method_that_leaves_no_speech_is_not_chosen() -> None:
    silent = trial("vocoder", 0.1, kept=0.3)
    assert RULES["both"].order([silent, trial("mcadams", 0.1)])[0].method == "mcadams"


def test_where_none_keeps_the_limit_the_fewest_words_are_lost() -> None:
    rule = RULES["words"]
    best = rule.order([trial("vocoder", 0.5), trial("whisper", 0.4), trial("telephone", None)])[0]
    assert best.method == "whisper"
    assert not rule.allows(best)


def test_what_is_found_here_counts_where_it_is_more_than_of_others() -> None:
    found = AttackFound("campplus", 0.95, 300, 20)
    unlucky, lucky = trial("vocoder", 0.1), trial("whisper", 0.1)
    unlucky = replace(unlucky, voices=(replace(unlucky.voices[0], attack=found),))
    misled = replace(found, bits=-0.5)
    lucky = replace(lucky, voices=(replace(lucky.voices[0], attack=misled),))
    assert unlucky.most_bits == 0.95
    assert lucky.most_bits == lucky.voices[0].bits_left.value
    assert RULES["both"].order([unlucky, lucky])[0].method == "whisper"


def test_the_table_of_the_guide_is_what_was_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = EXAMPLES.parent / "benchmarks"
    monkeypatch.syspath_prepend(str(folder))
    spec = importlib.util.spec_from_file_location("protect_benchmark", folder / "protect.py")
    assert spec
    assert spec.loader
    benchmark = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(benchmark)
    measured = json.loads((folder / "protect.json").read_text(encoding="utf-8"))
    page = (EXAMPLES.parent / "docs" / "protect.md").read_text(encoding="utf-8")
    table = page.partition("<!-- protect -->\n")[2].partition("\n<!-- /protect -->")[0]
    assert table == benchmark.draw_table(measured)
    for row in measured["recordings"].values():
        assert row["plain_passages"] == 0
        assert abs(row["seconds_longer"]) < 0.001


# Recordings that another program disguised


@pytest.mark.usefixtures("no_recogniser")
def test_another_programs_disguise_is_measured(tmp_path: Path) -> None:
    speech = load_example("emma")
    other = load_anonymiser("mcadams-random")(speech, 3)
    other[: RATE // 2 * 3] = speech[: RATE // 2 * 3]  # which began too late
    write_sound([other], tmp_path / "other.wav")
    result = measure_disguised((speech, RATE), tmp_path / "other.wav", find_model())
    assert result.chosen_by == "other program"
    assert result.method is None
    ((start, end),) = result.plain
    assert start < 0.3
    assert end == pytest.approx(1.5, abs=0.1)
    (who,) = result.speakers
    assert who.left.bits_left.bound
    assert result.trials == ()


@pytest.mark.usefixtures("no_recogniser")
def test_the_same_sound_is_no_disguise() -> None:
    speech = load_example("emma")
    with pytest.raises(UsageError, match="hold the same sound"):
        measure_disguised((speech, RATE), (speech, RATE), find_model())


# The command


def test_the_command(tmp_path: Path, no_recogniser: None) -> None:
    source, target = EXAMPLES / "alex.flac", tmp_path / "safe.flac"
    done = succeed("protect", source, "-o", target, "--json")
    told = json.loads(done.stdout)
    assert told["output"] == str(target)
    assert told["report"] == str(tmp_path / "safe.report.html")
    assert told["method"] in QUICK
    page = (tmp_path / "safe.report.html").read_text()
    assert "What no disguise hides" in page
    assert "alex" not in page
    assert soundfile.info(target).frames == len(load_audio(source).samples)
    # Once more: nothing is overwritten, and a disguised voice is no original.
    assert "exists; --force" in refuse(2, "protect", source, "-o", target)
    again = refuse(2, "protect", target, "-o", tmp_path / "again.flac")
    assert "is marked as disguised already" in again
    said = succeed("protect", target, "-o", tmp_path / "again.flac", "--again").stdout
    assert "nobody knows how well" in said
    page = tmp_path / "measured.html"
    done = succeed("protect", source, "--disguised", target, "--report", page, "--provenance")
    assert str(page) in done.stdout
    assert "alex" in page.read_text()


def test_the_recording_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "only.flac"
    path.write_bytes((EXAMPLES / "alex.flac").read_bytes())
    said = refuse(2, "protect", path, "-o", path, "--force")
    assert "is the recording itself" in said
    assert path.read_bytes() == (EXAMPLES / "alex.flac").read_bytes()


WRONG = {
    "give -o": (2, []),
    "give -o and": (2, ["-o", "safe.flac", "--disguised", "other.wav"]),
    "end the name in .wav, .flac": (2, ["-o", "safe.mp3"]),
    "has no picture": (2, ["-o", "safe.mp4"]),
    "keep is one of": (2, ["-o", "safe.flac", "--keep", "word"]),
    "Did you mean whisper": (2, ["-o", "safe.flac", "--method", "whispr"]),
    "no such folder": (2, ["-o", "none/safe.flac"]),
    "end the name in .html": (2, ["-o", "safe.flac", "--report", "page.pdf"]),
    "goes with --report": (2, ["--disguised", "other.wav", "--provenance"]),
    "--keep and --again go with -o": (2, ["--disguised", "other.wav", "--keep", "voice"]),
    "other.wav does not exist": (3, ["--disguised", "other.wav"]),
    "there is no track 3": (2, ["-o", "safe.flac", "--track", "3"]),
}


@pytest.mark.parametrize("words", WRONG)
def test_a_wrong_call_is_named_in_one_line(words: str, tmp_path: Path) -> None:
    exit_code, options = WRONG[words]
    said = refuse(exit_code, "protect", EXAMPLES / "alex.flac", *options, cwd=tmp_path)
    assert words in said
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "data", "target", "exit_code"),
    [
        ("notes.wav", b"Dear diary,\n" * 100, "safe.flac", 3),
        ("notes.mp4", b"Dear diary,\n" * 100, "safe.mp4", 3),
        ("noise.wav", encode(noise(3), RATE, "wav", "pcm_s16le"), "safe.flac", 4),
    ],
)
def test_a_bad_recording_leaves_nothing(
    name: str, data: bytes, target: str, exit_code: int, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(data)
    refuse(exit_code, "protect", tmp_path / name, "-o", tmp_path / target)
    assert [path.name for path in tmp_path.iterdir()] == [name]
