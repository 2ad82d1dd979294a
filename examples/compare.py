"""Compares what two recordings say of a face.

    python examples/compare.py [RECORDING RECORDING]

Prints the cosine of the two, each taken from the average face: 1 where both voices suggest the
same face, 0 where they have nothing in common, below 0 where they are on opposite sides of the
average. Beside it stands the cosine of two halves of the first recording: one voice.

It can say that two voices suggest like faces. It cannot say that one person speaks in both: the
voices of two people can be nearer to each other than two recordings of one. For that there are
speaker verifiers, which are trained to tell people apart; this is trained to tell faces.
"""

import sys
from pathlib import Path

import numpy as np

import speech2face
from speech2face.media import SAMPLE_RATE, load_audio

HERE = Path(__file__).resolve().parent


def main(first: Path = HERE / "emma.flac", second: Path = HERE / "sara.flac") -> None:
    model = speech2face.load()
    one, other = model.embed(first), model.embed(second)
    print(f"{first.name} and {second.name}: {cosine(one, other):.2f}")

    halves = np.array_split(load_audio(first).samples, 2)
    one, other = (model.embed((half, SAMPLE_RATE)) for half in halves)
    print(f"{first.name}, its halves: {cosine(one, other):.2f}")


def cosine(one: speech2face.VoiceEmbedding, other: speech2face.VoiceEmbedding) -> float:
    """Of the ways in which two voices lead away from the average face.

    All faces lie near each other in the recogniser's space: with the average left in, any two
    voices would be at .96 or more.
    """
    a, b = one.mean - one.prior_mean, other.mean - other.prior_mean
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
