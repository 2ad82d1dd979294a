"""What docs/leaderboard.md says of the systems of a zoo, out of their files.

    speech2face evaluate zoo pairs --out ZOO
    python benchmarks/leaderboard.py ZOO

writes benchmarks/leaderboard.json: for each system and judge two-way matching, of everybody and of
one sex, and bits of the face. A file of the zoo has all ranks besides, by which others compare.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from speech2face.files import write_text_atomically

STORED = Path(__file__).with_suffix(".json")


def main() -> None:
    parser = argparse.ArgumentParser(description="Shorten the files of a zoo.")
    parser.add_argument("zoo", type=Path, help="folder that `speech2face evaluate zoo` wrote")
    files = sorted(parser.parse_args().zoo.glob("*.json"))
    systems = [json.loads(path.read_text(encoding="utf-8")) for path in files]
    if len({json.dumps(system["provenance"]["data"]["pairs"]) for system in systems}) != 1:
        parser.error("needs a folder with files, all of the same pairs")
    short = {
        "covered": systems[0]["covered"],
        "systems": {system["name"]: shorten(system) for system in systems},
    }
    write_text_atomically(STORED, json.dumps(short, indent=1) + "\n")


def shorten(system: dict[str, Any]) -> dict[str, Any]:
    judges = {}
    for name, judged in system["judges"].items():
        found = judged["retrieval"]["voice_to_face"]
        judges[name] = {
            "two_way": found["everybody"]["two_way"],
            "two_way_same_sex": found["same_sex"]["two_way"],
            "bits": judged["bits"],
        }
    return {"version": system["provenance"]["version"], "judges": judges}


if __name__ == "__main__":
    main()
