"""How long an hour of speech takes: `speech2face embed`, which listens to all of it.

    python benchmarks/long_recordings.py [--write]

For a machine that does nothing else; takes 5 minutes on 2 cores and 700 MB of disk. The hour is
made of the examples, one after the other and again, in each of several formats. Measured is the
command as a process of its own, which takes about a second to start: seconds from its start to its
end, processor seconds, and memory at most; medians of three runs. --write stores
benchmarks/long_recordings.json.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from latency import describe_machine
from speech2face.files import write_text_atomically

HERE = Path(__file__).parent
EXAMPLES = HERE.parent / "examples"
SECONDS = 3600
RUNS = 3
KINDS = {  # name: suffix, codec, sample rate, layout
    "wav": (".wav", "pcm_s16le", 44_100, "mono"),
    "wav, stereo": (".wav", "pcm_s16le", 44_100, "stereo"),
    "flac": (".flac", "flac", 44_100, "mono"),
    "mp3": (".mp3", "mp3", 44_100, "mono"),
    "m4a": (".m4a", "aac", 44_100, "mono"),
    "m4a, stereo": (".m4a", "aac", 44_100, "stereo"),
    "opus": (".ogg", "libopus", 48_000, "mono"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure how long an hour of speech takes.")
    parser.add_argument("--write", action="store_true", help="store the results as JSON")
    write = parser.parse_args().write
    rows = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, (suffix, codec, rate, layout) in KINDS.items():
            path = Path(folder, f"hour{suffix}")
            # In another process: the memory of this one would count as the command's.
            making = [sys.executable, __file__, "--make", str(path), codec, str(rate), layout]
            subprocess.run(making, check=True)
            runs = [measure(path) for _ in range(RUNS)]
            rows[name] = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
            print(f"{name:12}", json.dumps(rows[name]), flush=True)
            path.unlink()
    if write:
        results = {"machine": describe_machine(), "seconds_of_sound": SECONDS, "formats": rows}
        write_text_atomically(HERE / "long_recordings.json", json.dumps(results, indent=2) + "\n")


def measure(path: Path) -> dict[str, Any]:
    """One run of the command."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "speech2face", "embed", str(path)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    if status:
        sys.exit(f"embed {path} failed.")
    return {
        "seconds": round(seconds, 2),
        "processor_seconds": round(usage.ru_utime + usage.ru_stime, 2),
        "peak_memory_mib": round(usage.ru_maxrss / 1024),
    }


def make(path: Path, codec: str, rate: int, layout: str) -> None:
    """An hour of the examples, in one of the formats."""
    import av
    import numpy as np
    import soxr

    from speech2face.media import SAMPLE_RATE, load_audio

    sound = np.concatenate([load_audio(p).samples for p in sorted(EXAMPLES.glob("*.flac"))])
    once = (soxr.resample(sound, SAMPLE_RATE, rate) * 32_000).astype(np.int16)
    whole = np.resize(once, SECONDS * rate)
    with av.open(str(path), "w") as file:
        track = file.add_stream(codec, rate=rate)
        track.layout = layout
        channels = len(track.layout.channels)
        for start in range(0, len(whole), rate):
            second = np.repeat(whole[start : start + rate], channels)[None]
            frame = av.AudioFrame.from_ndarray(second, format="s16", layout=layout)
            frame.sample_rate, frame.pts = rate, start
            file.mux(track.encode(frame))
        file.mux(track.encode(None))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--make"]:
        path, codec, rate, layout = sys.argv[2:]
        make(Path(path), codec, int(rate), layout)
    else:
        main()
