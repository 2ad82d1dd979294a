"""Outlines of hair: a mean of people's, closed; and the same as hair is worn in a style.

An outline is a left half (S, S/2): how far each place lies within it, in pixels of a picture of
224, negative outside.
"""

from __future__ import annotations

import numpy as np

from speech2face.data.decoder_data import canvas_grid, picture_grid
from speech2face.data.hair_styles import Style
from speech2face.data.head_segmentation import blur_half, smooth_step

WIDEST = 0.314  # half the width of any hair
WIDE_ABOVE_EAR = 0.272  # short hair is no wider there
HANGING = 0.63  # least reach of long hair, downwards
DOME = 0.292, 0.315  # half widths and heights within which short and long hair lies
DOME_LONG = 0.306, 0.325
DOME_BACK = 0.276, 0.290
# So far down, tucked hair reaches so far aside; fractions of the picture.
BEHIND_EAR = (0.2, 0.32, 0.40, 0.5, 0.9), (0.31, 0.285, 0.285, 0.306, 0.276)
OUTSIDE = -30.0  # pixels from the outline: nowhere near
# So far down, the skull and the sides of short hair reach so far aside, close above the ears.
SKULL = (44, 56, 66, 76, 86, 98), (34, 46, 53, 57.5, 59, 58.5)
SIDE = SKULL[0], (66, 61, 60.5, 60.5, 60, 59.5)
BURN = (78, 108), (49, 53)  # so far down, sideburns begin so far aside, before the ears
BURN_END = 106.0


def is_long(edge: np.ndarray) -> bool:
    """True if hair within an outline hangs below the ears."""
    _, down = canvas_grid(len(edge))
    return bool((edge[int(np.argmax(down[:, 0] > HANGING))] > 0).any())


def close_outline(edge: np.ndarray) -> np.ndarray:
    """A mean outline as it is drawn: closed where the canonical pictures cut it off, without
    collars, and no wider than it may be."""
    size = len(edge)
    (across, low), (_, down) = picture_grid(size), canvas_grid(size)
    edge, width = edge.copy(), np.maximum(_half_width(edge), 0)
    # Above: the ellipse that goes on from where the outline is cut off.
    cut, wide = int(np.argmax(down[:, 0] > 0.012)), int(np.argmax(down[:, 0] > 0.30))
    if width[cut + 1] > 0 < width[wide]:
        share = min(width[cut + 1] / width[wide], 0.93)
        height = (low[wide, 0] - low[cut, 0]) / np.sqrt(1 - share**2)
        height = min(height, low[wide, 0] - 0.02)
        radius = np.hypot(across / (width[cut + 1] / share), (low[wide, 0] - low) / height)
        dome = (1 - radius) * height * 224
        above = smooth_step((low[cut, 0] + 0.03 - low) / 0.03)
        edge = np.where(above > 0, edge * (1 - above) + dome * above, edge)
    # Below the ears an outline that has come in does not go out again: that is a collar.
    rows = np.flatnonzero((down[:, 0] > 0.3) & (down[:, 0] < 0.72))
    widest = rows[width[rows].argmax()]
    narrowest = np.minimum.accumulate(width[widest:])[:, None]
    within = np.where(width[widest:, None] > 0, (narrowest - across[widest:]) * 224, OUTSIDE)
    edge[widest:] = np.minimum(edge[widest:], within)
    # No fuller than a head of such hair is.
    wide, high = DOME_LONG if is_long(edge) else DOME
    radius = np.hypot(across / wide, np.minimum(low - 0.42, 0) / high)
    edge = np.minimum(edge, (1 - radius) * wide * 224)
    # Beside: within the picture, and short hair lets the ears free.
    beside = (WIDEST - across) * 224
    if is_long(edge):  # and long hair comes in as it falls
        beside -= 0.06 * smooth_step((low - 0.55) / 0.45) * 224
    else:
        beside -= smooth_step((down - 0.26) / 0.2) * (WIDEST - WIDE_ABOVE_EAR) * 224
    corner = np.maximum(5 - np.abs(edge - beside), 0) / 5
    edge = blur_half(np.minimum(edge, beside) - 1.25 * corner**2, 6.0 if is_long(edge) else 2.4)
    return edge


def _half_width(edge: np.ndarray) -> np.ndarray:
    """Distance of the outline from the middle line in each row, in fractions of the picture (S,);
    -1 where there is no hair."""
    size, half = edge.shape
    width = np.full(size, -1.0)
    for y in np.flatnonzero((edge > 0).any(1)):
        x = int(np.argmax(edge[y] > 0))  # the outermost; the outline lies between it and the next
        part = edge[y, x] / (edge[y, x] - edge[y, x - 1] + 1e-6) if x else 0.0
        width[y] = (half - x - 0.5 + part) / size
    rows = width > 0
    if rows.any():
        weights = [0.1, 0.2, 0.4, 0.2, 0.1]
        width[rows] = np.convolve(np.pad(width[rows], 2, mode="edge"), weights, "valid")
    return width


def wear(edge: np.ndarray, style: Style) -> tuple[np.ndarray, np.ndarray]:
    """A closed outline → those of the hair before the skin and of that behind it, worn so."""
    if any(style.tucked):
        edge = _tuck(edge)
    front = _draw_back(edge) if style.drawn_back else edge
    return front, _find_behind(front, style)


def _draw_back(edge: np.ndarray) -> np.ndarray:
    """The outline of long hair → that of the same drawn back tightly over the head."""
    across, low = picture_grid(len(edge))
    wide, high = DOME_BACK
    radius = np.hypot(across / wide, np.minimum(low - 0.42, 0) / high)
    end = 0.49 - np.clip(0.275 - across, 0, 0.06)  # it rises from the ears to the temples
    tight = np.minimum((1 - radius) * wide, end - low) * 224
    return np.minimum(edge, tight)


def _tuck(edge: np.ndarray) -> np.ndarray:
    """The outline of long hair → that of the same behind the ears: little wider than these."""
    across, low = picture_grid(len(edge))
    beside = np.interp(low, *BEHIND_EAR) - across
    narrow = smooth_step((low - 0.18) / 0.10)
    return blur_half(edge + narrow * (np.minimum(edge, beside * 224) - edge), 1.5)


def _find_behind(edge: np.ndarray, style: Style) -> np.ndarray:
    """The outline of the hair behind: of long hair behind face and neck, of any hair behind the
    scalp, so that no ground shines through between the strands."""
    (across, low), (_, down) = picture_grid(len(edge)), canvas_grid(len(edge))
    inset = 0.004 if any(style.tucked) else 0.022 + 0.005 * style.wave[0]
    behind = (_half_width(edge)[:, None] - inset - across) * 224
    if not is_long(edge):
        top = low[int(np.argmax((edge > 0).any(1)))]
        above = np.minimum((low - top) * 224 - 4, (0.40 - down) * 224) + min(style.volume, 0)
        return np.minimum(behind + min(style.volume, 0), above)
    return behind


def trim(style: Style, edge: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """The outline of a haircut: its corners above the temples round or receding, its sides running
    out in a point before the ears."""
    (across, _), (aside, down) = picture_grid(len(edge)), canvas_grid(len(edge))
    inner = smooth_step((depth - 0.4) / 0.2)
    temples = np.exp(-(((aside - 0.175) / 0.05) ** 2)) * smooth_step((0.36 - down) / 0.1)
    middle = np.exp(-((aside / 0.12) ** 2))
    edge = edge + inner * (4 * middle + (3 - 1.5 * style.receding) * temples)
    beside = (0.280 - 0.036 * smooth_step((down - 0.28) / 0.22) - across) * 224
    edge = edge + smooth_step((down - 0.2) / 0.1) * (np.minimum(edge, beside) - edge)
    edge = edge - 2.0 * inner * smooth_step((down - 0.30) / 0.16)
    return blur_half(edge, 2.5) - 3 * smooth_step((down - 0.44) / 0.1)


def lay_sides(edge: np.ndarray, right: np.ndarray, low: np.ndarray, volume: float) -> np.ndarray:
    """A whole outline (S, S) of short hair whose sides lie close to the skull, the closer the less
    `volume` it has, and go over into short sideburns."""
    aside, full = np.abs(right), np.clip(1 + volume / 6, 0.1, 1)
    beside = (1 - full) * np.interp(low, *SKULL) + full * np.interp(low, *SIDE) - aside
    burn = np.minimum(np.minimum(beside, aside - np.interp(low, *BURN)), BURN_END - low)
    burn = np.minimum(burn, edge.max())  # none where there is no hair
    edge = np.where(low > 78, np.maximum(edge, burn), edge)
    close = smooth_step((low - 44) / 16)
    return edge + close * (np.minimum(edge, beside) - edge)
