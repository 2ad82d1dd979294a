"""Provenance of a run or a result: its inputs by content, its recipe, and the version.

A run's folder says it in run.json from the beginning. The same command goes on there; whatever
would give another result is refused, so that no old weights pass for those of new data.
"""

from __future__ import annotations

import hashlib
import json
import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from speech2face import __version__
from speech2face.errors import UsageError
from speech2face.files import write_text_atomically

FILE = "run.json"
NAMED = 3  # differences that an error names


@dataclass(frozen=True)
class DataIdentity:
    """The identity of data, by the content of every file."""

    digest: str  # of all parts
    people: int
    clips: int
    parts: Mapping[str, str] = field(default_factory=dict)  # digests by name: sounds, photographs
    sets: Sequence[DataIdentity] = ()  # where the data are of several, in the order of digests


@dataclass(frozen=True)
class Provenance:
    """The making of a run or a result. Command and date identify nothing; all else does."""

    recipe: Mapping[str, Any]  # as JSON holds it
    data: Mapping[str, Any]  # by name: a DataIdentity, or the digest of a file
    version: str
    command: str
    date: str  # ISO 8601, UTC


def join_identities(sets: Sequence[DataIdentity]) -> DataIdentity:
    """Join several sets, the same in whatever order they come; a single set is itself.

    People whom two sets share are counted in both.
    """
    if len(sets) == 1:
        return sets[0]
    names = dict.fromkeys(name for one in sets for name in one.parts)
    return DataIdentity(
        hash_rows([one.digest] for one in sets),
        sum(one.people for one in sets),
        sum(one.clips for one in sets),
        {name: hash_rows([one.parts.get(name, "")] for one in sets) for name in names},
        sorted(sets, key=lambda one: one.digest),
    )


def describe_data(digest: str, sets: Sequence[DataIdentity]) -> dict[str, Any]:
    """Metadata of the data that weights learned from: the digest, and each of several sets."""
    counts = [{"digest": s.digest, "people": s.people, "clips": s.clips} for s in sets]
    return {"data": digest, **({"sets": counts} if counts else {})}


def describe(recipe: Mapping[str, Any], data: Mapping[str, DataIdentity | str]) -> Provenance:
    """The provenance of what this process makes now."""
    plain = {
        name: asdict(one) if isinstance(one, DataIdentity) else one for name, one in data.items()
    }
    words = shlex.join([_program(), *sys.argv[1:]])
    return Provenance(
        recipe=json.loads(json.dumps(recipe)),
        data=json.loads(json.dumps(plain)),
        version=__version__,
        command=words.encode("utf-8", "replace").decode(),
        date=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def claim_run(folder: Path, task: str, run: Provenance, results: Sequence[str]) -> None:
    """Say in `folder` that `task`, as "train face-decoder", is run there in this way.

    A folder may hold one run of each task. `results` are names of what the task writes there.
    Raises UsageError, before anything is changed, where the folder holds a run of the task by
    another recipe, of other data or by another version, or results that do not say how they were
    made.
    """
    path = folder / FILE
    runs = _read(path)
    if task in runs:
        if differences := describe_differences(runs[task], run):
            raise UsageError(f"{folder} holds a run of {differences}; choose another folder.")
        return
    if old := next((name for name in results if (folder / name).exists()), None):
        raise UsageError(
            f"{folder} holds {old}, but no {FILE} that says how it was made (by an older version, "
            "perhaps); choose another folder."
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{folder}: cannot be made ({error.strerror or error}).") from None
    text = json.dumps({**runs, task: asdict(run)}, indent=2) + "\n"
    write_text_atomically(path, text)


def describe_differences(there: Mapping[str, Any], run: Provenance) -> str:
    """Describe the differences between a run, as JSON holds it, and one of now; empty if none."""
    differences = []
    if differing := _differing_data(there.get("data", {}), run.data):
        differences.append(f"other data ({_name(differing)} differ)")
    one, other = flatten(there.get("recipe", {})), flatten(run.recipe)
    fields = [name for name in {**one, **other} if one.get(name) != other.get(name)]
    if fields:
        values = [f"{name} {one.get(name)} there, {other.get(name)} here" for name in fields]
        differences.append(f"another recipe ({_name(values)})")
    if there.get("version") != run.version:
        differences.append(f"another version ({there.get('version')}, this is {run.version})")
    return " and ".join(differences)


def hide_folders(command: str) -> str:
    """A command as others may see it: of paths only their last parts."""
    return " ".join(word.rpartition("/")[2] for word in command.split())


def flatten(value: Any, name: str = "") -> dict[str, Any]:
    """Flatten a mapping: {"loop": {"steps": 3}} → {"loop.steps": 3}"""
    if not isinstance(value, Mapping):
        return {name: value}
    flat: dict[str, Any] = {}
    for key, one in value.items():
        flat |= flatten(one, f"{name}.{key}" if name else str(key))
    return flat


def hash_rows(rows: Iterable[Sequence[str]]) -> str:
    """A digest of rows of text, in whatever order they come; 16 letters."""
    lines = sorted(json.dumps(list(row)) for row in rows)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def hash_key(*parts: object) -> str:
    """The name under which something made of `parts` (of text, numbers, lists) is kept.

    The version is one of them: what another version has kept is not used. 24 letters.
    """
    text = json.dumps([__version__, *parts], default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def _read(path: Path) -> dict[str, Any]:
    """Read a folder's record of its runs; empty if it has none."""
    try:
        runs = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: cannot be read ({error}); choose another folder.") from None
    if not isinstance(runs, dict) or not all(
        isinstance(one, dict) and all(isinstance(one.get(k, {}), dict) for k in ("data", "recipe"))
        for one in runs.values()
    ):
        raise UsageError(f"{path}: not written by speech2face; choose another folder.")
    return runs


def _differing_data(there: Mapping[str, Any], here: Mapping[str, Any]) -> list[str]:
    differing = []
    for name in {**there, **here}:
        one, other = there.get(name), here.get(name)
        if one == other or (_digest(one) and _digest(one) == _digest(other)):
            continue
        parts = []
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            before, now = one.get("parts", {}), other.get("parts", {})
            parts = [part for part in {**before, **now} if before.get(part) != now.get(part)]
        differing += [f"{part} of the {name}" for part in parts] or [name]
    return differing


def _digest(one: Any) -> str | None:
    return one.get("digest") if isinstance(one, Mapping) else None


def _name(differences: Sequence[str]) -> str:
    return ", ".join(differences[:NAMED]) + (" …" if len(differences) > NAMED else "")


def _program() -> str:
    """The name of the program that runs: of `python -m speech2face` it is a file of the package."""
    path = Path(sys.argv[0] or "python")
    return path.parent.name if path.name == "__main__.py" else path.name
