"""A loaded model after a fork, and as a pickle."""

from __future__ import annotations

import copy
import os
import pickle
import shutil
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import speech2face
from speech2face import Speech2Face
from speech2face.errors import ModelError
from speech2face.model_folders import find_model, save_card
from speech2face.runtime import Session, limit_blas_threads, limit_threads

SPEECH = np.random.default_rng(0).normal(size=(1, 16_000)).astype(np.float32)

FORKS = """
import os, signal, sys, threading, numpy as np, speech2face
model = speech2face.load()
speech = np.ones((1, 16_000), np.float32)
before = model.encode(speech)[0]
over = threading.Event()
def work():
    while not over.is_set():
        model.encode(speech)
thread = threading.Thread(target=work)
thread.start()  # the forks come in the middle of its work
for uses_model in (True, False):
    if os.fork() == 0:
        signal.alarm(120)
        if uses_model:
            sys.exit(0 if np.array_equal(model.encode(speech)[0], before) else 3)
        sys.exit(0)  # and one that has not used it ends as well
    print(os.wait()[1])
over.set()
thread.join()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_process_uses_the_model_and_ends() -> None:
    command = [sys.executable, "-c", FORKS]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    assert done.stdout.split() == ["0", "0"]  # neither ended by the alarm


@pytest.mark.parametrize("threads", [1, 2])
def test_inputs_side_by_side_give_what_each_gives_alone(
    threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = Session(find_model().voice_encoder, threads)
    inputs = [{"waveform": SPEECH[:, : 8_000 + 1_000 * i]} for i in range(5)]
    alone = [session.run(["mean"], one)[0] for one in inputs]
    workers = set()
    run = session.run

    def noted(*arguments: Any) -> list[Any]:
        workers.add(threading.get_ident())
        return run(*arguments)

    monkeypatch.setattr(session, "run", noted)
    together = [mean for (mean,) in session.run_each(["mean"], inputs)]
    np.testing.assert_array_equal(together, alone)
    assert (workers == {threading.get_ident()}) == (threads == 1)
    assert session.run_each(["mean"], []) == []


def test_a_limit_on_threads_holds_for_inputs_side_by_side() -> None:
    with limit_threads(1):
        session = Session(find_model().voice_encoder, 2)
    assert session.threads == 1


def test_a_child_does_not_run_a_file_that_was_replaced(tmp_path: Path) -> None:
    path = shutil.copy(find_model().face_decoder, tmp_path)
    session = Session(Path(path))
    session._leave_to_parent()  # as in a child
    assert session.get_inputs()[0].name == "embedding"
    session._leave_to_parent()
    Path(path).write_bytes(b"other")
    with pytest.raises(ModelError, match="changed since it was loaded"):
        session.get_inputs()


def test_a_pickle_and_a_copy_are_the_same_model(model: Speech2Face, tmp_path: Path) -> None:
    pickled = pickle.dumps(model)
    assert len(pickled) < 2000  # where to find it, not what is in it
    assert str(find_model().folder).encode() not in pickled
    for other in (pickle.loads(pickled), copy.deepcopy(model)):
        for one, two in zip(other.encode(SPEECH), model.encode(SPEECH), strict=True):
            np.testing.assert_array_equal(one, two)
    folder = tmp_path / "own"
    shutil.copytree(find_model().folder, folder)
    own = pickle.dumps(speech2face.load(str(folder)))
    card = find_model(str(folder)).card
    (folder / "extra").write_bytes(b"")
    more = {
        **card.sha256,
        "extra": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    }
    save_card(folder, replace(card, sha256=more))
    with pytest.raises(ModelError, match="not the one that was pickled"):
        pickle.loads(own)
    shutil.rmtree(folder)
    with pytest.raises(ModelError, match="no model"):
        pickle.loads(own)


def test_numpy_multiplies_in_one_thread_unless_the_environment_says_otherwise(monkeypatch):
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    limit_blas_threads()
    assert os.environ["OPENBLAS_NUM_THREADS"] == "1"
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "3")
    limit_blas_threads()
    assert os.environ["OPENBLAS_NUM_THREADS"] == "3"
