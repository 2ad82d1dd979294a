"""The watermark: found after what pictures meet, not found where there is none, and not seen."""

from __future__ import annotations

import importlib.util
import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from speech2face import Speech2Face
from speech2face.face_drawing import finish_picture
from speech2face.watermark import LEAST_SIZE, THRESHOLD, add_mark, find_mark, lay_out_cells

NUMBER = 0b10110010
Kind = tuple[str, int]
KINDS: list[Kind] = [("plain", 224), ("plain", 448), ("cartoon", 224), ("cartoon", 448)]


@pytest.fixture(scope="module")
def pictures(model: Speech2Face) -> dict[Kind, Image.Image]:
    """One face in each style and size, without a mark."""
    mean, *_ = model.encode(np.random.default_rng(0).normal(0, 0.1, (1, 16_000)))
    pixels, landmarks = model.decode(mean)
    return {kind: finish_picture(pixels[0], landmarks[0], kind[1], kind[0]) for kind in KINDS}


def compress(picture: Image.Image) -> Image.Image:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=75)
    return Image.open(file).convert("RGB")


def halve(picture: Image.Image) -> Image.Image:
    return picture.resize((picture.width // 2, picture.height // 2), Image.Resampling.LANCZOS)


def crop(picture: Image.Image) -> Image.Image:
    n = picture.width
    return picture.crop((round(0.03 * n), round(0.08 * n), round(0.93 * n), round(0.98 * n)))


@pytest.mark.parametrize("kind", KINDS)
def test_the_number_is_read_and_where_none_was_added_none_is_found(
    pictures: dict[Kind, Image.Image], kind: Kind
) -> None:
    mark = find_mark(add_mark(pictures[kind], NUMBER))
    assert mark.found
    assert mark.number == NUMBER
    plain = find_mark(pictures[kind])
    assert not plain.found
    assert plain.number is None
    assert plain.score < THRESHOLD < mark.score


@pytest.mark.parametrize("alter", [compress, halve, crop])
@pytest.mark.parametrize("kind", KINDS)
def test_it_survives_compression_half_the_size_and_a_crop(
    pictures: dict[Kind, Image.Image],
    kind: Kind,
    alter: Callable[[Image.Image], Image.Image],
) -> None:
    mark = find_mark(alter(add_mark(pictures[kind], NUMBER)))
    assert mark.found
    assert mark.number in (NUMBER, None)


@pytest.mark.parametrize("number", [0, 1, 85, 170, 255])
def test_each_number_is_told_from_the_others(
    pictures: dict[Kind, Image.Image], number: int
) -> None:
    assert find_mark(add_mark(pictures["plain", 224], number)).number == number


@pytest.mark.parametrize("kind", KINDS)
def test_it_changes_few_grey_levels_and_leaves_the_ground_white(
    pictures: dict[Kind, Image.Image], kind: Kind
) -> None:
    before = np.asarray(pictures[kind], np.int64)
    after = np.asarray(add_mark(pictures[kind], NUMBER), np.int64)
    assert 0 < np.abs(after - before).max() <= 6
    assert 10 * np.log10(255**2 / ((after - before) ** 2).mean()) > 45
    white = (before == 255).all(2)
    assert white.mean() > 0.2
    assert (after[white] == 255).all()


def test_a_picture_without_room_is_left_as_it_is_and_tiny_ones_carry_none(
    pictures: dict[Kind, Image.Image],
) -> None:
    small = pictures["plain", 224].resize((LEAST_SIZE - 1, LEAST_SIZE - 1))
    assert add_mark(small, NUMBER) == small
    assert not find_mark(small.resize((16, 16))).found
    assert not find_mark(Image.new("RGB", (300, 200), "grey")).found


def test_pictures_without_details_take_it_as_well() -> None:
    ramp = np.tile(np.linspace(20, 230, 224)[:, None, None], (1, 224, 3)).astype(np.uint8)
    for picture in (Image.new("RGB", (224, 224), (180, 140, 120)), Image.fromarray(ramp)):
        assert find_mark(add_mark(picture, NUMBER)).number == NUMBER
    white = Image.new("RGB", (224, 224), "white")
    assert add_mark(white, NUMBER) == white  # no room


def test_a_picture_with_a_border_and_a_large_one_are_looked_through(
    pictures: dict[Kind, Image.Image],
) -> None:
    marked = add_mark(pictures["plain", 448], NUMBER)
    sheet = Image.new("RGB", (540, 520), "white")
    sheet.paste(marked, (40, 30))
    assert find_mark(sheet).number == NUMBER
    assert find_mark(marked.resize((2048, 2048), Image.Resampling.BICUBIC)).number == NUMBER


def test_cells_and_pattern_are_those_that_other_programs_rely_on() -> None:
    """The page's own engine, and every picture that is out there, rely on this pattern."""
    golden = json.loads((Path(__file__).parent / "helpers/watermark_golden.json").read_text())
    signs, groups = lay_out_cells()
    assert signs.sum() == golden["signs_sum"]
    assert signs[0, :16].tolist() == golden["first_signs"]
    assert np.bincount(groups.ravel()).tolist() == golden["cells_of_groups"]
    assert groups[0, :16].tolist() == golden["first_groups"]
    for side, sum_of_changes in golden["sum_of_changes"].items():
        rows, columns = np.mgrid[: int(side), : int(side)]
        pixels = np.stack([60 + rows // 2, 40 + columns // 3, 50 + (rows + columns) // 5], 2)
        picture = Image.fromarray(pixels.astype(np.uint8))
        delta = np.asarray(add_mark(picture, golden["number"]), np.int64) - np.asarray(picture)
        assert np.abs(delta).sum() == pytest.approx(sum_of_changes, rel=0.002)
        if int(side) == golden["side"]:
            expected = np.array(golden["changes_in_row_50_from_50"])
            assert (delta[50, 50:80, 0] != expected).sum() <= 1  # one may be rounded otherwise


ROOT = Path(__file__).parents[1]
MEASURED = json.loads((ROOT / "benchmarks" / "watermark.json").read_text(encoding="utf-8"))


def test_what_is_written_of_the_watermark_is_what_was_measured() -> None:
    path = ROOT / "benchmarks" / "watermark.py"
    spec = importlib.util.spec_from_file_location("watermark_benchmark", path)
    assert spec
    assert spec.loader
    benchmark = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(benchmark)
    page = (ROOT / "docs" / "marks.md").read_text(encoding="utf-8")
    table = page.partition("<!-- watermark -->\n")[2].partition("\n<!-- /watermark -->")[0]
    assert table == benchmark.draw_table(MEASURED)
    assert MEASURED["threshold"] == THRESHOLD
    for kind, row in MEASURED["drawn"].items():
        assert row["unmarked_highest"] < THRESHOLD
        for name in list(row["altered"])[:7]:  # what a mark has to survive
            assert row["altered"][name]["found"] >= 0.995 * row["pictures"], f"{kind}, {name}"
