"""The mark of a disguised voice: one line in a file's metadata, which says what made its sound.

It stands in the tag `comment`, because FLAC, WAV, MP3, MP4, Ogg and Matroska all have one and
FFmpeg copies it when it converts a file from one to another. It names the software, its version
and the method, and the kind of source in the words of the IPTC; never the secret of the voice.

Whoever wants to can take the mark away. That it is missing proves nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from speech2face import __version__

TAG = "comment"
SOURCE_TYPES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
ALTERED = "algorithmicallyEnhanced"  # a recording whose sound a program has changed
GENERATED = "trainedAlgorithmicMedia"  # words chosen by a trained network, spoken by a machine
SPOKEN_ANEW = ("resynthesis", "resynthesis-natural")  # methods of such words
SEVERAL = "several"  # the method of what was disguised more than once
_PATTERN = re.compile(r"software=speech2face version=([\w.+-]{1,40}) method=([\w-]{1,40})\b")


@dataclass(frozen=True)
class Mark:
    """The mark in a file that says how its voice was disguised."""

    version: str  # of speech2face
    method: str  # of `anonymise`; `command` where another program was run; or `SEVERAL`


def make_mark(method: str) -> dict[str, str]:
    """The tags of a file that `method` disguised."""
    kind = GENERATED if method in SPOKEN_ANEW else ALTERED
    return {
        TAG: f"Disguised voice, sound made by a machine: software=speech2face "
        f"version={__version__} method={method} digitalSourceType={SOURCE_TYPES}{kind}"
    }


def find_mark(tags: Mapping[str, str]) -> Mark | None:
    """The mark among a file's tags, whatever their names have become; None where there is none.

    Marks of different methods are one of `SEVERAL`.
    """
    marks = [Mark(*groups) for text in tags.values() for groups in _PATTERN.findall(text)]
    if len({mark.method for mark in marks}) > 1:
        return Mark(marks[0].version, SEVERAL)
    return marks[0] if marks else None
