"""Draws the typical face that a voice suggests, and says how much the voice gives away.

    import speech2face

    model = speech2face.load()                   # loaded once, used as often as you like
    face = model.reconstruct("recording.m4a")    # a Reconstruction
    face.image.save("face.png")                  # a Pillow image
    voice = model.embed("recording.m4a")         # a VoiceEmbedding: a Gaussian over faces
    voice.mean, voice.covariance                 # NumPy arrays (D,) and (D, D)

What goes wrong is raised as one of `speech2face.errors`, all of them a `Speech2FaceError`.
The command `speech2face --help` does the same from a shell.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from speech2face import errors

if TYPE_CHECKING:
    from speech2face.reconstruct import Reconstruction, Speech2Face, VoiceEmbedding, load

__version__ = "0.7.0"
__all__ = ["Reconstruction", "Speech2Face", "VoiceEmbedding", "__version__", "errors", "load"]


def __getattr__(name: str) -> Any:
    # Imported when first asked for: `speech2face --help` needs none of it.
    if name in __all__:
        return getattr(import_module("speech2face.reconstruct"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
