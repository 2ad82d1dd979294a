"""How fast videos become samples: by stage, alone and on Ray, and what that makes of 1.7 million.

    python benchmarks/preparation.py VIDEOS [--copies 8] [--height 720] [--write]

Every video of the folder is taken several times, as it is and, for --height, enlarged to that many
rows (H.264, by PyAV), and prepared by the loop, by Ray with one worker and by Ray with two. Told
are the seconds of one worker for each stage, those of the whole, and what Ray costs: the seconds
beyond the loop's divided by the workers, in the same run.

What only one process does, the driver, is told apart: taking finished clips, comparing all faces
with all before the split, and packing, of --pieces made-up clips and of as many faces.
--write stores benchmarks/preparation.json.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image

from latency import describe_machine
from speech2face.data.ledger import Entry, Summary
from speech2face.data.sample_codec import encode_sample
from speech2face.data.samples import Quality, Sample, SampleSource
from speech2face.data.shard_index import Packing
from speech2face.data.split_leaks import IdentityEmbeddings, compare_faces
from speech2face.data.spool import Spool
from speech2face.files import write_text_atomically
from speech2face.media import SAMPLE_RATE
from speech2face.preparation.pipeline import Stages, Workers, prepare
from speech2face.preparation.sources import find_videos, read_sources

HERE = Path(__file__).parent
CREWS = {"loop": Workers(1), "Ray, 1 worker": Workers(1, "local"), "Ray, 2 workers": Workers(2)}


@dataclass(frozen=True)
class Timed:
    """What a crew did."""

    clips: int
    kept: int
    video_seconds: float
    seconds: float  # from beginning to end, without packing
    stages: dict[str, float]  # s of workers, by stage


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the preparation of videos.")
    parser.add_argument("videos", type=Path, help="folder of videos of people speaking")
    parser.add_argument("--copies", type=int, default=8, help="how often each is taken")
    parser.add_argument("--height", type=int, default=720, help="rows of the enlarged ones")
    parser.add_argument("--pieces", type=int, default=4_000, help="clips that the driver is given")
    parser.add_argument("--write", action="store_true", help="store preparation.json")
    given = parser.parse_args()
    told: dict[str, Any] = {"machine": describe_machine()}
    with tempfile.TemporaryDirectory() as folder:
        for height in (None, given.height):
            videos = Path(folder) / f"videos-{height}"
            videos.mkdir()
            for name, path in find_videos(given.videos).items():
                one = videos / f"{name}-0{path.suffix}"
                if height:
                    enlarge(path, one, height)
                else:
                    one.write_bytes(path.read_bytes())
                for copy in range(1, given.copies):
                    one.with_name(f"{name}-{copy}{path.suffix}").write_bytes(one.read_bytes())
            timed = {
                name: run(crew, videos, Path(folder) / f"{height} {name}")
                for name, crew in CREWS.items()
            }
            size = f"{height} rows" if height else "as they are"
            told[size] = {name: asdict(one) for name, one in timed.items()}
            print(format_times(size, timed), flush=True)
        told["driver"] = measure_driver(Path(folder) / "pieces", given.pieces)
        print(json.dumps(told["driver"], indent=2))
    if given.write:
        write_text_atomically(HERE / "preparation.json", json.dumps(told, indent=2) + "\n")


def run(crew: Workers, videos: Path, out: Path) -> Timed:
    began, finished = time.perf_counter(), 0.0

    def note(what: str, done: int, total: int, words: str) -> None:
        nonlocal finished
        if what == "preparing":
            finished = time.perf_counter() - began

    clips = read_sources(videos)
    summary: Summary = prepare(clips, Stages(videos), out, note, workers=crew)
    return Timed(
        summary.clips,
        summary.kept,
        sum(ask_length(clip.video) for clip in clips if clip.video),
        finished,
        summary.seconds,
    )


def measure_driver(folder: Path, count: int) -> dict[str, float]:
    """What the one process that writes can do: of clips as large as real ones, a second."""
    rng = np.random.default_rng(0)
    speech = rng.normal(0, 0.1, 5 * SAMPLE_RATE).astype(np.float32)
    face = np.asarray(
        Image.fromarray(rng.integers(0, 256, (14, 14, 3), np.uint8)).resize((224, 224))
    )
    quality = Quality(0.0, 0.0, 0.3, 100.0, 60.0, 5.0, 0.5)
    pieces = []
    for number in range(count):
        source = SampleSource(f"{number}.mp4", f"{number}.mp4", 0.0, 5.0, f"{number // 5}")
        embedding = rng.normal(0, 0.06, 128).astype(np.float32)
        sample = Sample(source, speech, face, embedding, quality)
        pieces.append((Entry(source, quality), encode_sample(sample)))
    faces = IdentityEmbeddings(*rng.normal(0, 0.06, (2, 5 * count, 128)))
    with Spool(folder, Packing(shares=(0.8, 0.1, 0.1), join=False)) as spool:
        taking = clock(lambda: [spool.add(*piece) for piece in pieces])
        packing = clock(spool.pack)
    return {
        "clips": count,
        "piece_kilobytes": len(pieces[0][1]) / 1e3,
        "taken_per_second": count / taking,
        "packed_per_second": count / packing,
        "faces": len(faces),
        "seconds_to_compare": clock(lambda: compare_faces(faces, np.arange(len(faces)))),
    }


def clock(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def ask_length(path: Path) -> float:
    with av.open(str(path)) as video:
        return (video.duration or 0) / 1e6


def enlarge(source: Path, target: Path, height: int) -> None:
    """The same video with so many rows, its sound as it is."""
    with av.open(str(source)) as video, av.open(str(target), "w") as output:
        pictures, sound = video.streams.video[0], video.streams.audio[0]
        width = round(pictures.width * height / pictures.height / 2) * 2
        drawn = output.add_stream("libx264", rate=pictures.average_rate)
        drawn.width, drawn.height, drawn.pix_fmt = width, height, "yuv420p"
        heard = output.add_stream_from_template(sound)
        for packet in video.demux(pictures, sound):
            if packet.stream is sound:
                if packet.dts is not None:
                    packet.stream = heard
                    output.mux(packet)
                continue
            for frame in packet.decode():
                output.mux(drawn.encode(frame.reformat(width, height, "yuv420p")))
        output.mux(drawn.encode(None))


def format_times(size: str, timed: dict[str, Timed]) -> str:
    """Two tables of docs/scale.md."""
    loop = timed["loop"]
    total = sum(loop.stages.values())
    lines = [f"{size}: {loop.clips} clips, {loop.kept} kept, {loop.video_seconds:.0f} s of video"]
    lines += ["", "| stage | s a clip | share |", "|--|--|--|"]
    lines += [
        f"| {stage} | {spent / loop.clips:.3f} | {spent / total:.0%} |"
        for stage, spent in loop.stages.items()
    ]
    lines += ["", "| | s | by the loop's | Ray costs, s |", "|--|--|--|--|"]
    for name, one in timed.items():
        cost = one.seconds - loop.seconds / CREWS[name].count
        lines.append(
            f"| {name} | {one.seconds:.1f} | {one.seconds / loop.seconds:.2f} | {cost:.1f} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
