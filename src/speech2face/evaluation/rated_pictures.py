"""An evaluation set with all that raters say of its pictures, and the scores made of that.

Sex and age are a classifier's estimates of the true face, and groups a probe's: no labels. A
picture in which no face is found loses every match. A clip in whose true face none is found is left
out. So is, of a system, a clip of which it has no picture, but that clip's face stays among the
others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from speech2face.console import ProgressCallback
from speech2face.data.attribute_classifier import find_judge
from speech2face.data.pairs import Photograph
from speech2face.evaluation.attribute_agreement import AGE_BANDS, SEXES, GroupProbe, age_band
from speech2face.evaluation.cross_validation import DrawnFolds
from speech2face.evaluation.evaluation_set import EvaluationSet
from speech2face.evaluation.face_scores import Scores, score_pictures
from speech2face.evaluation.rating_networks import (
    RatedPictures,
    embed_pictures,
    name_recognisers,
    rate_pictures,
)
from speech2face.metrics.evaluation_results import (
    COMPARISONS,
    RECOGNISERS,
    ClipCount,
    LabelAgreement,
)
from speech2face.metrics.intervals import Estimate, bootstrap_known
from speech2face.metrics.matching import centred_cosine
from speech2face.metrics.retrieval import same_label

PROBED = 2_000  # photographs that the probe of groups is fitted on
PROBE_RECOGNISER = "dlib"


@dataclass(frozen=True)
class Resampling:
    """Settings of the bootstrap that gives intervals."""

    seed: int = 0
    draws: int = 1000
    fits: int = 300  # draws in which the rank model is fitted again


@dataclass(frozen=True)
class FittedProbe:
    """The probe of groups, and how right it is on photographs that it was not fitted on."""

    probe: GroupProbe
    photographs: int  # it was fitted on
    on_photographs: LabelAgreement


@dataclass(frozen=True)
class RatedSet:
    """N clips and the ratings of their pictures."""

    clips: EvaluationSet
    folds: DrawnFolds | None  # None of pictures made elsewhere
    recognisers: list[str]
    ground_truth: RatedPictures
    predicted: dict[str, RatedPictures]  # by system
    oracle: dict[str, RatedPictures]  # drawn from the true face, by system
    by_strength: dict[float, RatedPictures]  # of the first system; none of pictures made elsewhere
    has_picture: dict[str, np.ndarray]  # (N,) by system
    probe: FittedProbe | None
    resampling: Resampling

    @cached_property
    def sex(self) -> np.ndarray:
        """Estimated sex of each true face (N,), of `SEXES`; "" where none is known."""
        male = self.ground_truth.age_sex[:, 1]
        return np.where(np.isfinite(male), np.array(SEXES)[np.int8(male > 0.5)], "")

    @cached_property
    def age(self) -> np.ndarray:
        """Estimated age of each true face (N,), of `AGE_BANDS`; "" where none is known."""
        years = self.ground_truth.age_sex[:, 0]
        bands = np.array(AGE_BANDS)[age_band(np.nan_to_num(years))]
        return np.where(np.isfinite(years), bands, "")

    @cached_property
    def strata(self) -> dict[str, np.ndarray]:
        """Labels (N,) by stratum: of one fold, and of what else. "" is told apart from nobody."""
        fold = self.clips.fold.astype(str)
        strata = {"everybody": fold}
        if self.sex_is_known:
            sexed = join_labels(fold, self.sex)
            aged = join_labels(sexed, self.age)
            strata["same_sex"] = np.where(self.sex != "", sexed, "")
            strata["same_sex_and_age"] = np.where(self.sex != "", aged, "")
        if len(set(self.clips.sets)) > 1:
            strata["same_set"] = join_labels(fold, self.clips.sets)
        return strata

    @cached_property
    def scores(self) -> dict[str, dict[str, Scores]]:
        """Scores of voices and faces, by system and rater."""
        pictures, has_picture = dict(self.predicted), dict(self.has_picture)
        if self.folds:
            pictures["oracle"], has_picture["oracle"] = self.oracle["voice"], has_picture["voice"]
        scores = {
            system: {
                rater: score_pictures(
                    drawn.embeddings[rater],
                    self.ground_truth.embeddings[rater],
                    has_picture[system],
                    self.people,
                    self.clips.fold,
                )
                for rater in RECOGNISERS
            }
            for system, drawn in pictures.items()
        }
        if self.folds:
            scores["embedding"] = score_folds(self.folds)
        return scores

    @property
    def people(self) -> np.ndarray:
        """The person of each clip (N,)."""
        return self.clips.people

    @property
    def sex_is_known(self) -> bool:
        """True if a classifier of age and sex found any true face."""
        return bool((self.sex != "").any())

    def wins(self, system: str, rater: str, labels: np.ndarray | None = None) -> np.ndarray:
        """Two-way wins (N,) of a score among clips of one label (N,), or else of the same fold."""
        labels = self.strata["everybody"] if labels is None else labels
        return self.scores[system][rater].match(self.people, labels)

    def people_of(self, scores: Scores) -> tuple[np.ndarray, np.ndarray]:
        """The people of the probes (p,) and of the faces (n,)."""
        return self.people[scores.probes], self.people[scores.rows]

    def same_fold(self, scores: Scores) -> np.ndarray:
        """True where a probe and a face are of one fold (p, n)."""
        fold = self.clips.fold
        return same_label(fold[scores.probes], fold[scores.rows])

    def group(self, pictures: RatedPictures) -> np.ndarray:
        """The group of each picture (N,) by the probe; "" without a face, or without a probe."""
        embeddings = pictures.embeddings[PROBE_RECOGNISER]
        groups = np.full(len(embeddings), "", object)
        if self.probe:
            known = np.isfinite(embeddings[:, 0])
            groups[known] = self.probe.probe.predict(embeddings[known])
        return groups.astype(str)

    def mean(self, values: np.ndarray) -> Estimate:
        """Mean over people of the values (N,) that are not NaN."""
        return bootstrap_known(values, self.people, self.resampling.seed)

    def count(self, chosen: np.ndarray) -> ClipCount:
        """Count the chosen clips (N,) bool, and the people in them."""
        return ClipCount(len(np.unique(self.people[chosen])), int(chosen.sum()))

    def comparisons(self) -> list[tuple[str, str, RatedPictures, RatedPictures]]:
        """System, comparison, the original and what is compared to it; with faces in both."""
        to_face, oracle_to_face, to_oracle = COMPARISONS
        compared = []
        for system, predicted in self.predicted.items():
            compared.append((system, to_face, self.ground_truth, predicted))
            if system in self.oracle:
                oracle = self.oracle[system]
                compared.append((system, oracle_to_face, self.ground_truth, oracle))
                compared.append((system, to_oracle, oracle, predicted))
        return [(s, c, a, b) for s, c, a, b in compared if (a.found & b.found).any()]


def rate_set(
    clips: EvaluationSet,
    cache: Path,
    show: ProgressCallback,
    *,
    folds: DrawnFolds | None = None,
    photographs: Sequence[Photograph] = (),
    recognisers: Mapping[str, str] | None = None,
    resampling: Resampling | None = None,
) -> RatedSet:
    """Rate all pictures of a set; `cache` keeps the ratings.

    `recognisers`: see `name_recognisers`; a third one serves `strengths` alone. The probe of groups
    is fitted on labelled `photographs`, where there are any.
    """
    recognisers = recognisers or name_recognisers()
    resampling = resampling or Resampling()
    judge = find_judge()

    def rate(pictures: Sequence[Path], what: str) -> RatedPictures:
        return rate_pictures(pictures, judge, cache, show, what, recognisers)

    by_strength = folds.pictures if folds else {}
    return RatedSet(
        clips,
        folds,
        list(recognisers),
        rate([pair.face for pair in clips.pairs], "faces"),
        {system: rate(pictures, system) for system, pictures in clips.systems.items()},
        {
            system: rate(pictures, f"{system} from true faces")
            for system, pictures in clips.oracle_pictures.items()
        },
        {strength: rate(made, f"strength {strength:g}") for strength, made in by_strength.items()},
        {
            system: np.array([path.is_file() for path in pictures])
            for system, pictures in clips.systems.items()
        },
        fit_group_probe(photographs, cache, show, resampling.seed),
        resampling,
    )


def fit_group_probe(
    photographs: Sequence[Photograph], cache: Path, show: ProgressCallback, seed: int
) -> FittedProbe | None:
    """Fit on the labelled photographs of train, test on all others; None where either has none."""
    train = [p for p in photographs if p.split == "train"][:PROBED]
    test = [p for p in photographs if p.split != "train"]
    if not any(p.race for p in train) or not any(p.race for p in test):
        return None

    def embed_labelled(chosen: list[Photograph], what: str) -> tuple[np.ndarray, np.ndarray]:
        paths = [p.path for p in chosen]
        embeddings = embed_pictures(paths, PROBE_RECOGNISER, cache, show, what).embeddings
        labels = np.array([p.race for p in chosen])
        known = np.isfinite(embeddings[:, 0]) & (labels != "")
        return embeddings[known], labels[known]

    fitted, labels = embed_labelled(train, "photographs")
    probe = GroupProbe.fit(fitted, labels)
    tested, labels = embed_labelled(test, "photographs of val")
    return FittedProbe(probe, len(fitted), probe.score(tested, labels, seed))


def join_labels(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Labels (N,) twice → a label (N,) for both."""
    return np.char.add(np.char.add(one, " "), other)


def score_folds(folds: DrawnFolds) -> dict[str, Scores]:
    """Scores of predicted embeddings, by likelihood ratio and by cosine."""
    count = len(folds.people)
    ratios, cosines = np.zeros((count, count)), np.zeros((count, count))
    for k, block in enumerate(folds.log_ratios):
        rows = np.flatnonzero(folds.fold == k)
        ratios[np.ix_(rows, rows)] = block
        cosines[np.ix_(rows, rows)] = centred_cosine(folds.shown[rows], folds.faces[rows])
    every = np.arange(count)
    return {
        "likelihood_ratio": Scores(ratios, every, every),
        "cosine": Scores(cosines, every, every),
    }
