"""Inputs of the command line → recordings or pictures, each with the place of its results."""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from speech2face.errors import UnreadableMediaError, UsageError
from speech2face.files import cannot_write
from speech2face.manifests import WHOLE, Excerpt, is_manifest, read_manifest
from speech2face.remote_files import address_of, is_address, is_folder, list_below, match_addresses

if TYPE_CHECKING:
    from speech2face.media import AudioSource

# Endings of the files that folders are searched for: all containers that `media` reads.
SUFFIXES = frozenset(
    """.3g2 .3gp .aac .ac3 .aif .aifc .aiff .amr .asf .au .avi .awb .caf .eac3 .ec3 .flac .flv
    .m2ts .m4a .m4b .m4v .mka .mkv .mov .mp2 .mp3 .mp4 .mpeg .mpg .mts .oga .ogg .ogv .opus .ra
    .rm .snd .spx .ts .vob .w64 .wav .wave .webm .wma .wmv .wv""".split()  # noqa: SIM905
)


@dataclass(frozen=True)
class InputKind:
    """What a command works on: its name in messages, and which files of a folder are taken."""

    noun: str  # in the singular
    suffixes: frozenset[str]
    examples: str  # some of them, in words


RECORDINGS = InputKind("recording", SUFFIXES, ".wav, .mp3, .m4a, .mp4 and the like")
PICTURES = InputKind(
    "picture",
    frozenset(".avif .bmp .gif .jp2 .jpeg .jpg .png .ppm .tif .tiff .webp".split()),  # noqa: SIM905
    ".png, .jpg, .webp and the like",
)


@dataclass(frozen=True)
class Input:
    """A recording to work on, or an argument that leads to none."""

    name: str  # a path, an address, or "-"
    place: Path = Path()  # its path below the folder where the outputs go
    error: UsageError | UnreadableMediaError | None = None
    parts: tuple[Input, ...] = ()  # where they are several recordings of one person
    id: str = ""  # that a manifest gives it
    excerpt: Excerpt = WHOLE
    output: Path | None = None  # where its result goes, if that is a file
    again: bool = False  # a run that was killed worked on it: outputs that exist are its own
    fetched: Any = field(default=None, compare=False)  # an open copy of what lies at an address

    @property
    def recording(self) -> AudioSource:
        """The source that `media` reads: the copy of what lies at an address."""
        return self.source if self.fetched is None else self.fetched

    @property
    def source(self) -> str | Path:
        """The same of what lies on this machine."""
        return self.name if self.name == "-" else Path(self.name)

    @property
    def identity(self) -> str:
        """Identity of the path, the same for two spellings of it; links are not followed."""
        if self.name in ("-", "") or is_address(self.name):
            return self.name
        return os.path.abspath(self.name)

    @property
    def key(self) -> str:
        """What no other input has: its name, and what a manifest says beside it."""
        if not self.id and self.excerpt == WHOLE:
            return self.name
        return f"{self.name} {self.id} {self.excerpt}"


def expand_home(argument: str) -> str:
    """Expand `~/…` and `--option=~/…` as a shell expands an argument that stands alone."""
    option, sign, value = "", "", argument
    if argument.startswith("--"):
        option, sign, value = argument.partition("=")
    if value == "~" or value.startswith("~/"):
        value = os.path.expanduser(value)
    return f"{option}{sign}{value}"


def find_inputs(
    arguments: Sequence[str],
    own_ending: str = "",
    kind: InputKind = RECORDINGS,
    *,
    listed: bool = False,
) -> tuple[list[Input], int]:
    """Recordings of files, folders and patterns, each once, and how many came again.

    Folders are searched through, for the suffixes of `kind`; hidden files, links to folders
    and, with `own_ending`, files that end in it are left out. With `listed` addresses and manifests
    are taken, too: what a manifest lists are inputs, and its errors are raised. An argument without
    a recording becomes an `Input` with an error.
    """
    unique: dict[tuple[str, str, Excerpt], Input] = {}
    repeated = set[tuple[str, str, Excerpt]]()
    for argument in arguments:
        for item in _expand(argument, own_ending, kind, listed):
            same = (item.identity, item.id, item.excerpt)
            if same in unique:
                repeated.add(same)
            else:
                unique[same] = item
    return list(unique.values()), len(repeated)


def _expand(argument: str, own_ending: str, kind: InputKind, listed: bool) -> Iterator[Input]:
    if argument == "-":
        yield Input("-", Path("stdin"))
    elif not argument:
        yield Input("", error=UsageError(f"an input is empty (''); name a {kind.noun}."))
    elif os.path.isdir(argument):
        yield from _search_folder(argument, own_ending, kind)
    elif listed and is_manifest(argument) and not glob.has_magic(argument):
        for line in read_manifest(argument):
            yield Input(line.path, line.place, id=line.id, excerpt=line.excerpt)
    elif os.path.lexists(argument):
        yield Input(argument, Path(Path(argument).name))
    elif is_address(argument) and listed:
        yield from _list_address(argument, kind)
    elif is_address(argument):
        yield Input(
            argument,
            error=UsageError(
                f"{argument}: addresses are not opened; download it, or pipe it to the input -."
            ),
        )
    elif glob.has_magic(argument):
        yield from _match_pattern(argument, own_ending, kind)
    else:
        yield Input(argument, Path(Path(argument).name))  # says why when it is opened


def _list_address(address: str, kind: InputKind) -> Iterator[Input]:
    """The recordings at an address: it is that of a file, of a folder, or a pattern."""
    found, folder = match_addresses(address), address.rstrip("/")
    if found is not None:
        while glob.has_magic(folder):
            folder = folder.rpartition("/")[0]
    elif is_folder(address):
        found = [one for one in list_below(address) if Path(one).suffix.lower() in kind.suffixes]
    else:
        yield Input(address, Path(address.split("?")[0].rpartition("/")[2] or "recording"))
        return
    for one in found:
        yield Input(one, Path(one.removeprefix(folder).lstrip("/")))
    if not found:
        reason = f"{address}: no {kind.noun}s there; check the address."
        yield Input(address, error=UsageError(reason))


def _search_folder(folder: str, own_ending: str, kind: InputKind) -> Iterator[Input]:
    errors: list[OSError] = []
    paths = []
    for parent, folders, names in os.walk(folder, onerror=errors.append):
        folders[:] = [name for name in folders if not _is_sidecar(name)]
        paths += [os.path.join(parent, name) for name in names if not _is_sidecar(name)]
    found = [path for path in paths if _is_wanted(path, own_ending, kind)]
    yield from _place_below(found, folder)
    for error in errors:
        reason = f"{error.filename}: may not be read ({error.strerror}); check its permissions"
        yield Input(str(error.filename), error=UnreadableMediaError(reason))
    if not found and not errors:
        yield Input(
            folder,
            error=UsageError(
                f"{folder}: no {kind.noun}s in this folder; give files by name if their suffix is "
                f"none of {kind.examples}."
            ),
        )


def _match_pattern(pattern: str, own_ending: str, kind: InputKind) -> Iterator[Input]:
    paths = [path for path in glob.glob(pattern, recursive=True) if not os.path.isdir(path)]
    suffix = Path(pattern).suffix
    if not suffix or glob.has_magic(suffix):  # with a suffix, whoever gave it knows
        paths = [path for path in paths if _is_wanted(path, own_ending, kind)]
    fixed = pattern
    while glob.has_magic(fixed):
        fixed = os.path.dirname(fixed)
    yield from _place_below(paths, fixed)
    if not paths:
        reason = f"{pattern}: no such file, and as a pattern it matches no {kind.noun}."
        yield Input(pattern, error=UsageError(reason))


def _place_below(paths: Iterable[str], folder: str) -> Iterator[Input]:
    for path in sorted(paths, key=lambda path: Path(path).parts):
        # Without the "./" that a search of the folder one is in begins with.
        yield Input(os.fspath(Path(path)), Path(os.path.relpath(path, folder or ".")))


def _is_sidecar(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def _is_wanted(path: str, own_ending: str, kind: InputKind) -> bool:
    if own_ending and path.endswith(own_ending):
        return False
    # A broken link is one: it is better named as missing than left out.
    return Path(path).suffix.lower() in kind.suffixes and (
        os.path.isfile(path) or not os.path.exists(path)
    )


def join_inputs(inputs: Sequence[Input]) -> Input:
    """Make one input of several recordings of one person; its outputs are called NAME.together.

    Raises the error of the first that leads to no recording.
    """
    for item in inputs:
        if item.error:
            raise item.error
        if item.excerpt != WHOLE:
            raise UsageError(f"{item.name}: --together takes whole recordings, not parts of them.")
    first, count = inputs[0], len(inputs) - 1
    if not count:
        return first
    place = first.place.with_name(f"{first.place.stem}.together{first.place.suffix}")
    return Input(f"{first.name} and {count} more", place, parts=tuple(inputs))


def place_outputs(inputs: Sequence[Input], folder: Path, ending: str) -> dict[str, Path]:
    """Paths for the result of each input, by its key, named after it: no two of them the same.

    A file given by name becomes NAME`ending` in `folder`, a file found in a folder or by a pattern
    keeps its subfolders. Where two would be the same, all keep their subfolders below the folder
    that they share, and files that differ only in their suffix keep it: phone.wav.face.png. What
    has an id is named by it.

    Raises UsageError where standard input and a file would be the same, or two parts of one file.
    """
    places = {item.key: item.place for item in inputs if not item.error}
    files = [item for item in inputs if not item.error and item.name != "-" and not item.id]
    parents: dict[Path, set[str]] = {}
    for item in files:
        parent = os.path.dirname(_as_path(item))
        parents.setdefault(item.place.parent / item.place.stem, set()).add(parent)
    if any(len(each) > 1 for each in parents.values()):
        common = os.path.commonpath([os.path.dirname(_as_path(item)) for item in files])
        places |= {item.key: Path(os.path.relpath(_as_path(item), common)) for item in files}
    whole = set[str]()  # keys of those that keep their suffix
    while True:
        outputs = {
            key: folder / place.parent / f"{place.name if key in whole else place.stem}{ending}"
            for key, place in places.items()
        }
        counts = Counter(outputs.values())
        same = {key for key, output in outputs.items() if counts[output] > 1}
        if not same - whole:
            break
        whole |= same
    if same:
        names = sorted(item.name for item in inputs if item.key in same)
        if len(set(names)) < len(names):
            raise UsageError(f"several parts of {names[0]} would become one file; give each an id.")
        raise UsageError(f"{' and '.join(names)} would become one file; run them apart.")
    return outputs


def _as_path(item: Input) -> str:
    """The identity as an absolute path, of addresses, too."""
    return f"/{item.identity.replace('://', '/')}" if is_address(item.name) else item.identity


def choose_outputs(
    inputs: Sequence[Input], output: Path | None, out_dir: Path | None, ending: str
) -> dict[str, Path]:
    """Take `output` for one input, or places in `out_dir`, which is made. Raises UsageError."""
    if output and out_dir:
        raise UsageError("-o names a file, --out-dir a folder for several; give one of them.")
    if output and len(inputs) > 1:
        raise UsageError(f"{output} cannot hold {len(inputs)} outputs; use --out-dir for several.")
    if output:
        return {inputs[0].key: output}
    outputs = place_outputs(inputs, out_dir or Path(), ending)
    if out_dir:
        make_folder(out_dir)
    return outputs


def make_folder(folder: Path) -> None:
    """Make a folder for outputs. Raises UsageError where it cannot be, or takes no files."""
    if address_of(folder):
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise UsageError(f"{folder}: a file, not a folder.") from None
    except OSError as error:
        raise cannot_write(folder, error) from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UsageError(f"{folder}: no permission to write there.")
