"""Options of a training of the voice encoder beside its recipe, and what they are made of."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path

from torch import nn

from speech2face.errors import UsageError
from speech2face.networks.attentive_voice_encoder import AttentiveEncoderConfig
from speech2face.networks.paper_loss import load_linear
from speech2face.training.checkpoint import hash_weights
from speech2face.training.end_to_end_task import EndToEndRecipe, LossWeights
from speech2face.training.init_weights import InitWeights, read_init
from speech2face.training.voice_encoder import VoiceEncoderRecipe, identify_start

EncoderRecipe = VoiceEncoderRecipe | EndToEndRecipe


@dataclass(frozen=True)
class Options:
    """Options of a training beside its recipe."""

    speaker: Path | None = None  # networks to start from
    init: Path | None = None  # earlier weights to begin with
    device: str = "cpu"
    decoder_layer: Path | None = None
    recogniser_layer: Path | None = None
    balance: bool = False
    compile: bool = False
    channels_last: bool = False
    checkpoint_minutes: float = 2.0

    @cached_property
    def weights(self) -> InitWeights | None:
        """The weights to begin with. Raises what `read_init` raises."""
        return read_init(self.init) if self.init else None

    @cached_property
    def decoder(self) -> nn.Linear | None:
        """The face decoder's first layer. Raises what `load_linear` raises."""
        return load_linear(self.decoder_layer) if self.decoder_layer else None

    @cached_property
    def recogniser(self) -> nn.Linear | None:
        """The recogniser's last layer. Raises what `load_linear` raises."""
        return load_linear(self.recogniser_layer) if self.recogniser_layer else None

    def hash_layers(self) -> list[str | None]:
        """The identity of each layer of the paper's loss, as weights have it in their metadata."""
        return [layer and hash_weights(layer) for layer in (self.decoder, self.recogniser)]

    def identify(self, recipe: EncoderRecipe) -> dict[str, str]:
        """Identify by content, and read, all that a recipe begins with beside the data."""
        inputs = {}
        if self.weights:
            inputs["weights to begin with"] = self.weights.digest
        elif isinstance(recipe, VoiceEncoderRecipe) or recipe.start:
            inputs["speaker networks"] = identify_start(self.speaker)
        for name, layer in zip(("decoder", "recogniser"), self.hash_layers(), strict=True):
            if layer:
                inputs[f"{name} layer"] = layer
        return inputs


def check_options(recipe: EncoderRecipe, options: Options) -> None:
    """Raises UsageError where one is given that the recipe has no use for, or is missing."""
    useful = {"init"}
    if isinstance(recipe, VoiceEncoderRecipe):
        useful.add("speaker")
    else:
        layers = {"decoder_layer", "recogniser_layer"}
        useful |= {"device", "compile", "checkpoint_minutes"}
        if recipe.start:
            useful.add("speaker")
        if recipe.weights.paper:
            useful |= {*layers, "balance"}
        if not isinstance(recipe.network, AttentiveEncoderConfig):
            useful.add("channels_last")  # of two-dimensional convolutions
        alone = recipe.weights == LossWeights(paper=recipe.weights.paper)
        if alone and not any(getattr(options, layer) for layer in layers):
            raise UsageError(
                f"recipe {recipe.name} needs a layer for the paper's loss, which else leaves the "
                "length of embeddings open: --decoder-layer, --recogniser-layer or both."
            )
    given = [f.name for f in fields(options) if getattr(options, f.name) != f.default]
    if unfit := [f"--{name.replace('_', '-')}" for name in given if name not in useful]:
        raise UsageError(f"{', '.join(unfit)}: not for recipe {recipe.name}.")
    if options.speaker and options.init:
        raise UsageError("--speaker and --init both name weights to begin with; give one of them.")
