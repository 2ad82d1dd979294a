"""Attributes: is what a picture says of age, sex and group what the other picture says?

Everybody counts once, their pictures in equal shares; the 95 % intervals are over people. For
evaluation only: no label made here is ever an output of this project.

accuracy           share of the same label
balanced accuracy  the mean over the true classes of the share that is right; chance is 1 / classes
majority           accuracy of saying the most frequent true class always
information        how much the one label tells of the other, bits. Counting finds information where
                   there is none; what it finds on average, (cells − rows − columns + 1) / 2n nats
                   of those that are not empty, is taken away (Miller, 1955), so a figure of none
                   may lie below zero. The interval is the basic one, 2 x − quantiles: resampling
                   adds that bias once more and this takes it off; it ends at zero or above
age                in bands of ten years: the same, or one off at most; and years apart

`GroupProbe` reads the groups that `faces.csv` names in its column `race` from an embedding, by
multinomial logistic regression. They are other people's labels, and serve one end: to see whether
pictures of some groups are drawn worse or as if they were of another group. No voice and no user's
picture is ever given such a label.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from speech2face.errors import UsageError
from speech2face.metrics.evaluation_results import (
    AgeAgreement,
    AgeSexAgreement,
    AttributeAgreement,
    LabelAgreement,
)
from speech2face.metrics.intervals import Estimate, bootstrap_people, bootstrap_statistic
from speech2face.metrics.logistic_regression import fit_logistic
from speech2face.metrics.rank_disclosure import mutual_information

AGE_BANDS = ("0-9", "10-19", "20-29", "30-39", "40-49", "50-59", "60-69", "70+")
SEXES = ("female", "male")


def compare_labels(
    predicted: np.ndarray,
    true: np.ndarray,
    classes: tuple[str, ...],
    people: np.ndarray,
    seed: int = 0,
) -> LabelAgreement:
    """Labels (n,) of two pictures of each clip, each one of `classes`, and person (n,)."""
    columns, rows = _encode(predicted, classes), _encode(true, classes)
    if not len(rows) == len(columns) == len(people) > 0:
        raise UsageError("predicted and true labels and people are lists of one length, not empty.")

    cells = rows * len(classes) + columns

    def count(weights: np.ndarray | None = None) -> np.ndarray:
        return np.bincount(cells, weights, len(classes) ** 2).reshape(len(classes), -1)

    confusion = count()
    commonest = confusion.sum(1).argmax()
    plain = bootstrap_statistic(lambda w: mutual_information(count(w)), people, seed=seed)
    information = Estimate(
        plain.value - _information_bias(confusion),
        2 * plain.value - plain.high,
        max(2 * plain.value - plain.low, 0.0),
    )
    return LabelAgreement(
        classes,
        confusion,
        bootstrap_people(rows == columns, people, seed),
        bootstrap_statistic(lambda w: _balance(count(w)), people, seed=seed),
        bootstrap_people(rows == commonest, people, seed),
        information,
    )


def age_band(years: np.ndarray) -> np.ndarray:
    """Ages in years (n,) → the place of their band in `AGE_BANDS` (n,)."""
    return np.clip(np.asarray(years) // 10, 0, len(AGE_BANDS) - 1).astype(int)


def compare_ages(
    predicted: np.ndarray, true: np.ndarray, people: np.ndarray, seed: int = 0
) -> AgeAgreement:
    """Ages in years (n,) of two pictures of each clip, and person (n,)."""
    names = np.array(AGE_BANDS)
    bands = compare_labels(
        names[age_band(predicted)], names[age_band(true)], AGE_BANDS, people, seed
    )
    near = abs(age_band(true)[:, None] - np.arange(len(AGE_BANDS))) <= 1  # (n, bands)
    best = near[:, near.mean(0).argmax()]
    return AgeAgreement(
        bands,
        bootstrap_people(near[np.arange(len(near)), age_band(predicted)], people, seed),
        bootstrap_people(best, people, seed),
        bootstrap_people(abs(predicted - true), people, seed),
        bootstrap_people(abs(true - np.median(true)), people, seed),
    )


def compare_age_and_sex(
    drawn: np.ndarray, original: np.ndarray, people: np.ndarray, seed: int = 0
) -> AttributeAgreement:
    """Estimates of `AgeSexJudge` for two pictures of each clip (n, 2) → agreement of age and sex.

    Rows with NaN on either side, where no face was found, are left out.
    """
    both = np.isfinite(drawn).all(1) & np.isfinite(original).all(1)
    drawn, original, people = drawn[both], original[both], people[both]
    drawn_sex, sex = (np.array(SEXES)[np.int8(words[:, 1] > 0.5)] for words in (drawn, original))
    return AttributeAgreement(
        compare_ages(drawn[:, 0], original[:, 0], people, seed),
        compare_labels(drawn_sex, sex, SEXES, people, seed),
    )


def compare_age_sex(
    drawn: np.ndarray, original: np.ndarray, genders: Sequence[str]
) -> AgeSexAgreement:
    """Compare drawn and photographed faces by a judge's estimates of each (N, 2).

    Ages in years, sexes as the share that is the same; beside them what one would get who drew
    everybody at the median age and of the more frequent sex. `judge_right` is how often the judge
    agrees with the photographs' labels, None without labels. Rows with NaN are left out.
    """
    both = np.isfinite(drawn[:, 0]) & np.isfinite(original[:, 0])
    ages, older = original[both, 0], (drawn - original)[both, 0]
    male = original[both, 1] > 0.5
    labels = np.array([gender.lower() for gender in genders])[both]
    right = (male == (labels == "male"))[np.isin(labels, ("male", "female"))]
    return AgeSexAgreement(
        years_apart=float(abs(older).mean()),
        years_apart_at_median=float(abs(ages - np.median(ages)).mean()),
        years_older=float(older.mean()),
        same_sex=float(((drawn[both, 1] > 0.5) == male).mean()),
        same_sex_by_majority=float(max(male.mean(), 1 - male.mean())),
        judge_right=float(right.mean()) if len(right) else None,
    )


def judge_clips(drawn: np.ndarray, original: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Estimates of `AgeSexJudge` for two pictures of each clip (n, 2) → agreement of each (n,).

    Whether the sex is the same (1 or 0), and years apart; NaN where a face is not found in both.
    """
    known = np.isfinite(drawn).all(1) & np.isfinite(original).all(1)
    same = (drawn[:, 1] > 0.5) == (original[:, 1] > 0.5)
    years = abs(drawn[:, 0] - original[:, 0])
    return np.where(known, same, np.nan), np.where(known, years, np.nan)


@dataclass(frozen=True)
class GroupProbe:
    """Embedding → the label of a group, linear; for evaluation only, see the module."""

    classes: tuple[str, ...]  # K
    mean: np.ndarray  # (D,) of the embeddings it was fitted on
    scale: np.ndarray  # (D,) their standard deviations
    weight: np.ndarray  # (D, K)
    bias: np.ndarray  # (K,)

    @classmethod
    def fit(cls, embeddings: np.ndarray, labels: np.ndarray, ridge: float = 1.0) -> GroupProbe:
        """Embeddings (n, D), labels (n,) of photographs; `ridge` is λ of λ/2 · ‖weight‖²."""
        labels = np.asarray(labels)
        classes = tuple(str(label) for label in np.unique(labels))
        if len(classes) < 2:
            raise UsageError("a probe of groups needs labels of two groups or more.")
        mean, scale = embeddings.mean(0), embeddings.std(0)
        scale = np.where(scale > 0, scale, 1)
        weight, bias = fit_logistic((embeddings - mean) / scale, _encode(labels, classes), ridge)
        return cls(classes, mean, scale, weight, bias)

    def probabilities(self, embeddings: np.ndarray) -> np.ndarray:
        """Embeddings (n, D) → probabilities (n, K)."""
        return _softmax((embeddings - self.mean) / self.scale @ self.weight + self.bias)

    def predict(self, embeddings: np.ndarray) -> np.ndarray:
        """Embeddings (n, D) → labels (n,)."""
        return np.array(self.classes)[self.probabilities(embeddings).argmax(1)]

    def score(self, embeddings: np.ndarray, labels: np.ndarray, seed: int = 0) -> LabelAgreement:
        """Accuracy on photographs that were not fitted on, each of another person."""
        people = np.arange(len(labels))
        return compare_labels(self.predict(embeddings), labels, self.classes, people, seed)


def _encode(labels: np.ndarray, classes: tuple[str, ...]) -> np.ndarray:
    """Labels (n,) → their places in `classes` (n,)."""
    place = {name: i for i, name in enumerate(classes)}
    if strange := sorted({str(label) for label in labels} - place.keys()):
        raise UsageError(f"the label {strange[0]!r} is none of {', '.join(classes)}.")
    return np.array([place[str(label)] for label in labels], int)


def _balance(confusion: np.ndarray) -> float:
    """The mean of the recalls of those classes that are true of any picture."""
    totals = confusion.sum(1)
    return float((confusion.diagonal()[totals > 0] / totals[totals > 0]).mean())


def _information_bias(confusion: np.ndarray) -> float:
    """Mean excess of the counted information (Miller–Madow), in bits."""
    rows, columns = np.count_nonzero(confusion.sum(1)), np.count_nonzero(confusion.sum(0))
    nats = (np.count_nonzero(confusion) - rows - columns + 1) / (2 * confusion.sum())
    return float(nats / np.log(2))


def _softmax(scores: np.ndarray) -> np.ndarray:
    powers = np.exp(scores - scores.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)
