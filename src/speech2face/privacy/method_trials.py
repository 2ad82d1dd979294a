"""Tries methods of disguise on a recording's own speech: what each costs, and what it leaves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from speech2face.console import ProgressCallback
from speech2face.errors import ModelError
from speech2face.media import SAMPLE_RATE
from speech2face.metrics.protection_results import Heard, MethodTrial, WordsLost
from speech2face.privacy.anonymise_recording import Losses, disguise_pieces
from speech2face.privacy.anonymisers import Anonymiser
from speech2face.privacy.asr import recognise, transcribe
from speech2face.privacy.attack_table import find_words_lost
from speech2face.privacy.chunking import cut_pieces, join_pieces
from speech2face.privacy.disguise_metadata import SPOKEN_ANEW
from speech2face.privacy.remaining_disclosure import find_attack
from speech2face.privacy.speech_quality import measure_speech
from speech2face.privacy.voice_left import VoiceMeter
from speech2face.privacy.word_error_rate import count_errors, find_words
from speech2face.speech import CROSSFADE, Speech

UNDERSTOOD = 0.5  # share of the words heard, of which most have to be understood
FEWEST = 30  # words of a recording, of which those lost are counted


@dataclass(frozen=True)
class Understood:
    """What the recogniser makes of a recording's speech before it is disguised."""

    hearing: Heard
    texts: tuple[str, ...] = ()  # of each speaker, where they are understood

    @property
    def words(self) -> int:
        return sum(len(find_words(text)) for text in self.texts)


def understand(speeches: Sequence[Speech]) -> Understood:
    """Hear whether the words are the recogniser's language, English, and which they are."""
    try:
        parts = [part for speech in speeches for part in _part(speech)]
        said = [one for part in parts for one in transcribe(part)]
        counts = [len(find_words(one.text)) for one in said]
        if not sum(counts):
            return Understood("nothing")
        sure = sum(n for n, one in zip(counts, said, strict=True) if one.understood)
        if sure < UNDERSTOOD * sum(counts):
            return Understood("not understood")
        return Understood("understood", tuple(recognise(speech.samples) for speech in speeches))
    except ModelError:
        return Understood("no recogniser")


def _part(speech: Speech) -> Iterator[np.ndarray]:
    """The stretches of speech that were joined: without their pauses what is said again, in
    another stretch, would be taken for a recogniser that repeats itself."""
    place = 0
    for start, end in speech.segments:
        length = round((end - start) * SAMPLE_RATE)
        yield speech.samples[place : place + length]
        place += length - CROSSFADE


def try_methods(
    methods: Sequence[Anonymiser],
    speeches: Sequence[Speech],
    seeds: Mapping[int, int],
    understood: Understood,
    own_words: bool,
    meter: VoiceMeter,
    show: ProgressCallback,
) -> tuple[list[MethodTrial], dict[str, str]]:
    """Try each method on the speech of each speaker → the trials, and why others were left out.

    `seeds` are those of the speakers, by number, `understood` is what `understand` gave. With
    `own_words` methods that speak the words anew are not tried.
    """
    voices = [meter.state_bits(speech) for speech in speeches]
    spoken = sum(measure_speech(speech.samples) for speech in speeches)
    trials: list[MethodTrial] = []
    left_out: dict[str, str] = {}
    for number, method in enumerate(methods):
        show("methods", number, len(methods), method.name)
        anew = method.name in SPOKEN_ANEW
        if anew and own_words:
            left_out[method.name] = "it speaks the words anew, which keep=voice allows"
            continue
        if anew and understood.hearing == "not understood":
            left_out[method.name] = "it understands English only"
            continue
        try:
            made = [disguise_speech(s, method, seeds[s.speaker or 1]) for s in speeches]
        except ModelError as error:
            left_out[method.name] = str(error)
            continue
        kept = sum(measure_speech(samples) for samples in made) / max(spoken, 0.1)
        if not kept:
            left_out[method.name] = "it leaves no speech"
            continue
        trials.append(
            MethodTrial(
                method.name,
                count_words_lost(method.name, understood, made),
                round(min(kept, 1.0), 2),
                tuple(
                    meter.measure(voice, samples, method.name)
                    for voice, samples in zip(voices, made, strict=True)
                ),
                find_attack(method.name),
                anew,
            )
        )
    show("methods", len(methods), len(methods), "")
    return trials, left_out


def disguise_speech(speech: Speech, method: Anonymiser, seed: int) -> np.ndarray:
    """One speaker's speech in another voice (n,)."""
    pieces = disguise_pieces(cut_pieces([speech.samples]), method, lambda _: seed, Losses())
    return np.concatenate(list(join_pieces(pieces)))


def count_words_lost(
    method: str | None, understood: Understood, disguised: Sequence[np.ndarray]
) -> WordsLost | None:
    """Words lost of this recording where its words are known, else the average of others.

    `disguised` is what was made of each speaker's speech. None where neither is known.
    """
    if understood.words >= FEWEST:
        pairs = zip(understood.texts, disguised, strict=True)
        counts = [count_errors(text, recognise(samples)) for text, samples in pairs]
        errors, words = (sum(c.errors for c in counts), sum(c.words for c in counts))
        return WordsLost(round(min(1.0, errors / words), 3), "recording", errors, words)
    lost = find_words_lost(method) if method else None
    return None if lost is None else WordsLost(lost, "others")
