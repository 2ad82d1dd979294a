"""Commands on privacy: audit measures what a voice gives away, anonymise disguises it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from speech2face.cli.argument_values import (
    check_skipping,
    check_together,
    find_inputs,
    find_one,
    parse_part,
    parse_speaker,
)
from speech2face.cli.options import (
    AllFiguresAsJson,
    Force,
    From,
    ModelName,
    SkipExisting,
    SpeakerChoice,
    To,
    Together,
    Track,
)
from speech2face.cli.recordings import report_used_speech
from speech2face.console import ProgressBars, print_message
from speech2face.errors import UsageError
from speech2face.extras import how_to_install, need_extras
from speech2face.runtime import limit_blas_threads

if TYPE_CHECKING:
    from speech2face.batch import ReadingProgress
    from speech2face.inputs import Input
    from speech2face.media import AudioSource


def anonymise(
    paths: Annotated[
        list[str],
        typer.Argument(
            help="A recording, or - for standard input, and the .wav or .flac file to write. With "
            "--out-dir any number of recordings, folders or patterns in quotes.",
            metavar="INPUT… [OUTPUT]",
        ),
    ],
    out_dir: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            show_default="OUTPUT is written in its place",
            help="Folder for the disguised recordings, which are named NAME.anonymous.flac. It is "
            "made if missing.",
        ),
    ] = None,
    method: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            show_default="whisper, or mcadams without the extra audit",
            help="Method of disguise: whisper, mcadams, vocoder, resynthesis or another of "
            "docs/anonymisers.md.",
        ),
    ] = None,
    command: Annotated[
        str | None,
        typer.Option(
            metavar="'PROGRAM {in} {out}'",
            show_default="none",
            help="Program that disguises in place of a method: it reads the WAV file {in} and "
            "writes the sound {out}.",
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            min=0,
            metavar="N",
            show_default="another for each recording",
            help="Random seed of the new voice. Keep it secret: it says how the voice was changed.",
        ),
    ] = None,
    skip_existing: SkipExisting = False,
    force: Force = False,
) -> None:
    """Disguise the voice in recordings.

    Writes mono sound of 16 kHz and 16 bits without the tags of the recording, marked as disguised
    and by which method. Other sounds than the voice are kept. `speech2face audit` measures how much
    is hidden.
    """
    limit_blas_threads()
    import secrets

    from speech2face.batch import run_each
    from speech2face.inputs import choose_outputs, make_folder
    from speech2face.privacy.anonymise_recording import anonymise_recording
    from speech2face.privacy.anonymisers import DEFAULT, choose_anonymiser
    from speech2face.privacy.attack_table import find_words_lost
    from speech2face.privacy.remaining_disclosure import find_attack
    from speech2face.reports.audit_text import format_fallback, format_remains

    ending = ".anonymous.flac"
    if out_dir is None and len(paths) != 2:
        raise UsageError("give a recording and the file to write, or recordings and --out-dir.")
    given, output = (paths, None) if out_dir else (paths[:1], Path(paths[1]))
    recordings = find_inputs(given, own_ending=ending)
    outputs = choose_outputs(recordings, output, out_dir, ending)
    check_skipping(skip_existing, force)
    anonymiser = choose_anonymiser(method, command)
    if not method and not command and anonymiser.name != DEFAULT:
        used, better = find_attack(anonymiser.name), find_attack(DEFAULT)
        assert used  # measured, by the rule that chooses defaults
        assert better
        print_message(format_fallback(used, better, how_to_install("audit")))

    def disguise(item: Input, progress: ReadingProgress) -> dict[str, Any]:
        drawn = secrets.randbits(62) if seed is None else seed
        path = outputs[item.name]
        if skip_existing and os.path.isfile(path):
            return {"output": str(path), "skipped": True, "warnings": []}
        if not output:
            make_folder(path.parent)
        made = anonymise_recording(item.source, path, anonymiser, drawn, force)
        methods.append(made.method)
        return {"output": str(path), "warnings": made.warnings}

    methods: list[str] = []  # of what was written
    try:
        run_each(recordings, disguise, as_json=False, format_row=lambda row: row["output"])
    finally:
        name = anonymiser.name
        if once := methods.count(name):  # of what was disguised before nothing was measured
            remains = format_remains(find_attack(name), find_words_lost(name))
            several = once < len(methods)
            which = f"of the {once} of {len(methods)} that were plain before: " if several else ""
            print_message(f"{which}{remains}", colour=None)


def audit(
    recordings: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="RECORDING",
            help="Recording to audit, or with --together several recordings of one person. - is "
            "standard input. Give either this or --pairs.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FILE|FOLDER",
            show_default="no page, or the folder runs/audit",
            help="HTML page to write. With --pairs, the folder of the run.",
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
    provenance: Annotated[
        bool,
        typer.Option(
            "--provenance",
            help="Put the command, names of files and fingerprints of the recordings on the page, "
            "for your own records. Whoever reads it can tell who holds them.",
        ),
    ] = False,
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
    if len(given) > 1 and not together:
        raise UsageError(
            "an audit is of one recording; add --together if these are recordings of one person."
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
                pairs, voices, method, costs, out or Path("runs/audit"), seed, provenance, as_json
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
    from speech2face.inputs import join_inputs
    from speech2face.model_folders import find_model
    from speech2face.privacy.anonymisers import load_anonymiser
    from speech2face.privacy.audit_recording import audit_recording, describe_audit
    from speech2face.reports.audit_text import format_disclosure
    from speech2face.reports.render import check_page, write_page

    if out:
        check_page(out, force)
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
    used_method = load_anonymiser(method[0]).name if method else None
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
        write_page(draw_recording(result, made, provenance), out, force)
    if as_json:
        print(json.dumps(result.as_json()))
    else:
        sentences = format_disclosure(result.voice, result.original).values()
        print("\n".join([*sentences, *([str(out)] if out else [])]))
        report_used_speech(name, result.as_json(), start)
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
