"""A source → a set of shards: the stages of every clip, here, on all cores or on a cluster.

With more than one worker the stages run in actors of Ray Data, each with the networks loaded once;
Ray schedules, queues and starts a dead worker again. What comes back goes into the spool (`data/
shards.py`) of this process, in whatever order; from there on nothing depends on who did it.
"""

from __future__ import annotations

import hashlib
import logging
import math
import os
import socket
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from speech2face.console import Show
from speech2face.data.age_sex import find_judge
from speech2face.data.ledger import Entry, Summary, data_card, read_ledger, summarise, tell, to_json
from speech2face.data.reading import read_samples
from speech2face.data.samples import Refusal, Sample
from speech2face.data.shards import Index, Packing, Spool, encode_sample
from speech2face.errors import UsageError
from speech2face.faces import TEMPLATES
from speech2face.preparation.given import take_sample
from speech2face.preparation.sampling import Models, make_sample
from speech2face.preparation.sources import Clip, download
from speech2face.preparation.speaking import Limits

BLOCK = 8  # clips that a worker is given at a time
CARD = "DATA_CARD.md"
PATIENCE = 10.0  # seconds for the head of a cluster to answer
MOST_JUDGED = 2_000  # faces whose looks the card tells of


@dataclass(frozen=True)
class Stages:
    """What a worker needs to know."""

    root: Path  # folder that the sources' paths begin in
    face_encoder: str = "dlib"
    fetch: bool = False  # videos that are missing, from YouTube


@dataclass(frozen=True)
class Workers:
    count: int = 1
    address: str | None = None  # of a Ray cluster; None: this machine


def prepare(
    clips: Sequence[Clip],
    stages: Stages,
    folder: Path,
    show: Show,
    packing: Packing | None = None,
    workers: Workers | None = None,
) -> Summary:
    """Make the set in `folder`; what was finished before is not done again.

    Raises UsageError where the folder holds something else or no clip is kept, ModelError where a
    network is missing.
    """
    facts = {
        "clips": hashlib.sha256(to_json([asdict(c.source) for c in clips]).encode()).hexdigest(),
        "face_encoder": stages.face_encoder,
        "limits": asdict(Limits()),
    }
    workers = workers or Workers()
    with Spool(folder, packing, facts) as spool:
        todo = [clip for clip in clips if clip.source.clip not in spool]
        kept = len(clips) - len(todo)
        run = _run_here if workers.count == 1 and not workers.address else _run_on_ray
        for done, (entry, piece) in enumerate(run(todo, stages, workers) if todo else (), kept + 1):
            spool.add(entry, piece)
            show("preparing", done, len(clips), "" if piece else f"{entry.stage}: {entry.reason}")
        index = spool.pack(lambda done, total: show("packing", done, total, ""))
    judged = judge_looks(index, show)
    entries = list(read_ledger(spool.ledger))
    card = data_card(folder.name, entries, index.people, judged)
    partial = folder / f"{CARD}.part"
    partial.write_text(card, encoding="utf-8")
    partial.replace(folder / CARD)
    return summarise(entries)


def judge_looks(index: Index, show: Show) -> np.ndarray | None:
    """Age and probability of male (n, 2) of faces of a set; None without the judge.

    The first ones of each side: as clips lie in the order of a hash, that is by lot.
    """
    judge = find_judge()
    if judge is None:
        return None
    share = min(1.0, MOST_JUDGED / sum(shard.samples for shard in index.shards))
    chosen = {
        side: math.ceil(share * sum(shard.samples for shard in index.of(side)))
        for side in index.people
    }
    looks = []
    for side, count in chosen.items():
        for sample in islice(read_samples(index.folder, side), count):
            looks.append(judge.judge(sample.face, TEMPLATES["canvas"] * len(sample.face)))
            show("judging looks for the card", len(looks), sum(chosen.values()), "")
    return np.array(looks)


class Worker:
    """The stages with their networks, for one process."""

    def __init__(self, stages: Stages) -> None:
        import cv2

        cv2.setNumThreads(1)  # as many workers as cores: more threads would only wait
        self._stages, self._models = stages, Models.load(stages.face_encoder)

    def work(self, clip: Clip) -> tuple[Entry, bytes | None]:
        """What became of a clip, and its piece of a shard if it was kept."""
        outcome, seconds = self._stage(clip)
        piece = encode_sample(outcome) if isinstance(outcome, Sample) else None
        return tell(outcome, seconds), piece

    def _stage(self, clip: Clip) -> tuple[Sample | Refusal, dict[str, float]]:
        if clip.audio and clip.face:
            return take_sample(clip.source, clip.audio, clip.face, self._models)
        if self._stages.fetch:
            fetched = download(clip, self._stages.root)
            if isinstance(fetched, Refusal):
                return fetched, {}
        return make_sample(clip.source, self._stages.root, self._models, clip.face_centre)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """The same for Ray Data: a row in, a row out."""
        entry, piece = self.work(row["clip"])
        return {"entry": entry, "piece": piece or b""}


def _run_here(
    clips: Sequence[Clip], stages: Stages, workers: Workers
) -> Iterator[tuple[Entry, bytes | None]]:
    worker = Worker(stages)
    return map(worker.work, clips)


def _run_on_ray(
    clips: Sequence[Clip], stages: Stages, workers: Workers
) -> Iterator[tuple[Entry, bytes | None]]:
    try:
        import ray
        import ray.data
    except ImportError:
        raise UsageError(
            "several workers need Ray: pip install 'speech2face[data]', or give --workers 1."
        ) from None
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # its log files have the rest
    for logger in ("ray", "ray.data"):  # progress and results are told by ourselves
        logging.getLogger(logger).setLevel(logging.ERROR)
    here = {} if workers.address else {"num_cpus": workers.count, "include_dashboard": False}
    if workers.address:
        _reach(workers.address)
    try:
        ray.init(workers.address, logging_level=logging.ERROR, log_to_driver=False, **here)
    except Exception as error:  # Ray raises plain ones where it does not start in time
        first = str(error).splitlines()[0]
        where = f"at {workers.address}" if workers.address else "here; --workers 1 goes without"
        raise UsageError(f"no Ray {where} ({first}).") from None

    class Actor(Worker):
        """Takes nothing to be made, so that Ray can make it again."""

        def __init__(self) -> None:
            super().__init__(stages)

    try:
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        count = min(workers.count, len(clips))
        gpus = ray.cluster_resources().get("GPU", 0)
        rows = ray.data.from_items(
            [{"clip": clip} for clip in clips],
            override_num_blocks=max(count, math.ceil(len(clips) / BLOCK)),
        )
        done = rows.map(
            Actor,  # pyright: ignore[reportArgumentType]  # a class: Ray makes actors of it
            compute=ray.data.ActorPoolStrategy(size=count),
            num_cpus=1,
            num_gpus=min(gpus / count, 1),  # recognisers in ONNX use them
        )
        for row in done.iter_rows():
            yield row["entry"], row["piece"] or None
    finally:
        ray.shutdown()


def _reach(address: str) -> None:
    """Raises UsageError where nobody listens at HOST:PORT; Ray itself would go on asking."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    try:
        if colon:
            socket.create_connection((host, int(port)), PATIENCE).close()
    except (OSError, ValueError, OverflowError) as error:
        raise UsageError(f"no Ray cluster at {address} ({error}).") from None
