"""Earlier weights that a training begins with: of a run, a checkpoint, or a model.

    FILE      voice_encoder.safetensors, checkpoint.safetensors or best.safetensors of a run, also
              of one that was stopped; untuned.safetensors of a model, which it was tuned from
    FOLDER    a run's, whose voice_encoder.safetensors is taken, or a model's

Of a checkpoint the averaged weights are taken. A model in 8 bits gives what it was tuned from.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from speech2face.errors import UsageError
from speech2face.model_folders import UNTUNED, Model, find_model
from speech2face.networks.speaker_encoder import SpeakerEncoder, read_config
from speech2face.networks.voice_encoder import VoiceEncoder
from speech2face.training.checkpoint import float32, load_weights
from speech2face.training.onnx_export import read_onnx_weights
from speech2face.training.voice_encoder import WEIGHTS, load_start

log = logging.getLogger(__name__)

NAMED = 3  # tensors that a message names


@dataclass(frozen=True)
class InitWeights:
    """Weights by the names that they have in a network without a Gaussian of its own around it."""

    path: Path
    tensors: Mapping[str, Tensor]
    met: tuple[str, ...] = ()  # digests of the data that they learned from

    @property
    def digest(self) -> str:
        """The identity of the weights, in sixteen letters."""
        digest = hashlib.sha256()
        for name, tensor in sorted(self.tensors.items()):
            digest.update(name.encode() + tensor.numpy().tobytes())
        return digest.hexdigest()[:16]

    def describe(self) -> dict[str, Any]:
        """What weights that began with these say of them."""
        return {"weights": self.digest, "met": list(self.met)}

    def put_into(self, network: nn.Module) -> None:
        """Give the network the weights of its names. The head begins anew if it does not fit.

        Raises UsageError where none is of a name that the network has, or another weight than the
        head's is of another shape.
        """
        wanted = {k: v for k, v in network.state_dict().items() if not _counts(k)}
        shared = wanted.keys() & self.tensors.keys()
        heads = _head_of(network)
        if all(name.startswith(heads) for name in shared):
            others = sorted(name for name in wanted if not name.startswith(heads))
            raise UsageError(
                f"{self.path}: weights of another network; none is called {_name(others)}."
            )
        unfit = [name for name in wanted if name in shared and not self._fits(name, wanted[name])]
        if wrong := [name for name in unfit if not name.startswith(heads)]:
            shapes = [f"{n} {_shape(self.tensors[n])} for {_shape(wanted[n])}" for n in wrong]
            raise UsageError(f"{self.path}: weights of other shapes: {_name(shapes)}.")
        if unfit:
            shared = {name for name in shared if not name.startswith(heads)}
            log.warning("%s: the head is of another shape and begins anew", self.path)
        if anew := [n for n in wanted if n not in self.tensors and not n.startswith(heads)]:
            log.warning("%s: lacks %s, which begin anew", self.path, _name(anew))
        network.load_state_dict({name: self.tensors[name] for name in shared}, strict=False)

    def _fits(self, name: str, wanted: Tensor) -> bool:
        return self.tensors[name].shape == wanted.shape


def read_init(path: Path) -> InitWeights:
    """Read weights to begin with. Raises ModelError or UsageError where `path` holds none."""
    if (path / "card.json").is_file():
        return _read_model(find_model(path), path)
    if path.is_dir():
        if not (path / WEIGHTS).is_file():
            raise UsageError(
                f"{path}: neither a model nor a finished run of train voice-encoder; give a file."
            )
        path = path / WEIGHTS
    if not path.is_file():
        raise UsageError(f"{path}: not found; give weights of a run, or the folder of a model.")
    if path.name == UNTUNED and path.with_name("card.json").is_file():
        return _read_untuned(find_model(path.parent), path)
    tensors, metadata = load_weights(path)
    if any(name.startswith("weight/") for name in tensors):
        tensors = {
            name.partition("/")[2]: tensor
            for name, tensor in tensors.items()
            if name.startswith(("average/", "buffer/"))
        }
    tensors = {k: v for k, v in tensors.items() if not k.startswith("untuned/")}
    return InitWeights(path, float32(_unwrap(tensors)), find_met(metadata))


def find_met(facts: Mapping[str, Any]) -> tuple[str, ...]:
    """Digests of all data that weights with this metadata learned from, also before."""
    sets = [one["digest"] for one in facts.get("sets", ())]
    own = [facts["data"]] if "data" in facts else []
    return (*own, *sets, *(facts.get("init") or {}).get("met", ()))


def _read_model(model: Model, path: Path) -> InitWeights:
    facts = model.find_facts("voice_encoder")
    if "quantised" in facts:
        log.warning("%s has 8 bits: training begins with the weights that it was tuned from", path)
        return _read_untuned(model, path)
    return InitWeights(path, _unwrap(read_onnx_weights(model.voice_encoder)), find_met(facts))


def _read_untuned(model: Model, path: Path) -> InitWeights:
    sizes = model.find_facts("voice_encoder")["recipe"]["network"]["speaker"]
    speaker = load_start(model, SpeakerEncoder(read_config(sizes)))
    return InitWeights(path, {f"speaker.{k}": v for k, v in speaker.state_dict().items()})


def _unwrap(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Without the Gaussian around a network that says a point, whose head is not its own."""
    if not any(name.startswith("point.") for name in tensors):
        return dict(tensors)
    return {k.removeprefix("point."): v for k, v in tensors.items() if k.startswith("point.")}


def _head_of(network: nn.Module) -> str:
    """How the names of the weights begin that make the face's numbers."""
    if isinstance(network, VoiceEncoder):
        return "head."
    last, _ = [*network.get_submodule("embed").named_children()][-1]
    return f"embed.{last}."


def _counts(name: str) -> bool:
    return name.endswith("num_batches_tracked")


def _shape(tensor: Tensor) -> str:
    return "×".join(map(str, tensor.shape)) or "1"


def _name(what: Sequence[str]) -> str:
    return ", ".join(what[:NAMED]) + (" …" if len(what) > NAMED else "")


def refuse_met(init: InitWeights | None, data: str, sets: Sequence[str]) -> None:
    """Raises UsageError where `init` learned from these data, by their digests: folds of people
    would begin with what met all of them."""
    if init and {data, *sets} & {*init.met}:
        raise UsageError(
            f"{init.path}: learned from these pairs; folds that begin with it know everybody. "
            "Begin with weights of other people, or of none."
        )


def check_begun(init: InitWeights | None, facts: Mapping[str, Any], name: str) -> None:
    """Raises UsageError where a model with these facts began with other weights than `init`."""
    began = (facts.get("init") or {}).get("weights")
    if began == (init.digest if init else None):
        return
    if began is None:
        raise UsageError(f"{name} did not begin with earlier weights; leave --init out.")
    raise UsageError(f"{name} began with earlier weights: give the same by --init.")
