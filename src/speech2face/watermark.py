"""The watermark of drawn pictures: a faint pattern that says "generated", and by which model.

The picture's frame is divided into 96 × 96 cells, each of which is made a little lighter or darker
by a fixed pseudo-random sign. Half of the cells are the same in all pictures: where their pattern
is found, the picture was drawn. The others carry eight bits, the model's number. The signs are
spread-spectrum (Cox et al., "Secure Spread Spectrum Watermarking for Multimedia", 1997), and the
strength is chosen with the picture known (Malvar and Florêncio, "Improved Spread Spectrum", 2003):
no more than is needed, less where it would be seen.

`find_mark` looks for the pattern at all places and scales, so it survives a crop, another size and
compression. Whoever knows the pattern can take it out: it helps honest people not to be misled,
and proves nothing against a forger.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from operator import attrgetter
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image

SIDE = 224  # pixels of the frame in which the pattern is added and looked for
CELLS, BITS = 96, 8  # cells a side, and bits of a model's number
SHARED = 0.5  # share of the cells that no number changes
LEAST_SIZE = 96  # pixels a side: smaller pictures have no room for the pattern
SHARED_TARGET, BIT_TARGET = 9.0, 4.0  # standard deviations of chance that are aimed at
GAIN, TRIED = (0.5, 2.0), 0.85  # least and most strength, and the one that is tried first
# Grey levels that are added where there is no texture, and for each grey level of texture.
FACE, MOST_TEXTURE = (0.3, 0.45), 6.0
# An illustration is in part of one flat colour, where less than a grey level is rounded away and
# compression leaves nothing of what is faint: so more is added there, and no less than is tried.
ILLUSTRATION, LEVEL, FLAT_SHARE = (1.3, 0.1), 0.1, 0.1
PAPER, FADE = 250.0, 60.0  # grey levels: nothing is added to white, and less to what is nearly so
COARSE, EVEN, FINE = 2, 6, 3  # pixels over which is averaged: see `_flatten`
CHANCE = 1.9  # how much wider scores by chance scatter than those of independent pixels
THRESHOLD = 6.8  # standard deviations from which the pattern is found
WHOLE = 1.2  # added to the score of a whole frame, which is found without a search
LEAST_BIT = 1.0  # standard deviations that each bit of a number stands out, or it is not read
# Sides of the whole frame, as multiples of the sides of what is left of it: .80 to 1.30.
SCALES = np.exp(np.arange(-22, 27) / 100)
FINER = np.exp(np.arange(-2, 3) / 400)  # scales around the best one
FIELD = 384  # side of the Fourier transforms: a frame, and room for what is left and right of it
REACH = 64  # pixels by which the frame may be shifted
LUMA = np.array([0.299, 0.587, 0.114], np.float32)


@dataclass(frozen=True)
class Mark:
    """What `find_mark` found in a picture."""

    found: bool  # whether the picture carries the pattern
    score: float  # how far the best place stands out, in standard deviations of chance
    number: int | None  # of the model that drew it; None where it cannot be read


def add_mark(picture: Image, number: int) -> Image:
    """A drawn picture, RGB and square → the same with the pattern in it.

    `number` is the model's, 0 to 255. A picture of fewer than `LEAST_SIZE` pixels a side is
    returned as it is.
    """
    from PIL import Image

    if picture.width < LEAST_SIZE:
        return picture
    pixels = np.asarray(picture, np.float32)
    grey = pixels @ LUMA
    if picture.width == SIDE:
        delta = _pattern(grey, number)
    else:
        frame = Image.fromarray(grey).resize((SIDE, SIDE), Image.Resampling.BOX)
        grown = Image.fromarray(_pattern(np.asarray(frame), number))
        delta = np.asarray(grown.resize(picture.size, Image.Resampling.BICUBIC)) * (grey < PAPER)
    marked = np.clip(np.round(pixels + delta[..., None]), 0, 255)
    return Image.fromarray(marked.astype(np.uint8))


def find_mark(picture: Image) -> Mark:
    """Look for the pattern in any picture, RGB, at all places and scales.

    A picture of fewer than 32 pixels a side carries none.
    """
    if min(picture.size) < 32:
        return Mark(False, 0.0, None)
    if (times := max(picture.size) // (2 * SIDE)) > 1:
        picture = picture.reduce(times)
    grey = np.asarray(picture, np.float32) @ LUMA
    best = _fit(grey, 1.0)
    if best.score < THRESHOLD + WHOLE:  # else no other scale is tried
        best = max((_fit(grey, scale) for scale in SCALES), key=attrgetter("score"))
    if best.score < THRESHOLD:
        return Mark(False, best.score, None)
    finer = max((_fit(grey, best.scale * scale) for scale in FINER), key=attrgetter("score"))
    return Mark(True, best.score, _read_number(finer))


@dataclass(frozen=True)
class _Fit:
    """Where the shared cells fit best to a picture, looked at in one scale."""

    scale: float
    score: float
    row: int
    column: int
    spectrum: np.ndarray


def _fit(grey: np.ndarray, scale: float) -> _Fit:
    from PIL import Image

    rows, columns = grey.shape
    factor = SIDE / (max(rows, columns) * scale)
    size = (max(round(columns * factor), 8), max(round(rows * factor), 8))
    left = Image.fromarray(grey).resize(size, Image.Resampling.BICUBIC)
    spectrum = _transform(_flatten(np.asarray(left)))
    surface = _correlate(spectrum, _templates()[BITS])
    surface /= max(float(surface.std()), 1e-9)
    if scale == 1:
        surface[REACH - 2 : REACH + 3, REACH - 2 : REACH + 3] += WHOLE
    row, column = np.unravel_index(surface.argmax(), surface.shape)
    return _Fit(float(scale), float(surface[row, column]), int(row), int(column), spectrum)


def _read_number(fit: _Fit) -> int | None:
    """The number at a place; None where one of its bits is in doubt."""
    surfaces = [_correlate(fit.spectrum, template) for template in _templates()[:BITS]]
    bits = [surface[fit.row, fit.column] / surface.std() for surface in surfaces]
    if min(map(abs, bits)) < LEAST_BIT:
        return None
    return sum(int(bit > 0) << place for place, bit in enumerate(bits))


def _pattern(grey: np.ndarray, number: int) -> np.ndarray:
    """Grey levels (SIDE, SIDE) → what is added to each pixel, float32 of the same shape."""
    room = np.clip((PAPER - grey) / FADE, 0, 1)
    texture = np.sqrt(_measure_power(_take_detail(grey)))
    flat = np.mean(texture[grey < PAPER] < LEVEL) if (grey < PAPER).any() else 0.0
    illustrated = min(float(flat) / FLAT_SHARE, 1)
    least, more = FACE + illustrated * np.subtract(ILLUSTRATION, FACE)
    strength = (least + more * np.minimum(texture, MOST_TEXTURE)) * room
    signs, groups = lay_out_cells()
    wanted = np.append(np.where(number >> np.arange(BITS) & 1, 1.0, -1.0), 1.0)
    target = np.append(np.full(BITS, BIT_TARGET), SHARED_TARGET)
    unit = signs * wanted[groups]
    before = _scores(grey) * wanted
    tried = _scores(grey + np.round(strength * _grow(unit * TRIED))) * wanted
    slope = np.maximum((tried - before) / TRIED, 1e-3)
    gain = np.clip((target - before) / slope, max(GAIN[0], illustrated), GAIN[1])
    return (strength * _grow(unit * gain[groups])).astype(np.float32)


def _scores(grey: np.ndarray) -> np.ndarray:
    """How far each group of cells (BITS + 1,) stands out, where the frame is known."""
    details = _flatten(grey)
    signs, groups = lay_out_cells()
    _, shrinking = _bands()
    values = shrinking.multiply(shrinking.multiply(details).T).T * signs
    sums = np.bincount(groups.ravel(), values.ravel(), BITS + 1)
    return sums / (max(float(details.std()), 1e-6) * _energies() * CHANCE)


@cache
def _energies() -> np.ndarray:
    return np.sqrt([(field**2).sum() for field in _grow_groups()])


def _flatten(grey: np.ndarray) -> np.ndarray:
    """Grey levels → details alone, nearly as strong in hair as on skin."""
    detail = _take_detail(grey)
    deviation = np.sqrt(_measure_power(detail) + 0.1)
    even = np.clip(detail / deviation, -2, 2) / np.sqrt(deviation)
    return even - _blur(even, FINE)


def _take_detail(grey: np.ndarray) -> np.ndarray:
    """What is finer than `COARSE` pixels: shading is taken away, for it hides nothing."""
    return grey - _blur(grey, COARSE)


def _measure_power(detail: np.ndarray) -> np.ndarray:
    """Mean squares around each pixel."""
    return _blur(detail * detail, EVEN)


def _transform(field: np.ndarray) -> np.ndarray:
    # Scores do not depend on the factor, and with "forward" NumPy stays in single precision.
    return np.fft.rfft2(field, s=(FIELD, FIELD), norm="forward")


def _correlate(spectrum: np.ndarray, template: np.ndarray) -> np.ndarray:
    """How well a template fits at each shift up to `REACH` pixels: (2 REACH, 2 REACH)."""
    rows = np.roll(np.fft.ifft(spectrum * template, axis=0), REACH, 0)[: 2 * REACH]
    return np.roll(np.fft.irfft(rows, FIELD, axis=1), REACH, 1)[:, : 2 * REACH]


@cache
def lay_out_cells() -> tuple[np.ndarray, np.ndarray]:
    """Signs of the cells (CELLS, CELLS), and which bit each carries; `BITS` is the shared group."""
    state, numbers = 0x5F2F19, np.empty(CELLS * CELLS, np.int64)
    for place in range(-64, len(numbers)):  # Marsaglia, "Xorshift RNGs", 2003
        state ^= state << 13 & 0xFFFFFFFF
        state ^= state >> 17
        state ^= state << 5 & 0xFFFFFFFF
        if place >= 0:
            numbers[place] = state
    signs = np.where(numbers >> 31, 1.0, -1.0)
    shares = (numbers >> 7 & 0xFFFF) / 0x10000
    bits = ((shares - SHARED) / (1 - SHARED) * BITS).astype(int)
    groups = np.where(shares < SHARED, BITS, bits)
    return signs.reshape(CELLS, CELLS), groups.reshape(CELLS, CELLS)


@dataclass(frozen=True)
class _Band:
    """A matrix (k, n) of which a row holds few numbers, side by side.

    NumPy's product takes as long in one thread, but many times as long in several beside other
    work: they wait for one another, and its users mostly have not limited them.
    """

    places: np.ndarray  # (k, width): the columns of a row's numbers
    numbers: np.ndarray  # (k, width)

    @classmethod
    def of(cls, matrix: np.ndarray) -> _Band:
        """What is not 0 in a matrix."""
        held = matrix != 0
        width = int(held.sum(axis=1).max())
        first = np.minimum(held.argmax(axis=1), matrix.shape[1] - width)
        places = first[:, None] + np.arange(width)
        return cls(places, np.take_along_axis(matrix, places, axis=1))

    def multiply(self, field: np.ndarray) -> np.ndarray:
        """The matrix times a field: (n, m) → (k, m)."""
        return np.einsum("ij,ijk->ik", self.numbers, field[self.places])


@cache
def _bands() -> tuple[_Band, _Band]:
    """The matrix (SIDE, CELLS) that interpolates a row of cells bicubically to pixels, and its
    transpose."""
    from PIL import Image

    unit = Image.fromarray(np.eye(CELLS, dtype=np.float32))
    matrix = np.asarray(unit.resize((CELLS, SIDE), Image.Resampling.BICUBIC))
    return _Band.of(matrix), _Band.of(matrix.T)


def _grow(cells: np.ndarray) -> np.ndarray:
    growing, _ = _bands()
    return growing.multiply(growing.multiply(cells.astype(np.float32)).T).T


@cache
def _templates() -> np.ndarray:
    """The conjugate transforms of the groups (BITS + 1, FIELD, FIELD // 2 + 1)."""
    return np.stack([np.conj(_transform(field)) for field in _grow_groups()])


def _grow_groups() -> list[np.ndarray]:
    """The pattern of each group of cells alone, (SIDE, SIDE) each."""
    signs, groups = lay_out_cells()
    return [_grow(np.where(groups == group, signs, 0)) for group in range(BITS + 1)]


def _blur(image: np.ndarray, pixels: float) -> np.ndarray:
    """Means over about so many pixels each way, from one to the next in straight lines."""
    from PIL import Image

    rows, columns = image.shape
    small = (max(round(columns / pixels), 1), max(round(rows / pixels), 1))
    means = Image.fromarray(image).resize(small, Image.Resampling.BOX)
    return np.asarray(means.resize((columns, rows), Image.Resampling.BILINEAR))
