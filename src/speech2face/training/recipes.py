"""Recipes: each a function that returns all of a network's making but the data.

Each docstring gives the command, what it takes on 2 CPU cores, and what came out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeVar

from speech2face.errors import UsageError
from speech2face.networks.face_decoder import FaceDecoderConfig
from speech2face.networks.texture_critic import TextureCriticConfig
from speech2face.training.face_decoder import CanonicalPhase, FaceDecoderRecipe
from speech2face.training.gaussian_head import HeadConfig
from speech2face.training.loop import LoopConfig
from speech2face.training.voice_encoder import VoiceEncoderRecipe

Recipe = TypeVar("Recipe")


def face_decoder() -> FaceDecoderRecipe:
    """The released decoder, second version.

    speech2face train face-decoder --faces faces --pairs pairs --out runs/face-decoder

    Measuring 12,200 pictures 10 min, first phase 15 to 25 min, second 6 min. Faces drawn from
    voices, two-way by five folds: dlib .825 [.813, .837], SFace .656 [.638, .675].
    """
    return FaceDecoderRecipe(
        name="face-decoder",
        network=FaceDecoderConfig(),
        photographs=LoopConfig(steps=3000, learning_rate=1e-3, betas=(0.5, 0.99), bfloat16=True),
        canonical=CanonicalPhase(
            LoopConfig(steps=700, learning_rate=8e-4, betas=(0.5, 0.99), bfloat16=True)
        ),
    )


def face_decoder_256() -> FaceDecoderRecipe:
    """The same at 256 pixels.

    speech2face train face-decoder --faces faces --pairs pairs --out runs/256 --recipe 256

    Takes 1.3 times as long; better on a GPU (--device cuda). Not released.
    """
    return replace(face_decoder(), name="face-decoder-256", network=FaceDecoderConfig(size=256))


def face_decoder_debug() -> FaceDecoderRecipe:
    """Seconds on a handful of pictures: shows that everything runs, draws nothing of worth."""
    return FaceDecoderRecipe(
        name="face-decoder-debug",
        network=FaceDecoderConfig(size=64, channels=(16, 12, 8), hidden=32, warp_grid=16),
        critic=TextureCriticConfig(channels=(8, 8)),
        photographs=LoopConfig(steps=6, warmup=2, log_every=1),
        canonical=CanonicalPhase(LoopConfig(steps=4, warmup=2, log_every=1), photographs=12),
        critic_start=3,
        batch=4,
    )


def voice_encoder() -> VoiceEncoderRecipe:
    """The released encoder: CAM++'s last block tuned by the Gaussian likelihood, then the head.

    speech2face train voice-encoder --pairs pairs --out runs/voice-encoder

    10 min: listening twice, and 200 steps in 1.5 min between. By five folds over 775 people:
    likelihood ratio .847 [.836, .858], which is .006 [.003, .008] more than frozen.
    """
    return VoiceEncoderRecipe(
        name="voice-encoder",
        tuning=LoopConfig(steps=200, learning_rate=1e-4, weight_decay=0.0, average=0.98),
    )


def voice_encoder_frozen() -> VoiceEncoderRecipe:
    """Speaker networks as they are, the head in closed form.

    speech2face train voice-encoder --pairs pairs --out runs/frozen --recipe frozen

    6 min, most of it listening. By five folds over 775 people: likelihood ratio .842
    [.831, .852].
    """
    return VoiceEncoderRecipe(name="voice-encoder-frozen")


def voice_encoder_debug() -> VoiceEncoderRecipe:
    """Seconds on a handful of pairs: shows that everything runs, knows nothing."""
    return VoiceEncoderRecipe(
        name="voice-encoder-debug",
        head=HeadConfig(inner_folds=2),
        crop_seconds=(0.5,),
        tuning=LoopConfig(steps=3, learning_rate=1e-4, warmup=1, log_every=1),
        tuning_batch=2,
        tuning_seconds=1.0,
    )


VOICE_ENCODERS: Mapping[str, Callable[[], VoiceEncoderRecipe]] = {
    "default": voice_encoder,
    "frozen": voice_encoder_frozen,
    "debug": voice_encoder_debug,
}
FACE_DECODERS: Mapping[str, Callable[[], FaceDecoderRecipe]] = {
    "default": face_decoder,
    "256": face_decoder_256,
    "debug": face_decoder_debug,
}


def find_recipe(recipes: Mapping[str, Callable[[], Recipe]], name: str) -> Recipe:
    """The recipe of a name; raises UsageError with the names there are."""
    if name not in recipes:
        raise UsageError(f"no recipe {name}; there are {', '.join(recipes)}.")
    return recipes[name]()
