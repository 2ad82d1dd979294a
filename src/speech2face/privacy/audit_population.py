"""The audit of a population: anonymisers under attack, for the face and for the voice.

Faces come from folders of pairs, or the side `train` of sets of `prepare`. Speakers are verified on
the halves of the clips of a second folder (voices.csv: clip, speaker and, where it is known,
gender; audio/CLIP.flac), or of the pairs themselves. Either half of a clip shares its microphone
and its room with the other, which helps an attacker.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from speech2face import __version__
from speech2face.console import ProgressCallback
from speech2face.data.pairs import choose_file, find_files, load_speech
from speech2face.data.splits import split_people
from speech2face.data.voice_encoder_data import identify_data, load_voices
from speech2face.errors import ModelError, NoSpeechError, UnreadableMediaError, UsageError
from speech2face.face_encoders import identify_face_encoder
from speech2face.inputs import SUFFIXES
from speech2face.metrics.population_results import (
    SEMI_INFORMED,
    TUNED,
    AttackMetrics,
    AttackResult,
    FaceAndVoice,
    MethodAudit,
    PopulationAudit,
    TuningGain,
)
from speech2face.privacy.attack_metrics import (
    Attack,
    compare_attacks,
    compare_errors,
    measure_attack,
)
from speech2face.privacy.attacker_features import (
    AttackerFeatures,
    TunedFeatures,
    extract_attacker_features,
    finish_attacker_features,
    measure_seconds,
)
from speech2face.privacy.attackers import PRETRAINED, FoldedPairs, attack_faces, attack_voices
from speech2face.privacy.published_recordings import Recording, cut_halves, publish
from speech2face.privacy.tuned_networks import HeardSet, tune_by_folds
from speech2face.run_provenance import DataIdentity, describe, hash_rows
from speech2face.tables import drop_repeats, read_table
from speech2face.training.attacker_tuning import AttackerRecipe
from speech2face.training.clip_features import hash_speech
from speech2face.training.last_block import HeardSpeech, hear_speech
from speech2face.training.recipes import voice_encoder_frozen
from speech2face.training.voice_encoder import identify_start, load_speaker

if TYPE_CHECKING:
    from speech2face.privacy.anonymisers import Anonymiser

log = logging.getLogger(__name__)

FOLDS = 5
DRAWS = 200  # of people, for intervals


@dataclass(frozen=True)
class _Version:
    """All recordings in one form, plain or by a method: the clips, and the halves."""

    clips: AttackerFeatures
    halves: AttackerFeatures
    heard: tuple[HeardSpeech, HeardSpeech] | None  # where networks are to be tuned on them


class PopulationAuditor:
    """Faces and speakers behind voices; recordings are read and embedded once for all attacks."""

    def __init__(
        self,
        pairs: Sequence[Path],
        voices: Path | None,
        cache: Path,
        show: ProgressCallback,
        seed: int = 0,
        folds: int = FOLDS,
        draws: int = DRAWS,
        tuning: AttackerRecipe | None = None,
    ) -> None:
        """With `tuning`, one attacker more tunes speaker networks, which takes far longer.

        Raises UsageError where a folder cannot be read, is too small, or leaks.
        """
        self._cache, self._show, self._seed, self._draws = cache, show, seed, draws
        self._recipe, self._tuning = voice_encoder_frozen(), tuning
        self._speaker = load_speaker(self._recipe).speaker
        self._inputs: dict[str, DataIdentity | str] = {
            "pairs": identify_data(pairs),
            "face encoder": identify_face_encoder(self._recipe.face_encoder),
            "speaker networks": identify_start(),
        }
        clips = load_voices(pairs, self._recipe.face_encoder, cache, show, recognise=True)
        if len(set(clips.people)) < folds * self._recipe.head.inner_folds:
            folders = " and ".join(map(str, pairs))
            raise UsageError(f"{folders}: too few people to attack any by what others taught.")
        self.pairs = FoldedPairs.divide(
            clips.clips, clips.people, clips.faces, clips.identities, folds, seed
        )
        self._clips = [Recording(*row) for row in zip(clips.clips, clips.speech, strict=True)]
        spoken, speakers, sexes, missing = self._clips, clips.people, [""] * len(clips.people), 0
        if voices:
            spoken, speakers, sexes, missing = read_speakers(voices)
            names = zip([one.name for one in spoken], speakers, strict=True)
            sounds = hash_speech([one.samples for one in spoken])
            self._inputs["voices"] = hash_rows([*names, (sounds,)])
        self._unused = {"pairs": clips.left_out, "voices": missing}
        self._halves, clip = cut_halves(spoken)
        if not self._halves:
            raise UsageError("no recording lasts two seconds: speakers cannot be verified.")
        self.speakers, self._sexes = np.array(speakers)[clip], np.array(sexes)[clip]
        self.speaker_fold = self._divide_speakers(folds)
        self._plain = self._extract(None)
        self._before = self._attack("ignorant", self._plain.clips, self._plain.halves)

    def measure(
        self, anonymisers: Sequence[Anonymiser], costs: Path | None = None
    ) -> PopulationAudit:
        """Attack each anonymiser; one that cannot run is left out. `costs`: see `read_costs`."""
        words_lost = read_costs(costs) if costs else {}
        versions: dict[str, _Version] = {}
        left_out: dict[str, str] = {}
        for anonymiser in anonymisers:
            try:
                versions[anonymiser.name] = self._extract(anonymiser)
            except ModelError as error:
                left_out[anonymiser.name] = str(error)
        tuned = self._tune([*versions.values()]) if self._tuning and versions else []
        methods: dict[str, MethodAudit] = {}
        for number, (name, version) in enumerate(versions.items()):
            heard = tuned[number] if tuned else None
            methods[name] = self._measure(words_lost.get(name), version, heard)
            self._show("attacking", len(methods), len(versions), name)
        before = FaceAndVoice(*map(self._measure_attack, self._before))
        return PopulationAudit(
            version=__version__,
            people=before.face.people,
            clips=len(self._clips),
            speakers=before.voice.people,
            folds=len(np.unique(self.pairs.fold)),
            seed=self._seed,
            before=before,
            methods=methods,
            left_out=left_out,
            clips_left_out=self._unused,
            provenance=asdict(describe(self._describe_recipe(anonymisers), self._inputs)),
        )

    def _describe_recipe(self, anonymisers: Sequence[Anonymiser]) -> dict[str, Any]:
        return {
            "voice encoder": asdict(self._recipe),
            "folds": len(np.unique(self.pairs.fold)),
            "draws": self._draws,
            "seed": self._seed,
            "methods": [repr(anonymiser) for anonymiser in anonymisers],
            **({"tuning": asdict(self._tuning)} if self._tuning else {}),
        }

    def _divide_speakers(self, folds: int) -> np.ndarray:
        """The fold of each half's speaker (M,): of those who are in the pairs, the same as there.

        So a network that is tuned for a fold has met nobody in it by another recording.
        """
        fold = split_people(self.speakers.tolist(), folds, self._seed)
        known = dict(zip(self.pairs.people.tolist(), self.pairs.fold.tolist(), strict=True))
        return np.array([known.get(s, k) for s, k in zip(self.speakers, fold, strict=True)])

    def _extract(self, anonymiser: Anonymiser | None) -> _Version:
        heard: list[HeardSpeech] = []

        def extract(recordings: Sequence[Recording]) -> AttackerFeatures:
            sounds = publish(anonymiser, recordings, self._cache, self._show, self._seed)
            if not self._tuning:
                return extract_attacker_features(self._speaker, sounds, self._cache, self._show)
            heard.append(hear_speech(self._speaker, sounds, self._cache, self._show))
            features = finish_attacker_features(self._speaker, heard[-1], self._cache)
            return AttackerFeatures(features, measure_seconds(sounds))

        clips, halves = extract(self._clips), extract(self._halves)
        return _Version(clips, halves, (heard[0], heard[1]) if heard else None)

    def _tune(self, versions: Sequence[_Version]) -> list[tuple[TunedFeatures, TunedFeatures]]:
        """Features of the clips and the halves of each version, by networks tuned on all."""
        assert self._tuning
        together = [self._plain, *versions]
        clips, halves = zip(*[version.heard for version in together if version.heard], strict=True)
        found = tune_by_folds(
            self._tuning,
            lambda: load_speaker(self._recipe).speaker,
            HeardSet(
                clips,
                [version.clips for version in together],
                self.pairs.people,
                self.pairs.fold,
                self.pairs.faces,
            ),
            HeardSet(
                halves, [version.halves for version in together], self.speakers, self.speaker_fold
            ),
            self._cache,
            self._show,
        )
        return list(zip(*found, strict=True))[1:]

    def _attack(
        self,
        attacker: str,
        clips: AttackerFeatures | TunedFeatures,
        halves: AttackerFeatures | TunedFeatures,
    ) -> tuple[Attack, Attack]:
        """Attacks on the face, and on the voice."""
        face = attack_faces(attacker, self.pairs, self._plain.clips, clips, self._recipe.head)
        voice = attack_voices(
            attacker, self.speakers, self.speaker_fold, self._plain.halves, halves, self._sexes
        )
        return face, voice

    def _measure(
        self,
        cost: float | None,
        version: _Version,
        tuned: tuple[TunedFeatures, TunedFeatures] | None,
    ) -> MethodAudit:
        attacks = {name: self._attack(name, version.clips, version.halves) for name in PRETRAINED}
        gain = None
        if tuned:
            attacks[TUNED] = self._attack(TUNED, *tuned)
            (face, voice), (face_before, voice_before) = attacks[TUNED], attacks[SEMI_INFORMED]
            gain = TuningGain(
                compare_attacks(face, face_before, self._seed, self._draws),
                compare_errors(voice, voice_before, self._seed, self._draws),
            )
        return MethodAudit(
            cost, {name: self._report(*attack) for name, attack in attacks.items()}, gain
        )

    def _report(self, face: Attack, voice: Attack) -> AttackResult:
        hidden = compare_attacks(self._before[0], face, self._seed, self._draws)
        return AttackResult(self._measure_attack(face), self._measure_attack(voice), hidden)

    def _measure_attack(self, attack: Attack) -> AttackMetrics:
        return measure_attack(attack, self._seed, self._draws)


def read_speakers(folder: Path) -> tuple[list[Recording], list[str], list[str], int]:
    """Recordings, who speaks in each, their sex, and how many further ones were left out.

    The sex is what the column gender holds, in small letters, or "". A recording that cannot be
    read or is silent is left out, and a warning says which and why.
    Raises UsageError where the table is not as it should be (see tables.py), names a clip of which
    there is no recording, or more than one, and where nothing can be read.
    """
    table = folder / "voices.csv"
    rows = drop_repeats(read_table(table, ("clip", "speaker")), "clip", ("speaker", "gender"))
    files = find_files(folder / "audio", SUFFIXES)
    audio = [choose_file(row, "audio", files) for row in rows]
    spoken, speakers, sexes = [], [], []
    for row, path in zip(rows, audio, strict=True):
        try:
            spoken.append(Recording(row["clip"], load_speech(path)[0]))
            speakers.append(row["speaker"])
            sexes.append(row.fields.get("gender", "").lower())
        except (UnreadableMediaError, NoSpeechError) as error:
            log.warning("%s is left out: %s", row["clip"], error)
    if not spoken:
        raise UsageError(f"{table}: none of its {len(rows)} recordings can be read.")
    return spoken, speakers, sexes, len(rows) - len(spoken)


def read_costs(path: Path) -> dict[str, float]:
    """Share of words lost by method, of a file that benchmarks/anonymisers.py wrote."""
    try:
        methods = json.loads(path.read_text(encoding="utf-8"))["methods"]
        return {name: float(m["word_disagreement"]["value"]) for name, m in methods.items()}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path}: not the costs of anonymisers ({error}).") from None
