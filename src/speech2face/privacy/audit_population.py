"""The audit of a population: anonymisers, attacked in three ways, for the face and for the voice.

Faces come from folders of pairs, or the side `train` of sets of `prepare`. Speakers are verified on
the halves of the clips of a second folder (voices.csv: clip, speaker and, where it is known,
gender; audio/CLIP.flac), or of the pairs themselves. Either half of a clip shares its microphone
and its room with the other, which helps an attacker.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import asdict
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
from speech2face.metrics.audit_results import (
    AttackMetrics,
    AttackResult,
    FaceAndVoice,
    MethodAudit,
    PopulationAudit,
)
from speech2face.privacy.attack_metrics import Attack, compare_attacks, measure_attack
from speech2face.privacy.attacker_features import (
    AttackerFeatures,
    Recording,
    cut_halves,
    extract_attacker_features,
)
from speech2face.privacy.attackers import ATTACKERS, FoldedPairs, attack_faces, attack_voices
from speech2face.run_provenance import DataIdentity, describe, hash_rows
from speech2face.tables import drop_repeats, read_table
from speech2face.training.clip_features import hash_speech
from speech2face.training.recipes import voice_encoder_frozen
from speech2face.training.voice_encoder import identify_start, load_speaker

if TYPE_CHECKING:
    from speech2face.privacy.anonymisers import Anonymiser

log = logging.getLogger(__name__)

FOLDS = 5
DRAWS = 200  # of people, for intervals


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
    ) -> None:
        """Raises UsageError where a folder cannot be read, is too small, or leaks."""
        self._cache, self._show, self._seed, self._draws = cache, show, seed, draws
        self._recipe = voice_encoder_frozen()
        self._network = load_speaker(self._recipe)
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
        self.speaker_fold = split_people(self.speakers.tolist(), folds, seed)
        self._plain_clips, self._plain_halves = self._extract(None)
        self._before = self._attack("ignorant", self._plain_clips, self._plain_halves)

    def measure(
        self, anonymisers: Sequence[Anonymiser], costs: Path | None = None
    ) -> PopulationAudit:
        """Attack each anonymiser; one that cannot run is left out. `costs`: see `read_costs`."""
        words_lost = read_costs(costs) if costs else {}
        methods: dict[str, MethodAudit] = {}
        left_out: dict[str, str] = {}
        for anonymiser in anonymisers:
            try:
                features = self._extract(anonymiser)
            except ModelError as error:
                left_out[anonymiser.name] = str(error)
                continue
            methods[anonymiser.name] = MethodAudit(
                words_lost.get(anonymiser.name),
                {name: self._measure(name, *features) for name in ATTACKERS},
            )
            self._show("attacking", len(methods), len(anonymisers), anonymiser.name)
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
        }

    def _extract(self, anonymiser: Anonymiser | None) -> tuple[AttackerFeatures, AttackerFeatures]:
        """Features of the clips, and of the halves."""

        def extract(recordings: Sequence[Recording]) -> AttackerFeatures:
            return extract_attacker_features(
                self._network, anonymiser, recordings, self._cache, self._show, self._seed
            )

        return extract(self._clips), extract(self._halves)

    def _attack(
        self, attacker: str, clips: AttackerFeatures, halves: AttackerFeatures
    ) -> tuple[Attack, Attack]:
        """Attacks on the face, and on the voice."""
        face = attack_faces(attacker, self.pairs, self._plain_clips, clips, self._recipe.head)
        voice = attack_voices(
            attacker, self.speakers, self.speaker_fold, self._plain_halves, halves, self._sexes
        )
        return face, voice

    def _measure(
        self, attacker: str, clips: AttackerFeatures, halves: AttackerFeatures
    ) -> AttackResult:
        face, voice = self._attack(attacker, clips, halves)
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
