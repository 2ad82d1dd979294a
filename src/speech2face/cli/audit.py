"""What voices give away of faces: audit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from speech2face.cli.argument_values import (
    check_together,
    find_inputs,
    find_one,
    parse_part,
    parse_speaker,
)
from speech2face.cli.batches import Batch, read_call, run_task
from speech2face.cli.options import (
    AllFiguresAsJson,
    Force,
    From,
    ModelName,
    Provenance,
    RayAddress,
    SpeakerChoice,
    To,
    Together,
    Track,
    WorkerCount,
)
from speech2face.console import ProgressBars, print_message
from speech2face.errors import UsageError
from speech2face.extras import need_extras
from speech2face.result_tables import is_table
from speech2face.runtime import limit_blas_threads

if TYPE_CHECKING:
    from speech2face.media import AudioSource


def audit(
    recordings: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="RECORDING",
            help="Recording to audit, or with --together several recordings of one person. - is "
            "standard input. With a table as --out any number of recordings, folders, patterns in "
            "quotes, addresses and manifests. Give either this or --pairs.",
        ),
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(
            "--out",
            metavar="FILE|FOLDER",
            show_default="no page, or the folder runs/audit",
            help="HTML page to write, or table with a row for each recording: .parquet, .jsonl or "
            ".csv. With --pairs, the folder of the run.",
        ),
    ] = None,
    pairs: Annotated[
        list[Path] | None,
        typer.Option(
            "--pairs",
            metavar="FOLDER",
            help="Audit a population in place of a recording: folder with pairs.csv, or a training "
            "set that `speech2face prepare` made.",
        ),
    ] = None,
    voices: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            show_default="the folders of --pairs",
            help="With --pairs: folder with voices.csv (clip, speaker and, if known, gender), on "
            "whose recordings speakers are verified.",
        ),
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            show_default="none, or all with --pairs",
            help="Anonymiser (see docs/anonymisers.md) that disguised RECORDING. With --pairs: an "
            "anonymiser to attack.",
        ),
    ] = None,
    original: Annotated[
        str | None,
        typer.Option(
            metavar="RECORDING",
            show_default="none",
            help="Recording as it was before it was disguised.",
        ),
    ] = None,
    costs: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            show_default="none",
            help="With --pairs: JSON file of benchmarks/anonymisers.py, which adds what each "
            "anonymiser costs in intelligibility.",
        ),
    ] = None,
    since: From = None,
    until: To = None,
    track: Track = None,
    speaker: SpeakerChoice = "longest",
    together: Together = False,
    model: ModelName = "default",
    seed: Annotated[
        int,
        typer.Option(
            metavar="N",
            help="With --pairs: random seed of the folds, the anonymisers and the bootstrap.",
        ),
    ] = 0,
    provenance: Provenance = False,
    workers: WorkerCount = 1,
    ray: RayAddress = None,
    as_json: AllFiguresAsJson = False,
    force: Force = False,
) -> None:
    """Measure how much of the speaker's face a voice gives away, in bits.

    An audit of a recording takes a second. For a disguised recording it says what attackers found
    in other voices that the same method disguised, and with --original an estimate for this
    speaker. With --pairs it audits a population before and after each anonymiser, against four
    attackers, which takes minutes for each.
    """
    given = recordings or []
    if bool(given) == bool(pairs):
        raise UsageError("give a recording, or --pairs and a folder.")
    table = out if out and not pairs and is_table(out) else None
    if len(given) > 1 and not together and not table:
        raise UsageError(
            "an audit is of one recording; add --together if these are recordings of one person, "
            "or --out TABLE for a row of each."
        )
    start, end = parse_part(since, until)
    whom = parse_speaker(speaker)
    if whom == "all":
        raise UsageError("an audit is of one person; give --speaker longest or a number.")
    if pairs:
        if start or end is not None or track or whom != "longest" or together:
            raise UsageError("--from, --to, --track, --speaker and --together go with a recording.")
        if original:
            raise UsageError("--original goes with a recording.")
        print(
            _audit_population(
                pairs,
                voices,
                method,
                costs,
                Path(out or "runs/audit"),
                seed,
                provenance,
                as_json,
            )
        )
        return
    if provenance and not out:
        raise UsageError("--provenance goes with --out, the page that it is put on.")
    if voices or costs:
        raise UsageError("--voices and --costs go with --pairs.")
    if original == "-" and "-" in given:
        raise UsageError("only one of RECORDING and --original can be standard input.")
    if method and len(method) > 1:
        raise UsageError("one recording is disguised by one --method.")
    limit_blas_threads()
    from speech2face.privacy.anonymisers import load_anonymiser

    used_method = load_anonymiser(method[0]).name if method else None
    if table:
        if original is not None or provenance or as_json:
            raise UsageError("--original, --provenance and --json go without a table.")
        from speech2face.privacy.audit_task import AuditTask

        items, listening = read_call(given, (since, until), track, speaker, together, table)
        run_task(
            items,
            AuditTask(model, listening, used_method),
            Batch(table, workers, ray, force, as_json),
            str,
        )
        return
    if workers > 1 or ray is not None:
        raise UsageError("--workers and --ray go with a table: --out FILE.parquet, .jsonl or .csv.")
    from speech2face.inputs import join_inputs
    from speech2face.model_folders import find_model
    from speech2face.privacy.audit_recording import audit_recording, describe_audit
    from speech2face.recording_tasks import describe_used_speech
    from speech2face.reports.audit_text import format_disclosure
    from speech2face.reports.render import check_page, write_page

    if out:
        check_page(Path(out), force)
    name = given[0]
    if together:
        check_together((start, end), track, whom)
        if original is not None:
            raise UsageError("--original goes with one recording, not with --together.")
        item = join_inputs(find_inputs(given))
        name = item.name
        sources: list[AudioSource] = [one.source for one in item.parts or (item,)]
    else:
        sources = [find_one(name)]
    used_model = find_model(model)
    plain = None if original is None else find_one(original)
    result = audit_recording(
        sources,
        used_model,
        original=plain,
        method=used_method,
        start=start,
        end=end,
        track=track,
        speaker=whom,
    )
    if out:
        from speech2face.reports.audit_page import draw_recording

        part = {"from": since, "to": until, "track": track}
        chosen = {} if whom == "longest" else {"speaker": whom}
        settings = {"method": used_method, **part, **chosen, "together": together}
        hashed = {"recording": sources[0], **({} if plain is None else {"original": plain})}
        hashed |= {f"recording {number}": one for number, one in enumerate(sources[1:], 2)}
        made = describe_audit(used_model, settings, hashed if provenance else {})
        write_page(draw_recording(result, made, provenance), Path(out), force)
    if as_json:
        print(json.dumps(result.as_json()))
    else:
        sentences = format_disclosure(result.voice, result.original).values()
        print("\n".join([*sentences, *([out] if out else [])]))
        for line in describe_used_speech(name, result.as_json(), start):
            print_message(line, None)
    for warning in result.voice.warnings:
        print_message(f"{name}: {warning}")
    for warning in result.original.warnings if result.original else ():
        print_message(f"{original}: {warning}")


def _audit_population(
    pairs: list[Path],
    voices: Path | None,
    methods: list[str] | None,
    costs: Path | None,
    out: Path,
    seed: int,
    for_records: bool,
    as_json: bool,
) -> str:
    from speech2face.privacy.anonymisers import ANONYMISERS, load_anonymiser

    chosen = [load_anonymiser(name) for name in dict.fromkeys(methods or ANONYMISERS)]
    need_extras("train")
    from speech2face.privacy.audit_population import PopulationAuditor
    from speech2face.reports.audit_text import format_population
    from speech2face.reports.population_page import draw_population
    from speech2face.reports.render import write_report

    with ProgressBars() as show:
        auditor = PopulationAuditor(pairs, voices, out / "cache", show, seed)
        result = auditor.measure(chosen, costs)
    write_report(result.as_json(), out, draw_population(result, for_records))
    if as_json:
        return json.dumps(result.as_json())
    return f"{format_population(result)}\n{out / 'report.html'}"
