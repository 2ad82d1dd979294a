"""Results of an evaluation: what report.json holds, as dataclasses with short identifiers.

system      who drew the pictures: `voice` this project, by cross-validation; `published` another's
            pictures beside the pairs; `pictures` another's in a folder; `oracle` this project from
            the true face, which is what the decoder alone loses; `embedding` no picture, the
            predicted embedding itself
rater       who compares or judges: the recognisers `sface` and `dlib`, or a third under its file's
            name; `landmarks`, `age_sex` and the probe of groups. Of `embedding` the raters are
            `likelihood_ratio` and `cosine`
stratum     among whom a face is told apart, always within a fold: see `STRATA`
comparison  which two pictures of a clip are held against each other: see `COMPARISONS`

Words for people are in `reports/`. Numbers that are not defined are NaN here and null in JSON.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from speech2face.metrics.coverage import Calibrated
from speech2face.metrics.fairness import Fairness, Group, GroupName
from speech2face.metrics.intervals import Estimate
from speech2face.metrics.rank_disclosure import Disclosure, SexDisclosure
from speech2face.metrics.retrieval import Retrieval
from speech2face.metrics.similarity import Similarity
from speech2face.run_provenance import Provenance

RECOGNISERS = ("sface", "dlib")  # dlib's is the space that was trained on; SFace's is not
STRATA = ("everybody", "same_sex", "same_sex_and_age", "same_set")
COMPARISONS = ("picture_to_face", "oracle_to_face", "picture_to_oracle")
PAIRED_MEASURES = (
    "recall_at_10_percent",
    "recall_at_rank_10",
    "bits",
    "same_sex",
    "years_apart",
    "craniofacial",
)
WHOLE, CLEAN = None, "clean"  # a clip's whole length, and a clip as it was


# By system -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Difference(Estimate):
    """A figure of the first system less that of another, on the same draws of the same people."""

    people: int


@dataclass(frozen=True)
class ClipCount:
    people: int
    clips: int


@dataclass(frozen=True)
class Raters:
    recognisers: list[str]
    landmarks: str
    age_sex: str | None  # None where no classifier of age and sex is installed


@dataclass(frozen=True)
class RetrievalResult:
    """Retrieval by one score: voice → face in each stratum, face → voice, the curve of recall."""

    voice_to_face: dict[str, Retrieval]  # by stratum
    face_to_voice: Retrieval
    recall_curve: np.ndarray  # (100,) recall at 1 … 100 % of the gallery, voice to face


@dataclass(frozen=True)
class DisclosureResult:
    """Disclosure by one score: bits of the face, and the share of them that is sex."""

    disclosure: Disclosure
    by_sex: SexDisclosure | None  # None where sex is not known, or nobody has opponents of it


@dataclass(frozen=True)
class LabelAgreement:
    """Agreement of the labels of two sets of pictures; figures: see `attribute_agreement.py`."""

    classes: tuple[str, ...]
    confusion: np.ndarray  # (K, K) pictures: rows true, columns predicted
    accuracy: Estimate
    balanced_accuracy: Estimate
    majority: Estimate
    information: Estimate


@dataclass(frozen=True)
class AgeAgreement:
    """Agreement of the ages of two sets of pictures."""

    bands: LabelAgreement  # its accuracy is the share in the same band
    within_one: Estimate  # share in the same band or the next
    within_one_by_best: Estimate  # the same, of saying always the band that is best at it
    years_apart: Estimate
    years_apart_at_median: Estimate  # of saying the median age always


@dataclass(frozen=True)
class AttributeAgreement:
    age: AgeAgreement
    sex: LabelAgreement


@dataclass(frozen=True)
class GroupProbeResult:
    """The probe of groups: how right it is, and what it says of the pictures."""

    recogniser: str
    photographs: int  # it was fitted on
    on_photographs: LabelAgreement
    groups: dict[str, dict[str, LabelAgreement]]  # by system and comparison


@dataclass(frozen=True)
class Correlation:
    """Correlation of one ratio between two sets of faces, or the mean over all ratios."""

    n: int  # clips of which both sides are known
    r: Estimate | None  # None where it is not defined: a side does not vary
    shuffled: Estimate | None  # mean over shifts and the range of 95 % of them; None as for r
    within: dict[str, Correlation] = field(default_factory=dict)  # by sex


@dataclass(frozen=True)
class DrawnAge:
    """Ages of pictures beside those of the true faces. Years, but for the first and the last."""

    correlation: Estimate
    bias: Estimate
    bias_of_old: Estimate | None  # of people judged over 60, if there are any
    spread: Estimate
    true_spread: Estimate
    spread_share: Estimate  # of the true one


@dataclass(frozen=True)
class DrawnPictures:
    """Measures of one system's pictures, or of ours at one strength."""

    system: str
    strength: float | None  # None of pictures made elsewhere
    people: int
    clips: int
    undetected: int  # pictures in which no face is found
    alikeness: dict[str, Estimate]  # by recogniser
    two_way: dict[str, dict[str, Estimate]]  # by stratum and recogniser
    age: DrawnAge | None
    sex: Estimate | None
    groups: dict[str, Group]  # by the probe's label


@dataclass(frozen=True)
class Strengths:
    """Pictures at each strength, and those of other systems, beside the true faces."""

    measured: float | None  # strength of all other figures; None of pictures made elsewhere
    typical: float | None  # times as far from the average as the embedding that matches best
    pictures: list[DrawnPictures]


@dataclass(frozen=True)
class SetResult:
    """Results of one of several sets, its clips matched among themselves."""

    people: int
    clips: int
    two_way: dict[str, dict[str, dict[str, Estimate]]]  # by stratum, system and rater
    differences: dict[str, dict[str, dict[str, Difference]]]  # by stratum, other system and rater
    bits: dict[str, dict[str, Disclosure]]  # by system and rater


# By recording --------------------------------------------------------------------------------


@dataclass(frozen=True)
class DegradedMatching:
    """Matching by clips that are shortened or degraded."""

    clips: int  # that were changed
    two_way: Estimate
    two_way_change: Estimate  # from the same clips clean and whole
    cosine_to_clean: Estimate  # of the predicted face


@dataclass(frozen=True)
class ShortenedMatching(DegradedMatching):
    seconds: float | None  # None: the whole clip


@dataclass(frozen=True)
class EmotionRobustness:
    """Stability of the predicted face when an actor speaks in another emotion."""

    actors: int
    clips: int
    same_emotion: Estimate  # cosine, one actor
    other_emotion: Estimate  # cosine, one actor
    strangers: Estimate  # cosine, two actors of one sex in one emotion
    nearer: Estimate
    two_way: dict[str, Estimate]  # by emotion
    two_way_same_sex: dict[str, Estimate]


# All of it -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class EvaluationReport:
    """The report of an evaluation: the clips, the settings and every figure."""

    version: str
    people: int
    clips: int
    left_out: int  # clips; no names: reports travel
    folds: int
    galleries: list[int]  # clips of each fold
    seed: int
    systems: list[str]  # the first is the one that is measured
    pictures: dict[str, ClipCount]  # by system
    raters: Raters
    without_a_true_face: int  # clips
    undetected: dict[str, int]  # by system: pictures in which no face is found
    two_way: dict[str, dict[str, dict[str, Estimate]]]  # by stratum, system and rater
    differences: dict[str, dict[str, dict[str, Difference]]]  # by stratum, other system and rater
    similarity: dict[str, dict[str, Similarity]]  # by system and rater
    retrieval: dict[str, dict[str, RetrievalResult]]  # by system and rater
    bits: dict[str, dict[str, DisclosureResult]]  # by system and rater
    attributes: dict[str, dict[str, AttributeAgreement]]  # by system and comparison
    craniofacial: dict[str, dict[str, Correlation]]  # by system and ratio, see craniofacial_ratios
    paired: dict[str, dict[str, dict[str, Difference]]]  # by measure, other system and rater
    probe: GroupProbeResult | None
    fairness: dict[str, dict[str, Fairness]]  # by system and rater
    alikeness: dict[str, dict[str, Estimate]]  # by system, or `ground_truth`, and recogniser
    strengths: Strengths
    sets: dict[str, SetResult]  # by name; empty where there is one
    calibration: Calibrated | None  # this and what follows: by cross-validation only
    length: list[ShortenedMatching]
    robustness: dict[str, DegradedMatching]  # by degradation; `clean` beside them
    emotions: EmotionRobustness | None
    provenance: Provenance | None


# Photographs drawn from their own embeddings ------------------------------------------------------


@dataclass(frozen=True)
class GroupFigures:
    people: int
    figures: dict[str, Estimate]  # by recogniser, or by measure


@dataclass(frozen=True)
class GroupedFigures:
    everybody: GroupFigures
    groups: dict[str, dict[str, GroupFigures]]  # by kind of label, and label


@dataclass(frozen=True)
class NoseOffset:
    """Distance of the nose's tip from the middle of the eyes, along their line; eye distances."""

    drawn: float | None
    photographs: float | None


@dataclass(frozen=True)
class Sharpness:
    """Median sharpness of the parts; None where there is nothing to measure."""

    drawn: float | None
    photographs: float | None
    beside: dict[str, float | None]  # of the pictures in other folders


@dataclass(frozen=True)
class AgeSexAgreement:
    """Agreement of drawn and photographed faces in age and sex; see `compare_age_sex`."""

    years_apart: float
    years_apart_at_median: float  # of drawing everybody at the median age
    years_older: float
    same_sex: float
    same_sex_by_majority: float  # of drawing everybody of the more frequent sex
    judge_right: float | None  # share of photographs judged as labelled; None without labels


@dataclass(frozen=True)
class ReconstructionReport:
    """The report copies.json: drawings of photographs from their own embeddings, measured."""

    provenance: Provenance
    decoder: str  # SHA-256
    photographs: int  # in which a face is found
    without_a_face: int
    chance: float  # of two-way matching
    two_way: GroupedFigures  # by recogniser
    worst_group: dict[str, GroupName | None]  # by recogniser
    detected: float  # share of the drawn pictures in which a face is found
    nose: NoseOffset
    sharpness: dict[str, Sharpness]  # by part: face, skin, hair
    age_sex: AgeSexAgreement
    age_sex_groups: GroupedFigures  # years_apart, same_sex
