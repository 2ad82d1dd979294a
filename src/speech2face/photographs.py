"""Files of photographs → upright RGB at a bounded size, whatever the camera made of them."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from speech2face.errors import UnreadableMediaError

if TYPE_CHECKING:
    from PIL.Image import Image, Transpose

MOST_PIXELS = 4096 * 4096  # of a picture in memory, 50 MB; larger photographs are scaled down
MOST_DECODED = 8192 * 8192  # pixels decoded whole, as of videos' frames; JPEGs come smaller
MOST_JPEG = 1 << 29  # pixels of a JPEG, which is decoded at a half, a quarter or an eighth
GROUND = (255, 255, 255)  # colour behind transparent pixels
# Readers of photographs; others of Pillow's start programs (EPS), or draw nothing by themselves.
FORMATS = ("JPEG", "MPO", "PNG", "WEBP", "AVIF", "GIF", "TIFF", "BMP", "PPM", "JPEG2000")


@dataclass(frozen=True)
class Photograph:
    """A picture that was read, and what its file says of it."""

    image: Image  # RGB, upright
    xmp: bytes  # its XMP metadata; empty where it has none
    texts: dict[str, str]  # the texts in a PNG, by their names


def load_image(path: str | Path) -> np.ndarray:
    """Read a picture as RGB uint8 (H, W, 3), turned upright by its EXIF orientation.

    At most 4096 × 4096 pixels: a larger one is scaled down. Transparent pixels lie on white, of
    several pictures the first is taken. Raises UnreadableMediaError where there is no picture at
    `path`, it is damaged or cut off, or is too large to be decoded.
    """
    try:
        with open(path, "rb") as file:
            return np.array(read_photograph(file, str(path)).image)
    except OSError as error:
        raise _unreadable(str(path), error.strerror or str(error)) from None


def read_photograph(file: BinaryIO, name: str) -> Photograph:
    """Read an open file as `load_image` does, with its metadata; errors call it by `name`."""
    try:
        with warnings.catch_warnings():  # Pillow warns of what is looked after here
            warnings.simplefilter("ignore")
            with _open(file, name) as image:
                _choose_scale(name, image)
                picture = _to_rgb(image)
                return Photograph(picture, _find_xmp(image), getattr(image, "text", {}))
    except UnreadableMediaError:
        raise
    except Exception as error:  # of a damaged file Pillow's readers raise many types
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        if reason.startswith("cannot identify"):
            reason = _guess_kind(file)
        raise _unreadable(name, reason or type(error).__name__) from None


def _unreadable(name: str, reason: str) -> UnreadableMediaError:
    return UnreadableMediaError(f"{name}: not a picture that can be read ({reason}).")


def _open(file: BinaryIO, name: str) -> Image:
    """The picture, not yet decoded."""
    from PIL import Image
    from PIL.JpegImagePlugin import JpegImageFile

    Image.init()
    known = [kind for kind in FORMATS if kind in Image.OPEN]  # AVIF is not, in Pillow 11
    try:
        return Image.open(file, formats=known)
    except Image.DecompressionBombError:  # Pillow's own limit, of which JPEGs need not be afraid
        try:
            file.seek(0)
            return JpegImageFile(file)
        except SyntaxError:
            raise _too_large(name, "more than 178 million") from None


def _choose_scale(name: str, image: Image) -> None:
    """Have a JPEG decoded at the smallest scale that leaves it large enough.

    Raises UnreadableMediaError where more would be decoded than is meant to be in memory.
    """
    width, height = image.size
    whole = bool(image.info.get("progressive"))  # and then its coefficients are all in memory
    if width * height > (2 * MOST_DECODED if whole else MOST_JPEG):
        raise _too_large(name, f"{width} × {height}")
    scale = min(1.0, (MOST_PIXELS / (width * height)) ** 0.5)
    image.draft(image.mode, (int(width * scale), int(height * scale)))  # does nothing but to JPEGs
    if image.size[0] * image.size[1] > MOST_DECODED:
        raise _too_large(name, f"{width} × {height}")


def _to_rgb(image: Image) -> Image:
    """Decoded, upright, RGB, of at most MOST_PIXELS."""
    from PIL import Image

    image.load()
    turn = _find_turn(image)
    if image.mode.startswith("I"):  # whole numbers of 16 bits, which Pillow would cut off at 255
        image = Image.fromarray(_halve_bits(np.asarray(image)))
    if image.mode == "F":
        raise ValueError("its pixels are floating point; save it with 8 bits")
    if image.has_transparency_data:
        flat = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", flat.size, (*GROUND, 255)), flat)
    image = image.convert("RGB")
    scale = (MOST_PIXELS / (image.width * image.height)) ** 0.5
    if scale < 1:
        size = (max(int(image.width * scale), 1), max(int(image.height * scale), 1))
        image = image.resize(size, Image.Resampling.BICUBIC, reducing_gap=2.0)
    return image if turn is None else image.transpose(turn)


def _find_turn(image: Image) -> Transpose | None:
    """The turn that makes a picture upright by its EXIF; None if none is needed or EXIF is
    damaged."""
    from PIL import ExifTags
    from PIL.Image import Transpose

    turns = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }
    try:
        return turns.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # Pillow raises many types
        return None


def _halve_bits(levels: np.ndarray) -> np.ndarray:
    """Grey levels of 16 bits (H, W) -> uint8; of 8 bits in a wider type, as they are."""
    if levels.min() < 0 or levels.max() > 0xFFFF:
        raise ValueError("its pixels have 32 bits; save it with 8")
    wide = levels.dtype.itemsize == 2 or levels.max() > 0xFF
    return (levels >> 8 if wide else levels).astype(np.uint8)


def _find_xmp(image: Image) -> bytes:
    """The XMP packet, as Pillow's readers keep it: each in its own place."""
    xmp = image.info.get("xmp") or getattr(image, "tag_v2", {}).get(700, b"")
    return xmp.encode() if isinstance(xmp, str) else bytes(xmp)


def _too_large(name: str, pixels: str) -> UnreadableMediaError:
    return UnreadableMediaError(
        f"{name}: too large a picture ({pixels} pixels); scale it down, or save it as a plain JPEG."
    )


def _guess_kind(file: BinaryIO) -> str:
    """Guess the kind of a file that no reader knows, by its first bytes."""
    file.seek(0)
    head = file.read(12)
    if not head:
        return "the file is empty"
    if head[4:8] == b"ftyp":
        return "HEIC or a video; save it as JPEG or PNG"
    return "no picture, or of an unknown kind; save it as JPEG or PNG"
