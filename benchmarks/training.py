"""What training costs: what networks take, what the loader gives, how long an epoch lasts.

    python benchmarks/training.py [--device cuda] [--out FOLDER] [--write] [--quick]

For a machine that does nothing else: 13 minutes on 2 cores with 12 GB of memory, and less than
8 on a GPU. Clips are of six seconds, networks begin with random weights (their speed does not
depend on them), and figures are medians of runs after warm-up. A step is that of
`training/loop.py`: forward, loss, backward, clipped gradient, AdamW, moving average.

    paper     the network of Oh et al. (CVPR 2019) at its own size, all of it, by its own loss
    default   the default encoder: frozen forward; a step tunes its last block as the default
              recipe does (on crops of three seconds there)

Memory is the most that tensors took on a GPU, and on a CPU the most that the process took until
then. A peak is that of one large matrix product in the same precision. Float32 is what torch makes
of it by default, which on a GPU is TF32 in convolutions; so that peak is of TF32, too. The loader
reads flacs of the voices in examples/.

--write stores benchmarks/training.json, --out FOLDER stores it there; what other devices measured
stays in it. --quick shows in half a minute that all of it runs.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile, record_function

from latency import processor_name
from speech2face.data.ledger import make_entry
from speech2face.data.sample_codec import encode_sample
from speech2face.data.samples import Quality, Sample, SampleSource
from speech2face.data.shard_index import INDEX, Packing
from speech2face.data.spool import Spool
from speech2face.files import write_atomically
from speech2face.media import SAMPLE_RATE, load_audio
from speech2face.networks.losses import regression_loss
from speech2face.networks.paper_loss import PaperLoss
from speech2face.networks.paper_voice_encoder import PaperVoiceEncoder, PaperVoiceEncoderConfig
from speech2face.networks.spectrogram import CompressedSpectrogram, KaldiFbank, SlaneyMel
from speech2face.networks.voice_encoder import VoiceEncoder
from speech2face.training.batches import StreamedBatches
from speech2face.training.checkpoint import TrainingState
from speech2face.training.loop import LoopConfig, make_optimiser
from speech2face.training.shard_dataset import Augmentation, Reading
from speech2face.training.throughput import count_operations, measure_peak
from speech2face.training.voice_encoder import BLOCKS

HERE = Path(__file__).parent
EPOCH = 1_700_000  # clips, of the paper's training set
LOADED = 8  # clips in a batch of the loader
STEP = "step, clips/s"
AUGMENTED = {"plain": None, "augmented": Augmentation()}
KINDS = {  # of operations, by words in their names or those of their callers; the first that fits
    "spectrogram": ("spectrogram",),
    "optimiser, moving average": ("optimiser",),
    "casts and copies": ("to_copy", "tocopy", "copy_", "clone"),
    "recurrence": ("lstm", "rnn"),
    "convolutions": ("conv",),
    "norms, activations, pooling": ("norm", "relu", "threshold", "pool"),
    "linear layers": ("linear", "addmm", "::mm", "bmm"),
    "all else": ("",),
}


@dataclass(frozen=True)
class Bounds:
    """How much is measured."""

    paper: tuple[int, ...]  # batches of the paper's network, clips
    default: tuple[int, ...]  # of the default encoder
    peak: tuple[int, int]  # rows of the matrices, and how many products
    warm: int = 1  # runs that are not counted
    repeats: int = 5  # that are, at most
    patience: float = 5.0  # s, after which nothing is run again
    longest: float = 150.0  # s; after a batch size that took longer no greater one is tried
    network: PaperVoiceEncoderConfig = field(default_factory=PaperVoiceEncoderConfig)
    seconds: float = 6.0  # of a clip
    clips: int = 256  # in shards
    window: float = 1.0  # s, of three in which the loader is watched
    workers: int = len(os.sched_getaffinity(0))  # of the loader, at most


ON_CPU = Bounds((1, 2, 4, 8), (1, 12), (2048, 20))
ON_CUDA = Bounds(tuple(2**n for n in range(10)), (12, 64, 256), (8192, 20), warm=2, patience=2.0)
TINY = PaperVoiceEncoderConfig(
    (4,) * 9, pooled=(3, 4), hidden=16, embedding_size=16, least_seconds=1.0
)
QUICK = Bounds(
    (1, 2), (2,), (256, 5), repeats=2, network=TINY, seconds=1.0, clips=16, window=0.1, workers=1
)


@dataclass(frozen=True)
class Mode:
    """How a network is run."""

    network: str
    bfloat16: bool = False
    channels_last: bool = False
    compiled: bool = False

    def __str__(self) -> str:
        words = ["bfloat16" if self.bfloat16 else "float32"]
        words += ["channels last"] * self.channels_last + ["compiled"] * self.compiled
        return ", ".join(words)


@dataclass
class Climb:
    """A mode from the least to the greatest batch size."""

    mode: Mode
    rows: list[dict[str, Any]] = field(default_factory=list)
    facts: dict[str, float] = field(default_factory=dict)
    kinds: dict[str, float] = field(default_factory=dict)  # ms a clip

    @property
    def best(self) -> int:
        """The batch whose steps take most clips."""
        return max(self.rows, key=lambda row: row.get(STEP, 0))["batch"]

    @property
    def rate(self) -> float:
        """Clips/s of its steps; 0 where there were none."""
        return max(row.get(STEP, 0) for row in self.rows)


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure what training costs.")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--out", type=Path, help="store training.json in this folder")
    parser.add_argument("--write", action="store_true", help="store benchmarks/training.json")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: only to see it run")
    given = parser.parse_args()
    if given.quick and given.write:
        parser.error("figures of --quick are not worth keeping; --out FOLDER stores them apart.")
    if given.device == "cuda" and not torch.cuda.is_available():
        parser.error("torch finds no GPU here.")
    bounds = QUICK if given.quick else ON_CUDA if given.device == "cuda" else ON_CPU
    folder = given.out or (HERE if given.write else None)
    machine = {
        "processor": processor_name(),
        "cores": len(os.sched_getaffinity(0)),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }
    name = "{processor}, {threads} of {cores} cores".format(**machine)
    if given.device == "cuda":
        name = torch.cuda.get_device_name()
    found: dict[str, Any] = {}

    def keep(what: str, rows: list[dict[str, Any]]) -> None:
        print(f"## {what}\n\n{show(rows)}\n", flush=True)
        found[what] = rows
        if folder:
            store(folder / "training.json", name, found)

    keep("machine", [{"device": name, **machine}])
    climbs: list[Climb] = []
    for network in ("paper", "default"):
        some = measure_network(network, given.device, bounds)
        keep(network, [{"mode": str(one.mode), **row} for one in some for row in one.rows])
        keep(f"{network}, facts", [{"mode": str(one.mode), **one.facts} for one in some])
        timed = {f"{one.mode}: {one.best}": one.kinds for one in some if one.kinds}
        kinds = [{"": kind, **{how: ms[kind] for how, ms in timed.items()}} for kind in KINDS]
        keep(f"{network}, ms a clip in a step", kinds)
        climbs += some
    loader = measure_loader(bounds, max(one.rate for one in climbs))
    keep("loader", loader)
    keep(f"epoch of {EPOCH:,} clips", reckon_epochs(climbs, loader))


def measure_network(network: str, device: str, bounds: Bounds) -> list[Climb]:
    """In both precisions, the paper's in both layouts, and on a GPU compiled at the best of all."""
    climbs = []
    for bfloat16 in (False, True):
        modes = [Mode(network, bfloat16)]
        if network == "paper":
            modes.append(replace(modes[0], channels_last=True))
        some = [climb(mode, device, bounds, getattr(bounds, network)) for mode in modes]
        fastest = max(some, key=lambda one: one.rate)
        if device == "cuda" and len(modes) > 1 and fastest.rate:
            mode = replace(fastest.mode, compiled=True)
            some.append(climb(mode, device, bounds, (fastest.best,)))
        climbs += some
    return climbs


def climb(mode: Mode, device: str, bounds: Bounds, batches: tuple[int, ...]) -> Climb:
    """In a process of its own, whose memory is the mode's, and which ends alone when killed."""
    found, batch = Climb(mode), batches[0]
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:

        def ask(question: str, *of: int) -> Any:
            return pool.submit(
                _answer, (mode, device, bounds, max(batches)), question, *of
            ).result()

        try:
            found.facts = ask("describe")
            for batch in batches:
                began = time.perf_counter()
                row = ask("measure", batch)
                found.rows.append(row)
                if time.perf_counter() - began > bounds.longest:
                    row.setdefault("note", "too slow for more")
                if "note" in row:
                    break
            if found.rate and not mode.compiled:
                batch = found.best
                found.kinds = ask("time_kinds", batch)
        except BrokenProcessPool:
            found.rows.append({"batch": batch, "note": "killed: out of memory?"})
        except RuntimeError as error:
            found.rows.append({"batch": batch, "note": _shorten(error)})
    return found


def _answer(how: tuple[Mode, str, Bounds, int], question: str, *of: int) -> Any:
    return getattr(_make_runner(*how), question)(*of)


@cache
def _make_runner(mode: Mode, device: str, bounds: Bounds, most: int) -> Runner:
    with suppress(OSError):  # if memory ends, the kernel ends this process rather than others
        Path("/proc/self/oom_score_adj").write_text("1000")
    return Runner(mode, torch.device(device), bounds, most)


class Runner:
    """A network in a mode, all that trains it, and noise for it to hear."""

    def __init__(self, mode: Mode, device: torch.device, bounds: Bounds, most: int) -> None:
        """`most` is the greatest batch, in clips."""
        torch.manual_seed(0)
        self._mode, self._device, self._bounds = mode, device, bounds
        self._network, self._losses, size = make_network(mode.network, device, bounds)
        length = round(bounds.seconds * SAMPLE_RATE)
        self._clips = (torch.randn(most, length), torch.randn(most, size))
        self._operations = count_a_clip(mode.network, bounds)
        if mode.channels_last:
            self._network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        if mode.compiled:
            self._network.compile()
        still = LoopConfig(1, learning_rate=0.0)  # as much work, and nothing drifts
        self._optimiser = make_optimiser(self._network, still)
        self._state = TrainingState(self._network, self._optimiser)
        dtype = torch.bfloat16 if mode.bfloat16 else torch.float32
        self._peak = measure_peak(device, dtype, *bounds.peak)

    def describe(self) -> dict[str, float]:
        """What shares are reckoned from."""
        forward, step = self._operations
        return {
            "peak, TFLOP/s": self._peak / 1e12,
            "forward, GFLOP a clip": forward / 1e9,
            "step, GFLOP a clip": step / 1e9,
        }

    def measure(self, batch: int) -> dict[str, Any]:
        """Of a batch size, all that memory allows."""
        row: dict[str, Any] = {"batch": batch}
        try:
            clips, (forward, step) = self._take(batch), self._operations
            self._network.eval()
            row["forward, clips/s"] = rate = batch / self._time(lambda: self._run_forward(clips[0]))
            row["forward, of peak"] = rate * forward / self._peak
            if self._device.type == "cuda":
                torch.cuda.reset_peak_memory_stats()
            self._network.train()
            row[STEP] = rate = batch / self._time(lambda: self._step(clips))
            row["step, of peak"] = rate * step / self._peak
            row["memory, GiB"] = self._ask_memory()
        except RuntimeError as error:  # what lacks memory, on either device, raises one as well
            row["note"] = "out of memory" if "allocate" in str(error) else _shorten(error)
        if "note" in row and self._device.type == "cuda":
            self._optimiser.zero_grad()
            torch.cuda.empty_cache()
        return row

    def time_kinds(self, batch: int) -> dict[str, float]:
        """Of one step, for how many ms a clip the device was busy with each kind of operation."""
        for module in self._network.modules():
            if isinstance(module, CompressedSpectrogram | KaldiFbank | SlaneyMel):
                module.forward = record_function("spectrogram")(module.forward)
        clips, cuda = self._take(batch), self._device.type == "cuda"
        self._network.train()
        activities = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * cuda
        with profile(activities=activities) as profiled:
            self._step(clips)
            self._finish()
        spent = dict.fromkeys(KINDS, 0.0)
        for event in profiled.events() or []:
            # On a GPU a range with a name, as ours, is listed as one of its own kernels, too.
            kernels = sum(k.duration for k in event.kernels if k.name != event.name)
            microseconds = kernels if cuda else event.self_cpu_time_total
            spent[_find_kind(event)] += microseconds / 1000 / batch
        return spent

    def time_steps(self, batch: int, count: int) -> list[float]:
        """Seconds of each of so many steps on a CPU, after one that is not counted."""
        clips, seconds = self._take(batch), []
        self._network.train()
        for _ in range(count + 1):
            began = time.perf_counter()
            self._step(clips)
            seconds.append(time.perf_counter() - began)
        return seconds[1:]

    def _take(self, batch: int) -> tuple[Tensor, ...]:
        return tuple(part[:batch].to(self._device) for part in self._clips)

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self._device.type, torch.bfloat16, enabled=self._mode.bfloat16)

    def _run_forward(self, speech: Tensor) -> None:
        with torch.no_grad(), self._autocast():
            self._network(speech)

    def _step(self, clips: tuple[Tensor, ...]) -> None:
        self._optimiser.zero_grad()
        with self._autocast():
            losses = self._losses(clips)
        torch.stack([*losses.values()]).sum().backward()
        with record_function("optimiser"):
            nn.utils.clip_grad_norm_(self._state.trained.values(), 1.0)
            self._optimiser.step()
            self._state.average(0.995)

    def _time(self, work: Callable[[], None]) -> float:
        """Median seconds."""
        bounds, spent = self._bounds, []
        for _ in range(bounds.warm):
            work()
        while not spent or (len(spent) < bounds.repeats and sum(spent) < bounds.patience):
            self._finish()
            began = time.perf_counter()
            work()
            self._finish()
            spent.append(time.perf_counter() - began)
        return statistics.median(spent)

    def _finish(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize()

    def _ask_memory(self) -> float:
        if self._device.type == "cuda":
            return torch.cuda.max_memory_allocated() / 2**30
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def make_network(
    name: str, device: torch.device, bounds: Bounds
) -> tuple[nn.Module, Callable[[Any], dict[str, Tensor]], int]:
    """The network, what says its losses on speech (B, n) and faces (B, D), and D."""
    if name == "default":
        network = VoiceEncoder().to(device)
        size = network.config.face_embedding
        for part, tuned in ((network.speaker, BLOCKS), (network.head, ("linear.",))):
            for parameter_name, parameter in part.named_parameters():
                parameter.requires_grad_(parameter_name.startswith(tuned))

        def distance(clips: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
            return {"distance": regression_loss(network.eval()(clips[0])[0], clips[1])}

        return network, distance, size
    network, size = PaperVoiceEncoder(bounds.network).to(device), bounds.network.embedding_size
    paper = PaperLoss(None, nn.Linear(size, 1000), nn.Linear(size, 2622)).to(device)

    def losses(clips: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        heard = network(clips[0])
        with torch.autocast(device.type, enabled=False):
            return paper(heard.float(), clips[1])

    return network, losses, size


@cache
def count_a_clip(name: str, bounds: Bounds) -> tuple[float, float]:
    """Floating-point operations of the forward pass, and with the backward pass: on no device,
    since some run a recurrence in a way that is not counted."""
    nowhere, length = torch.device("meta"), round(bounds.seconds * SAMPLE_RATE)
    with nowhere:
        network, *_ = make_network(name, nowhere, bounds)
        clips = torch.empty(2, length)
    network.eval()
    with count_operations() as counter:
        heard = network(clips)
        forward = counter.get_total_flops()
        (heard if isinstance(heard, Tensor) else heard[0]).sum().backward()
    return forward / 2, counter.get_total_flops() / 2


def _find_kind(event: Any) -> str:
    names = []
    while event:
        names.append(event.name.lower())
        event = event.cpu_parent
    callers = " ".join(names)
    return next(kind for kind, words in KINDS.items() if any(word in callers for word in words))


def measure_loader(bounds: Bounds, taken: float) -> list[dict[str, Any]]:
    """Clips/s as they are and augmented, by workers; `taken` is what the fastest network takes."""
    most, found = bounds.workers, []
    with tempfile.TemporaryDirectory() as folder:
        make_shards(Path(folder), bounds)
        for workers in [0, *(2**n for n in range(most.bit_length()) if 2**n < most), most]:
            row: dict[str, Any] = {"workers": workers}
            for kind, augmentation in AUGMENTED.items():
                reading = Reading(LOADED, (bounds.seconds, bounds.seconds), augmentation)
                try:
                    batches = StreamedBatches(Path(folder), reading, workers)
                    row[f"{kind}, clips/s"] = rate = watch(batches, workers, bounds.window)
                    row[f"{kind}, times the fastest network"] = rate / taken if taken else None
                except RuntimeError as error:  # a worker was killed
                    row["note"] = _shorten(error)
            found.append(row)
    return found


def make_shards(folder: Path, bounds: Bounds) -> None:
    """Clips of the example voices, whose shard the index names so often that no epoch ends."""
    rng, length = np.random.default_rng(0), round(bounds.seconds * SAMPLE_RATE)
    recordings = sorted((HERE.parent / "examples").glob("*.flac"))
    voices = [load_audio(path).samples for path in recordings]
    face, quality = np.zeros((224, 224, 3), np.uint8), Quality(0, 0, 0, 0, 0, bounds.seconds, 0)
    with Spool(folder, Packing(join=False), {"source": "examples"}) as spool:
        for number in range(bounds.clips):
            speech = np.resize(np.roll(voices[number % len(voices)], number), length)
            source = SampleSource(str(number), "", 0.0, bounds.seconds, str(number))
            embedding = rng.normal(size=4096).astype(np.float32)
            sample = Sample(source, speech, face, embedding, quality)
            spool.add(make_entry(sample, {}), encode_sample(sample))
        spool.pack()
    index = json.loads((folder / INDEX).read_text())
    index["shards"] *= 1_000_000 // bounds.clips
    (folder / INDEX).write_text(json.dumps(index))


def watch(batches: StreamedBatches, workers: int, window: float) -> float:
    """Clips/s, the median of three windows; what was read ahead is used up before."""
    step, rates = 0, []
    for step in range(3 * workers + 1):
        batches.batch(step)
    for _ in range(3):
        began, first = time.perf_counter(), step
        while step < first + 2 * workers + 1 or time.perf_counter() - began < window:
            step += 1
            batches.batch(step)
        rates.append((step - first) * LOADED / (time.perf_counter() - began))
    return statistics.median(rates)


def reckon_epochs(climbs: list[Climb], loader: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of each mode that trains: hours of an epoch, and the cores that load its clips."""
    a_core: dict[str, float] = {}  # clips/s, with as many workers as were measured
    for row in loader:
        for kind in AUGMENTED:
            if row["workers"] and (rate := row.get(f"{kind}, clips/s")):
                a_core[kind] = rate / row["workers"]
    return [
        {"network": one.mode.network, "mode": str(one.mode), "batch": one.best, STEP: one.rate}
        | {"hours": EPOCH / one.rate / 3600}
        | {f"loading cores, {kind}": one.rate / rate for kind, rate in a_core.items()}
        for one in climbs
        if one.rate
    ]


def _shorten(error: Exception) -> str:
    return str(error).partition("\n")[0][:80]


def show(rows: list[dict[str, Any]]) -> str:
    """A table of all that any row tells."""
    heads = [*dict.fromkeys(head for row in rows for head in row)]
    lines = [
        heads,
        ["--"] * len(heads),
        *([_show(row.get(head)) for head in heads] for row in rows),
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _show(value: str | float | None) -> str:
    if not isinstance(value, float):
        return "" if value is None else str(value)
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def store(path: Path, device: str, found: dict[str, Any]) -> None:
    """To four digits; what other devices measured stays."""
    known = json.loads(path.read_text()) if path.is_file() else {}
    rounded = json.loads(json.dumps(found), parse_float=lambda text: float(f"{float(text):.4g}"))
    path.parent.mkdir(parents=True, exist_ok=True)
    with write_atomically(path) as file:
        file.write((json.dumps(known | {device: rounded}, indent=2) + "\n").encode())


if __name__ == "__main__":
    main()
