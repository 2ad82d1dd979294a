"""What a voice gives away, and giving it another: audit, anonymise."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from speech2face.cli.arguments import check_skipping, find_inputs, find_one, parse_part
from speech2face.cli.extras import need_extras
from speech2face.cli.options import Force, From, ModelName, SkipExisting, To, Track
from speech2face.cli.recordings import say_what_was_used
from speech2face.console import ProgressBars, complain
from speech2face.errors import UsageError
from speech2face.runtime import limit_blas_threads

if TYPE_CHECKING:
    from speech2face.batch import Progress
    from speech2face.inputs import Input


def anonymise(
    paths: Annotated[
        list[str],
        typer.Argument(
            help="A recording (- is standard input) and the .wav or .flac to write; with "
            "--out-dir, recordings.",
            metavar="IN… [OUT]",
        ),
    ],
    out_dir: Annotated[
        Path | None,
        typer.Option(help="Folder for the recordings, NAME.anonymous.flac; made if missing."),
    ] = None,
    method: Annotated[
        str | None,
        typer.Option(
            help="Method, see docs/anonymisers.md. [default: whisper; mcadams without extra audit]"
        ),
    ] = None,
    command: Annotated[
        str | None, typer.Option(help="Another program as the anonymiser: 'program {in} {out}'.")
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Random seed of the new voice: a secret. [default: another for each recording]",
        ),
    ] = None,
    skip_existing: SkipExisting = False,
    force: Force = False,
) -> None:
    """Give recordings another voice. What that hides, speech2face audit measures.

    Written are mono, 16 kHz and 16 bits, without the recording's tags, with a mark that says that
    the voice is disguised and by which method. Other sounds stay in it.
    """
    limit_blas_threads()
    import secrets

    from speech2face.batch import run_each
    from speech2face.inputs import choose_outputs, make_folder
    from speech2face.privacy.anonymise_recording import anonymise_recording
    from speech2face.privacy.anonymisers import DEFAULT, choose_anonymiser
    from speech2face.privacy.attack_table import find_words_lost
    from speech2face.privacy.remaining_disclosure import find_attack
    from speech2face.reports.audit_text import format_remains

    ending = ".anonymous.flac"
    if out_dir is None and len(paths) != 2:
        raise UsageError("give a recording and the file to write, or recordings and --out-dir.")
    given, output = (paths, None) if out_dir else (paths[:1], Path(paths[1]))
    recordings = find_inputs(given, own_ending=ending)
    outputs = choose_outputs(recordings, output, out_dir, ending)
    check_skipping(skip_existing, force)
    anonymiser = choose_anonymiser(method, command)
    if not method and not command and anonymiser.name != DEFAULT:
        complain(
            f"{anonymiser.name} is used: {DEFAULT}, which hides more, needs "
            "pip install 'speech2face[audit]'."
        )

    def disguise(item: Input, progress: Progress) -> dict[str, Any]:
        drawn = secrets.randbits(62) if seed is None else seed
        path = outputs[item.name]
        if skip_existing and os.path.isfile(path):
            return {"output": str(path), "skipped": True, "warnings": []}
        if not output:
            make_folder(path.parent)
        warnings = anonymise_recording(item.source, path, anonymiser, drawn, force)
        written.append(item.name)
        return {"output": str(path), "warnings": warnings}

    written: list[str] = []
    try:
        run_each(recordings, disguise, as_json=False, format_row=lambda row: row["output"])
    finally:
        if written:
            name = anonymiser.name
            complain(format_remains(find_attack(name), find_words_lost(name)), colour=None)


def audit(
    recording: Annotated[
        str | None, typer.Argument(help="A recording; - is standard input.", metavar="RECORDING")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Page to write; with --pairs, folder of the run. [runs/audit]"),
    ] = None,
    pairs: Annotated[
        list[Path] | None,
        typer.Option(
            "--pairs",
            help="Audit a population: folder with pairs.csv, or a set of prepare; may be repeated.",
        ),
    ] = None,
    voices: Annotated[
        Path | None, typer.Option(help="Folder with voices.csv, to verify speakers. [the pairs]")
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option(
            help="With --pairs, an anonymiser to attack; may be repeated. [all] Else, the one that "
            "disguised RECORDING."
        ),
    ] = None,
    original: Annotated[
        str | None, typer.Option(help="The recording that RECORDING is a disguise of.")
    ] = None,
    costs: Annotated[
        Path | None, typer.Option(help="JSON of benchmarks/anonymisers.py, for the trade-off.")
    ] = None,
    since: From = None,
    until: To = None,
    track: Track = None,
    model: ModelName = "default",
    seed: Annotated[int, typer.Option(help="Random seed of folds, secrets and the bootstrap.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print all figures as JSON.")] = False,
    force: Force = False,
) -> None:
    """How much of the face a voice gives away, in bits.

    One recording takes a second. For a disguised voice: what attackers found in others that the
    same method disguised; with --original, an estimate for this speaker. With --pairs: a population
    before and after anonymising, against three attackers; minutes for each method.
    """
    if (recording is None) == (not pairs):
        raise UsageError("give a recording, or --pairs and a folder.")
    start, end = parse_part(since, until)
    if pairs:
        if start or end is not None or track:
            raise UsageError("--from, --to and --track go with a recording.")
        if original:
            raise UsageError("--original goes with a recording.")
        print(
            _audit_population(
                pairs, voices, method, costs, out or Path("runs/audit"), seed, as_json
            )
        )
        return
    if voices or costs:
        raise UsageError("--voices and --costs go with --pairs.")
    if recording == original == "-":
        raise UsageError("only one of RECORDING and --original can be standard input.")
    if method and len(method) > 1:
        raise UsageError("one recording is disguised by one --method.")
    limit_blas_threads()
    from speech2face.pictures import check_place
    from speech2face.privacy.anonymisers import load_anonymiser
    from speech2face.privacy.audit_recording import audit_recording, describe_audit
    from speech2face.reports.audit_text import format_disclosure
    from speech2face.weights import find_model

    if out:
        check_place(out, force)
    source, used_model = find_one(recording or ""), find_model(model)
    plain = None if original is None else find_one(original)
    used_method = load_anonymiser(method[0]).name if method else None
    result = audit_recording(
        source, used_model, original=plain, method=used_method, start=start, end=end, track=track
    )
    if out:
        from speech2face.reports.audit_page import draw_recording
        from speech2face.reports.render import write_page

        settings = {"method": used_method, "start": start, "end": end, "track": track}
        provenance = describe_audit(source, plain, used_model, settings)
        write_page(draw_recording(result, provenance), out, force)
    if as_json:
        print(json.dumps(result.as_json()))
    else:
        sentences = format_disclosure(result.voice, result.original).values()
        print("\n".join([*sentences, *([str(out)] if out else [])]))
        say_what_was_used(str(recording), result.as_json(), start)
    for warning in result.voice.warnings:
        complain(f"{recording}: {warning}")
    for warning in result.original.warnings if result.original else ():
        complain(f"{original}: {warning}")


def _audit_population(
    pairs: list[Path],
    voices: Path | None,
    methods: list[str] | None,
    costs: Path | None,
    out: Path,
    seed: int,
    as_json: bool,
) -> str:
    from speech2face.privacy.anonymisers import ANONYMISERS, load_anonymiser

    chosen = [load_anonymiser(name) for name in dict.fromkeys(methods or ANONYMISERS)]
    need_extras("train", "data")
    from speech2face.evaluation.report import write_report
    from speech2face.privacy.audit_population import PopulationAuditor
    from speech2face.reports.audit_text import format_population
    from speech2face.reports.population_page import draw_population

    with ProgressBars() as show:
        auditor = PopulationAuditor(pairs, voices, out / "cache", show, seed)
        result = auditor.measure(chosen, costs)
    write_report(result.as_json(), out, draw_population(result))
    if as_json:
        return json.dumps(result.as_json())
    return f"{format_population(result)}\n{out / 'report.html'}"
