"""Plain folders of data, made from the example recordings and faces that nobody has, and a
recogniser of such faces."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import onnx
import soundfile
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from helpers.drawn_faces import draw_faces, draw_strangers
from helpers.sounds import EXAMPLES
from speech2face.data import face_unwarping


def make_pairs(folder: Path, clips: int = 3, faces: bool = True) -> Path:
    """DIR/pairs: each example's recording cut into `clips`, each clip with a face of its own."""
    pairs = folder / "pairs"
    recordings = sorted(EXAMPLES.glob("*.flac"))
    pictures = iter(draw_strangers(clips * len(recordings))[0] if faces else [])
    rows = []
    for recording in recordings:
        samples, rate = soundfile.read(recording, dtype="int16")
        for number, piece in enumerate(np.array_split(samples, clips)):
            clip = f"{recording.stem}_{number}.000"
            rows.append((clip, recording.stem, round(len(piece) / rate, 1)))
            (pairs / "audio").mkdir(parents=True, exist_ok=True)
            soundfile.write(pairs / "audio" / f"{clip}.flac", piece, rate)
            picture = Image.fromarray(next(pictures, np.zeros((8, 8, 3), np.uint8)))
            for kind in ("face", "canonical"):
                (pairs / kind).mkdir(exist_ok=True)
                picture.save(pairs / kind / f"{clip}.jpg", quality=95)
    _write(pairs / "pairs.csv", ("clip", "person", "seconds"), rows)
    return pairs


def make_photographs(folder: Path, count: int = 14) -> Path:
    """DIR/faces: drawn faces in place of photographs."""
    images = folder / "faces" / "images"
    images.mkdir(parents=True)
    for number, picture in enumerate(draw_faces(count, seed=1)):
        Image.fromarray(picture).save(images / f"{number}.jpg", quality=95)
    _write(folder / "faces" / "faces.csv", ("image",), [(f"{n}.jpg",) for n in range(count)])
    return folder / "faces"


def save_recogniser(path: Path, size: int = 16, extra_input: bool = False) -> None:
    """An ONNX model whose embedding is the mean of each channel it is given."""
    picture = helper.make_tensor_value_info("picture", TensorProto.FLOAT, [1, 3, size, size])
    output = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, [1, 3])
    nodes = [
        helper.make_node("GlobalAveragePool", ["picture"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("Mul", ["flat", "weight"], ["embedding"]),
    ]
    weight = numpy_helper.from_array(np.ones(3, np.float32), "weight")
    listed = helper.make_tensor_value_info("weight", TensorProto.FLOAT, [3])
    inputs = [listed, picture] if extra_input else [picture]
    graph = helper.make_graph(nodes, "mean", inputs, [output], [weight])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())


def _write(table: Path, columns: tuple[str, ...], rows: list[tuple[object, ...]]) -> None:
    with table.open("w", newline="") as file:
        csv.writer(file).writerows([columns, *rows])


def make_face_shape() -> np.ndarray:
    """66 points of a made-up face, symmetric about x = 0.5, in the order of LANDMARKS."""
    spots = {}
    pairs = [
        (oval, 1)
        for oval in zip(face_unwarping._OVAL[1:9], face_unwarping._OVAL[:9:-1], strict=True)
    ]
    for i, ((right, left), _) in enumerate(pairs):
        angle = np.pi * (i + 1) / 9
        spots[right] = (0.5 + 0.22 * np.sin(angle), 0.56 - 0.28 * np.cos(angle))
        spots[left] = (1 - spots[right][0], spots[right][1])
    spots[10], spots[152] = (0.5, 0.28), (0.5, 0.84)
    for i, (left, right) in enumerate(
        zip(face_unwarping._EYES[:8], face_unwarping._EYES[8:], strict=True)
    ):
        x = 0.33 + 0.08 * (i / 4 if i <= 4 else (8 - i) / 4)
        spots[left] = (x, 0.468 + (0.015 if 0 < i < 4 else 0 if i in (0, 4) else -0.015))
        spots[right] = (1 - x, spots[left][1])
    for i, (left, right) in enumerate(
        zip(face_unwarping._BROWS[:5], face_unwarping._BROWS[5:], strict=True)
    ):
        spots[left] = (0.34 + 0.025 * i, 0.42 - 0.004 * i)
        spots[right] = (1 - spots[left][0], spots[left][1])
    for i, point in enumerate((168, 6, 197, 195, 4, 2)):
        spots[point] = (0.5, 0.46 + 0.03 * i)
    for (left, right), x, y in (((98, 327), 0.46, 0.61), ((129, 358), 0.45, 0.58)):
        spots[left], spots[right] = (x, y), (1 - x, y)
    lips = ((61, 291, 0.42, 0.71), (91, 321, 0.45, 0.74), (84, 314, 0.48, 0.75))
    for left, right, x, y in (*lips, (40, 270, 0.45, 0.69), (37, 267, 0.48, 0.68)):
        spots[left], spots[right] = (x, y), (1 - x, y)
    spots[17], spots[0] = (0.5, 0.755), (0.5, 0.685)
    return np.array([spots[i] for i in face_unwarping.LANDMARKS])
