"""Measures of the pictures: age, sex and group, proportions, alikeness, and what strength does."""

from __future__ import annotations

from speech2face.evaluation.attribute_agreement import compare_age_and_sex, compare_labels
from speech2face.evaluation.craniofacial_ratios import correlate_ratios
from speech2face.evaluation.cross_validation import MEASURED
from speech2face.evaluation.drawing_strength import (
    TrueFaces,
    measure_drawn,
    measure_people_alikeness,
)
from speech2face.evaluation.rated_pictures import PROBE_RECOGNISER, RatedSet
from speech2face.metrics.evaluation_results import (
    AttributeAgreement,
    Correlation,
    GroupProbeResult,
    LabelAgreement,
    Strengths,
)
from speech2face.metrics.intervals import Estimate


def measure_attributes(rated: RatedSet) -> dict[str, dict[str, AttributeAgreement]]:
    """Estimated age and sex by system and comparison; nothing where no sex is known."""
    agreements: dict[str, dict[str, AttributeAgreement]] = {}
    for system, comparison, original, drawn in rated.comparisons() if rated.sex_is_known else ():
        agreements.setdefault(system, {})[comparison] = compare_age_and_sex(
            drawn.age_sex, original.age_sex, rated.people, rated.resampling.seed
        )
    return agreements


def measure_groups(rated: RatedSet) -> GroupProbeResult | None:
    """Accuracy of the probe of groups on photographs, and its judgements of the pictures."""
    if rated.probe is None:
        return None
    groups: dict[str, dict[str, LabelAgreement]] = {}
    for system, comparison, original, drawn in rated.comparisons():
        one, other = rated.group(original), rated.group(drawn)
        both = (one != "") & (other != "")
        groups.setdefault(system, {})[comparison] = compare_labels(
            other[both],
            one[both],
            rated.probe.probe.classes,
            rated.people[both],
            rated.resampling.seed,
        )
    return GroupProbeResult(
        PROBE_RECOGNISER, rated.probe.photographs, rated.probe.on_photographs, groups
    )


def measure_craniofacial(rated: RatedSet) -> dict[str, dict[str, Correlation]]:
    """Each system's pictures from voices beside its oracle pictures, by system and ratio."""
    sex = rated.sex if rated.sex_is_known else None
    return {
        system: correlate_ratios(
            oracle.ratios,
            rated.predicted[system].ratios,
            rated.people,
            sex,
            rated.resampling.seed,
        )
        for system, oracle in rated.oracle.items()
    }


def measure_all_alikeness(rated: RatedSet) -> dict[str, dict[str, Estimate]]:
    """Likeness of two people of one sex, themselves and as each system draws them."""
    return {
        name: measure_people_alikeness(
            faces,
            rated.people,
            rated.strata,
            seed=rated.resampling.seed,
            draws=rated.resampling.draws,
        )
        for name, faces in {"ground_truth": rated.ground_truth, **rated.predicted}.items()
    }


def measure_strengths(rated: RatedSet) -> Strengths:
    """Our pictures at each strength, and those of the other systems, beside the true faces."""
    true = TrueFaces(
        rated.ground_truth, rated.people, rated.strata, rated.group(rated.ground_truth)
    )
    drawn = [(system, None, pictures) for system, pictures in rated.predicted.items()]
    if rated.by_strength:
        (ours, _, _), *others = drawn
        drawn = [(ours, strength, made) for strength, made in rated.by_strength.items()] + others
    return Strengths(
        MEASURED if rated.folds else None,
        rated.folds.typical if rated.folds else None,
        [
            measure_drawn(
                pictures,
                rated.has_picture[system],
                rated.group(pictures),
                true,
                system=system,
                strength=strength,
                seed=rated.resampling.seed,
                draws=rated.resampling.draws,
            )
            for system, strength, pictures in drawn
        ],
    )
