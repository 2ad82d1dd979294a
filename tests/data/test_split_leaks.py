"""Leaks: planted ones are found and told in a line, and strangers are left in peace."""

import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from speech2face.data import split_leaks
from speech2face.data.split_leaks import (
    DLIB_ALONE,
    DOUBTFUL,
    SAME,
    SFACE_ALONE,
    IdentityEmbeddings,
    check_folds,
    compare_faces,
    find_recognisers,
    log_doubtful_pairs,
    measure_likeness,
)
from speech2face.errors import UsageError

COUNT = 9
PEOPLE, CLIPS = [f"p{i}" for i in range(COUNT)], [f"clip{i}" for i in range(COUNT)]
FOLD = np.arange(COUNT) % 3


def make_looks(count: int = COUNT, seed: int = 0) -> IdentityEmbeddings:
    """Strangers: about 0.8 apart, as dlib's embeddings are, and nearly square to each other."""
    rng = np.random.default_rng(seed)
    dlib = rng.normal(scale=0.05, size=(count, 128))
    return IdentityEmbeddings(
        dlib.astype(np.float32), rng.normal(size=(count, 128)).astype(np.float32)
    )


def liken(looks: IdentityEmbeddings, one: int, other: int, cosine: float, distance: float) -> None:
    """Make two faces so alike; lengths of SFace's embeddings say nothing."""
    step = np.random.default_rng(one).normal(size=128)
    looks.dlib[one] = looks.dlib[other] + distance * step / np.linalg.norm(step)
    first = looks.sface[other] / np.linalg.norm(looks.sface[other])
    square = step - (step @ first) * first
    square /= np.linalg.norm(square)
    looks.sface[one] = 7 * (cosine * first + np.sqrt(1 - cosine**2) * square)


def test_strangers_pass_and_faces_that_were_not_found(caplog):
    looks = make_looks()
    check_folds(FOLD, PEOPLE, looks, CLIPS)
    looks.dlib[:2] = looks.sface[:2] = np.nan
    check_folds(FOLD, PEOPLE, looks, CLIPS)
    check_folds(FOLD[:0], PEOPLE[:0], looks.take(np.arange(0)), CLIPS[:0])
    assert compare_faces(looks.take([0, 1]), ["a", "b"]) == []
    assert not caplog.records


def test_a_person_in_two_folds_is_refused():
    people = [*PEOPLE[:8], "p1"]
    with pytest.raises(UsageError, match=r"^1 person stands in two folds .*\(clip1, clip8\)"):
        check_folds(FOLD, people, make_looks(), CLIPS)
    with pytest.raises(UsageError, match=r"^3 people stand .*\(clip0, clip1, clip2 …\)") as error:
        check_folds(FOLD, list("abcbcabca"), make_looks(), CLIPS)
    assert "\n" not in str(error.value)
    check_folds(FOLD, [f"p{k}" for k in FOLD], make_looks(), CLIPS)


@pytest.mark.parametrize(
    ("cosine", "distance", "same"),
    [
        (0.95, 0.2, True),  # a copy
        (0.62, 0.5, True),
        (0.57, 0.41, True),
        (0.1, 0.33, False),  # strangers whom dlib takes for one person
        (0.5, 0.65, False),  # strangers whom SFace does
        (0.4, 0.41, False),
    ],
)
def test_both_recognisers_decide(cosine, distance, same):
    looks = make_looks()
    liken(looks, 8, 1, cosine, distance)  # of folds 2 and 1
    if same:
        told = (
            rf"^1 face stands in two .*: clip1 and clip8 \(SFace {cosine:.2f}, dlib {distance:.2f}"
        )
        with pytest.raises(UsageError, match=told):
            check_folds(FOLD, PEOPLE, looks, CLIPS)
    else:
        check_folds(FOLD, PEOPLE, looks, CLIPS)
    liken(looks, 8, 2, cosine, distance)  # of one fold
    check_folds(FOLD, PEOPLE, looks, CLIPS)


def test_one_recogniser_alone_decides_strictly_where_the_other_is_missing():
    for name, near, far in (
        ("dlib", (np.nan, DLIB_ALONE - 0.01), (np.nan, DLIB_ALONE + 0.01)),
        ("sface", (SFACE_ALONE + 0.01, np.nan), (SFACE_ALONE - 0.01, np.nan)),
    ):
        assert (
            measure_likeness(*map(np.array, near)) >= SAME > measure_likeness(*map(np.array, far))
        )
        for cosine, distance in (near, far):
            looks = make_looks()
            liken(looks, 8, 1, np.nan_to_num(cosine), np.nan_to_num(distance))
            known = IdentityEmbeddings.gather({name: getattr(looks, name)}, COUNT)
            (pair,) = compare_faces(known, PEOPLE)
            assert pair.same == ((cosine, distance) == near)
            assert pair.format(CLIPS).count(",") == 0
    # Of some faces only one is missing: they are compared by what both have.
    looks = make_looks()
    liken(looks, 8, 1, 0.2, 0.3)
    assert not compare_faces(looks, PEOPLE)
    looks.sface[8] = np.nan
    (pair,) = compare_faces(looks, PEOPLE)
    assert (pair.first, pair.second, pair.same) == (1, 8, True)


def test_pairs_come_likeliest_first_and_once_and_never_of_one_group(monkeypatch):
    looks = make_looks()
    for one, other, cosine, distance in ((5, 1, 0.6, 0.3), (6, 2, 0.9, 0.2), (4, 0, 0.99, 0.0)):
        liken(looks, one, other, cosine, distance)
    liken(looks, 7, 3, 0.5, 0.4)  # doubtful
    groups = list("abcdaefgh")
    for block in (2, 4, 2_048):
        monkeypatch.setattr(split_leaks, "BLOCK", block)
        pairs = compare_faces(looks, groups)
        assert [(p.first, p.second) for p in pairs] == [(2, 6), (1, 5), (3, 7)]
        assert [p.same for p in pairs] == [True, True, False]
        np.testing.assert_allclose([p.cosine for p in pairs], [0.9, 0.6, 0.5], atol=1e-5)
        np.testing.assert_allclose([p.distance for p in pairs], [0.2, 0.3, 0.4], atol=1e-5)


def test_all_pairs_are_looked_at_as_if_one_by_one(monkeypatch):
    monkeypatch.setattr(split_leaks, "BLOCK", 16)
    rng = np.random.default_rng(3)
    centres = make_looks(12, seed=4)
    rows = rng.integers(12, size=70)
    looks = centres.take(rows)
    looks = IdentityEmbeddings(
        looks.dlib + rng.normal(scale=0.02, size=(70, 128)) + 5,
        looks.sface + rng.normal(scale=0.8, size=(70, 128)),
    )
    looks.sface[:9], looks.dlib[9:14] = np.nan, np.nan
    wanted = set()
    for i in range(70):
        for j in range(i + 1, 70):
            a, b = looks.sface[i], looks.sface[j]
            cosine = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
            alike = measure_likeness(cosine, np.linalg.norm(looks.dlib[i] - looks.dlib[j]))
            if alike >= DOUBTFUL:
                wanted.add((i, j, bool(alike >= SAME)))
    found = compare_faces(looks, np.arange(70))
    assert {(p.first, p.second, p.same) for p in found} == wanted
    assert len({same for *_, same in wanted}) == 2


def test_doubtful_pairs_are_named_in_a_line(caplog, monkeypatch):
    looks = make_looks()
    liken(looks, 8, 1, 0.5, 0.4)
    liken(looks, 7, 2, 0.48, 0.4)
    check_folds(FOLD, PEOPLE, looks, CLIPS)
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith("2 pairs of faces are nearly alike enough to be one person's")
    assert line.endswith(
        "look at clip1 and clip8 (SFace 0.50, dlib 0.40); clip2 and clip7 (SFace 0.48, dlib 0.40)"
    )
    monkeypatch.setattr(split_leaks, "MOST_DOUBTFUL", 1)
    pairs = compare_faces(looks, PEOPLE)
    assert [(p.first, p.second) for p in pairs] == [(1, 8)]
    log_doubtful_pairs(pairs, CLIPS)
    assert "at least 1 pair of faces is nearly alike" in caplog.text


def test_a_recogniser_that_is_not_installed_is_told(monkeypatch, caplog):
    assert find_recognisers() == ["dlib", "sface"]
    assert not caplog.records
    monkeypatch.setattr(split_leaks, "is_installed", lambda name: name == "dlib")
    assert find_recognisers() == ["dlib"]
    assert "sface not installed: who is the same person is told by dlib alone" in caplog.text


ROOT = Path(__file__).parents[2]
MEASURED = json.loads((ROOT / "benchmarks" / "same_person.json").read_text())


def load_benchmark() -> ModuleType:
    path = ROOT / "benchmarks" / "same_person.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_what_is_written_of_rules_is_what_was_measured():
    benchmark = load_benchmark()
    page = (ROOT / "docs" / "data.md").read_text()
    table = page.partition("<!-- same person -->\n")[2].partition("\n<!-- /same person -->")[0]
    assert table == benchmark.draw_table(MEASURED)
    assert MEASURED["rules"] == [*benchmark.RULES]
    assert f"is {SAME:.2f} or more".replace("0.", ".") in " ".join(page.split())

    missed, joined = MEASURED["missed"], MEASURED["joined"]
    counts = [missed["clips of one person"], joined["frames of videos"], joined["photographs"]]
    told = split_leaks.__doc__ or ""
    for one in counts:
        assert f"{one['pairs']:,} " in " ".join(told.split())
    columns = [joined[f"photographs, {group}"] for group in ("East Asian", "White")]
    for rule in MEASURED["rules"]:
        name = rule.partition(":")[0]
        for row in re.findall(rf"^{re.escape(name)}  +(.*)$", told, re.MULTILINE):
            share, *rates = re.split(r"  +", row)
            assert share == benchmark.format_share(counts[0]["rules"][rule]).partition(" [")[0]
            measured = [one["rules"][rule]["per_million"] for one in (*counts[1:], *columns)]
            assert rates == [benchmark.format_rate(one).partition(" [")[0] for one in measured]
    assert len(re.findall(r"^(?:dlib|both) .*%", told, re.MULTILINE)) == 3


def test_copies_are_told_and_the_rule_is_better_than_either_alone():
    rules = MEASURED["rules"]
    ours, dlib, sface = rules[3], rules[0], rules[4]
    for kind in ("recompressed", "darker", "cropped", "half the size", "mirrored"):
        assert MEASURED["missed"][kind]["rules"][ours]["value"] == 0
    clips = MEASURED["missed"]["clips of one person"]["rules"]
    assert clips[ours]["value"] < min(clips[dlib]["low"], clips[sface]["value"])
