"""Teach the attackers that are released, and check what they state of single recordings.

    python benchmarks/attackers.py [METHOD …] --pairs PAIRS --voices VOICES [--write]
    python benchmarks/attackers.py draw

It needs the extras `train` and `audit`, and shares with benchmarks/audit.py what lies in --cache;
a method takes about 5 minutes of a core. With --write the attackers of all methods that were ever
given go into the package with a card, and what was found into benchmarks/attackers.json; `draw`
writes that into docs/privacy.md.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from audit import write_between
from speech2face import __version__
from speech2face.array_cache import find_place, keep_arrays
from speech2face.console import ProgressBars, ProgressCallback
from speech2face.files import write_atomically, write_text_atomically
from speech2face.media import SAMPLE_RATE
from speech2face.metrics.intervals import Estimate
from speech2face.model_folders import ASSETS, FILES, find_model
from speech2face.privacy.anonymisers import ANONYMISERS, load_anonymiser
from speech2face.privacy.attacker_features import finish_attacker_features, measure_seconds
from speech2face.privacy.leakage_estimate import (
    evidence_weight_of_clip,
    measure_sound,
    read_calibration,
)
from speech2face.privacy.population import Population, read_population
from speech2face.privacy.published_recordings import publish
from speech2face.privacy.teach_attackers import (
    DIRECTIONS,
    TURNS,
    Clips,
    FaceCheck,
    Group,
    Halves,
    VoiceCheck,
    check_faces,
    check_voices,
    state_plain_faces,
    teach_attacker,
)
from speech2face.privacy.trained_attackers import CARD, PARTS, WEIGHTS, pack_attacker
from speech2face.reports.number_words import format_estimate
from speech2face.runtime import open_session
from speech2face.speaker_features import RELEASED, keep_features
from speech2face.training.clip_features import hash_speech
from speech2face.training.last_block import hear_speech
from speech2face.training.recipes import voice_encoder_frozen
from speech2face.training.voice_encoder import load_speaker

HERE = Path(__file__).parent
FOLDS, SEED = 5, 0


class Teacher:
    """The population, as spoken and by each method, as two encoders hear it."""

    def __init__(
        self, pairs: Sequence[Path], voices: Path, cache: Path, show: ProgressCallback
    ) -> None:
        self.recipe, self._cache, self._show = voice_encoder_frozen(), cache, show
        self.people: Population = read_population(
            pairs, voices, self.recipe, cache, show, SEED, FOLDS
        )
        self._speaker = load_speaker(self.recipe).speaker
        self._session = open_session(RELEASED, 1, keep_features)
        self._encoder = find_model().card.sha256[FILES[0]]
        calibration = replace(read_calibration(find_model()), doubt=0.0)
        self._unheard = np.array(
            [
                1 / evidence_weight_of_clip(calibration, len(one) / SAMPLE_RATE, measure_sound(one))
                - 1
                for one in (recording.samples for recording in self.people.clips)
            ]
        )
        self._plain = self._hear(None)
        plain = self._clips(self._plain, self._plain, "untuned")
        self._faces = state_plain_faces(plain, self.recipe.head)

    def teach(self, method: str) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """The arrays of a method's attackers, and what they state and what is found."""
        plain, made = self._plain, self._hear(method)
        arrays: dict[str, np.ndarray] = {}
        found: dict[str, Any] = {}
        for hearing in PARTS:
            untuned = self._clips(plain, made, "untuned").hear(hearing)
            face = check_faces(untuned, self._faces, self.recipe.head)
            halves = self._halves(plain, made)
            voice = check_voices(halves.hear(hearing))
            attacker = teach_attacker(
                method,
                hearing,
                self._clips(plain, made, "released"),
                halves,
                face,
                voice,
                self.recipe.head,
            )
            arrays |= pack_attacker(attacker)
            found[hearing] = {"face": describe(face), "voice": describe(voice)}
        return arrays, found

    def _clips(
        self, plain: dict[str, np.ndarray], made: dict[str, np.ndarray], encoder: str
    ) -> Clips:
        pairs = self.people.pairs
        return Clips(
            plain[f"{encoder} clips"],
            made[f"{encoder} clips"],
            plain["seconds"],
            made["seconds"],
            self._unheard,
            pairs.faces,
            pairs.people,
            pairs.fold,
        )

    def _halves(self, plain: dict[str, np.ndarray], made: dict[str, np.ndarray]) -> Halves:
        people = self.people
        return Halves(
            plain["released halves"], made["released halves"], people.speakers, people.speaker_fold
        )

    def _hear(self, method: str | None) -> dict[str, np.ndarray]:
        """Features of the clips and the halves by the released encoder, and of the clips by the
        networks that it was tuned from."""
        anonymiser = load_anonymiser(method) if method else None
        clips, halves = (
            publish(anonymiser, recordings, self._cache, self._show, SEED)
            for recordings in (self.people.clips, self.people.halves)
        )
        heard = hear_speech(self._speaker, clips, self._cache, self._show)
        return {
            "untuned clips": finish_attacker_features(self._speaker, heard, self._cache),
            "released clips": self._run(clips),
            "released halves": self._run(halves),
            "seconds": measure_seconds(clips),
        }

    def _run(self, sounds: Sequence[np.ndarray]) -> np.ndarray:
        def compute() -> dict[str, np.ndarray]:
            rows = []
            for sound in sounds:
                rows.append(self._session.run(None, {"waveform": sound[None]})[0][0])
                self._show("hearing by the released encoder", len(rows), len(sounds), "")
            return {"features": np.array(rows)}

        place = find_place(self._cache, "released", self._encoder, hash_speech(sounds))
        return keep_arrays(place, compute)["features"]


def main() -> None:
    parser = argparse.ArgumentParser(description="Teach the released attackers.")
    parser.add_argument("methods", nargs="*", help="[default: all]; or draw")
    parser.add_argument("--pairs", type=Path, action="append", help="may be repeated")
    parser.add_argument("--voices", type=Path)
    parser.add_argument("--cache", type=Path, default=Path("runs/audit"))
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    path = HERE / "attackers.json"
    stored: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {"methods": {}}
    if given.methods == ["draw"]:
        write_between(tabulate(stored), "attackers")
        return
    if not given.pairs or not given.voices:
        parser.error("--pairs and --voices are needed")
    with ProgressBars() as show:
        teacher = Teacher(given.pairs, given.voices, given.cache, show)
        taught = {name: teacher.teach(name) for name in given.methods or ANONYMISERS}
    stored["methods"] |= {name: found for name, (_, found) in taught.items()}
    stored["version"] = __version__
    print(json.dumps(stored, indent=2))
    if given.write:
        arrays = {key: values for made, _ in taught.values() for key, values in made.items()}
        write_attackers(arrays, teacher)
        write_text_atomically(path, json.dumps(stored, indent=1) + "\n")


def write_attackers(arrays: dict[str, np.ndarray], teacher: Teacher) -> None:
    """Put attackers into the package, beside those of other methods that are there, with a card."""
    weights = ASSETS / WEIGHTS
    if weights.is_file():
        with np.load(weights, allow_pickle=False) as there:
            arrays = dict(there.items()) | arrays
    content = io.BytesIO()
    named: dict[str, Any] = {key: arrays[key] for key in sorted(arrays)}
    np.savez_compressed(content, **named)
    with write_atomically(weights) as file:
        file.write(content.getvalue())
    people = teacher.people
    card = {
        "summary": "Attackers who learned from voices disguised by each method of `anonymise`.",
        "version": __version__,
        "licence": find_model().card.licence,
        "sha256": hashlib.sha256(content.getvalue()).hexdigest(),
        "encoder": find_model().card.sha256[FILES[0]],
        "methods": {
            name: repr(load_anonymiser(name))
            for name in dict.fromkeys(key.split("/")[0] for key in sorted(arrays))
        },
        "recipe": {
            "head": asdict(teacher.recipe.head),
            "directions": DIRECTIONS,
            "turns": TURNS,
            "folds": FOLDS,
        },
        "seed": SEED,
        "people": len(set(people.pairs.people.tolist())),
        "speakers": len(set(people.speakers.tolist())),
        "data": {
            name: one if isinstance(one, str) else one.digest
            for name, one in people.identities.items()
        },
    }
    write_text_atomically(ASSETS / CARD, json.dumps(card, indent=1) + "\n")


def describe(check: FaceCheck | VoiceCheck) -> dict[str, Any]:
    return {"all": asdict(check.all), "groups": [asdict(group) for group in check.groups]}


def tabulate(stored: dict[str, Any]) -> list[str]:
    header = ("method", "hears by", "bits stated", "found", "of the lowest third", "of the highest")
    header += ("strangers of 1,000, stated", "found")
    lines = [f"| {' | '.join(header)} |", "|--" * len(header) + "|"]
    for method, hearings in stored["methods"].items():
        for hearing, found in hearings.items():
            cells = [method, hearing]
            face, voice = (
                {"all": read_group(one["all"]), "groups": [*map(read_group, one["groups"])]}
                for one in (found["face"], found["voice"])
            )
            cells += [f"{face['all'].stated:.2f}", format_estimate(face["all"].found)]
            cells += [
                f"{group.stated:.2f}: {format_estimate(group.found)}"
                for group in (face["groups"][0], face["groups"][-1])
            ]
            cells += [f"{voice['all'].stated:.0f}", format_estimate(voice["all"].found, 0)]
            lines.append(f"| {' | '.join(cells)} |")
    return lines


def read_group(stored: dict[str, Any]) -> Group:
    return Group(stored["people"], stored["stated"], Estimate(**stored["found"]))


if __name__ == "__main__":
    main()
