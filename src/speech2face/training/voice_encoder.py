"""Training of the voice encoder on pairs of voice and face.

The pretrained speaker networks are frozen or tuned by the loop; the Gaussian head on them is
solved in closed form, before tuning (a start) and after it (the head that is released).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from speech2face import __version__
from speech2face.console import ProgressCallback
from speech2face.data.voice_encoder_data import Voices
from speech2face.errors import ModelError, UsageError
from speech2face.face_encoders import identify_face_encoder
from speech2face.files import hash_file
from speech2face.model_folders import FILES, UNTUNED, Model, find_model
from speech2face.networks.losses import regression_loss
from speech2face.networks.speaker_encoder import (
    SpeakerEncoder,
    load_speaker_encoder,
    read_config,
)
from speech2face.networks.voice_encoder import GaussianEncoder, VoiceEncoder, VoiceEncoderConfig
from speech2face.run_provenance import hash_rows
from speech2face.training.checkpoint import float32, hash_weights, load_weights, save_weights
from speech2face.training.clip_features import FRAMES_A_SECOND, ClipFeatures, extract_features
from speech2face.training.field_checks import check_at_least_one, check_lengths
from speech2face.training.gaussian_head import HeadConfig, HeadSolution, solve_head
from speech2face.training.loop import LoopConfig, fit, report_progress
from speech2face.training.onnx_export import load_onnx_weights
from speech2face.training.untuned_weights import unpack_untuned

if TYPE_CHECKING:
    from speech2face.training.init_weights import InitWeights

WEIGHTS = "voice_encoder.safetensors"
BLOCKS = tuple(f"campplus.{part}." for part in ("blocks", "transitions", "exit", "embed"))
LAST_BLOCK = tuple(f"campplus.{part}." for part in ("blocks.2", "transitions.2", "exit", "embed"))


@dataclass(frozen=True)
class VoiceEncoderRecipe:
    """Settings that make an encoder: everything but the data."""

    name: str  # of the recipe, in cards and messages
    network: VoiceEncoderConfig = field(default_factory=VoiceEncoderConfig)  # its sizes
    head: HeadConfig = field(default_factory=HeadConfig)  # the Gaussian, solved in closed form
    crop_seconds: tuple[float, ...] = (0.5, 1.0, 2.0, 3.0)  # one random crop of each clip at each
    tuning: LoopConfig | None = None  # of `tuned` and the head; None leaves them frozen
    tuned: tuple[str, ...] = BLOCKS  # prefixes of the speaker networks' moving weights
    tuning_batch: int = 12  # clips a step
    tuning_seconds: float = 3.0  # of each clip, at a step
    frames: Literal["best", "mean"] = "best"  # of a video, whose face is learned
    face_encoder: str = "dlib"  # recogniser whose embedding of the face is predicted
    seed: int = 0  # of the crops

    def __post_init__(self) -> None:
        least = {"tuning_batch": self.tuning_batch, "head.inner_folds": self.head.inner_folds - 1}
        check_at_least_one(least)
        check_lengths(self.crop_seconds, "crop_seconds")
        check_lengths((self.tuning_seconds,), "tuning_seconds")
        if below := [name for name in self.tuned if not name.startswith(BLOCKS)]:
            raise ValueError(
                f"{', '.join(below)}: cannot be tuned, for what lower layers and GE2E heard is "
                f"kept; only weights under {', '.join(BLOCKS)} can."
            )


def prepare_clips(
    recipe: VoiceEncoderRecipe,
    network: VoiceEncoder,
    voices: Voices,
    cache: Path,
    show: ProgressCallback,
) -> ClipFeatures:
    """Features of each clip and of crops of it, by the recipe's speaker networks.

    Raises UsageError where there are too few clips to train.
    """
    if len(voices) < 2 * recipe.head.inner_folds:
        raise UsageError(f"only {len(voices)} clips have both speech and a face: too few to train.")
    return extract_features(
        network.speaker,
        voices,
        recipe.crop_seconds,
        recipe.seed,
        cache,
        show,
        keep=recipe.tuning is not None,
    )


def load_speaker(
    recipe: VoiceEncoderRecipe, speaker: Path | None = None, init: InitWeights | None = None
) -> VoiceEncoder:
    """The encoder with pretrained speaker networks; its head is not to be used.

    The networks are those of `speaker`, a file that scripts/import_speaker_networks.py makes, or
    else those that the released model was tuned from; or they begin with `init`. Ones that were
    tuned on the same people are no start for folds, which would know their test people.
    """
    network = VoiceEncoder(recipe.network)
    if init:
        init.put_into(network)
    elif speaker:
        network.speaker.load_state_dict(load_speaker_encoder(speaker).state_dict())
    else:
        load_start(find_model(), network.speaker)
    return network.eval()


def load_start(model: Model, speaker: SpeakerEncoder) -> SpeakerEncoder:
    """Put into `speaker` the weights that the training of a model began with.

    Raises ModelError where the model was tuned and does not bring them along.
    """
    facts = model.find_facts("voice_encoder")
    packed = load_weights(model.untuned)[0] if model.untuned else {}
    quantised = "quantised" in facts  # then all are in `packed`
    # Trained end to end, a model has no word on tuning: its speaker networks moved, too.
    if not packed and (quantised or facts["recipe"].get("tuning", True)):
        raise ModelError(f"{model.folder}: tuned, and without {UNTUNED}; give --speaker.")
    if not quantised:
        # The model's head is of its own space, which need not be the one that is trained for.
        load_onnx_weights(nn.ModuleDict({"speaker": speaker}), model.voice_encoder)
    untuned = unpack_untuned(packed, speaker.state_dict())
    speaker.load_state_dict(float32(untuned), strict=quantised)
    return speaker


def identify_start(speaker: Path | None = None) -> str:
    """Identify the networks `load_speaker` begins with, by their file. Raises ModelError."""
    if speaker is None:
        hashes = find_model().card.sha256
        return hash_rows((name, hashes[name]) for name in sorted(hashes) if name != FILES[1])
    load_speaker_encoder(speaker)  # another file is refused before a run is begun with it
    return hash_file(speaker)[:16]


def solve(recipe: VoiceEncoderRecipe, clips: ClipFeatures, chosen: np.ndarray) -> HeadSolution:
    """Solve the head for the frozen networks, from the clips that are chosen (N,) bool."""
    rows = chosen[clips.clip]
    people = [clips.voices.people[i] for i in clips.clip[rows]]
    return solve_head(
        clips.features[rows],
        clips.seconds[rows],
        clips.voices.faces[clips.clip[rows]],
        people,
        clips.whole[rows],
        recipe.head,
    )


def train_voice_encoder(
    recipe: VoiceEncoderRecipe,
    voices: Voices,
    speaker: Path | None,
    folder: Path,
    cache: Path,
    show: ProgressCallback,
    init: InitWeights | None = None,
) -> Path:
    """Train by a recipe; return the path of the weights, `folder`/voice_encoder.safetensors."""
    network = load_speaker(recipe, speaker, init)
    clips = prepare_clips(recipe, network, voices, cache, show)
    everyone = np.ones(len(voices), bool)
    metadata = {
        "network": "voice_encoder",
        "recipe": asdict(recipe),
        "face_encoder": identify_face_encoder(recipe.face_encoder),
        **voices.origin,
        "people": len(set(voices.people)),
        "clips": len(voices),
        "left_out": voices.left_out,
        "start": hash_weights(network.speaker),
        **({"init": init.describe()} if init else {}),
        "version": __version__,
    }
    before = {k: v.clone() for k, v in network.speaker.state_dict().items()}
    head, _ = tune(recipe, network, clips, everyone, folder, metadata, show)
    set_head(network, head)
    tuned = network.speaker.state_dict()
    untuned = {f"untuned/{k}": v for k, v in before.items() if not torch.equal(v, tuned[k])}
    path = folder / WEIGHTS
    save_weights(path, network.state_dict() | untuned, metadata)
    return path


def tune(
    recipe: VoiceEncoderRecipe,
    network: VoiceEncoder,
    clips: ClipFeatures,
    chosen: np.ndarray,
    folder: Path,
    metadata: dict[str, Any],
    show: ProgressCallback,
) -> tuple[HeadSolution, ClipFeatures]:
    """Solve the head for the chosen clips (N,) bool; also the clips as the networks then hear them.

    Where the recipe asks for it `network` is tuned on the chosen clips first, in place.
    """
    head = solve(recipe, clips, chosen)
    if recipe.tuning is None:
        return head, clips
    set_head(network, head)
    task = TuningTask(recipe, network, clips, np.flatnonzero(chosen))
    report = report_progress(show, "tuning the voice encoder")
    fit(task, recipe.tuning, folder / "tuning", metadata, report)
    tuned = clips.extract_again(network.speaker, folder, show)
    return solve(recipe, tuned, chosen), tuned


def set_head(network: GaussianEncoder, head: HeadSolution) -> None:
    tensors = {
        "linear.weight": head.weight,
        "linear.bias": head.bias,
        "average": head.average,
        "residual_covariance": head.residual_covariance,
        "explained_covariance": head.explained_covariance,
        "half_gain_seconds": np.array(head.half_gain_seconds),
        "unshrink": head.unshrink,
        "reach": head.reach,
    }
    network.head.load_state_dict(
        {k: torch.tensor(v, dtype=torch.float32) for k, v in tensors.items()}
    )


class TuningTask:
    """Random crops of the chosen clips; only the recipe's `tuned` layers and the head move.

    What is asked of them is to come near the face: the likelihood, in which the covariance says
    what counts, does worse by folds (docs/training.md). Batch normalisation stays at the statistics
    it was trained with. Crops are cut from what the layers below have heard of a whole clip, and
    GE2E hears it whole.
    """

    def __init__(
        self,
        recipe: VoiceEncoderRecipe,
        network: VoiceEncoder,
        clips: ClipFeatures,
        chosen: np.ndarray,
    ) -> None:
        self.network = network
        self._recipe, self._clips, self._chosen = recipe, clips, chosen
        network.requires_grad_(False)
        network.head.linear.requires_grad_(True)
        for name, parameter in network.speaker.named_parameters():
            parameter.requires_grad_(name.startswith(recipe.tuned))

    def batch(self, step: int, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Inputs of CAM++'s blocks (B, 128, time), GE2E's embeddings (B, 256), and faces (B, D)."""
        frozen = self._clips.frozen
        assert frozen
        time = round(self._recipe.tuning_seconds * FRAMES_A_SECOND)
        rows = rng.choice(self._chosen, self._recipe.tuning_batch, replace=False)
        crops = []
        for row in rows:
            entered = frozen.entered[row]
            entered = np.tile(entered, -(-time // entered.shape[1]))  # a short clip is repeated
            start = rng.integers(entered.shape[1] - time + 1)
            crops.append(entered[:, start : start + time])
        faces = self._clips.voices.faces[rows]
        return torch.tensor(np.array(crops)), torch.tensor(frozen.ge2e[rows]), torch.tensor(faces)

    def losses(self, batch: tuple[Tensor, Tensor, Tensor]) -> dict[str, Tensor]:
        entered, ge2e, faces = batch
        self.network.eval()
        features = self.network.speaker.finish(entered, ge2e)
        with torch.autocast(features.device.type, enabled=False):  # it gains nothing in the head
            seconds = torch.full((len(faces),), self._recipe.tuning_seconds, device=faces.device)
            mean, covariance = self.network.head(features.float(), seconds)
            return self.compare(mean, covariance, faces)

    def compare(self, mean: Tensor, covariance: Tensor, faces: Tensor) -> dict[str, Tensor]:
        """The losses of Gaussians, mean (B, D) and covariance (B, D, D), of faces (B, D)."""
        return {"distance": regression_loss(mean, faces)}


def load_untuned(path: Path) -> dict[str, Tensor]:
    """The speaker networks' weights that tuning changed, as they were before; may be none."""
    tensors, _ = load_weights(path)
    return {k.removeprefix("untuned/"): v for k, v in tensors.items() if k.startswith("untuned/")}


def load_voice_encoder(path: Path) -> tuple[VoiceEncoder, dict[str, Any]]:
    """The released network of a weights file, ready to run, and the file's metadata.

    Raises ModelError where the file is none, or of another network.
    """
    tensors, metadata = load_weights(path)
    if (found := metadata.get("network", "voice_encoder")) != "voice_encoder":
        raise ModelError(f"{path}: holds a {found}; wanted the released network, a voice_encoder.")
    tensors = {k: v for k, v in tensors.items() if not k.startswith("untuned/")}
    sizes = metadata["recipe"]["network"]
    network = VoiceEncoder(
        VoiceEncoderConfig(sizes["face_embedding"], read_config(sizes["speaker"]))
    )
    network.load_state_dict(float32(tensors))
    return network.eval(), metadata
