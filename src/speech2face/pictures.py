"""Pictures leave here: marked as generated, written whole or not at all."""

from __future__ import annotations

import os
import zlib
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from speech2face.check_numbers import check_number, check_whole
from speech2face.errors import UsageError
from speech2face.files import cannot_write, write_atomically
from speech2face.name_suggestions import suggest
from speech2face.remote_files import address_of, is_file_anywhere

if TYPE_CHECKING:
    from PIL.Image import Image

    from speech2face.content_credentials import PictureSigner

SIZES = range(16, 2049)  # pixels a side that can be asked for
# Of zlib: only runs of equal bytes are looked for, of which a filtered picture is full. Files are
# as large as at level 4, which takes half as long again, and at level 6 four times as long.
COMPRESSION = {"compress_level": 1, "compress_type": zlib.Z_RLE}
MOST_SAMPLES = 64  # pictures beside the first
MOST_STRENGTH = 1.5  # distance of a drawn face from the average; a typical one is at 1
STYLES = ("plain", "cartoon")

NOTICE = (
    "Generated picture: the typical face that a voice suggests. "
    "It shows nobody and is nobody's portrait."
)
# The IPTC's word for pictures made by a trained model, which picture libraries look for.
XMP = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
    'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
    'xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" '
    "Iptc4xmpExt:DigitalSourceType="
    '"http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"/>'
    "</rdf:RDF></x:xmpmeta>"
)


def write_png(
    image: Image,
    path: str | Path,
    model: str,
    force: bool = False,
    *,
    comment: str = "",
    signer: PictureSigner | None = None,
) -> None:
    """Write a PNG whose metadata say that it is generated, and by which model.

    `image` is a Pillow image of any size, `path` ends in .png, and `model` is the model's name, as
    `card.name` of a loaded one. `comment` goes to the metadata as well, as those of
    `Reconstruction.comments`; `signer` signs all of it. A file that exists is overwritten with
    `force` alone; it is written whole or not at all.

    Raises UsageError where the file exists (without `force`) or its place is none for a PNG, and
    StorageError where the disk is full or fails.
    """
    path = Path(path)
    check_writable(path, force)
    with write_atomically(path) as file:
        if signer is None:
            encode_png(image, file, model, comment)
        else:
            plain = BytesIO()
            encode_png(image, plain, model, comment)
            file.write(signer.sign(plain.getvalue(), path.name, model))


def encode_png(image: Image, file: BinaryIO, model: str, comment: str = "") -> None:
    """Write the PNG of `write_png` into an open file."""
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    for name, text in describe_origin(model).items():
        info.add_text(name, text)
    if comment:
        info.add_text("Comment", comment)
    info.add_itxt("XML:com.adobe.xmp", XMP)
    image.save(file, format="PNG", pnginfo=info, **COMPRESSION)


def describe_origin(model: str) -> dict[str, str]:
    """The texts, by their names, that the metadata of all pictures drawn by a model hold."""
    from speech2face import __version__

    software = f"speech2face {__version__}, model {model}"
    return {"Description": NOTICE, "Software": software, "Source": "generated"}


def check_style(style: Any) -> str:
    """Return `style`. Raises UsageError unless it is one of STYLES."""
    if not isinstance(style, str) or style not in STYLES:
        raise UsageError(
            f"style is {' or '.join(STYLES)}, not {style!r:.60}.{suggest(style, STYLES)}"
        )
    return style


def check_strength(strength: Any) -> float:
    """Return `strength` as a float. Raises UsageError unless it is from 0 to MOST_STRENGTH."""
    return check_number("strength", strength, 0, MOST_STRENGTH)


def check_writable(path: Path, force: bool) -> None:
    """Raise UsageError where `path` is no PNG's name, or as `check_place` does."""
    if path.suffix.lower() != ".png" and not os.path.isdir(path):
        raise UsageError(f"{path}: pictures are PNG; end the name in .png.")
    check_place(path, force)


def check_place(path: Path, force: bool) -> None:
    """Raise UsageError where `path` exists (without `force`) or is no place for a file."""
    if address := address_of(path):
        if not force and is_file_anywhere(path):
            raise UsageError(f"{address} exists; --force overwrites it.")
        return
    folder = path.parent
    if not os.path.isdir(folder):
        wrong = "not a folder" if os.path.lexists(folder) else "no such folder"
        raise UsageError(f"{folder}: {wrong}.")
    try:
        if path.is_dir():
            raise UsageError(f"{path} is a folder; name a file, or use --out-dir.")
        exists = path.exists()
    except OSError as error:  # a name that is too long, say
        raise cannot_write(path, error) from None
    if exists and not force:
        raise UsageError(f"{path} exists; --force overwrites it.")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UsageError(f"{folder}: no permission to write there.")


def contact_sheet(pictures: Sequence[tuple[str, Image]], columns: int = 4) -> Image:
    """Pictures in rows of `columns`, each with its name beneath → one RGB image on white.

    `pictures` are names with Pillow images, square and all of one size: S pixels a side give
    10 + (S + 10) × columns across and 10 + (S + 36) × rows down. Raises UsageError where there are
    none, or they are of several sizes.
    """
    from PIL import Image, ImageDraw, ImageFont

    columns = check_whole("columns", columns, 1)
    if not pictures:
        raise UsageError("a sheet needs at least one picture.")
    if len({size for _, picture in pictures for size in picture.size}) > 1:
        raise UsageError("the pictures of a sheet are square and all of one size.")
    side, line, gap = pictures[0][1].width, 26, 10
    rows = -(-len(pictures) // columns)
    width = columns * (side + gap) + gap
    sheet = Image.new("RGB", (width, rows * (side + line + gap) + gap), "white")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(size=16)
    for index, (name, picture) in enumerate(pictures):
        x = gap + index % columns * (side + gap)
        y = gap + index // columns * (side + line + gap)
        sheet.paste(picture, (x, y))
        draw.text((x + side / 2, y + side + 2), name, "black", font, anchor="ma")
    return sheet
