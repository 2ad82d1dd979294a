"""The work of `embed` and `reconstruct` on one recording, ready to be sent to other processes.

A task is what the command line says, and opens the model once in each process. Of what it gives a
row is printed as JSON; for a table there are `rows`, one for each speaker, with flat cells.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from speech2face.batch import ReadingProgress, Row, Work
from speech2face.content_credentials import PictureSigner
from speech2face.inputs import Input, make_folder
from speech2face.joined_speech import find_joined_speech
from speech2face.pictures import check_writable, write_png
from speech2face.reconstruct import Speech2Face, VoiceEmbedding, load
from speech2face.remote_files import address_of, is_file_anywhere
from speech2face.result_tables import Columns
from speech2face.speaker_features import open_early
from speech2face.speakers import join_speakers
from speech2face.speech import Speech, find_chosen_speech
from speech2face.timestamps import describe_part


@dataclass(frozen=True)
class Listening:
    """What to listen to; what a manifest's line says goes before it."""

    start: float = 0.0  # s
    end: float | None = None  # s
    track: int | None = None  # from 1
    speaker: str | int = "longest"  # or "all", or a number from 1

    def of(self, item: Input) -> Listening:
        """That of one input."""
        said = {name: value for name, value in vars(item.excerpt).items() if value is not None}
        return replace(self, **said)

    def find_speech(self, item: Input, progress: ReadingProgress) -> list[Speech]:
        """The speech of each who is chosen, or of the one person of several recordings."""
        if item.parts:
            return [find_joined_speech([part.recording for part in item.parts], progress=progress)]
        return find_chosen_speech(
            item.recording,
            self.speaker,
            start=self.start,
            end=self.end,
            track=self.track,
            progress=progress,
        )


@dataclass(frozen=True)
class EmbedTask:
    """The Gaussian over face embeddings that a voice suggests."""

    model: str
    listening: Listening
    covariance: bool = False  # the whole matrix, which goes into no table
    for_table: bool = False

    command: ClassVar[str] = "embed"
    columns: ClassVar[Columns] = {"embedding": "floats", "variance": "floats"}

    @property
    def settings(self) -> Mapping[str, Any]:
        """All that decides about rows of a table, beside the model."""
        return vars(self.listening)

    def open(self) -> Work:
        """Load the model. Raises ModelError."""
        open_early()
        network = load(self.model)

        def work(item: Input, progress: ReadingProgress) -> Row:
            listening = self.listening.of(item)
            found = listening.find_speech(item, progress)
            voices = [network.embed(speech) for speech in found]
            if self.for_table:
                return {"rows": [self._fill_row(voice) for voice in voices]}
            return join_chosen([self._describe(voice) for voice in voices], listening)

        return work

    def _fill_row(self, voice: VoiceEmbedding) -> Row:
        variance = voice.covariance.diagonal()
        own = {"embedding": shorten(voice.mean), "variance": shorten(variance)}
        return own | flatten_facts(voice.speech.as_json())

    def _describe(self, voice: VoiceEmbedding) -> Row:
        deviation = voice.covariance.diagonal() ** 0.5
        row = {"mean": voice.mean.tolist(), "deviation": deviation.tolist()}
        if self.covariance:
            row["covariance"] = voice.covariance.tolist()
        return row | voice.speech.as_json() | {"model": voice.model}


@dataclass(frozen=True)
class DrawTask:
    """The face that a voice suggests, as PNG files."""

    model: str
    listening: Listening
    outputs: str  # where they go, in words
    drawing: Mapping[str, Any]  # samples, seed, size, style, strength and hair of `reconstruct`
    sign: tuple[Path, Path] | None = None  # the files of a certificate and its key
    skip_existing: bool = False
    force: bool = False
    make_folders: bool = False  # those of the outputs
    for_table: bool = False

    command: ClassVar[str] = "reconstruct"
    columns: ClassVar[Columns] = {
        "output": "text",
        "samples": "texts",
        "strength": "number",
        "hair": "text",
    }

    @property
    def settings(self) -> Mapping[str, Any]:
        """All that decides about rows of a table, beside the model."""
        signed = [str(path) for path in self.sign or ()]
        return {"outputs": self.outputs, "sign": signed, **self.drawing, **vars(self.listening)}

    def open(self) -> Work:
        """Load the model. Raises ModelError."""
        signer = PictureSigner(*self.sign) if self.sign else None
        open_early()
        network = load(self.model)
        return lambda item, progress: self._draw(network, signer, item, progress)

    def _draw(
        self,
        network: Speech2Face,
        signer: PictureSigner | None,
        item: Input,
        progress: ReadingProgress,
    ) -> Row:
        listening, samples = self.listening.of(item), self.drawing["samples"]
        assert item.output  # of each recording that is drawn
        first = listening.speaker if isinstance(listening.speaker, int) else 1
        targets = name_pictures(item.output, first, samples)
        if all(self._is_kept(target) for target in targets):
            return describe_pictures(targets) | {"skipped": True, "warnings": []}
        if self.make_folders:
            make_folder(targets[0].parent)
        force = self.force or item.again
        self._check_places(targets, force)
        rows, notes = [], []
        for number, speech in enumerate(listening.find_speech(item, progress), first):
            targets = name_pictures(item.output, number, samples)
            self._check_places(targets, force)
            face = network.reconstruct(speech, **self.drawing)
            pictures = zip(targets, [face.image, *face.samples], face.comments, strict=True)
            for target, picture, comment in pictures:
                if not self._is_kept(target):
                    name = network.card.name
                    write_png(picture, target, name, force, comment=comment, signer=signer)
            facts = face.voice.speech.as_json() | {"model": face.voice.model}
            drawn = {"strength": face.strength, "hair": face.hair}
            rows.append(describe_pictures(targets) | drawn | facts)
            notes += describe_used_speech(item.name, rows[-1], listening.start)
        if self.for_table:
            return {"rows": [row | flatten_facts(row) for row in rows]}
        return join_chosen(rows, listening) | {"notes": notes}

    def _is_kept(self, target: Path) -> bool:
        return self.skip_existing and is_file_anywhere(target)

    def _check_places(self, targets: list[Path], force: bool) -> None:
        for target in targets:
            if not self._is_kept(target):
                check_writable(target, force)


def join_chosen(rows: list[Row], listening: Listening) -> Row:
    """One row of those of speakers: with each one's own facts, where all are asked for."""
    return join_speakers(rows) if listening.speaker == "all" else rows[0]


def flatten_facts(facts: Mapping[str, Any]) -> Row:
    """The facts of a speech as cells of a table: of `speakers` only how many there are."""
    kept = ("speech_seconds", "analysed_seconds", "segments", "speaker", "warnings")
    return {name: facts[name] for name in kept} | {"speakers": len(facts["speakers"])}


def shorten(numbers: np.ndarray) -> list[float]:
    """Numbers float32 (D,) with as few digits as tell them apart: they become the same again."""
    return [float(str(number)) for number in numbers.astype(np.float32)]


def name_pictures(path: Path, number: int, samples: int) -> list[Path]:
    """Paths for a speaker's face and the samples: NAME.face.png, NAME.speaker2.face.png."""
    if number > 1:
        ending = ".face.png" if path.name.endswith(".face.png") else path.suffix
        path = path.with_name(f"{path.name.removesuffix(ending)}.speaker{number}{ending}")
    return [path, *(path.with_stem(f"{path.stem}.sample{n + 1}") for n in range(samples))]


def describe_pictures(targets: list[Path]) -> Row:
    first, *samples = (address_of(target) or str(target) for target in targets)
    return {"output": first, "samples": samples}


def describe_used_speech(name: str, row: Mapping[str, Any], start: float) -> list[str]:
    """Lines that say which seconds of a recording, or of each of several, were used."""
    if recordings := row.get("recordings"):
        each = [describe_used_speech(one["input"], one, start) for one in recordings]
        return [line for lines in each for line in lines]
    used, analysed = row["speech_seconds"], row["analysed_seconds"]
    if len(row["speakers"]) > 1:
        name = f"{name}, speaker {row['speaker']}"
    return [f"{name}: {describe_part(used, row['segments'], start, analysed)}"]
