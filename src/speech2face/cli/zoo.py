"""The leaderboard: evaluate zoo."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from speech2face.cli.options import FaceSpace, Force, Speaker
from speech2face.console import ProgressBars, print_message
from speech2face.errors import UsageError
from speech2face.extras import need_extras

if TYPE_CHECKING:
    from speech2face.data.pairs import Pair
    from speech2face.evaluation.zoo import SharedClips
    from speech2face.evaluation.zoo_systems import System

PAGE = "leaderboard.html"
DEFAULT = "default"  # the system that others are compared with


def evaluate_zoo(
    folders: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="PAIRS",
            help="Folders with pairs.csv, the table of voices and faces (see docs/data.md).",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            metavar="FOLDER",
            help="Folder of the systems' files and the page. What is measured there is kept.",
        ),
    ] = Path("runs/zoo"),
    system: Annotated[
        list[str] | None,
        typer.Option(
            "--system",
            metavar="SYSTEM",
            show_default="all of these, but without --pictures or --embeddings only",
            help="System to measure: chance, average-by-sex, linear-map, published, or a recipe of "
            "voice encoders, such as default or my_recipes.py:mine, which is trained by folds.",
        ),
    ] = None,
    pictures: Annotated[
        list[str] | None,
        typer.Option(
            "--pictures",
            metavar="NAME=FOLDER",
            help="Folder of another system's pictures, CLIP.png or CLIP.jpg, and its name.",
        ),
    ] = None,
    embeddings: Annotated[
        list[str] | None,
        typer.Option(
            "--embeddings",
            metavar="NAME=FILE",
            help="Table of another system's face embeddings by clip, and its name: .csv, .npz or "
            ".parquet (see docs/leaderboard.md).",
        ),
    ] = None,
    face_encoder: FaceSpace = "dlib",
    decoder_recipe: Annotated[
        str,
        typer.Option(metavar="NAME", help="Recipe by which face decoders of recipes are trained."),
    ] = "default",
    speaker: Speaker = None,
    folds: Annotated[
        int,
        typer.Option(metavar="N", min=2, help="Number of folds that the people are divided into."),
    ] = 5,
    seed: Annotated[
        int, typer.Option(metavar="N", help="Random seed of the folds and the bootstrap.")
    ] = 0,
    page: Annotated[
        bool,
        typer.Option("--page", help="Measure nothing: draw the page of the files that are there."),
    ] = False,
    force: Force = False,
) -> None:
    """Measure systems alike, on the same folds of people, and draw a leaderboard.

    Each system's figures are written into NAME.json in --out, and leaderboard.html is made of all
    files there.
    """
    from speech2face.evaluation.leaderboard import check_fits, check_same_data, read_results

    if page == bool(folders):
        raise UsageError("give folders of pairs to measure on, or --page; one of them.")
    if page:
        if not (results := read_results(out)):
            raise UsageError(f"{out}: holds no file of a system; measure one first.")
        check_same_data(results)
        print(_draw(out))
        return
    need_extras("train")
    from speech2face.data.merge_pairs import read_sets
    from speech2face.evaluation.zoo import (
        check_name,
        describe_clips,
        describe_system,
        is_measured,
        measure_system,
        share_clips,
        write_result,
    )

    given = {check_name(name): Path(value) for name, value in _split(pictures, "--pictures")}
    tables = {check_name(name): Path(value) for name, value in _split(embeddings, "--embeddings")}
    chosen = _choose(system, bool(given or tables))
    names = [*chosen, *given, *tables]
    if twice := next((name for place, name in enumerate(names) if name in names[:place]), None):
        raise UsageError(f"{twice} is given twice; each system needs a name of its own.")
    if taken := next((name for name in (*given, *tables) if name == DEFAULT), None):
        raise UsageError(f"{taken} is what others are compared with; give another name.")
    pairs, there = read_sets(folders or []), read_results(out)
    check_fits(describe_clips(pairs, folds, seed), there, "these pairs")
    for name, folder in given.items():  # what is wrong with them is told before anything is heard
        _find_pictures(name, folder, pairs)
    for name, table in tables.items():
        _read_table(name, table, face_encoder, pairs)
    _make_folder(out)
    with ProgressBars() as show:
        clips = share_clips(pairs, out / "cache", folds, seed, show, speaker)
        for name in (*chosen, *given, *tables):
            if name in given:
                made = _find_pictures(name, given[name], clips.pairs)
            elif name in tables:
                made = _read_table(name, tables[name], face_encoder, clips.pairs)
            else:
                source = chosen[name]
                made = _make(name, source, decoder_recipe, pairs, out, folds, clips, not system)
            if made is None:
                continue
            path, how = out / f"{name}.json", describe_system(made, clips)
            if is_measured(path, how, there):
                continue
            if path.exists() and not force:
                raise UsageError(
                    f"{path}: exists, and is of other data, another recipe or another version; "
                    "give another name, or --force."
                )
            result = measure_system(made, clips)
            check_same_data({k: v for k, v in there.items() if k != name} | {name: result})
            write_result(result, path)
            there[name] = result
    print(_draw(out))


def _choose(system: list[str] | None, others: bool) -> dict[str, str]:
    """The systems that are made here: what was asked for, by name on the board.

    Raises UsageError where one is none.
    """
    from speech2face.evaluation.zoo import check_name
    from speech2face.evaluation.zoo_systems import BASELINES, name_recipe
    from speech2face.name_suggestions import suggest
    from speech2face.training.recipe_files import RecipeSource, load_recipe
    from speech2face.training.recipes import ENCODERS

    chosen: dict[str, str] = {}
    for source in system or (() if others else (*BASELINES, DEFAULT)):
        known = (*BASELINES, *ENCODERS)
        if source not in known:
            if not source.endswith(".json") and ".py" not in source:
                raise UsageError(
                    f"no system {source}: give one of {', '.join(known)}, or FILE.py:NAME of your "
                    f"own.{suggest(source, known)}"
                )
            load_recipe(RecipeSource(source), ENCODERS)
        name = check_name(name_recipe(source))
        if chosen.get(name, source) != source or (name in known and name != source):
            raise UsageError(f"{source}: another system is called {name}; rename one.")
        chosen[name] = source
    return chosen


def _split(options: list[str] | None, option: str) -> list[tuple[str, str]]:
    """NAME=PATH → both. Raises UsageError where it is something else."""
    pairs = []
    for text in options or ():
        name, sign, path = text.partition("=")
        if not (name and sign and path):
            raise UsageError(f"{option} {text}: give the system's name, too, as NAME={text}.")
        pairs.append((name, path))
    if len({name for name, _ in pairs}) < len(pairs):
        raise UsageError(f"{option}: each system needs a name of its own.")
    return pairs


def _make(
    name: str,
    source: str,
    decoder_recipe: str,
    pairs: list[Pair],
    out: Path,
    folds: int,
    clips: SharedClips,
    by_default: bool,
) -> System | None:
    """A baseline or a recipe; None, with a word, where one that nobody asked for cannot be."""
    from speech2face.evaluation.zoo_systems import BASELINES, make_baseline, train_by_folds

    if name not in BASELINES:
        folder = out / f"folds-{name}"
        return train_by_folds(source, decoder_recipe, pairs, folder, folds, clips.learners)
    try:
        return make_baseline(name, clips.learners, clips.pairs)
    except UsageError as error:
        if not by_default:
            raise
        print_message(f"{name} is left out: {error}", "yellow")
        return None


def _find_pictures(name: str, folder: Path, pairs: list[Pair]) -> System:
    from speech2face.evaluation.zoo_systems import find_pictures_of

    return find_pictures_of(name, folder, pairs)


def _read_table(name: str, path: Path, face_encoder: str, pairs: list[Pair]) -> System:
    from speech2face.evaluation.embedding_tables import read_embeddings
    from speech2face.evaluation.zoo_systems import make_table_system
    from speech2face.face_encoders import load_face_encoder

    size = load_face_encoder(face_encoder).size
    rows = read_embeddings(path, pairs, size)
    return make_table_system(name, rows, face_encoder, pairs)


def _make_folder(out: Path) -> None:
    from speech2face.files import cannot_write

    try:
        out.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise UsageError(f"{out}: is a file; --out is a folder.") from None
    except OSError as error:
        raise cannot_write(out, error) from None


def _draw(out: Path) -> Path:
    """Draw the page of the files in a folder; gives its path."""
    from speech2face.evaluation.leaderboard import compare_systems, list_systems, read_results
    from speech2face.files import write_text_atomically
    from speech2face.reports.leaderboard_page import JUDGES, draw_leaderboard

    results = read_results(out)
    by_judge = {judge: list_systems([*results.values()], judge) for judge in JUDGES}
    differences = {}
    if reference := results.get(DEFAULT):
        differences = {
            name: compare_systems(one, reference)
            for name, one in results.items()
            if name != DEFAULT
        }
    page = draw_leaderboard(by_judge, differences, DEFAULT if reference else None)
    write_text_atomically(out / PAGE, page)
    return out / PAGE
