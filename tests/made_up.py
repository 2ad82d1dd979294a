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

from drawn import draw_faces
from sounds import EXAMPLES


def make_pairs(folder: Path, clips: int = 3, faces: bool = True) -> Path:
    """DIR/pairs: each example's recording cut into `clips`, each clip with a face of its own."""
    pairs = folder / "pairs"
    recordings = sorted(EXAMPLES.glob("*.flac"))
    pictures = iter(draw_faces(clips * len(recordings), apart=2.0) if faces else [])
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
