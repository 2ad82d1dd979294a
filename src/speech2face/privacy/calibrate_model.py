"""A model's numbers for the audit, from voices that were held out of training.

How much a model says of strangers cannot be measured on people whom it has met. So it is trained
again, by its own recipe, once for each of five folds by person, and every clip is embedded by the
one encoder that met neither the speaker nor, as far as is known, the face: whole, cut short, and
made worse. What is stated of those clips and where their faces stand gives the numbers
(fit_calibration.py).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from speech2face import __version__
from speech2face.console import ProgressCallback
from speech2face.data.degradations import DEGRADATIONS
from speech2face.data.face_unwarping import measure_faces
from speech2face.data.pairs import read_photographs
from speech2face.data.voice_encoder_data import Voices, identify_data, load_voices
from speech2face.errors import ModelError, UsageError
from speech2face.face_encoders import identify_face_encoder
from speech2face.media import SAMPLE_RATE
from speech2face.metrics.audit_results import AverageBits
from speech2face.metrics.retrieval import rank_matches
from speech2face.model_folders import FILES, Model
from speech2face.privacy.attackers import FoldedPairs
from speech2face.privacy.fit_calibration import (
    CalibrationResiduals,
    Check,
    Condition,
    check_statements,
    cross_fit_weights,
    fit_axes,
    fit_weights,
    standard_error,
)
from speech2face.privacy.leakage_estimate import (
    Calibration,
    FaceCovariance,
    measure_sound,
    whiten_by_prior,
)
from speech2face.reports.number_words import format_estimate
from speech2face.run_provenance import claim_run, describe
from speech2face.training.encoder_options import EncoderRecipe, Options, check_options
from speech2face.training.end_to_end_task import EndToEndRecipe
from speech2face.training.fold_encoders import FoldEncoder, prepare_folds
from speech2face.training.gaussian_head import log_likelihood_ratios
from speech2face.training.init_weights import check_begun, refuse_met
from speech2face.training.recipe_files import read_fields
from speech2face.training.voice_encoder import LAST_BLOCK, VoiceEncoderRecipe

FOLDS = 5
LENGTHS = (6.0, 3.0, 2.0, 1.0, 0.5)  # seconds of crops, of clips that are as long
DEGRADED = {  # condition: what is done to the sound, of `DEGRADATIONS`
    "noise 20 dB": "noise_20_db",
    "noise 10 dB": "noise_10_db",
    "noise 0 dB": "noise_0_db",
    "telephone": "telephone",
    "reverberation 0.6 s": "reverberation_600_ms",
}
LEAST_CLIPS = 20  # without which a condition is left out
PHOTOGRAPHS = 3_000  # labelled, at most, that teach the lines of sex and age


Change = Callable[[np.ndarray, int], np.ndarray]
"""Speech, float32 (n,) at 16 kHz, and a seed → the same, cut short or made worse."""


@dataclass(frozen=True)
class HeldOut:
    """Clips, and the encoder of each fold, which learned from all others."""

    voices: Voices  # N
    fold: np.ndarray  # (N,)
    encoders: list[FoldEncoder]  # of each fold

    @classmethod
    def train(
        cls,
        recipe: EncoderRecipe,
        voices: Voices,
        folder: Path,
        show: ProgressCallback,
        options: Options | None = None,
        folds: int = FOLDS,
        quantised: bool = False,
    ) -> HeldOut:
        """Fold by fold; folds that `folder` holds finished are not trained again. With `quantised`
        each encoder hears with 8 bits, as `speech2face quantise` makes it.

        Raises UsageError where there are too few people, or nearly the same face is in two folds.
        """
        inner = recipe.head.inner_folds if isinstance(recipe, VoiceEncoderRecipe) else 2
        people, least = len(set(voices.people)), folds * inner
        if people < least:
            raise UsageError(f"only {people} people; {least} are needed to hold some out.")
        fold = FoldedPairs.divide(
            voices.clips, voices.people, voices.faces, voices.identities, folds
        ).fold
        train_fold = prepare_folds(recipe, options or Options(), voices, folder / "cache", show)
        encoders = []
        for k in range(folds):
            encoder = train_fold(fold == k, folder / f"fold{k}", {"fold": k, "folds": folds})
            if quantised:
                encoder = encoder.quantise([voices.speech[i] for i in np.flatnonzero(fold != k)])
            encoders.append(encoder)
            show("folds", k + 1, folds, "")
        return cls(voices, fold, encoders)

    def embed_conditions(self, show: ProgressCallback) -> list[Condition]:
        """Clips whole, cut short, and made worse; conditions of too few clips are left out."""
        seconds = np.array([len(speech) / SAMPLE_RATE for speech in self.voices.speech])
        ways: dict[str, tuple[np.ndarray, Change]] = {"whole": (seconds > 0, lambda s, _: s)}
        ways |= {_name_of(t): (seconds >= t, _cut_to(t)) for t in LENGTHS}
        ways |= {name: (seconds > 0, DEGRADATIONS[change]) for name, change in DEGRADED.items()}
        conditions = []
        for place, (name, (chosen, change)) in enumerate(ways.items(), 1):
            if chosen.sum() >= LEAST_CLIPS:
                conditions.append(self._embed(name, np.flatnonzero(chosen), change, show))
            show("embedding", place, len(ways), name)
        return conditions

    def _embed(
        self, name: str, rows: np.ndarray, change: Change, show: ProgressCallback
    ) -> Condition:
        """Clips (n,) by number, after `change`."""
        voices, fold, people = self.voices, self.fold[rows], np.array(self.voices.people)
        sounds = [change(voices.speech[i], int(i)) for i in rows]
        means, shares = (np.empty((len(rows), voices.faces.shape[1])) for _ in range(2))
        seconds, scores = np.empty(len(rows)), np.zeros((len(rows), len(people)))
        for k, encoder in enumerate(self.encoders):
            own, gallery = np.flatnonzero(fold == k), np.flatnonzero(self.fold == k)
            if not len(own):
                continue
            head = encoder.head
            predicted, lengths = encoder.predict(
                [voices.clips[i] for i in rows[own]],
                lambda own=own: [sounds[i] for i in own],
                re.sub(r"[^A-Za-z0-9]+", "-", name),
                show,
            )
            faces = voices.faces[gallery]
            scores[np.ix_(own, gallery)] = log_likelihood_ratios(head, predicted, lengths, faces)
            covariance = FaceCovariance(
                head.prior, head.explained_covariance, head.half_gain_seconds
            )
            turn, explained = whiten_by_prior(covariance)
            means[own], seconds[own] = (predicted - head.average) @ turn, lengths
            shares[own] = (lengths / (lengths + head.half_gain_seconds))[:, None] * explained
        true = rows[:, None] == np.arange(len(people))
        others = (fold[:, None] == self.fold) & (people[rows][:, None] != people)
        ranks = rank_matches(scores, true, others)
        waveforms = tuple(measure_sound(sound) for sound in sounds)
        return Condition(name, means, shares, seconds, waveforms, people[rows], fold, ranks)


@dataclass(frozen=True)
class ConditionReport:
    """Stated and found disclosure of clips in one condition."""

    clips: int
    people: int
    before: Check  # by the model's own covariance
    after: Check  # by the calibration

    def as_json(self) -> dict[str, Any]:
        return vars(self) | {"before": self.before.as_json(), "after": self.after.as_json()}


@dataclass(frozen=True)
class CalibrationReport:
    """A calibration, and how it holds in each condition."""

    version: str
    clips: int
    calibration: Calibration
    conditions: dict[str, ConditionReport]  # by name

    def as_json(self) -> dict[str, Any]:
        numbers = asdict(self.calibration)
        return {
            "version": self.version,
            "people": self.calibration.people,
            "clips": self.clips,
            "numbers": {k: v for k, v in numbers.items() if not k.endswith(("axis", "averages"))},
            "conditions": {name: one.as_json() for name, one in self.conditions.items()},
        }


def calibrate(
    model: Model,
    data: Sequence[Path],
    faces: Path | None,
    folder: Path,
    show: ProgressCallback,
    options: Options | None = None,
) -> tuple[Calibration, CalibrationReport]:
    """The numbers of a model, and what is stated and found by them.

    `data` are the folders that the model was trained on, `options` those of its training: networks
    or weights that it began with, where they were not the released ones, and layers of the paper's
    loss. `faces` is a folder of photographs with sex and age (without it the audit gives no bits of
    either), `folder` keeps what is finished. Raises UsageError where the data or the options are
    others, too few, or of no use.
    """
    options, facts = options or Options(), model.find_facts("voice_encoder")
    recipe = read_recipe(model)
    check_options(recipe, options)
    check_begun(options.weights, facts, model.card.name)
    if facts.get("layers", [None, None]) != options.hash_layers():
        raise UsageError(
            f"{model.card.name} was trained with other layers of the paper's loss: give those by "
            "--decoder-layer and --recogniser-layer."
        )
    identity = identify_data(data)
    inputs = {
        "pairs": identity,
        "face encoder": identify_face_encoder(recipe.face_encoder),
        **options.identify(recipe),
    }
    refuse_met(options.weights, identity.digest, [one.digest for one in identity.sets])
    claim_run(folder, "calibrate", describe(asdict(recipe), inputs), ["fold0"])
    face_encoder, cache = recipe.face_encoder, folder / "cache"
    voices = load_voices(data, face_encoder, cache, show, recognise=True, frames=recipe.frames)
    # Of a set, what is streamed is known by all of its shards, what is held by those of a side.
    if facts["data"] not in (voices.data, identity.digest):
        raise UsageError(
            f"{' and '.join(map(str, data))}: not what the model {model.card.name} was trained on; "
            "its statements can only be checked by encoders that learned from the same clips."
        )
    axes = read_axes(faces, face_encoder, cache, show) if faces else {}
    quantised = "quantised" in facts
    held_out = HeldOut.train(recipe, voices, folder, show, options, quantised=quantised)
    conditions = held_out.embed_conditions(show)
    residuals = [CalibrationResiduals.tabulate(condition) for condition in conditions]
    rows = {}
    for c, weights in zip(conditions, cross_fit_weights(residuals), strict=True):
        before, after = (check_statements(c, w) for w in (np.ones(len(weights)), weights))
        rows[c.name] = ConditionReport(len(c.fold), len(set(c.people)), before, after)
    calibration = replace(
        fit_weights(residuals),
        deviation=round(standard_error([row.after for row in rows.values()]), 4),
        people=len(set(voices.people)),
        encoder=model.card.sha256[FILES[0]],
        averages=find_averages(rows),
        **axes,
    )
    return calibration, CalibrationReport(__version__, len(voices), calibration, rows)


def find_averages(rows: Mapping[str, ConditionReport]) -> tuple[AverageBits, ...]:
    """Bits found of clips that were cut short, by length, from conditions by name."""
    return tuple(
        AverageBits(seconds, row.people, found.value, found.low, found.high)
        for seconds in sorted(LENGTHS)
        if (row := rows.get(_name_of(seconds))) and (found := row.after.found_bits)
    )


def read_recipe(model: Model) -> EncoderRecipe:
    """The recipe of a model's encoder. Raises ModelError where its card holds none."""
    stored = model.find_facts("voice_encoder")["recipe"]
    if "tuning" in stored:
        stored = {"tuned": LAST_BLOCK, **stored}  # which cards of version 0.1 do not name
    try:
        return read_fields(stored, (VoiceEncoderRecipe, EndToEndRecipe), lenient=True)
    except ValueError as error:
        raise ModelError(f"{model.card.name}: its card holds no recipe ({error}).") from None


def read_axes(
    folder: Path, face_encoder: str, cache: Path, show: ProgressCallback
) -> dict[str, Any]:
    """The lines of sex and age, as `Calibration` has them, from labelled photographs.

    Raises UsageError where photographs of either sex, or their ages, are missing.
    """
    photographs = [p for p in read_photographs(folder, "train") if p.gender and p.age]
    photographs = photographs[:PHOTOGRAPHS]
    if {p.gender for p in photographs} != {"Female", "Male"}:
        raise UsageError(
            f"{folder / 'faces.csv'}: needs photographs with age, and with gender Female and Male."
        )
    years = np.array([_middle_of(p.age, folder) for p in photographs])
    measured = measure_faces([p.path for p in photographs], face_encoder, cache, show)
    male = np.array([p.gender == "Male" for p in photographs])
    rows = measured.index
    axis, offset, age = fit_axes(measured.embeddings.astype(np.float64), male[rows], years[rows])
    return {
        "sex_axis": tuple(axis.round(4).tolist()),
        "sex_offset": round(offset, 4),
        "age_axis": tuple(age.round(4).tolist()),
    }


def format_report(report: CalibrationReport) -> str:
    """A table of stated and found disclosure."""
    lines = [
        f"{report.calibration.people} people, {report.clips} clips, nobody heard by an encoder "
        "that had met them; 95 % intervals over people",
        f"  {'heard':20} clips  bits before  stated  found              within the stated 90 %",
    ]
    for name, row in report.conditions.items():
        before, after = row.before, row.after
        lines.append(
            f"  {name:20} {row.clips:5}  {before.stated_bits:11.2f}  "
            f"{after.stated_bits:6.2f}  {format_estimate(after.found_bits):17}  "
            f"{format_estimate(after.within[90], 1, 100)} %"
        )
    return "\n".join(lines)


def _name_of(seconds: float) -> str:
    return f"{seconds:g} s"


def _cut_to(seconds: float) -> Change:
    """A piece from anywhere, so long."""
    length = round(seconds * SAMPLE_RATE)

    def cut(speech: np.ndarray, seed: int) -> np.ndarray:
        start = np.random.default_rng([seed, length]).integers(len(speech) - length + 1)
        return speech[start : start + length]

    return cut


def _middle_of(age: str, folder: Path) -> float:
    """`20-29` → 24.5, `70+` → 70."""
    try:
        return float(np.mean([float(end) for end in age.rstrip("+").split("-")]))
    except ValueError:
        raise UsageError(
            f"{folder / 'faces.csv'}: {age} is no age; give 31, 30-39 or 70+."
        ) from None
