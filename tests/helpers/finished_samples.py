"""Samples of nobody, as the stages of preparation would give them, and sets made of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from speech2face.data.ledger import make_entry
from speech2face.data.sample_codec import encode_sample
from speech2face.data.samples import Quality, Refusal, Sample, SampleSource
from speech2face.data.shard_index import Index, Packing
from speech2face.data.spool import Spool

RATE = 16_000
SECONDS = {"decode": 0.2, "detect": 0.5}
FACTS = {"source": "made up", "face_encoder": "dlib"}
PACKING = Packing(shares=(0.5, 0.25, 0.25), samples=3)


def make_sample(number: int, person: str | None = None, seconds: float = 0.5) -> Sample:
    """Noise, a smooth picture and an embedding, all of the number; an embedding of a person's."""
    rng = np.random.default_rng(number)
    person = person or f"person {number // 2}"
    clip = f"set.a/Zoë~{number:03d}.mp4"
    centre = np.random.default_rng(list(person.encode())).normal(size=128)
    embedding = 0.05 * centre + 0.001 * rng.normal(size=128)
    line = np.linspace(0, 1, 224)
    face = 255 * line[:, None, None] * line[:, None] * rng.uniform(0.5, 1, 3)
    return Sample(
        SampleSource(clip, f"set.a/{number}.mp4", 1.5, 1.5 + seconds, person),
        (0.1 * rng.normal(size=round(seconds * RATE))).clip(-1, 1).astype(np.float32),
        face.astype(np.uint8),
        embedding.astype(np.float32),
        Quality(1.7, np.float32(0.1).item(), 0.3, 120.0, 60.0, seconds, float("nan")),
    )


def make_outcomes(count: int) -> list[Sample | Refusal]:
    """Every fifth clip is refused; persons 0 and 3 have the same face."""
    outcomes: list[Sample | Refusal] = []
    for number in range(count):
        sample = make_sample(number)
        if number % 5 == 4:
            outcomes.append(Refusal(sample.source, "detect", "no face"))
        elif sample.source.person == "person 3":
            face = make_sample(0).embedding
            other = Sample(sample.source, sample.speech, sample.face, face, sample.quality)
            outcomes.append(other)
        else:
            outcomes.append(sample)
    return outcomes


def add(spool: Spool, outcomes: Iterable[Sample | Refusal]) -> None:
    for outcome in outcomes:
        piece = encode_sample(outcome) if isinstance(outcome, Sample) else None
        spool.add(make_entry(outcome, SECONDS), piece)


def make_set(
    folder: Path, outcomes: Sequence[Sample | Refusal], packing: Packing = PACKING
) -> Index:
    with Spool(folder, packing, FACTS) as spool:
        add(spool, outcomes)
        return spool.pack()


def read_bytes(folder: Path) -> dict[str, bytes]:
    """Everything in a finished set but the ledger, whose times and order are chance's."""
    held = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert held.pop("ledger.jsonl")
    return held


def damage(path: Path, harm: str) -> None:
    held = path.read_bytes()
    if harm == "gone":
        path.unlink()
    else:
        path.write_bytes(held[:-1] if harm == "cut" else held.replace(b"fLaC", b"fLaD", 1))
