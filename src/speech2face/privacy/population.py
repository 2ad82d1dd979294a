"""A population to be attacked: recordings, faces and speakers, in folds by person.

Faces come from folders of pairs, or the side `train` of sets of `prepare`. Speakers are verified on
the halves of the clips of a second folder (voices.csv: clip, speaker and, where it is known,
gender; audio/CLIP.flac), or of the pairs themselves. Either half of a clip shares its microphone
and its room with the other, which helps an attacker.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from speech2face.console import ProgressCallback
from speech2face.data.pairs import choose_file, find_files, load_speech
from speech2face.data.splits import split_people
from speech2face.data.voice_encoder_data import identify_data, load_voices
from speech2face.errors import NoSpeechError, UnreadableMediaError, UsageError
from speech2face.inputs import SUFFIXES
from speech2face.privacy.attackers import FoldedPairs
from speech2face.privacy.published_recordings import Recording, cut_halves
from speech2face.run_provenance import DataIdentity, hash_rows
from speech2face.tables import drop_repeats, read_table
from speech2face.training.clip_features import hash_speech
from speech2face.training.voice_encoder import VoiceEncoderRecipe

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Population:
    """N clips whose faces are known, and M halves of recordings of speakers."""

    clips: Sequence[Recording]  # N
    pairs: FoldedPairs  # of the clips
    halves: Sequence[Recording]  # M, two of each recording one after the other
    speakers: np.ndarray  # (M,)
    sexes: np.ndarray  # (M,), "" where it is not known
    speaker_fold: np.ndarray  # (M,)
    left_out: Mapping[str, int]  # clips of the pairs and of the voices
    identities: Mapping[str, DataIdentity | str]  # of the pairs and the voices, by content


def read_population(
    pairs: Sequence[Path],
    voices: Path | None,
    recipe: VoiceEncoderRecipe,
    cache: Path,
    show: ProgressCallback,
    seed: int,
    folds: int,
) -> Population:
    """Raises UsageError where a folder cannot be read, is too small, or leaks."""
    identities: dict[str, DataIdentity | str] = {"pairs": identify_data(pairs)}
    clips = load_voices(pairs, recipe.face_encoder, cache, show, recognise=True)
    if len(set(clips.people)) < folds * recipe.head.inner_folds:
        folders = " and ".join(map(str, pairs))
        raise UsageError(f"{folders}: too few people to attack any by what others taught.")
    folded = FoldedPairs.divide(
        clips.clips, clips.people, clips.faces, clips.identities, folds, seed
    )
    recordings = [Recording(*row) for row in zip(clips.clips, clips.speech, strict=True)]
    spoken, speakers, sexes, missing = recordings, clips.people, [""] * len(clips.people), 0
    if voices:
        spoken, speakers, sexes, missing = read_speakers(voices)
        names = zip([one.name for one in spoken], speakers, strict=True)
        sounds = hash_speech([one.samples for one in spoken])
        identities["voices"] = hash_rows([*names, (sounds,)])
    halves, clip = cut_halves(spoken)
    if not halves:
        raise UsageError("no recording lasts two seconds: speakers cannot be verified.")
    of_half = np.array(speakers)[clip]
    return Population(
        recordings,
        folded,
        halves,
        of_half,
        np.array(sexes)[clip],
        _divide_speakers(of_half, folded, seed, folds),
        {"pairs": clips.left_out, "voices": missing},
        identities,
    )


def _divide_speakers(speakers: np.ndarray, pairs: FoldedPairs, seed: int, folds: int) -> np.ndarray:
    """The fold of each speaker (M,): of those who are in the pairs, the same as there.

    So a network that is tuned for a fold has met nobody in it by another recording.
    """
    fold = split_people(speakers.tolist(), folds, seed)
    known = dict(zip(pairs.people.tolist(), pairs.fold.tolist(), strict=True))
    return np.array([known.get(name, k) for name, k in zip(speakers, fold, strict=True)])


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
