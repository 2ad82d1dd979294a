"""A sample as files: encoded into a piece of a WebDataset tar, and decoded from one.

    KEY.flac            the speech, 16 bits at 16 kHz
    KEY.face.jpg        the face
    KEY.embedding.npy   its embedding
    KEY.mean.npy        of a video: the mean embedding over good frames
    KEY.sface.npy       or KEY.dlib.npy: embeddings that tell people apart (split_leaks.py)
    KEY.json            source and quality

KEY is the clip's name with everything but letters, digits and _- as %XX. The bytes are those of one
version of FFmpeg, libjpeg and numpy.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

import numpy as np

from speech2face.data.ledger import read_quality, read_source, to_json
from speech2face.data.samples import Sample
from speech2face.data.split_leaks import RECOGNISERS
from speech2face.media import SAMPLE_RATE, load_audio

JPEG = {"format": "JPEG", "quality": 95, "subsampling": 0}


def encode_sample(sample: Sample) -> bytes:
    """Sample → a piece of a tar (bytes). Concatenated pieces and an end of tar make a shard."""
    files = {
        "flac": _encode_flac(sample.speech),
        "face.jpg": _encode_jpeg(sample.face),
        "embedding.npy": _encode_array(sample.embedding),
        **({} if sample.mean is None else {"mean.npy": _encode_array(sample.mean)}),
        **{f"{name}.npy": _encode_array(a) for name, a in sorted(sample.further.items())},
        "json": to_json(sample.describe()).encode(),
    }
    key, parts = name_key(sample.source.clip), []
    for kind, data in files.items():
        header = tarfile.TarInfo(f"{key}.{kind}")  # of nobody, at the beginning of time
        header.size = len(data)
        parts += [header.tobuf(tarfile.GNU_FORMAT), data, bytes(-len(data) % tarfile.BLOCKSIZE)]
    return b"".join(parts)


def decode_sample(files: Mapping[str, bytes]) -> Sample:
    """Files of one sample as a WebDataset reader gives them (`flac`, `face.jpg` …) → the sample."""
    from PIL import Image

    description = json.loads(files["json"])
    with Image.open(io.BytesIO(files["face.jpg"])) as picture:
        face = np.asarray(picture.convert("RGB"))
    return Sample(
        read_source(description["source"]),
        load_audio(files["flac"]).samples,
        face,
        decode_array(files["embedding.npy"]),
        read_quality(description["quality"]),
        {
            name: decode_array(files[f"{name}.npy"])
            for name in RECOGNISERS
            if f"{name}.npy" in files
        },
        decode_array(files["mean.npy"]) if "mean.npy" in files else None,
    )


def decode_target(
    files: Mapping[str, bytes], frames: Literal["best", "mean"] = "best"
) -> np.ndarray:
    """Files of one sample → the face's embedding (D,) of the best frame.

    With "mean" it is the mean over the good frames, where the sample has one.
    """
    mean = frames == "mean" and "mean.npy" in files
    return decode_array(files["mean.npy" if mean else "embedding.npy"])


def decode_array(data: bytes) -> np.ndarray:
    return np.load(io.BytesIO(data), allow_pickle=False)


def name_key(clip: str) -> str:
    """The clip's key in a shard: readers cut names at the first dot, and paths at slashes."""
    return quote(clip, safe="", errors="surrogateescape").replace(".", "%2E").replace("~", "%7E")


def cut_pieces(shard: Path) -> Iterator[tuple[str, bytes]]:
    """The clip's name and the piece of each sample in a shard, as `encode_sample` made them."""
    with tarfile.open(shard) as tar, shard.open("rb") as file:
        members = tar.getmembers()
        for _, group in groupby(members, key=lambda member: member.name.partition(".")[0]):
            first, *_, last = group
            description = tar.extractfile(last)
            assert description
            clip = json.loads(description.read())["source"]["clip"]
            end = last.offset_data + last.size
            file.seek(first.offset)
            yield clip, file.read(end + -end % tarfile.BLOCKSIZE - first.offset)


def read_embeddings(piece: Path, face_encoder: str) -> tuple[str, dict[str, np.ndarray]]:
    """A piece → the clip's name, and the embeddings (D,) of its face by recogniser.

    `face_encoder` is the recogniser of the set's own embedding.
    """
    with tarfile.open(piece) as tar:
        files = {name.partition(".")[2]: tar.extractfile(name) for name in tar.getnames()}
        held = {kind: file.read() for kind, file in files.items() if file}
    arrays = {name: held.get(f"{name}.npy") for name in RECOGNISERS}
    arrays[face_encoder] = held["embedding.npy"]
    clip = json.loads(held["json"])["source"]["clip"]
    return clip, {name: decode_array(data) for name, data in arrays.items() if data}


def read_speech(piece: Path) -> np.ndarray:
    """A piece → its speech (n,), 16 kHz."""
    with tarfile.open(piece) as tar:
        name = next(name for name in tar.getnames() if name.endswith(".flac"))
        file = tar.extractfile(name)
        assert file
        return load_audio(file.read()).samples


def _encode_flac(speech: np.ndarray) -> bytes:
    """Sound (n,) within ±1 at 16 kHz → a flac of 16 bits."""
    import av

    samples = np.clip(np.round(speech * 32_768.0), -32_768, 32_767).astype(np.int16)
    file = io.BytesIO()
    with av.open(file, "w", format="flac") as output:
        track: Any = output.add_stream("flac", rate=SAMPLE_RATE, layout="mono", format="s16")
        frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts = SAMPLE_RATE, 0
        track.open()
        regroup = av.AudioResampler("s16", "mono", SAMPLE_RATE, track.frame_size)
        for part in [*regroup.resample(frame), *regroup.resample(None)]:
            output.mux(track.encode(part))
        output.mux(track.encode(None))
    return file.getvalue()


def _encode_jpeg(face: np.ndarray) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(face).save(file, **JPEG)
    return file.getvalue()


def _encode_array(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array.astype(np.float32), allow_pickle=False)
    return file.getvalue()
