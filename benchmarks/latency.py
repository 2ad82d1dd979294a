"""How long a face takes: a recording of six seconds to a PNG, on two threads of a CPU.

    python benchmarks/latency.py [--write]        (or: make bench, for the table alone)

For a machine that does nothing else, with two cores or more, on mains power; takes about a
minute, needs the `train` extra and 3 GB of memory. "Cold" is a new process whose files the system
already holds in memory; "warm" is a loaded model. Beside the released voice encoder runs that of
the paper, at its published size, with random weights (its speed does not depend on them), in the
same runtime. --write stores what was measured in benchmarks/latency.json.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from speech2face.files import write_text_atomically

# numpy, torch and all else are imported late: the kernel counts the memory of the process that
# starts a command as the command's own, so this one has to be small until then.

HERE = Path(__file__).parent
RECORDING = HERE.parent / "examples" / "bella.flac"  # 6.4 s
THREADS = 2
COLD_RUNS, WARM_RUNS, PAPER_RUNS = 5, 20, 5


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure how long a face takes.")
    parser.add_argument("--write", action="store_true", help="store benchmarks/latency.json")
    write = parser.parse_args().write
    with tempfile.TemporaryDirectory() as folder:
        results = measure_command(Path(folder)) | measure_stages() | compare_encoders(Path(folder))
    results = {"machine": describe_machine()} | results
    show(results)
    if write:
        write_text_atomically(HERE / "latency.json", json.dumps(results, indent=2) + "\n")


def median_ms(work: Callable[[], Any], runs: int) -> float:
    """Of `runs`, after one that is not counted."""
    seconds = []
    for _ in range(runs + 1):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return round(1000 * statistics.median(seconds[1:]), 2)


def measure_command(folder: Path) -> dict[str, Any]:
    picture = str(folder / "face.png")
    command = [sys.executable, "-m", "speech2face", "reconstruct", str(RECORDING), "-o", picture]

    def run() -> None:
        subprocess.run([*command, "--force"], check=True, stdout=subprocess.DEVNULL)

    cold_ms = median_ms(run, COLD_RUNS)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return {"cold_command_ms": cold_ms, "peak_memory_mib": round(peak)}


def measure_stages() -> dict[str, Any]:
    import speech2face
    from speech2face.media import SAMPLE_RATE, load_audio
    from speech2face.pictures import encode_png
    from speech2face.speech import find_speech

    model = speech2face.load(threads=THREADS)

    def draw() -> None:
        encode_png(model.reconstruct(RECORDING).image, io.BytesIO(), model.card.name)

    sound = load_audio(RECORDING).samples
    speech = find_speech((sound, SAMPLE_RATE)).samples[None]
    mean, *_ = model.encode(speech)
    image = model.reconstruct(RECORDING).image
    stages = {
        "decode": lambda: load_audio(RECORDING),
        "find speech": lambda: find_speech((sound, SAMPLE_RATE)),
        "voice encoder": lambda: model.encode(speech),
        "face decoder": lambda: model.decode(mean),
        "PNG": lambda: encode_png(image, io.BytesIO(), model.card.name),
    }
    return {
        "warm_ms": median_ms(draw, WARM_RUNS),
        "stages_ms": {name: median_ms(work, WARM_RUNS) for name, work in stages.items()},
    }


def compare_encoders(folder: Path) -> dict[str, Any]:
    """The released voice encoder and the paper's on the same six seconds."""
    import numpy as np

    from speech2face.media import load_audio
    from speech2face.model_folders import find_model
    from speech2face.runtime import open_session

    paths = {"released": find_model().voice_encoder, "paper": folder / "paper.onnx"}
    export_paper_encoder(paths["paper"])
    waveform = np.ascontiguousarray(load_audio(RECORDING).samples[None, : 6 * 16_000])
    results = {}
    for name, runs in (("released", WARM_RUNS), ("paper", PAPER_RUNS)):
        session = open_session(paths[name], THREADS)
        milliseconds = median_ms(lambda s=session: s.run(None, {"waveform": waveform}), runs)
        megabytes = round(paths[name].stat().st_size / 1e6, 1)
        results[name] = {"ms": milliseconds, "megabytes": megabytes}
    ratio = results["paper"]["ms"] / results["released"]["ms"]
    return {"voice_encoders_6s": results | {"times_faster": round(ratio, 1)}}


def export_paper_encoder(path: Path) -> None:
    import torch

    from speech2face.networks.paper_voice_encoder import PaperVoiceEncoder
    from speech2face.training.onnx_export import export_onnx

    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch, to itself
        export_onnx(
            PaperVoiceEncoder(),
            path,
            (torch.randn(2, 6 * 16_000),),
            ["waveform"],
            ["embedding"],
            ({0: "batch", 1: "samples"},),
            {},
            store_fp16=False,
        )


def describe_machine() -> dict[str, Any]:
    return {
        "processor": processor_name(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "onnxruntime": version("onnxruntime"),
        "speech2face": version("speech2face"),
        "threads": THREADS,
    }


def processor_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def show(results: dict[str, Any]) -> None:
    machine = results["machine"]
    print(f"{machine['processor']}, {machine['cores']} cores, {machine['threads']} threads used\n")
    encoders = results["voice_encoders_6s"]
    rows = [
        ("cold command, recording to PNG file", results["cold_command_ms"], "ms"),
        ("   its peak memory", results["peak_memory_mib"], "MiB"),
        ("warm, recording to PNG", results["warm_ms"], "ms"),
        *((f"   {name}", ms, "ms") for name, ms in results["stages_ms"].items()),
        ("voice encoder on 6 s, released", encoders["released"]["ms"], "ms"),
        ("voice encoder on 6 s, the paper's", encoders["paper"]["ms"], "ms"),
        ("   times faster", encoders["times_faster"], ""),
    ]
    for name, value, unit in rows:
        print(f"{name:<38}{value:>10,} {unit}")


if __name__ == "__main__":
    main()
