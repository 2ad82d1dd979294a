"""A person made of ellipses, with landmarks where they are drawn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

SIZE = 224
LIGHT, DARK = (226, 178, 150), (112, 70, 50)
BLACK, BLOND = (40, 32, 28), (205, 165, 95)
WHITE = (196, 182, 168)


@dataclass(frozen=True)
class Person:
    """A face to draw: lengths in fractions of the picture, colours RGB."""

    skin: tuple[int, int, int] = LIGHT
    hair: tuple[int, int, int] = BLACK
    half_width: float = 0.26
    long_hair: bool = False
    bearded: bool = False
    folds: float = 0  # from nose to mouth, how much darker than the skin

    def landmarks(self) -> np.ndarray:
        """(66, 2) in the order of speech2face.data.face_unwarping.LANDMARKS."""
        turn = np.radians(np.arange(-90, 270, 20))
        oval = np.stack([0.5 + self.half_width * np.cos(turn), 0.58 + 0.31 * np.sin(turn)], 1)
        eye = [(-5, 0), (-3, 1), (0, 1.5), (3, 1), (5, 0), (3, -1), (0, -1.5), (-3, -1)]
        brow = [(-7, -4), (-4, -6), (-1, -7), (3, -7), (6, -6)]
        nose = [(50, y) for y in (44, 47, 50, 53, 59, 63.5)]
        nose += [(44, 63), (56, 63), (42, 60), (58, 60)]
        lips = [(40, 72), (42, 74), (47, 76), (50, 76), (53, 76), (58, 74), (60, 72)]
        lips += [(42, 71), (47, 69), (50, 70), (53, 69), (58, 71)]
        sides = [np.array(part) * [sign, 1] for part in (eye, brow) for sign in (1, -1)]
        places = [(50 + sign * 12, 46) for sign in (-1, 1)] * 2
        features = [*(side + place for side, place in zip(sides, places, strict=True)), nose, lips]
        return np.concatenate([oval, np.concatenate(features) / 100])

    def picture(self) -> Image.Image:
        """Drawn without outlines and a little blurred, as the model draws."""
        marks = self.landmarks() * SIZE
        sheet = Image.new("RGB", (SIZE, SIZE), "white")
        pen = ImageDraw.Draw(sheet)

        def ellipse(
            left: float, top: float, right: float, bottom: float, colour: tuple[int, int, int]
        ) -> None:
            pen.ellipse([SIZE * at for at in (left, top, right, bottom)], fill=colour)

        side = self.half_width
        ellipse(0.1, 0.85, 0.9, 1.4, (90, 100, 130))
        ellipse(0.48 - side, 0.08, 0.52 + side, 0.8, self.hair)
        if self.long_hair:
            pen.rectangle([SIZE * at for at in (0.36 - side, 0.4, 0.64 + side, 1)], fill=self.hair)
        pen.polygon([tuple(p) for p in marks[:18]], fill=self.skin)
        if self.bearded:
            pen.polygon([tuple(p) for p in marks[5:14]], fill=self.hair)
            ellipse(0.38, 0.64, 0.62, 0.8, self.hair)
        for part, colour in (
            (slice(18, 26), (60, 40, 30)),
            (slice(26, 34), (60, 40, 30)),
            (slice(54, 66), (170, 80, 80)),
        ):
            middle = marks[part].mean(0)
            turn = (marks[part] - middle) @ [1, 1j]
            outline = marks[part][np.angle(turn).argsort()]
            pen.polygon([tuple(p) for p in outline], fill=colour)
        for part in (slice(34, 39), slice(39, 44)):
            pen.line([(x, y + 4) for x, y in marks[part]], fill=self.hair, width=8)
        if self.folds:
            dark = tuple(round((1 - self.folds) * c) for c in self.skin)
            for wing, corner in ((52, 54), (53, 60)):
                aside = 0.03 * SIZE * np.sign(marks[wing] - marks[48])[0]
                line = [(x + aside, y) for x, y in (marks[wing], marks[corner])]
                pen.line(line, fill=dark, width=3)
        return sheet.filter(ImageFilter.GaussianBlur(1.5))
