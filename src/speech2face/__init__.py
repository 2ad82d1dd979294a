"""Draws the average face that a voice suggests, and says how much the voice gives away."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from speech2face.reconstruct import Reconstruction, Speech2Face, VoiceEmbedding, load

__version__ = "0.1.0"
__all__ = ["Reconstruction", "Speech2Face", "VoiceEmbedding", "__version__", "load"]


def __getattr__(name: str) -> Any:
    # Imported when first asked for: `speech2face --help` needs none of it.
    if name in __all__:
        return getattr(import_module("speech2face.reconstruct"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
