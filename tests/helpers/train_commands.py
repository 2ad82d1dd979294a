"""Commands that train, and the log of what they trained."""

from __future__ import annotations

import json
from pathlib import Path

from helpers import command


def succeed(*arguments: object) -> str:
    return command.succeed(*arguments).stdout.strip()


def read_log(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
