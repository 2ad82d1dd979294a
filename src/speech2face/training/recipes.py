"""Recipes: each a function that returns all of a network's making but the data.

Each docstring gives the command, what it takes on 2 CPU cores unless it says otherwise, and what
came out.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeVar, cast

from speech2face.errors import UsageError
from speech2face.face_encoders import load_face_encoder
from speech2face.name_suggestions import suggest
from speech2face.networks.attentive_voice_encoder import AttentiveEncoderConfig
from speech2face.networks.face_decoder import FaceDecoderConfig
from speech2face.networks.paper_voice_encoder import PaperVoiceEncoderConfig
from speech2face.networks.voice_encoder import VoiceEncoderConfig
from speech2face.training.encoder_factory import fit_size
from speech2face.training.end_to_end_task import EndToEndRecipe, LossWeights
from speech2face.training.face_decoder import FaceDecoderRecipe
from speech2face.training.gaussian_head import HeadConfig
from speech2face.training.loop import LoopConfig
from speech2face.training.shard_dataset import Augmentation
from speech2face.training.voice_encoder import VoiceEncoderRecipe

Recipe = TypeVar("Recipe", bound=FaceDecoderRecipe | VoiceEncoderRecipe | EndToEndRecipe)


def face_decoder() -> FaceDecoderRecipe:
    """The released decoder, in layers; the fourth version.

    speech2face train face-decoder --pairs pairs --pairs more --out runs/face-decoder

    Measuring 1,620 pictures 3 min, solving a minute. Faces drawn from voices, two-way by five folds
    over 1,090 people: dlib .836 [.826, .846], SFace .649 [.632, .665].
    """
    return FaceDecoderRecipe(name="face-decoder", network=FaceDecoderConfig())


def face_decoder_debug() -> FaceDecoderRecipe:
    """A decoder in seconds on a handful of pictures: shows that all runs, draws nothing good."""
    network = FaceDecoderConfig(size=64, colour=16, energy=8, warp_grid=16)
    return FaceDecoderRecipe(name="face-decoder-debug", network=network, penalty=30.0)


def voice_encoder() -> VoiceEncoderRecipe:
    """The released encoder: CAM++'s blocks tuned to come near the face, then the head.

    speech2face train voice-encoder --pairs pairs --pairs more --out runs/voice-encoder

    15 min: listening, and 200 steps in 3 min. By five folds over 1,090 people: likelihood ratio
    .873 [.865, .881], which is .005 [.002, .008] more than a linear map.
    """
    return VoiceEncoderRecipe(
        name="voice-encoder",
        tuning=LoopConfig(
            steps=200, learning_rate=1e-4, weight_decay=0.0, average=0.98, bfloat16=True
        ),
    )


def voice_encoder_frozen() -> VoiceEncoderRecipe:
    """Speaker networks as they are, the head in closed form.

    speech2face train voice-encoder --pairs pairs --out runs/frozen --recipe frozen

    10 min, most of it listening. By five folds over 1,090 people: likelihood ratio
    .867 [.859, .875], as a linear map.
    """
    return VoiceEncoderRecipe(name="voice-encoder-frozen")


def voice_encoder_debug() -> VoiceEncoderRecipe:
    """An encoder in seconds on a handful of pairs: shows that everything runs, knows nothing."""
    return VoiceEncoderRecipe(
        name="voice-encoder-debug",
        head=HeadConfig(inner_folds=2),
        crop_seconds=(0.5,),
        tuning=LoopConfig(steps=3, learning_rate=1e-4, warmup=1),
        tuning_batch=2,
        tuning_seconds=1.0,
    )


def paper() -> EndToEndRecipe:
    """Oh et al. (CVPR 2019): its network, its loss and its schedule, for millions of clips.

    speech2face train voice-encoder --recipe paper --pairs set --out runs/paper --device cuda \\
        --decoder-layer decoder.safetensors --recogniser-layer recogniser.safetensors

    Three epochs of a set of 1.7 million clips in batches of 8, so on one process; for a GPU. Not
    measured yet. The paper heard the first six seconds of a clip, here they are any six.
    """
    return EndToEndRecipe(
        name="paper",
        network=PaperVoiceEncoderConfig(),
        loop=LoopConfig(
            steps=3 * 1_700_000 // 8,
            learning_rate=1e-3,
            warmup=0,
            schedule="decay",
            decay=0.95,
            decay_steps=10_000,
            betas=(0.5, 0.999),
            epsilon=1e-4,
            weight_decay=0.0,
            clip=1e9,  # of which the paper says nothing: never
            average=0.0,
            validate_every=10_000,
        ),
        weights=LossWeights(paper=1.0),
        batch=8,
        seconds=(6.0, 6.0),
    )


def paper_pairs() -> EndToEndRecipe:
    """The same network and loss from nothing on a few hundred pairs.

    speech2face train voice-encoder --recipe paper-pairs --pairs pairs --out runs/paper-pairs \\
        --device cuda --balance --decoder-layer decoder.safetensors

    For a GPU; not run whole yet. It begins by saying the average face of everybody: from a random
    last layer, few steps only bring it near any face. 100 steps of 8 crops of 3 s, in bfloat16
    20 min on one core, from 550 people, by five folds: two-way by cosine .609 [.591, .628], by
    likelihood ratio .562 [.542, .581].
    """
    whole = paper()
    loop = replace(
        whole.loop, steps=2000, learning_rate=3e-4, decay_steps=50, clip=1.0, validate_every=100
    )
    return replace(whole, name="paper-pairs", loop=loop, from_average=True)


def attentive() -> EndToEndRecipe:
    """Attentive statistics pooling from nothing: near the face, and nearer than to other people's.

    speech2face train voice-encoder --recipe attentive --pairs set --out runs/attentive

    Meant for many clips; not run whole yet. 600 steps of 16 crops of 3 s, in bfloat16 3 min on one
    core, from 550 people, by five folds: two-way by cosine .683 [.667, .700].
    """
    return EndToEndRecipe(
        name="attentive",
        network=AttentiveEncoderConfig(),
        loop=LoopConfig(steps=5000, learning_rate=1e-3, validate_every=250, patience=8),
        weights=LossWeights(distance=1.0, contrastive=0.1),
        batch=64,
        seconds=(2.0, 6.0),
    )


def contrastive() -> EndToEndRecipe:
    """The released network, all of it tuned: by its likelihood, and to tell faces apart.

    speech2face train voice-encoder --recipe contrastive --pairs pairs --out runs/contrastive

    Begins as `frozen` ends. Meant for many clips; not run whole yet. On 620 people, with CAM++'s
    last block tuned, the contrastive loss takes .012 [.007, .017] of the likelihood ratio.
    """
    return EndToEndRecipe(
        name="contrastive",
        network=VoiceEncoderConfig(),
        start=voice_encoder_frozen(),
        loop=LoopConfig(
            steps=1000,
            learning_rate=1e-4,
            factors=(("speaker.", 0.1),),
            weight_decay=0.0,
            average=0.98,
            validate_every=50,
            patience=6,
        ),
        weights=LossWeights(nll=1.0, contrastive=0.1),
        batch=32,
        seconds=(2.0, 6.0),
        augmentation=Augmentation(),
    )


def end_to_end_debug() -> EndToEndRecipe:
    """An encoder in seconds on a handful of clips: shows that everything runs, knows nothing.

    It takes no maxima over time. Rounding decides which of two like frames is the greater, and
    with maxima another processor soon follows another curve.
    """
    return EndToEndRecipe(
        name="end-to-end-debug",
        network=PaperVoiceEncoderConfig(
            channels=(4, 4, 4, 4, 4, 4, 8, 8, 8),
            pooled=(),
            strided=(3, 4, 8, 9),
            hidden=16,
            least_seconds=1.5,
        ),
        loop=LoopConfig(steps=10, learning_rate=3e-4, warmup=2),
        weights=LossWeights(paper=1.0, distance=1.0, contrastive=1.0),
        temperature=0.5,
        batch=6,
        seconds=(0.5, 1.5),
        held_out=0.25,
    )


VOICE_ENCODERS: Mapping[str, Callable[[], VoiceEncoderRecipe]] = {
    "default": voice_encoder,
    "frozen": voice_encoder_frozen,
    "debug": voice_encoder_debug,
}
END_TO_END: Mapping[str, Callable[[], EndToEndRecipe]] = {
    "paper": paper,
    "paper-pairs": paper_pairs,
    "attentive": attentive,
    "contrastive": contrastive,
    "end-to-end-debug": end_to_end_debug,
}
ENCODERS: Mapping[str, Callable[[], VoiceEncoderRecipe | EndToEndRecipe]] = ChainMap(
    cast(Any, END_TO_END), cast(Any, VOICE_ENCODERS)
)  # a view of both, the second first
FACE_DECODERS: Mapping[str, Callable[[], FaceDecoderRecipe]] = {
    "default": face_decoder,
    "debug": face_decoder_debug,
}


def enter_space(recipe: Recipe, face_encoder: str | None = None) -> Recipe:
    """The recipe with a network of the size of its recogniser's embeddings, or of another's.

    Raises what `load_face_encoder` raises.
    """
    face_encoder = face_encoder or recipe.face_encoder
    size = load_face_encoder(face_encoder).size
    network = recipe.network
    if isinstance(network, FaceDecoderConfig):
        network = replace(network, embedding=size)
    else:
        network = fit_size(network, size)
    return replace(recipe, network=network, face_encoder=face_encoder)


def find_recipe(recipes: Mapping[str, Callable[[], Recipe]], name: str) -> Recipe:
    """The recipe of a name; raises UsageError with the names there are."""
    if name not in recipes:
        raise UsageError(
            f"no recipe {name}; there are {', '.join(recipes)}, and FILE.py:NAME of your own."
            f"{suggest(name, recipes)}"
        )
    return recipes[name]()
