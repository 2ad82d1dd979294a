"""A source → a set of shards: the stages of every clip, here, on all cores or on a cluster.

With more than one worker the stages run in actors of Ray Data, each with the networks loaded once;
Ray schedules, queues and starts a dead worker again; a clip of which workers die is refused. What
comes back goes into the spool (`data/spool.py`) of this process, in whatever order; from there on
nothing depends on who did it.
"""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from speech2face.console import ProgressCallback
from speech2face.data.attribute_classifier import find_judge
from speech2face.data.ledger import (
    Entry,
    Summary,
    format_data_card,
    make_entry,
    read_ledger,
    summarise,
)
from speech2face.data.sample_codec import encode_sample
from speech2face.data.samples import Refusal, Sample
from speech2face.data.shard_index import Index, Packing
from speech2face.data.shard_reader import read_samples
from speech2face.data.spool import Spool
from speech2face.errors import ModelError, UnreadableMediaError
from speech2face.face_encoders import TEMPLATES
from speech2face.files import write_atomically
from speech2face.preparation.active_speaker import TRUST_ANY_FACE, SpeakerThresholds
from speech2face.preparation.clip_to_sample import Models, make_sample
from speech2face.preparation.resuming import compare_sources
from speech2face.preparation.sources import SourceClip, download, fetch_clip, find_odd, hash_clip
from speech2face.preparation.table_samples import take_sample
from speech2face.ray_cluster import connect_ray

log = logging.getLogger(__name__)

BLOCK = 8  # clips that a worker is given at a time
DEATHS = 1  # of workers on one block that are made up for, before its clips are tried one by one
CARD = "DATA_CARD.md"
MOST_JUDGED = 2_000  # faces whose looks the card tells of


@dataclass(frozen=True)
class Stages:
    """Settings of a worker's stages."""

    root: Path  # folder that the sources' paths begin in
    face_encoder: str = "dlib"
    fetch: bool = False  # videos that are missing, from YouTube
    trust: bool = False  # whoever is seen speaks

    @property
    def thresholds(self) -> SpeakerThresholds:
        """The thresholds of evidence for the speaker's face."""
        return TRUST_ANY_FACE if self.trust else SpeakerThresholds()


@dataclass(frozen=True)
class Workers:
    count: int = 1
    address: str | None = None  # of a Ray cluster; None: this machine


def prepare(
    clips: Sequence[SourceClip],
    stages: Stages,
    folder: Path,
    show: ProgressCallback,
    packing: Packing | None = None,
    workers: Workers | None = None,
    piece_seconds: float | None = None,
) -> Summary:
    """Make the set in `folder`; what was finished before is not done again, see resuming.py.

    `piece_seconds` is the length into which the sources were cut. Raises UsageError where the
    folder holds something else, was begun with other settings or from another source, or no clip is
    kept, ModelError where a network is missing.
    """
    settings = {
        "piece_seconds": piece_seconds,
        "face_encoder": stages.face_encoder,
        "limits": asdict(stages.thresholds),
    }
    workers = workers or Workers()
    with Spool(folder, packing, settings) as spool:
        for name, what in spool.remove_damaged().items():
            log.warning("%s: %s %s: its clips are done again, if given", folder, name, what)
        comparison = compare_sources(clips, spool.entries(), stages.fetch)
        for line in comparison.describe():
            log.warning("%s: %s", folder, line)
        spool.remove(comparison.void)
        if comparison.todo:
            spool.unpack()
        kept = len(clips) - len(comparison.todo)
        outcomes = _run(comparison.todo, stages, workers, spool)
        for done, (entry, piece) in enumerate(outcomes, kept + 1):
            spool.add(entry, piece)
            show("preparing", done, len(clips), "" if piece else f"{entry.stage}: {entry.reason}")
        index = spool.pack(show)
    judged = judge_looks(index, show)
    entries = list(read_ledger(spool.ledger))
    card = format_data_card(
        folder.name,
        entries,
        index.people,
        judged,
        len(comparison.gone),
        index.doubtful,
        index.joined,
    )
    with write_atomically(folder / CARD) as file:
        file.write(card.encode(errors="backslashreplace"))  # a folder's name need not be text
    return summarise(entries)


def judge_looks(index: Index, show: ProgressCallback) -> np.ndarray | None:
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
    estimates = []
    for side, count in chosen.items():
        for sample in islice(read_samples(index.folder, side), count):
            estimates.append(judge.judge(sample.face, TEMPLATES["canvas"] * len(sample.face)))
            show("judging faces for the card", len(estimates), sum(chosen.values()), "")
    return np.array(estimates)


class Worker:
    """The stages with their networks, for one process."""

    def __init__(self, stages: Stages) -> None:
        import cv2

        cv2.setNumThreads(1)  # as many workers as cores: more threads would only wait
        self._stages, self._models = stages, Models.load(stages.face_encoder)

    def work(self, clip: SourceClip) -> tuple[Entry, bytes | None]:
        """The ledger's entry of a clip, and its piece of a shard if it was kept."""
        try:
            with fetch_clip(clip) as here:
                outcome, seconds = self._stage(here)
                content = hash_clip(here)
        except UnreadableMediaError as error:
            outcome, seconds, content = Refusal(clip.source, "fetch", str(error)), {}, ""
        piece = encode_sample(outcome) if isinstance(outcome, Sample) else None
        return make_entry(outcome, seconds, content), piece

    def _stage(self, clip: SourceClip) -> tuple[Sample | Refusal, dict[str, float]]:
        if odd := find_odd(clip):
            return Refusal(clip.source, "decode", f"{odd.name} is no file"), {}
        if clip.audio and clip.face:
            return take_sample(clip.source, clip.audio, clip.face, self._models)
        if self._stages.fetch:
            fetched = download(clip, self._stages.root)
            if isinstance(fetched, Refusal):
                return fetched, {}
        return make_sample(
            clip.source, self._stages.root, self._models, clip.face_centre, self._stages.thresholds
        )

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """The same for Ray Data: a row in, a row out."""
        try:
            entry, piece = self.work(row["clip"])
        except ModelError as error:  # raised by whoever reads the rows: Ray would take a block away
            return {"entry": error, "piece": b""}
        return {"entry": entry, "piece": piece or b""}


def _run(
    clips: Sequence[SourceClip], stages: Stages, workers: Workers, spool: Spool
) -> Iterator[tuple[Entry, bytes | None]]:
    """Work on the clips, each once, in any order, and give the outcome of each."""
    if not clips:
        return
    if workers.count == 1 and not workers.address:
        yield from _run_here(clips, stages, spool)
        return
    Models.load(stages.face_encoder)  # what is missing here is missing there: said in one line
    left = {clip.source.clip: clip for clip in clips}
    # A worker that dies takes its block along: then the clips of such blocks are tried one by one.
    for block in (BLOCK, 1):
        if left:
            if block == 1:
                log.warning("workers died: %d clips are tried again, one by one", len(left))
            for entry, piece in _run_on_ray(list(left.values()), stages, workers, block):
                left.pop(entry.source.clip, None)
                yield entry, piece
    for clip in left.values():
        yield _refuse_dead(clip), None


def _run_here(
    clips: Sequence[SourceClip], stages: Stages, spool: Spool
) -> Iterator[tuple[Entry, bytes | None]]:
    worker = Worker(stages)
    for clip in clips:
        name = clip.source.clip
        if not spool.mark_started(name):
            yield _refuse_dead(clip), None
            continue
        try:
            done = worker.work(clip)
        finally:
            spool.mark_survived(name)
        yield done  # outside: what whoever takes it raises is no matter of the clip's


def _refuse_dead(clip: SourceClip) -> Entry:
    reason = "its worker died, again and again: a crash, or too little memory"
    return make_entry(Refusal(clip.source, "worker", reason), {}, hash_clip(clip))


def _run_on_ray(
    clips: Sequence[SourceClip], stages: Stages, workers: Workers, block: int
) -> Iterator[tuple[Entry, bytes | None]]:
    """Outcomes of the clips, but for those of blocks whose workers died."""

    class Actor(Worker):
        """Takes nothing to be made, so that Ray can make it again."""

        def __init__(self) -> None:
            super().__init__(stages)

    with connect_ray(workers.address, workers.count):
        import ray
        import ray.data

        logging.getLogger("ray.data").setLevel(logging.CRITICAL)
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        context.max_errored_blocks = -1  # a block whose worker dies again does not end the run
        count = min(workers.count, len(clips))
        gpus = ray.cluster_resources().get("GPU", 0)
        rows = ray.data.from_items(
            [{"clip": clip} for clip in clips],
            override_num_blocks=max(count, math.ceil(len(clips) / block)),
        )
        with warnings.catch_warnings():
            # By what else retries could be limited, Ray's warning of arguments to go does not say.
            warnings.simplefilter("ignore")
            done = rows.map(
                Actor,  # pyright: ignore[reportArgumentType]  # a class: Ray makes actors of it
                compute=ray.data.ActorPoolStrategy(size=count),
                num_cpus=1,
                num_gpus=min(gpus / count, 1),  # recognisers in ONNX use them
                max_restarts=-1,
                max_task_retries=DEATHS,
            )
        for row in done.iter_rows():
            if isinstance(row["entry"], ModelError):
                raise row["entry"]
            yield row["entry"], row["piece"] or None
