"""The face decoder: embedding → landmarks, skin, hair → warp → canonical picture.

Shape and texture are drawn apart, as by Cole et al. (CVPR 2017): the head is painted in the
coordinates of the mean shape, and a warp moves it onto the landmarks and the head's outline. Shape
and skin are linear maps of the embedding, solved in closed form (`training.face_decoder`), so
whatever embedding comes gets a plausible face, and a mean gets the mean. What is not linear:

- Nothing leaves the range of real faces: lightness, colour and landmarks approach its limits
  (`limit`).
- Skin and features have the contrast of a person, not that of a mean: each band of detail gets the
  energy that people like this have there (Tiddeman, Burt and Perrett, IEEE CG&A 21(5), 2001).
- Hair is not in a voice, and the mean of all hair is no hair: one of a few typical shapes and
  colours is chosen.
- Ears, the skull and how the halves of a face differ are hardly in it either: they are quirks, a
  fixed function of the face that is distributed as they are among people (`draw_quirks`).

Skin is symmetric: its left half is drawn, and mirrored before the warp. Hair is parted and combed
to a side.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from speech2face.networks.line_maps import blur_matrix, enlarging_matrix, fold, narrowing_matrix
from speech2face.networks.spline_basis import spline_basis
from speech2face.networks.spline_warp import warp

LIGHT_RANGE, COLOUR_RANGE, SHAPE_RANGE = 2.5, 2.0, 2.5  # standard deviations of people, see `limit`
BANDS = (1.4, 2.8, 5.6)  # of detail: each is what a Gaussian of so many pixels of 224 takes away
ENERGY_BLUR = (5.0, 6.0, 8.0)  # over which a band's energy is taken
CONTRAST, LEAST_GAIN, MOST_GAIN = 1.2, 0.75, 2.8  # how far a band gets its energy, and its limits
# Planes of hair, each of whole numbers from 0 to `LEVELS`, and what the greatest stands for.
HAIR_PLANES, LEVELS = {"hair_front": 1.0, "hair_back": 1.0, "hair_light": 2.55}, 255
SHINE = 0.075  # of what hair sends back, whatever its colour
SCATTER = 0.45  # of light that goes on from strand to strand of fair hair, so that shade is softer
CALM = 0.9  # hair of half this lightness shines most in its own colour
TASTE = 1.0  # how fast the liking for a kind of hair, or a quirk, changes with the face
SIDE = 0.03  # how much lighter and darker the sides of a face are than its middle
# A bust fades out as a vignette, a rounded oval: its half width and height, how far down its middle
# lies, fractions of the picture, and from which part of it.
BUST, BUST_MIDDLE, FADING = (0.51, 0.45), 0.54, 0.80
ROUNDED = 2.8  # 2 is an ellipse, more is nearer to a rectangle
NEAR = 0.05  # of an embedding to the average: nearer ones have less and less direction
# Luma and two differences to it → red, green, blue.
TO_RGB = ((1.0, 0.0, 1.0), (1.0, -0.114 / 0.587, -0.299 / 0.587), (1.0, 1.0, 0.0))


@dataclass(frozen=True)
class FaceDecoderConfig:
    """Sizes of the decoder; they travel in the metadata of its weights."""

    embedding: int = 128  # numbers of a face's embedding
    landmarks: int = 66  # points of the face that are moved
    outline: int = 11  # points of the head's outline that are moved
    quirks: int = 8  # modes of what an embedding does not tell of the shape
    size: int = 224  # of the picture, pixels; even
    colour: int = 56  # of the skin's colour, which changes less over the face than lightness; even
    energy: int = 28  # of the maps of each band's energy; even
    warp_grid: int = 56  # points a side at which the displacement field is computed
    warp_steps: int = 2  # fixed-point steps that turn the field around

    def __post_init__(self) -> None:
        counts = {**vars(self), "warp_steps": self.warp_steps + 1}  # 0 leaves faces unwarped
        if below := [name for name, size in counts.items() if size < 1]:
            raise ValueError(f"{' and '.join(below)}: too few")
        if odd := [name for name in ("size", "colour", "energy") if vars(self)[name] % 2]:
            raise ValueError(f"{' and '.join(odd)}: even")


class FaceDecoder(nn.Module):
    """Embedding (B, D) → picture and landmarks.

    Hair is chosen by the embedding's direction from `hair_centre`, so that a face drawn farther out
    from there keeps its hair: the likeliest shape and colour for people who look so, but for a
    liking (`draw_chances`) that differs from face to face, so that each kind of hair is met as
    often as among the people learned from.
    """

    mean_shape: Tensor
    warp_basis: Tensor
    average: Tensor
    shape_slope: Tensor
    shape_offset: Tensor
    shape_spread: Tensor
    quirks: Tensor
    quirk_taste: Tensor
    light_slope: Tensor
    light_offset: Tensor
    light_middle: Tensor
    light_spread: Tensor
    colour_slope: Tensor
    colour_offset: Tensor
    colour_middle: Tensor
    colour_spread: Tensor
    energy_slope: Tensor
    energy_offset: Tensor
    skin_cover: Tensor
    hair_front: Tensor
    hair_back: Tensor
    hair_light: Tensor
    hair_colours: Tensor
    hair_centre: Tensor
    hair_slope: Tensor
    hair_offset: Tensor
    hair_taste: Tensor
    enlarge_colour: Tensor
    fold_colour: Tensor
    enlarge_energy: Tensor
    fold_energy: Tensor
    blurs: Tensor
    folded_blurs: Tensor
    narrows: Tensor
    folded_narrows: Tensor
    to_rgb: Tensor
    bust: Tensor
    side_light: Tensor

    def __init__(
        self,
        config: FaceDecoderConfig,
        mean_shape: np.ndarray | None = None,
        shapes: int = 1,
        colours: int = 1,
    ) -> None:
        """`mean_shape` (points, 2), landmarks and then the outline's, in fractions of the picture;
        None before loading weights.

        `shapes` and `colours` of hair, without baldness.
        """
        super().__init__()
        self.config = config
        self.shapes, self.colours = shapes + 1, colours  # none is the first shape
        size, dims = config.size, config.embedding
        self.points = config.landmarks + config.outline
        shape = np.zeros((self.points, 2)) if mean_shape is None else mean_shape
        basis = np.zeros((config.warp_grid**2, self.points))
        if mean_shape is not None:
            basis = spline_basis(mean_shape, config.warp_grid)
        half, small, tiny = (n * n // 2 for n in (size, config.colour, config.energy))
        self.kinds = self.shapes + colours
        sizes = {
            "average": (dims,),
            "shape_slope": (dims, self.points * 2),
            "shape_offset": (self.points * 2,),
            "shape_spread": (self.points * 2,),
            "quirks": (config.quirks, self.points * 2),
            "quirk_taste": (dims, config.quirks),
            "light_slope": (dims, half),
            "light_offset": (half,),
            "light_middle": (half,),
            "light_spread": (half,),
            "colour_slope": (dims, 2 * small),
            "colour_offset": (2 * small,),
            "colour_middle": (2 * small,),
            "colour_spread": (2 * small,),
            "energy_slope": (dims, len(BANDS) * tiny),
            "energy_offset": (len(BANDS) * tiny,),  # natural logarithms
            "skin_cover": (size, size // 2),  # how surely there is skin: head, neck
            "hair_colours": (colours, 3),
            "hair_centre": (dims,),  # where strength is counted from: the voices' average face
            "hair_slope": (dims, self.kinds),
            "hair_offset": (self.kinds,),
            "hair_taste": (dims, self.kinds),
        }
        self.register_buffer("mean_shape", torch.tensor(shape, dtype=torch.float32))
        self.register_buffer("warp_basis", torch.tensor(basis, dtype=torch.float32))
        for name, of in sizes.items():
            self.register_buffer(name, torch.zeros(of))
        # How surely hair covers head and ground, the same of the hair behind the neck, and how
        # light hair is: in `LEVELS` levels, as they are most of the file.
        for name in HAIR_PLANES:
            self.register_buffer(name, torch.zeros(self.shapes, size * size, dtype=torch.uint8))
        scale = size / 224
        blurs = torch.stack([blur_matrix(size, scale * sigma) for sigma in BANDS])
        narrows = torch.stack(
            [narrowing_matrix(size, config.energy, scale * sigma) for sigma in ENERGY_BLUR]
        )
        colour, energy = (enlarging_matrix(n, size) for n in (config.colour, config.energy))
        fixed = {
            "enlarge_colour": colour,
            "fold_colour": fold(colour).T,
            "enlarge_energy": energy,
            "fold_energy": fold(energy).T,
            "blurs": blurs,
            "folded_blurs": fold(blurs).mT,
            "narrows": narrows,
            "folded_narrows": fold(narrows).mT,
            "to_rgb": torch.tensor(TO_RGB),
            "bust": fade_out(size),
            "side_light": torch.linspace(1 + SIDE, 1 - SIDE, size),
        }
        for name, values in fixed.items():
            self.register_buffer(name, values.contiguous(), False)

    def forward(
        self, embedding: Tensor, hair: Tensor | None = None, turn: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """(B, D) → picture (B, 3, S, S), RGB in [0, 1], and where its landmarks are (B, K, 2),
        fractions of it.

        `hair` (B, kinds) is added to the chances of each kind of hair, and `turn` (B, kinds) turns
        the likings, see `draw_chances`.
        """
        displacement = self.draw_shape(embedding)
        picture = self.warp(self.draw_head(embedding, hair, turn), displacement)
        points = (self.mean_shape + displacement)[:, : self.config.landmarks]
        return picture.clamp(0, 1), points

    def draw_head(
        self, embedding: Tensor, hair: Tensor | None = None, turn: Tensor | None = None
    ) -> Tensor:
        """(B, D) → the head on white ground before the warp, (B, 3, S, S)."""
        chances = self.draw_chances(embedding, turn)
        shape, colour = self.choose_hair(chances if hair is None else chances + hair)
        return self.lay_hair(self.draw_skin(embedding), shape, colour)

    # Shape -------------------------------------------------------------------------------------

    def draw_shape(self, embedding: Tensor) -> Tensor:
        """(B, D) → how far landmarks and outline lie from the mean shape's, (B, points, 2)."""
        moved = (embedding - self.average) @ self.shape_slope
        moved = limit(moved, torch.zeros_like(self.shape_offset), SHAPE_RANGE * self.shape_spread)
        moved = moved + self.shape_offset + self.draw_quirks(embedding) @ self.quirks
        return moved.unflatten(1, (self.points, 2))

    def draw_quirks(self, embedding: Tensor) -> Tensor:
        """(B, D) → how much of each quirk a face has, (B, quirks): over faces even from −√3 to √3,
        so of spread 1, and the same for the same face; the average face has none."""
        towards, sure = self._direct(embedding)
        return sure * math.sqrt(3) * (2 * wave(towards @ self.quirk_taste) - 1)

    def _direct(self, embedding: Tensor) -> tuple[Tensor, Tensor]:
        """Direction (B, D) from the average face, and how sure it is (B, 1): 0 there, then 1."""
        away = embedding - self.hair_centre
        towards = away / torch.sqrt((away * away).sum(1, keepdim=True) + NEAR**2)
        return towards, torch.sqrt((towards * towards).sum(1, keepdim=True))

    def warp(self, texture: Tensor, displacement: Tensor) -> Tensor:
        """Move a texture (B, 3, S, S) from the mean shape by displacements (B, K, 2)."""
        return warp(texture, displacement, self.warp_basis, self.config.warp_steps)

    # Skin --------------------------------------------------------------------------------------

    def draw_skin(self, embedding: Tensor) -> Tensor:
        """(B, D) → left half of a head all of skin: face, scalp, ears, neck. (B, 3, S, S/2)."""
        config, away = self.config, embedding - self.average
        light = away @ self.light_slope + self.light_offset
        light = limit(light, self.light_middle, LIGHT_RANGE * self.light_spread)
        light = light.unflatten(1, (1, config.size, config.size // 2))
        colour = away @ self.colour_slope + self.colour_offset
        colour = limit(colour, self.colour_middle, COLOUR_RANGE * self.colour_spread)
        colour = colour.unflatten(1, (2, config.colour, config.colour // 2))
        colour = self.enlarge_colour @ colour @ self.fold_colour  # (B, 2, S, S/2)
        energy = (away @ self.energy_slope + self.energy_offset).unflatten(
            1, (len(BANDS), config.energy, config.energy // 2)
        )
        skin = torch.cat([self.add_contrast(light, energy), colour], dim=1)
        return (self.to_rgb @ skin.flatten(2)).unflatten(2, (config.size, config.size // 2))

    def add_contrast(self, light: Tensor, energy: Tensor) -> Tensor:
        """Lightness (B, 1, S, S/2) → the same with the energy of detail that is wanted, the
        logarithm by band and place (B, bands, E, E/2)."""
        bands = self.split_bands(light)
        gain = torch.exp(CONTRAST / 2 * (energy - self.measure_energy(bands)))
        gain = gain.clamp(LEAST_GAIN, MOST_GAIN)
        gain = self.enlarge_energy @ gain @ self.fold_energy
        return light + ((gain - 1) * bands).sum(1, keepdim=True)

    def measure_energy(self, bands: Tensor) -> Tensor:
        """Bands of detail (B, bands, S, S/2) → logarithm of their energy (B, bands, E, E/2)."""
        return torch.log(self.narrows @ (bands * bands) @ self.folded_narrows + 1e-6)

    def split_bands(self, light: Tensor) -> Tensor:
        """Lightness (B, 1, S, S/2) → its bands of detail (B, bands, S, S/2), finest first."""
        blurred = self.blurs @ light @ self.folded_blurs
        return torch.cat([light, blurred[:, :-1]], dim=1) - blurred

    # Hair --------------------------------------------------------------------------------------

    def draw_chances(self, embedding: Tensor, turn: Tensor | None = None) -> Tensor:
        """(B, D) → how much each kind of hair suits, (B, kinds): none, the shapes, the colours.

        The logarithm of how likely it is for people who look so, and on it a liking, distributed
        as Gumbel's (the average face has none): the kind that has most is then met as often as it
        is likely. The liking is a function of the face, made of triangle waves, so that the same
        face has the same hair. `turn` (B, kinds) from 0 to 2 is a part of their wave: turned by
        random numbers, the same face has another hair, each kind again as often as it is likely.
        """
        towards, sure = self._direct(embedding)
        liking = wave(towards @ self.hair_taste, turn).clamp(1e-4, 1 - 1e-4)
        return towards @ self.hair_slope + self.hair_offset - sure * torch.log(-torch.log(liking))

    def choose_hair(self, chances: Tensor) -> tuple[Tensor, Tensor]:
        """Chances (B, kinds) → shape, 0 for none, and colour of the hair, (B,) each."""
        return chances[:, : self.shapes].argmax(1), chances[:, self.shapes :].argmax(1)

    def lay_hair(self, skin: Tensor, shape: Tensor, colour: Tensor) -> Tensor:
        """Left half of a head of skin (B, 3, S, S/2) → the head on white ground, with the hair
        behind and before it (B, 3, S, S)."""
        size = self.config.size

        def layer(name: str) -> Tensor:
            planes = self.get_buffer(name).index_select(0, shape).unflatten(1, (1, size, size))
            return planes.float() * (HAIR_PLANES[name] / LEVELS)

        own = self.hair_colours.index_select(0, colour)[:, :, None, None]
        light = layer("hair_light")
        shine = (light - 1).clamp(min=0) * (own * (CALM - own) + SHINE)
        shade = (1 - light).clamp(min=0) * (1 - SCATTER * own)
        hair = own * (1 - shade) + shine  # in shade its own colour, in light that of light
        back, front = layer("hair_back"), layer("hair_front")
        picture = 1 - back + hair * back
        bust = 1 - mirror(self.bust) * (1 - self.side_light * mirror(skin.clamp(0, 1)))
        picture = picture + mirror(self.skin_cover) * (bust - picture)
        return picture + front * (hair - picture)


def to_levels(values: Tensor, name: str) -> Tensor:
    """Values of one of the `HAIR_PLANES` → the nearest levels, uint8 of the same shape."""
    return (values * (LEVELS / HAIR_PLANES[name])).round().clamp(0, LEVELS).byte()


def wave(liking: Tensor, turn: Tensor | None = None) -> Tensor:
    """Triangle waves of likings (B, N), of period 2 and evenly distributed from 0 to 1, each with a
    phase of its own, and `turn` (B, N) added to it."""
    golden = (math.sqrt(5) - 1) / 2
    phase = TASTE * liking / torch.sqrt((liking * liking).mean(1, keepdim=True) + 1e-8)
    phase = phase + 2 * golden * torch.arange(liking.shape[1], device=liking.device)
    phase = phase if turn is None else phase + turn
    return (phase - 2 * torch.floor(phase / 2) - 1).abs()


def mirror(half: Tensor) -> Tensor:
    """The left half of a symmetric picture (..., S/2) → the picture (..., S)."""
    return torch.cat([half, half.flip(-1)], dim=-1)


def limit(values: Tensor, middle: Tensor, reach: Tensor) -> Tensor:
    """Values (B, N) near `middle` (N,) as they are, those far from it within `reach` (N,)."""
    return middle + reach * torch.tanh((values - middle) / (reach + 1e-4))


def fade_out(size: int) -> Tensor:
    """Opacity of the left half of a bust, which fades into the ground below: (size, size/2)."""
    line = (torch.arange(size) + 0.5) / size
    low = (line - BUST_MIDDLE).clamp(min=0)[:, None] / BUST[1]
    aside = (0.5 - line[: size // 2]) / BUST[0] * (low / 0.5).clamp(max=1)
    x = (((low**ROUNDED + aside**ROUNDED) ** (1 / ROUNDED) - FADING) / (1 - FADING)).clamp(0, 1)
    return 1 - x**2 * (3 - 2 * x)
