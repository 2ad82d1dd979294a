"""What `speech2face protect` does to ten recordings of different kinds.

    python benchmarks/protect.py RAVDESS VIDEOS [--only NAME …] [--write]
    python benchmarks/protect.py draw

Needs the extra `audit` and espeak-ng; takes about half an hour of a core, most of it for the hour.
RAVDESS holds audio/*.flac (names of files end in the number of the actor), VIDEOS videos of the
GRID corpus; the other recordings are made of the synthesised voices of examples/ and of espeak-ng.
Measured is the command as a process of its own: the method that its rule chose, words kept, what
attackers found in what was written (the one by whom methods were chosen, and one who had no part in
it), processor seconds a minute of sound, memory at most. --write stores benchmarks/protect.json and
the table of docs/protect.md; recordings that --only leaves out stay as they were stored.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from latency import describe_machine
from speech2face import __version__
from speech2face.files import write_text_atomically

if TYPE_CHECKING:
    import numpy as np

# numpy and all else are imported late: the kernel counts the memory of the process that starts a
# command as the command's own, so this one has to be small until then.

HERE = Path(__file__).parent
EXAMPLES, PAGE, FILE = (
    HERE.parent / "examples",
    HERE.parent / "docs/protect.md",
    HERE / "protect.json",
)
FIRST, LAST = "<!-- protect -->", "<!-- /protect -->"
KINDS = (
    "one, 5 s, synthesised",
    "one man",
    "one woman",
    "two people",
    "two, synthesised",
    "telephone",
    "noise 10 dB",
    "an hour of two",
    "video",
    "German, synthesised",
)
HOUR = 3600  # s
GERMAN = (
    "Ich arbeite seit zwölf Jahren in diesem Krankenhaus und habe so etwas noch nie gesehen. "
    "Gestern Abend haben wir lange über die Lieferung gesprochen, und niemand wusste, woher das "
    "Geld kam. Der Leiter wollte sich zu den Vorwürfen nicht äußern, obwohl die Unterlagen seit "
    "Wochen bekannt sind. Ich möchte nicht, dass mein Name genannt wird."
)


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure what protect does to recordings.")
    parser.add_argument("ravdess", type=Path)
    parser.add_argument("videos", type=Path)
    parser.add_argument("--only", nargs="+", choices=KINDS, default=KINDS, metavar="NAME")
    parser.add_argument("--write", action="store_true", help="store the results")
    parser.add_argument("--busy", action="store_true", help="note that the machine had other work")
    given = parser.parse_args()
    rows: dict[str, Any] = {}
    for name in given.only:
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder, "recording.flac")
            if name == "video":
                source = given.videos / "lbax4n.mpg"
            else:
                making = [sys.executable, __file__, "--make", name, given.ravdess, source]
                subprocess.run(making, check=True)
            target = Path(folder, "safe.mp4" if name == "video" else "safe.flac")
            rows[name] = measure(source, target)
        print(f"{name:22}", json.dumps(rows[name]), flush=True)
    if given.write:
        stored = json.loads(FILE.read_text())["recordings"] if FILE.is_file() else {}
        both = stored | rows
        results = {
            "speech2face": __version__,
            "machine": describe_machine(),
            "busy": given.busy,
            "recordings": {name: both[name] for name in KINDS if name in both},
        }
        write_text_atomically(FILE, json.dumps(results, indent=2) + "\n")
        draw()


def measure(source: Path, target: Path) -> dict[str, Any]:
    """One run of the command."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "speech2face", "protect", source, "-o", target, "--json"]
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(list(map(str, command)), stdout=said)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        if status:
            sys.exit(f"protect {source} failed.")
        said.seek(0)
        found = json.load(said)
    minutes = found["original_seconds"] / 60
    return {
        "sound_seconds": round(found["original_seconds"], 1),
        "speakers": len(found["speakers"]),
        "method": found["method"],
        "limit_exceeded": found["exceeded"],
        "hearing": found["hearing"],
        "words_lost": found["words_lost"],
        "original_bits": [who["left"]["original_bits"]["value"] for who in found["speakers"]],
        "bits_left_of_others": [who["left"]["bits_left"]["value"] for who in found["speakers"]],
        "attack": [who["left"]["attack"] for who in found["speakers"]],
        "judge": [who["left"]["judge"] for who in found["speakers"]],
        "telling_words": len(found["telling_words"]),
        "plain_passages": len(found["plain"]),
        "seconds_longer": round(found["disguised_seconds"] - found["original_seconds"], 3),
        "processor_seconds_a_minute": round((usage.ru_utime + usage.ru_stime) / minutes, 1),
        "seconds_a_minute": round(seconds / minutes, 1),
        "peak_memory_mib": round(usage.ru_maxrss / 1024),
    }


def make(name: str, ravdess: Path, target: Path) -> None:
    """Write a recording of this kind."""
    import numpy as np

    from speech2face.data.degradations import add_noise, telephone
    from speech2face.media import SAMPLE_RATE, load_audio
    from speech2face.privacy.anonymise_recording import write_sound

    def act(actor: int) -> np.ndarray:
        paths = sorted(ravdess.glob(f"audio/*-{actor:02}.flac"))
        return np.concatenate([load_audio(path).samples for path in paths])

    def read(*examples: str) -> np.ndarray:
        paths = [EXAMPLES / f"{example}.flac" for example in examples]
        return np.concatenate([load_audio(path).samples for path in paths])

    def talk(one: np.ndarray, other: np.ndarray) -> np.ndarray:
        """By turns of 6 s."""
        turn, pause = 6 * SAMPLE_RATE, np.zeros(SAMPLE_RATE // 3, np.float32)
        starts = range(0, max(len(one), len(other)), turn)
        turns = [voice[start : start + turn] for start in starts for voice in (one, other)]
        return np.concatenate([part for said in turns if len(said) for part in (said, pause)])

    makers = {
        "one, 5 s, synthesised": lambda: read("alex"),
        "one man": lambda: act(3),
        "one woman": lambda: act(4),
        "two people": lambda: talk(act(5), act(6)),
        "two, synthesised": lambda: talk(read("emma", "emma"), read("george", "george")),
        "telephone": lambda: telephone(act(7)),
        "noise 10 dB": lambda: add_noise(act(8), 10, 0),
        "an hour of two": lambda: np.resize(talk(act(1), act(2)), HOUR * SAMPLE_RATE),
        "German, synthesised": speak_german,
    }
    write_sound([makers[name]()], target)


def speak_german() -> np.ndarray:
    from speech2face.media import load_audio

    program = ["espeak-ng", "-v", "de", "--stdin", "--stdout"]
    said = subprocess.run(program, input=GERMAN.encode(), capture_output=True, check=True)
    return load_audio(said.stdout).samples


def draw() -> None:
    """Write the table of what was stored into the page."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(FIRST)
    after = rest.partition(LAST)[2]
    table = draw_table(json.loads(FILE.read_text(encoding="utf-8")))
    write_text_atomically(PAGE, f"{before}{FIRST}\n{table}\n{LAST}{after}")


def draw_table(results: dict[str, Any]) -> str:
    lines = [
        "| recording | sound, s | speakers | method | words kept, % | bits of the face, plain | "
        "left, by others | found here | found by the judge | strangers of 1,000 nearer, by the "
        "judge | CPU s a minute | memory, MiB |",
        "|--|--|--|--|--|--|--|--|--|--|--|--|",
    ]
    for name, row in results["recordings"].items():
        lost = row["words_lost"]
        kept = "–" if not lost else f"{100 * (1 - lost['share']):.0f}"
        kept += " on average" if lost and lost["of"] == "others" else ""
        cells = [
            name,
            f"{row['sound_seconds']:,.0f}",
            row["speakers"],
            row["method"] + (" (none within the limit)" if row["limit_exceeded"] else ""),
            kept,
            write_each(row["original_bits"]),
            write_each(row["bits_left_of_others"]),
            write_each([one and max(0.0, one["bits"]) for one in row["attack"]]),
            write_each([one and max(0.0, one["bits"]) for one in row["judge"]]),
            ", ".join("–" if one is None else str(one["strangers"]) for one in row["judge"]),
            f"{row['processor_seconds_a_minute']:.0f}",
            row["peak_memory_mib"],
        ]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


def write_each(figures: list[float | None]) -> str:
    """One figure for each speaker."""
    return ", ".join("–" if figure is None else f"{figure:.1f}" for figure in figures)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--make"]:
        make(sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4]))
    elif sys.argv[1:] == ["draw"]:
        draw()
    else:
        main()
