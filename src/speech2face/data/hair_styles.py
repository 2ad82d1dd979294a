"""Styles of hair: how it lies on a head, for `hair_strands` and `hair_painting` to draw.

Lengths are in pixels of a picture of 224, angles in radians.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Style:
    """A way of wearing hair, and how it is drawn."""

    long: bool
    parting: float = 0.0  # where hair is parted, from the middle line to the right
    lift: tuple[float, float] = (0.3, 0.0)  # of growth from the outline's direction, top and sides
    length: float = 90.0  # of locks
    width: float = 3.0  # of locks, half of it
    strands: int = 12  # in a lock
    cover: float = 5.0  # how many strands lie over one another
    taper: float = 0.7  # how far strands of a lock come together at its end
    tone: tuple[float, float] = (0.10, 0.06)  # differences in lightness of locks and of strands
    tilt: float = 0.35  # differences in direction of locks, which break up the shine
    wander: float = 0.12  # of locks from the direction of growth
    wave: tuple[float, float] = (0.0, 30.0)  # how far locks swing, and the length of a swing
    curly: float = 0.06  # how differently neighbouring locks swing
    rough: float = 0.8  # of the outline
    over: float = 1.0  # mean reach of ends beyond the outline
    loose: float = 0.02  # share of strands that go their own way
    volume: float = 0.0  # added to the outline
    quiff: float = 0.0  # the same above, on the side that hair is combed to
    flare: float = 0.0  # the same below the ears
    sweep: float = 0.0  # how much lower hair begins on that side of the forehead
    receding: float = 0.0  # how far the hairline goes back at the temples
    shaven: float = 0.0  # how thin the sides are
    thin: float = 0.0  # how thin all of it is
    end: float = 0.90  # where long hair ends, fractions of the picture
    tucked: tuple[bool, bool] = (False, False)  # behind the left, the right ear
    bun: float = 0.0  # half the width of a bun on the crown
    behind: float = 0.0  # half the width of what falls behind the neck, of hair that is drawn back


STRAIGHT = Style(
    long=True,
    width=4.0,
    strands=18,
    tone=(0.09, 0.04),
    parting=9,
    length=230,
    end=1.0,
    sweep=2.0,
    quiff=1.0,
)
WAVY = replace(
    STRAIGHT,
    parting=-16,
    wave=(2.6, 34),
    width=4.5,
    flare=4,
    taper=0.8,
    rough=1.4,
    tone=(0.11, 0.04),
)
MIDDLE = replace(STRAIGHT, parting=0.5, wave=(1.2, 60))
BOB = replace(STRAIGHT, parting=-14, end=0.83, taper=0.4, quiff=2.0)
LOOSE_CURLS = replace(
    WAVY, parting=12, wave=(3.6, 22), curly=0.15, flare=5, width=3.0, rough=2.2, cover=6, quiff=3.0
)
TUCKED = replace(STRAIGHT, parting=14, tucked=(True, True), quiff=1.0)
TIED = Style(
    long=False,
    parting=10,
    lift=(1.1, 0.9),
    length=40,
    width=2.0,
    taper=0.3,
    wander=0.06,
    rough=0.4,
    over=0.3,
    behind=0.265,
    sweep=1.0,
)
BUN = replace(TIED, behind=0.0, bun=14.0)
ONE_SIDE = replace(WAVY, parting=15, tucked=(False, True), wave=(2.0, 44), quiff=3)
BEHIND = replace(STRAIGHT, parting=0.5, sweep=0, quiff=0, tone=(0.22, 0.08))
LONG = (BUN, TIED, TUCKED, ONE_SIDE, STRAIGHT, MIDDLE, BOB, WAVY, LOOSE_CURLS)

SWEPT = Style(
    long=False,
    parting=22,
    lift=(0.75, 0.15),
    length=30,
    width=2.2,
    strands=9,
    cover=7,
    tone=(0.10, 0.07),
    wander=0.22,
    rough=0.9,
    over=1.0,
    quiff=4.0,
    sweep=1.0,
    shaven=0.25,
)
BACK = replace(SWEPT, parting=-6, lift=(1.45, 0.25), length=22, quiff=2.5, wander=0.3)
CROP = replace(
    SWEPT,
    parting=4,
    lift=(-1.2, 0.1),
    length=9,
    width=1.3,
    strands=6,
    wander=0.5,
    over=0.6,
    quiff=0.0,
    shaven=0.4,
    rough=0.6,
)
CURLY = replace(
    SWEPT,
    parting=6,
    lift=(1.2, 0.6),
    length=13,
    width=1.8,
    wave=(1.6, 8),
    strands=7,
    wander=0.9,
    rough=1.6,
    over=1.2,
    quiff=2.0,
    shaven=0.15,
)
RECEDING = replace(CROP, lift=(1.3, 0.2), receding=5.0, thin=0.15, length=12)
BUZZ = replace(
    CROP,
    length=6,
    width=0.6,
    strands=5,
    cover=4.0,
    thin=0.35,
    wander=0.5,
    over=0.2,
    rough=0.2,
    shaven=0.5,
    volume=-8.0,
    tone=(0.04, 0.06),
)
QUIFF = replace(
    BACK,
    parting=-18,
    lift=(1.3, 0.1),
    length=26,
    quiff=7,
    sweep=-1.0,
    shaven=0.4,
    wander=0.2,
    width=2.6,
    strands=12,
)
SHORT = (BUZZ, RECEDING, CROP, SWEPT, BACK, CURLY, QUIFF)
