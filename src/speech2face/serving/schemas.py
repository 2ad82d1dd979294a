"""Schemas of the answers, for /openapi.json; the tests hold the server to it."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from speech2face.metrics.protection_results import Protection

WHO_SPEAKS = "Who speaks in it, who speaks most first; with speaker=all with what was made of each."


class Disguised(BaseModel):
    """Evidence that the voice is disguised, as far as that can be known."""

    model_config = ConfigDict(extra="forbid")

    by: Literal["mark", "detector"] | None = Field(
        description="How that is known: the file's metadata say so, or a classifier of speech, "
        "which errs (docs/privacy.md). Null: nothing speaks for it."
    )
    method: str | None = Field(description="Of `speech2face anonymise`, where the mark says so.")
    probability: float = Field(description="The classifier's, that it is disguised.")


class Confidence(BaseModel):
    """The voice's disclosure of the face, as the command `speech2face audit` states it."""

    model_config = ConfigDict(extra="forbid")

    bits: float | None = Field(
        description="Disclosed of whose face it is. One more bit halves the crowd to hide in. Null "
        "for a disguised voice, of which that cannot be stated.",
        examples=[1.21],
    )
    low: float | None = Field(
        description="Of the 95 % interval; null where nothing was fitted.", examples=[0.98]
    )
    high: float | None = Field(examples=[1.43])
    disguised: Disguised
    calibrated_on: int = Field(
        description="People on whom the bits were fitted, none of whom the encoder had met. "
        "0: they are the model's own belief.",
        examples=[775],
    )
    words: str = Field(examples=["These 5.2 s of speech disclose about 1.2 bits …"])
    notes: list[str] = Field(description="What else is to be known of it, a sentence each.")


class Speaker(BaseModel):
    """One of the people who speak in a recording."""

    model_config = ConfigDict(extra="forbid")

    number: int = Field(description="From 1, who speaks most.", examples=[1])
    speech_seconds: float = Field(description="Of speech.", examples=[41.2])
    segments: list[tuple[float, float]] = Field(
        description="Start and end in seconds of what they say.", examples=[[[0.13, 5.35]]]
    )


class ChosenSpeaker(Speaker):
    """One of them with what was made of their speech: where all were asked for."""

    used_speech_seconds: float = Field(description="Of their speech that was used.")
    used_segments: list[tuple[float, float]]
    confidence: Confidence | None


class DrawnSpeaker(ChosenSpeaker):
    """One of them with their face."""

    image: str = Field(description="PNG, base64: the face at `strength`.")
    samples: list[str]
    strength: float
    hair: str


class EmbeddedSpeaker(ChosenSpeaker):
    """One of them with the Gaussian over their face embeddings."""

    mean: list[float]
    prior_mean: list[float]
    covariance: list[list[float]] | None


class RecordingResult(BaseModel):
    """Facts on the recording and the model behind an answer."""

    model_config = ConfigDict(extra="forbid")

    model: str = Field(examples=["default"])
    speech_seconds: float = Field(description="Of speech that was used.", examples=[5.22])
    analysed_seconds: float = Field(
        description="Of the recording, or of the part that was asked for.", examples=[5.5]
    )
    segments: list[tuple[float, float]] = Field(
        description="Start and end in seconds of what was used.", examples=[[[0.13, 5.35]]]
    )
    confidence: Confidence | None = Field(
        description="Null for a model whose covariance does not depend on a recording's length."
    )
    warnings: list[str] = Field(description="What is wrong with the sound.", examples=[[]])
    speaker: int | None = Field(
        description="The number of whose speech was used; null where nobody was told apart."
    )


class Face(RecordingResult):
    """The face that a voice suggests."""

    image: str = Field(description="PNG, base64: the face at `strength`.", examples=["iVBORw0K…"])
    samples: list[str] = Field(description="PNG, base64: faces this voice may have.", examples=[[]])
    strength: float = Field(description="Of the image: 0 average, 1 typical.", examples=[1.0])
    hair: str = Field(description="Of all pictures: typical, none, or the number of a shape.")
    notice: str = Field(description="Show it beside the picture.")
    speakers: list[DrawnSpeaker | Speaker] = Field(description=WHO_SPEAKS)


class Embedding(RecordingResult):
    """The Gaussian over face embeddings."""

    mean: list[float]
    prior_mean: list[float] = Field(description="The mean face of all people.")
    covariance: list[list[float]] | None
    speakers: list[EmbeddedSpeaker | Speaker] = Field(description=WHO_SPEAKS)


class Credentials(BaseModel):
    """Content credentials (C2PA) of a picture."""

    model_config = ConfigDict(extra="forbid")

    state: Literal["absent", "unverified", "changed", "valid", "trusted"] = Field(
        description="unverified: the server cannot verify them; changed: they do not fit the "
        "picture; valid: they fit, and anybody may have signed."
    )
    signer: str = Field(description="The name on the certificate.")
    source_types: list[str] = Field(description="The IPTC's digital source types in them.")
    problem: str = Field(description="Why they do not fit.")


class Watermark(BaseModel):
    """The watermark of speech2face in a picture."""

    model_config = ConfigDict(extra="forbid")

    found: bool
    score: float = Field(description="In standard deviations of chance.", examples=[12.6])
    number: int | None = Field(description="The model's; null where it cannot be read.")
    models: list[str] = Field(description="Of this server, with that number.")


class PictureCheck(BaseModel):
    """Whether a picture is generated."""

    model_config = ConfigDict(extra="forbid")

    answer: Literal["yes", "no", "unknown"] = Field(
        description="unknown: nothing was found, which proves nothing."
    )
    words: str = Field(description="The answer and why, a sentence.")
    reasons: list[str]
    source_types: list[str] = Field(
        description="The IPTC's digital source types in the metadata.",
        examples=[["trainedAlgorithmicMedia"]],
    )
    credentials: Credentials
    watermark: Watermark
    warnings: list[str]


class Protected(BaseModel):
    """A recording in which everybody who speaks is disguised, and what remains."""

    model_config = ConfigDict(extra="forbid")

    file: str = Field(
        description="Base64: FLAC, 16 kHz, mono; of a video the video with its sound replaced.",
        examples=["ZkxhQwAA…"],
    )
    media_type: str = Field(description="Of the file.", examples=["audio/flac"])
    words: dict[str, str] = Field(
        description="What was done and what remains, by what it speaks of, the most important "
        "first: verdict, done, face, voice, words, telling and more.",
        examples=[{"verdict": "Disguised, but not anonymous: …"}],
    )
    report: str = Field(description="The same at length: a page, HTML, which needs no other file.")
    protection: Protection = Field(
        description="All figures, as `speech2face protect --json` prints them. Bits are of the "
        "face, times are in seconds of the recording."
    )


class ModelFacts(BaseModel):
    """A model's card, short."""

    name: str
    version: str
    licence: str
    summary: str
    face_encoder: str
    hair_shapes: int = Field(description="That `hair` can choose among; 0: there is no choice.")
    sha256: dict[str, str]


class Bounds(BaseModel):
    """Bounds that a client may want to know before it sends."""

    bytes: int = Field(description="Of a request's body, at most.")
    seconds: float = Field(description="Of a recording that are listened to, at most.")
    side: int = Field(description="Of a picture in pixels, at most.")
    samples: int
    protected_seconds: float = Field(
        description="Of a recording that is disguised, at most. 0: none is."
    )


class Models(BaseModel):
    """The model that is served, and the bounds."""

    models: list[ModelFacts]
    limits: Bounds


class Problem(BaseModel):
    """An error (RFC 9457)."""

    type: str = Field(examples=["urn:speech2face:no-speech-error"])
    title: str = Field(examples=["No speech"])
    status: int = Field(examples=[422])
    detail: str = Field(examples=["the recording: silence; at least 0.5 s of speech are needed"])
    code: int = Field(description="The command's exit code for the same.", examples=[4])


class Health(BaseModel):
    """Alive, or ready."""

    status: str = Field(examples=["ok"])


PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {
        "description": words,
        "content": {"application/problem+json": {"schema": Problem.model_json_schema()}},
    }
    for status, words in (
        (400, "A wrong parameter, or a form without a part named file."),
        (408, "The body did not arrive in time."),
        (413, "The body is too large."),
        (415, "Not a recording, or a picture, that can be read."),
        (422, "No speech in it."),
        (500, "The server failed."),
        (503, "Too much to do, or out of time; Retry-After says when to try again."),
    )
}

_BYTES = {"schema": {"type": "string", "format": "binary"}}
RECORDING = {
    "requestBody": {
        "required": True,
        "description": "A recording or video: wav, flac, mp3, ogg, m4a, webm, mp4 or mkv.",
        "content": {
            "application/octet-stream": _BYTES,
            "audio/*": _BYTES,
            "video/*": _BYTES,
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": {"type": "string", "format": "binary"}},
                }
            },
        },
    }
}
PICTURE = {
    "requestBody": {
        "required": True,
        "description": "A picture: PNG, JPEG, WebP, AVIF, GIF, TIFF, BMP, PPM or JPEG 2000.",
        "content": {
            "application/octet-stream": _BYTES,
            "image/*": _BYTES,
            "multipart/form-data": RECORDING["requestBody"]["content"]["multipart/form-data"],
        },
    }
}
WARNINGS = "Speech2Face-Warnings"
_WARNINGS = {
    WARNINGS: {
        "description": "With the file alone: what is wrong with the sound, a JSON list.",
        "schema": {"type": "string"},
    }
}
PNG: dict[str, Any] = {
    "description": "The face: JSON, or the PNG alone where Accept says image/png.",
    "content": {"image/png": _BYTES},
    "headers": _WARNINGS,
}
PROTECTED_ALONE: dict[str, Any] = {
    "description": "The disguise and what remains: JSON, or the disguised recording alone where "
    "Accept says audio/flac, audio/wav or, of a video, video/*.",
    "content": {"audio/flac": _BYTES, "audio/wav": _BYTES, "video/*": _BYTES},
    "headers": _WARNINGS,
}
