"""The audit of a population: anonymisers under attack, for the face and for the voice.

Who is attacked, and by what recordings, is population.py's.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from speech2face import __version__
from speech2face.console import ProgressCallback
from speech2face.errors import ModelError, UsageError
from speech2face.face_encoders import identify_face_encoder
from speech2face.metrics.population_results import (
    BOTH_FORMS,
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
from speech2face.privacy.attackers import PRETRAINED, attack_faces, attack_voices
from speech2face.privacy.population import read_population
from speech2face.privacy.published_recordings import Recording, publish
from speech2face.privacy.tuned_networks import HeardSet, tune_by_folds
from speech2face.run_provenance import DataIdentity, describe
from speech2face.training.attacker_tuning import AttackerRecipe
from speech2face.training.last_block import HeardSpeech, hear_speech
from speech2face.training.recipes import voice_encoder_frozen
from speech2face.training.voice_encoder import identify_start, load_speaker

if TYPE_CHECKING:
    from speech2face.privacy.anonymisers import Anonymiser

_Heard = tuple[AttackerFeatures | TunedFeatures, AttackerFeatures | TunedFeatures]
"""Features of the clips, and of the halves."""

FOLDS = 5
DRAWS = 200  # of people, for intervals


@dataclass(frozen=True)
class _Version:
    """All recordings in one form, plain or by a method: the clips, and the halves."""

    features: tuple[AttackerFeatures, AttackerFeatures]
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
        self._population = read_population(pairs, voices, self._recipe, cache, show, seed, folds)
        self._plain = self._extract(None)
        self._before = self._attack("ignorant", self._plain.features, self._plain.features)

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
        tuned = self._tune([*versions.values()]) if self._tuning and versions else []  # plain first
        methods: dict[str, MethodAudit] = {}
        for number, (name, version) in enumerate(versions.items()):
            heard = (tuned[0], tuned[1 + number]) if tuned else None
            methods[name] = self._measure(words_lost.get(name), version.features, heard)
            self._show("attacking", len(methods), len(versions), name)
        before = FaceAndVoice(*map(self._measure_attack, self._before))
        return PopulationAudit(
            version=__version__,
            people=before.face.people,
            clips=len(self._population.clips),
            speakers=before.voice.people,
            folds=len(np.unique(self._population.pairs.fold)),
            seed=self._seed,
            before=before,
            methods=methods,
            left_out=left_out,
            clips_left_out=self._population.left_out,
            provenance=asdict(describe(self._describe_recipe(anonymisers), self._inputs())),
        )

    def _describe_recipe(self, anonymisers: Sequence[Anonymiser]) -> dict[str, Any]:
        return {
            "voice encoder": asdict(self._recipe),
            "folds": len(np.unique(self._population.pairs.fold)),
            "draws": self._draws,
            "seed": self._seed,
            "methods": [repr(anonymiser) for anonymiser in anonymisers],
            **({"tuning": asdict(self._tuning)} if self._tuning else {}),
        }

    def _inputs(self) -> dict[str, DataIdentity | str]:
        return {
            **self._population.identities,
            "face encoder": identify_face_encoder(self._recipe.face_encoder),
            "speaker networks": identify_start(),
        }

    def _extract(self, anonymiser: Anonymiser | None) -> _Version:
        heard: list[HeardSpeech] = []

        def extract(recordings: Sequence[Recording]) -> AttackerFeatures:
            sounds = publish(anonymiser, recordings, self._cache, self._show, self._seed)
            if not self._tuning:
                return extract_attacker_features(self._speaker, sounds, self._cache, self._show)
            heard.append(hear_speech(self._speaker, sounds, self._cache, self._show))
            features = finish_attacker_features(self._speaker, heard[-1], self._cache)
            return AttackerFeatures(features, measure_seconds(sounds))

        clips, halves = extract(self._population.clips), extract(self._population.halves)
        return _Version((clips, halves), (heard[0], heard[1]) if heard else None)

    def _tune(self, versions: Sequence[_Version]) -> list[tuple[TunedFeatures, TunedFeatures]]:
        """Features of the plain voices and of each version, by networks tuned on all of them."""
        assert self._tuning
        together, people = [self._plain, *versions], self._population
        clips, halves = zip(*[version.heard for version in together if version.heard], strict=True)
        found = tune_by_folds(
            self._tuning,
            lambda: load_speaker(self._recipe).speaker,
            HeardSet(
                clips,
                [version.features[0] for version in together],
                people.pairs.people,
                people.pairs.fold,
                people.pairs.faces,
            ),
            HeardSet(
                halves,
                [version.features[1] for version in together],
                people.speakers,
                people.speaker_fold,
            ),
            self._cache,
            self._show,
        )
        return list(zip(*found, strict=True))

    def _attack(self, attacker: str, plain: _Heard, disguised: _Heard) -> tuple[Attack, Attack]:
        """Attacks on the face, and on the voice."""
        people, (spoken, halves) = self._population, plain
        face = attack_faces(attacker, people.pairs, spoken, disguised[0], self._recipe.head)
        voice = attack_voices(
            attacker, people.speakers, people.speaker_fold, halves, disguised[1], people.sexes
        )
        return face, voice

    def _measure(
        self,
        cost: float | None,
        disguised: _Heard,
        tuned: tuple[_Heard, _Heard] | None,
    ) -> MethodAudit:
        plain = self._plain.features
        attacks = {name: self._attack(name, plain, disguised) for name in PRETRAINED}
        gain = None
        if tuned:
            attacks[TUNED] = self._attack(TUNED, *tuned)
            (face, voice), (face_before, voice_before) = attacks[TUNED], attacks[BOTH_FORMS]
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


def read_costs(path: Path) -> dict[str, float]:
    """Share of words lost by method, of a file that benchmarks/anonymisers.py wrote."""
    try:
        methods = json.loads(path.read_text(encoding="utf-8"))["methods"]
        return {name: float(m["word_disagreement"]["value"]) for name, m in methods.items()}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path}: not the costs of anonymisers ({error}).") from None
