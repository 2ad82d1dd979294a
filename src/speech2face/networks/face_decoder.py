"""The face decoder: embedding → landmarks, skin, hair → warp → canonical picture.

Shape and texture are drawn apart, as by Cole et al. (CVPR 2017): the head is painted in the
coordinates of the mean shape, and a warp moves it onto the landmarks. Landmarks and skin are
linear maps of the embedding, solved in closed form (`training.face_decoder`), so whatever
embedding comes gets a plausible face, and a mean gets the mean. Three things are not linear:

- No pixel leaves the range of real faces: lightness and colour approach its limits (`limit`).
- Skin and features have the contrast of a person, not that of a mean: each band of detail gets the
  energy that people like this have there (Tiddeman, Burt and Perrett, IEEE CG&A 21(5), 2001).
- Hair is not in a voice, and the mean of all hair is no hair: one of a few typical shapes and
  colours is chosen.

The face is symmetric: its left half is drawn, and mirrored before the warp. What makes the halves
of a photograph differ is light, pose and chance. Hair is parted and combed to a side.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from speech2face.networks.spline_basis import spline_basis
from speech2face.networks.spline_warp import warp

LIGHT_RANGE, COLOUR_RANGE = 2.5, 2.0  # standard deviations of people, see `limit`
BANDS = (1.4, 2.8, 5.6)  # of detail: each is what a Gaussian of so many pixels of 224 takes away
ENERGY_BLUR = (5.0, 6.0, 8.0)  # over which a band's energy is taken
CONTRAST, LEAST_GAIN, MOST_GAIN = 1.2, 0.75, 2.8  # how far a band gets its energy, and its limits
SHINE = 0.075  # of what hair sends back, whatever its colour
SCATTER = 0.6  # of light that goes on from strand to strand of fair hair, so that shade is softer
CALM = 0.9  # hair of half this lightness shines most in its own colour
TASTE = 1.0  # how fast the liking for a kind of hair changes with the face
# A bust fades out in an ellipse: its half width and height, how far down its middle lies, fractions
# of the picture, and from which part of it.
BUST, BUST_MIDDLE, FADING = (0.50, 0.45), 0.55, 0.66
NEAR = 0.05  # of an embedding to the average: nearer ones have less and less direction
# Luma and two differences to it → red, green, blue.
TO_RGB = ((1.0, 0.0, 1.0), (1.0, -0.114 / 0.587, -0.299 / 0.587), (1.0, 1.0, 0.0))


@dataclass(frozen=True)
class FaceDecoderConfig:
    """Sizes of the decoder; they travel in the metadata of its weights."""

    embedding: int = 128  # numbers of a face's embedding
    landmarks: int = 66  # points of the face that are moved
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

    def __init__(
        self,
        config: FaceDecoderConfig,
        mean_shape: np.ndarray | None = None,
        shapes: int = 1,
        colours: int = 1,
    ) -> None:
        """`mean_shape` (landmarks, 2) in fractions of the picture; None before loading weights.

        `shapes` and `colours` of hair, without baldness.
        """
        super().__init__()
        self.config = config
        self.shapes, self.colours = shapes + 1, colours  # none is the first shape
        size, dims = config.size, config.embedding
        shape = np.zeros((config.landmarks, 2)) if mean_shape is None else mean_shape
        basis = np.zeros((config.warp_grid**2, config.landmarks))
        if mean_shape is not None:
            basis = spline_basis(mean_shape, config.warp_grid)
        half, small, tiny = (n * n // 2 for n in (size, config.colour, config.energy))
        self.kinds = self.shapes + colours
        sizes = {
            "average": (dims,),
            "shape_slope": (dims, config.landmarks * 2),
            "shape_offset": (config.landmarks * 2,),
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
            "hair_front": (self.shapes, size * size),  # how surely hair covers head and ground
            "hair_back": (self.shapes, size * size),  # the same of the hair behind the neck
            "hair_light": (self.shapes, size * size),  # of the hair, 1 on average
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
        return picture.clamp(0, 1), self.mean_shape + displacement

    def draw_head(
        self, embedding: Tensor, hair: Tensor | None = None, turn: Tensor | None = None
    ) -> Tensor:
        """(B, D) → the head on white ground before the warp, (B, 3, S, S)."""
        chances = self.draw_chances(embedding, turn)
        shape, colour = self.choose_hair(chances if hair is None else chances + hair)
        return self.lay_hair(self.draw_skin(embedding), shape, colour)

    def draw_shape(self, embedding: Tensor) -> Tensor:
        """(B, D) → how far the landmarks lie from the mean shape's, (B, K, 2)."""
        moved = (embedding - self.average) @ self.shape_slope + self.shape_offset
        return moved.unflatten(1, (self.config.landmarks, 2))

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
        away = embedding - self.hair_centre
        towards = away / torch.sqrt((away * away).sum(1, keepdim=True) + NEAR**2)
        sure = torch.sqrt((towards * towards).sum(1, keepdim=True))  # 0 for the average, then 1
        liking = towards @ self.hair_taste
        phase = TASTE * liking / torch.sqrt((liking * liking).mean(1, keepdim=True) + 1e-8)
        phase = phase + self._shift(liking)
        phase = phase if turn is None else phase + turn
        wave = (phase - 2 * torch.floor(phase / 2) - 1).abs().clamp(1e-4, 1 - 1e-4)
        liking = -torch.log(-torch.log(wave))
        return towards @ self.hair_slope + self.hair_offset + sure * liking

    def _shift(self, like: Tensor) -> Tensor:
        golden = (math.sqrt(5) - 1) / 2
        return 2 * golden * torch.arange(like.shape[1], device=like.device)

    def choose_hair(self, chances: Tensor) -> tuple[Tensor, Tensor]:
        """Chances (B, kinds) → shape, 0 for none, and colour of the hair, (B,) each."""
        return chances[:, : self.shapes].argmax(1), chances[:, self.shapes :].argmax(1)

    def lay_hair(self, skin: Tensor, shape: Tensor, colour: Tensor) -> Tensor:
        """Left half of a head of skin (B, 3, S, S/2) → the head on white ground, with the hair
        behind and before it (B, 3, S, S)."""
        size = self.config.size

        def layer(planes: Tensor) -> Tensor:
            return planes.index_select(0, shape).unflatten(1, (1, size, size))

        own = self.hair_colours.index_select(0, colour)[:, :, None, None]
        light = layer(self.hair_light)
        shine = (light - 1).clamp(min=0) * (own * (CALM - own) + SHINE)
        shade = (1 - light).clamp(min=0) * (1 - SCATTER * own)
        hair = own * (1 - shade) + shine  # in shade its own colour, in light that of light
        back, front = layer(self.hair_back), layer(self.hair_front)
        picture = 1 - back + hair * back
        bust = 1 - self.bust * (1 - skin.clamp(0, 1))
        picture = picture + mirror(self.skin_cover) * (mirror(bust) - picture)
        return picture + front * (hair - picture)


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
    aside = (0.5 - line[: size // 2]) / BUST[0] * (low / FADING).clamp(max=1)
    x = ((torch.sqrt(low**2 + aside**2) - FADING) / (1 - FADING)).clamp(0, 1)
    return 1 - x**2 * (3 - 2 * x)


def enlarging_matrix(old: int, new: int) -> Tensor:
    """Bicubic enlarging of a line of `old` values, as a matrix (new, old).

    A picture is enlarged by one product a side; runtimes do that far faster than `Resize`.
    """
    return F.interpolate(torch.eye(old)[None, None], size=(new, old), mode="bicubic")[0, 0]


def blur_matrix(size: int, sigma: float) -> Tensor:
    """A Gaussian blur of a line of `size` values, as a matrix (size, size)."""
    return narrowing_matrix(size, size, sigma)


def narrowing_matrix(old: int, new: int, sigma: float) -> Tensor:
    """Gaussian means, `sigma` of the `old` values wide, of a line, as a matrix (new, old)."""
    places = (torch.arange(new) + 0.5) * (old / new) - 0.5
    weights = torch.exp(-((places[:, None] - torch.arange(old)) ** 2) / (2 * sigma**2))
    return weights / weights.sum(1, keepdim=True)


def fold(matrix: Tensor) -> Tensor:
    """A map of a symmetric line (..., new, old) → of its first half (..., new/2, old/2)."""
    new, old = matrix.shape[-2] // 2, matrix.shape[-1] // 2
    return matrix[..., :new, :old] + matrix[..., :new, old:].flip(-1)
