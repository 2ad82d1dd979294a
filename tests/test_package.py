"""What a programmer sees first of the package."""

from __future__ import annotations

import inspect
import pydoc
import subprocess
import sys
from importlib.resources import files

import speech2face


def test_help_and_completion_show_what_to_call() -> None:
    text = pydoc.plain(pydoc.render_doc(speech2face))
    for call in ("speech2face.load()", "model.reconstruct(", "model.embed("):
        assert call in text
    names = {"load", "Speech2Face", "Reconstruction", "VoiceEmbedding", "errors", "__version__"}
    assert names == set(speech2face.__all__)
    assert names <= set(dir(speech2face))
    assert not {"Any", "annotations", "import_module"} & set(dir(speech2face))


def test_public_calls_explain_their_parameters_and_errors() -> None:
    model = speech2face.Speech2Face
    for call in (speech2face.load, model.reconstruct, model.embed, speech2face.VoiceEmbedding):
        words = inspect.getdoc(call) or ""
        for parameter in inspect.signature(call).parameters:
            assert parameter == "self" or parameter in words, (call, parameter)
    for call in (speech2face.load, model.reconstruct, model.embed):
        assert "Raises" in (inspect.getdoc(call) or "")


def test_types_are_for_others_too() -> None:
    assert files("speech2face").joinpath("py.typed").is_file()


def test_importing_is_light() -> None:
    code = "import sys, speech2face; print('numpy' in sys.modules, dir(speech2face))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("False ")
