"""Styles of hair: how it lies on a head, for `hair_strands` and `hair_painting` to draw.

Lengths are in pixels of a picture of 224, angles in radians. A lock is a bundle of strands that go
one way.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Style:
    """A way of wearing hair, and how it is drawn."""

    long: bool
    parting: float = 0.0  # where hair is parted, from the middle line to the right
    # Growth is turned from the outline's direction towards the outside: above and at the sides.
    lift: tuple[float, float] = (0.3, 0.0)
    length: float = 230.0  # of locks
    width: float = 4.0  # of locks, half of it
    strands: int = 18  # of a lock
    cover: float = 5.0  # how many strands lie over one another
    taper: float = 0.7  # how far strands of a lock come together at its end
    tone: tuple[float, float] = (0.09, 0.04)  # differences in lightness of locks and of strands
    tilt: float = 0.35  # differences in direction of locks' surfaces, which break up the shine
    wander: float = 0.12  # of locks from the direction of growth
    wave: tuple[float, float] = (0.0, 30.0)  # how far locks swing, and the length of a swing
    apart: float = 0.3  # how differently neighbouring locks of long hair swing, 0 to 1
    rough: float = 0.8  # of the outline
    over: float = 0.4  # reach of locks beyond the outline
    loose: float = 0.02  # share of strands that go their own way
    volume: float = 0.0  # added to the outline
    quiff: float = 0.0  # the same above, on the side that hair is combed to
    peak: float = 0.0  # the same on the crown
    flare: float = 0.0  # the same below the ears
    sweep: float = 0.0  # how much lower hair begins on that side of the forehead
    receding: float = 0.0  # how far the hairline goes back at the temples
    shaven: float = 0.0  # how thin the sides are, 0 to 1
    sparse: float = 0.5  # how much of the scalp is seen where hair begins above the face
    bald: float = 0.0  # how low hair begins above the ears, where the crown is bald
    thin: float = 0.0  # how much of the scalp is seen, 0 to 1
    end: float = 1.0  # where long hair ends, fractions of the picture
    ragged: float = 10.0  # how much earlier some of it ends
    uneven: float = 0.0  # how much shorter it is on the side away from which it is combed
    curl: float = 0.35  # how far ends turn inwards
    drift: float = 0.10  # how far locks cross one another as they fall
    tucked: tuple[bool, bool] = (False, False)  # behind the left, the right ear
    bun: float = 0.0  # half the width of a bun behind the crown
    tail: float = 0.0  # half the width of a tail that falls over one shoulder
    fringe: tuple[float, float] = (0.0, 0.0)  # how full it is on the left, on the right
    age: float = 0.0  # of those who wear it: 1 for the grey

    @property
    def drawn_back(self) -> bool:
        """Is it long hair that is tied together?"""
        return self.tail > 0 or self.bun > 0


STRAIGHT = Style(long=True, parting=9, sweep=2.0, quiff=2.0, flare=3, uneven=12, wave=(0.8, 70))
TUCKED = replace(STRAIGHT, parting=2, tucked=(True, True))
ONE_SIDE = replace(
    STRAIGHT,
    parting=15,
    quiff=3,
    flare=4,
    uneven=14,
    wave=(1.6, 50),
    fringe=(0.8, 0),
    tucked=(False, True),
)
CURTAIN = replace(STRAIGHT, parting=7, fringe=(1.1, 0.7), wave=(1.4, 56))
FRINGE = replace(STRAIGHT, parting=16, quiff=2, fringe=(1.6, 0.0))
BOB = replace(
    STRAIGHT, parting=-14, quiff=2, taper=0.4, end=0.83, ragged=3.5, uneven=3, fringe=(0.0, 0.9)
)
BOB_FRINGE = replace(BOB, parting=13, quiff=3, fringe=(1.3, 0.0))
WAVY = replace(
    STRAIGHT,
    parting=-16,
    width=4.5,
    taper=0.8,
    tone=(0.11, 0.04),
    wave=(3.2, 46),
    apart=0.2,
    rough=1.0,
    flare=4,
    fringe=(0.0, 0.8),
)
CURLS = replace(
    WAVY,
    parting=12,
    width=2.2,
    cover=9,
    wave=(2.7, 17),
    loose=0.06,
    apart=0.8,
    rough=1.4,
    quiff=3,
    fringe=(0.7, 0.0),
)
TIED = Style(
    long=False,
    parting=10,
    lift=(1.1, 0.9),
    length=40,
    width=2,
    strands=12,
    taper=0.3,
    tone=(0.10, 0.06),
    wander=0.06,
    rough=0.4,
    over=0.3,
    sweep=1.0,
    tail=13.0,
)
BUN = replace(TIED, tail=0.0, bun=17.0)
# From the flattest hair to the fullest:
LONG = (BUN, TIED, TUCKED, STRAIGHT, ONE_SIDE, FRINGE, CURTAIN, BOB, BOB_FRINGE, WAVY, CURLS)
# What hangs behind a neck.
BEHIND = replace(
    STRAIGHT,
    parting=0.5,
    width=2.5,
    cover=8,
    tone=(0.20, 0.06),
    sweep=0,
    quiff=0,
    flare=0,
    uneven=0,
)

SWEPT = Style(
    long=False,
    parting=22,
    lift=(0.75, 0.15),
    length=30,
    width=2.2,
    strands=9,
    cover=7,
    tone=(0.10, 0.06),
    wander=0.22,
    rough=0.9,
    over=1.0,
    quiff=4,
    sweep=1.0,
    shaven=0.25,
)
SWEPT_LEFT = replace(
    SWEPT, age=0.5, parting=-24, lift=(0.45, 0.05), quiff=4, width=2.6, wander=0.15, length=38
)
BACK = replace(SWEPT, age=0.7, parting=-6, lift=(1.45, 0.25), length=22, wander=0.3, quiff=2)
QUIFF = replace(
    BACK,
    age=0.0,
    parting=-18,
    lift=(1.15, 0.1),
    length=18,
    width=1.8,
    strands=8,
    wander=0.35,
    quiff=5,
    sweep=-1.0,
    shaven=0.7,
    tone=(0.14, 0.06),
)
TOUSLED = replace(
    BACK,
    age=0.0,
    parting=-16,
    lift=(0.6, 0.3),
    length=17,
    width=2.0,
    taper=0.8,
    wander=0.7,
    rough=0.9,
    over=1.6,
    quiff=1,
    shaven=0.6,
    tone=(0.16, 0.06),
    tilt=0.6,
    peak=2,
)
WAVES = replace(
    SWEPT, age=0.4, parting=14, lift=(0.9, 0.2), length=34, width=2.8, wave=(1.6, 15), rough=1.3
)
CURLY = replace(
    SWEPT,
    parting=6,
    lift=(1.2, 0.6),
    length=13,
    width=1.8,
    strands=7,
    wander=0.9,
    wave=(1.6, 8),
    rough=1.6,
    over=1.2,
    quiff=2,
    shaven=0.5,
)
CROP = replace(
    SWEPT,
    parting=3,
    lift=(0.9, 0.1),
    length=11,
    width=1.5,
    strands=6,
    taper=0.9,
    wander=0.3,
    tone=(0.14, 0.06),
    tilt=0.5,
    rough=0.7,
    over=1.5,
    quiff=0,
    peak=2.0,
    volume=-2,
    sweep=0.0,
    receding=0.5,
    shaven=0.75,
)
RECEDING = replace(CROP, lift=(1.3, 0.2), parting=4, sweep=1.5, receding=5, thin=0.15, age=0.6)
BUZZ = replace(
    CROP,
    age=0.0,
    length=6,
    width=0.6,
    strands=5,
    cover=4,
    tone=(0.04, 0.06),
    rough=0.2,
    over=0.2,
    peak=0,
    volume=-4.5,
    shaven=0.5,
    thin=0.35,
)
RING = replace(
    CROP,
    lift=(0.2, 0.0),
    length=14,
    rough=0.3,
    over=0.5,
    volume=-6,
    peak=0,
    receding=1,
    shaven=0.2,
    bald=58,
    age=1.0,
    sparse=0.7,
)
SIDE_PARTED = replace(
    SWEPT,
    parting=27,
    lift=(0.35, 0.05),
    length=40,
    width=2.4,
    wander=0.12,
    tone=(0.09, 0.05),
    rough=0.5,
    over=0.4,
    quiff=1,
    volume=-2,
    receding=3,
    sparse=0.6,
    thin=0.1,
    shaven=0.35,
    age=0.9,
)
SHORT = (
    BUZZ,
    RING,
    CROP,
    RECEDING,
    TOUSLED,
    SIDE_PARTED,
    BACK,
    QUIFF,
    SWEPT_LEFT,
    SWEPT,
    WAVES,
    CURLY,
)
