"""The figures of docs/how.md, drawn of what the released model does with a synthetic voice, and
that of docs/training.md, drawn of benchmarks/learning_curve.json.

    python scripts/draw_figures.py     # needs the extra train; writes docs/figures

SVG with a few small pictures in it: no fonts, no scripts. Light or dark comes from the page.
"""

from __future__ import annotations

import argparse
import base64
import io
import json
import math
import re
from pathlib import Path

import numpy as np
import onnx
import torch
from PIL import Image
from torch import nn

import speech2face
from speech2face.files import write_text_atomically
from speech2face.media import SAMPLE_RATE, load_audio
from speech2face.model_folders import find_model
from speech2face.networks.face_decoder import FaceDecoder, FaceDecoderConfig
from speech2face.networks.voice_encoder import VoiceEncoder
from speech2face.pictures import write_png
from speech2face.reconstruct import Speech2Face
from speech2face.training.onnx_export import load_onnx_weights

HERE = Path(__file__).resolve().parents[1]
FIGURES, EXAMPLES = HERE / "docs" / "figures", HERE / "examples"
VOICE = "emma"
SHAPED = "omega"  # whose shape is far from the average
EXAGGERATED = 2  # displacements, so that they can be seen
STYLE = """
.figure { --ink: #22343f; --quiet: #71828d; --line: #b9c4cb; --fill: #eef2f4;
  --warm: #c4603a; --cool: #2d7ea3; font-family: system-ui, sans-serif; font-size: 14px }
@media (prefers-color-scheme: dark) { .figure { --ink: #e4eaee; --quiet: #9fb0ba;
  --line: #52646f; --fill: #2b3740; --warm: #ec9168; --cool: #6fb9da } }
.figure text { fill: var(--ink); text-anchor: middle }
.figure .small { fill: var(--quiet); font-size: 12px }
.figure .left { text-anchor: start }
.figure .box { fill: var(--fill); stroke: var(--line) }
.figure .line { fill: none; stroke: var(--quiet); stroke-width: 1.5 }
.figure .thin { fill: none; stroke: var(--line) }
.figure .warm { fill: none; stroke: var(--warm); stroke-width: 1.6 }
.figure .cool { fill: none; stroke: var(--cool); stroke-width: 1.6 }
.figure .mesh { fill: none; stroke: var(--cool); stroke-width: 1 }
.figure .warm-dot { fill: var(--warm) }
.figure .cool-dot { fill: var(--cool) }
.figure .warm-cloud { fill: var(--warm); opacity: .2 }
.figure .cool-cloud { fill: var(--cool); opacity: .2 }
.figure .quiet-dot { fill: var(--line) }
.figure .ink-dot { fill: var(--ink) }
.figure .cool-text { fill: var(--cool); font-size: 12px }
"""


def main() -> None:
    argparse.ArgumentParser(description="Draw the figures in docs/figures/.").parse_args()
    model = speech2face.load()
    FIGURES.mkdir(exist_ok=True)
    draw_pipeline(model)
    draw_gaussian(model)
    draw_decoder(model)
    draw_learning_curve()
    face = model.reconstruct(EXAMPLES / f"{VOICE}.flac").image
    write_png(face, FIGURES / "start.png", model.card.name, force=True)


def draw_pipeline(model: Speech2Face) -> None:
    """Sound, the speech in it, the networks, the Gaussian and the face."""
    speech = load_audio(EXAMPLES / f"{VOICE}.flac").samples
    around = 0.06 * np.random.default_rng(0).normal(size=SAMPLE_RATE).astype(np.float32)
    samples = np.concatenate([around, speech, around])
    face = model.reconstruct((samples, SAMPLE_RATE))
    columns = np.array_split(samples, 56)
    levels = 4 + 52 * np.array([np.abs(c).max() for c in columns]) / np.abs(samples).max()
    seconds = (np.arange(56) + 0.5) * len(samples) / 56 / SAMPLE_RATE
    spoken = [any(a <= t <= b for a, b in face.voice.speech.segments) for t in seconds]
    parts = []
    for x, (level, speech) in enumerate(zip(levels, spoken, strict=True)):
        kind = "warm" if speech else "thin"
        parts.append(line(20 + 2.6 * x, 80 - level / 2, 20 + 2.6 * x, 80 + level / 2, kind))
    parts += [text(93, 140, "recording"), small(93, 158, "speech is found in it")]
    for x, name, about in (
        (205, "voice encoder", "CAM++ and GE2E"),
        (540, "face decoder", "shape, texture, warp"),
    ):
        parts.append(f'<rect class="box" x="{x}" y="46" width="112" height="68" rx="10"/>')
        words = name.split()
        parts += [text(x + 56, 76, words[0]), text(x + 56, 95, words[1]), small(x + 56, 158, about)]
    parts += [ellipse(428, 80, a, 0.55 * a, -25, "cool") for a in (22, 40, 58)]
    parts += [dot(428, 80, 4, "warm-dot")]
    parts += [text(428, 140, "a Gaussian over faces"), small(428, 158, "mean, covariance")]
    parts.append(picture(face.image, 702, 22, 116))
    parts += [text(760, 158, "a typical face")]
    parts += [arrow(a, 80, b) for a, b in ((172, 199), (323, 362), (494, 533), (658, 695))]
    save("pipeline", 848, 170, parts)


def draw_gaussian(model: Speech2Face) -> None:
    """Faces as points, and what one voice says of them, in two directions of the space.

    The directions are those in which the eight voices differ most.
    """
    voices = [model.embed(path) for path in sorted(EXAMPLES.glob("*.flac"))]
    voice = model.embed(EXAMPLES / f"{VOICE}.flac")
    offsets = np.array([v.mean - v.prior_mean for v in voices])
    axes = np.linalg.svd(offsets, full_matrices=False)[2][:2]  # (2, 128)
    mean = axes @ (voice.mean - voice.prior_mean)
    axes *= np.sign(mean)[:, None]
    mean = np.abs(mean)
    people, heard = (axes @ c @ axes.T for c in (covariance_of_people(), voice.covariance))
    scale, centre = 500.0, np.array([348.0, 212.0])

    def place(point: np.ndarray) -> np.ndarray:
        return centre + scale * point * (1, -1)

    def face(point: np.ndarray) -> Image.Image:
        embedding = voice.prior_mean + point @ axes
        if point is mean:
            embedding = voice.decoded_embedding
        return Image.fromarray(model.decode(embedding[None])[0][0])

    dots = np.random.default_rng(1).multivariate_normal([0, 0], people, 400)
    shown = [p for p in map(place, dots) if 130 < p[0] < 590 and 8 < p[1] < 416]
    parts = [dot(*p, 2, "quiet-dot") for p in shown]
    parts += [contour(place(np.zeros(2)), scale, people, width, "line") for width in (1, 2)]
    parts += [contour(place(mean), scale, heard, width, "cool") for width in (1, 2)]
    average, middle = place(np.zeros(2)), place(mean)
    parts += [line(*average, *middle, "warm"), dot(*middle, 5, "warm-dot")]
    parts += [dot(*average, 5, "ink-dot")]
    factor = np.linalg.cholesky(heard)
    up, down = (mean + factor @ np.array(step) for step in ((0.5, 1.5), (0.9, -1.5)))
    rows = (
        (up, 12, "it may be this one", "cool-dot"),
        (mean, 154, "the likeliest", "warm-dot"),
        (down, 296, "or this one", "cool-dot"),
    )
    for point, y, words, kind in rows:
        spot = place(point)
        parts += [line(*spot, 608, y + 50, "thin"), dot(*spot, 4, kind)]
        parts += [picture(face(point), 612, y, 100), small(662, y + 118, words)]
    parts += [line(*average, 116, 210, "thin"), picture(face(np.zeros(2)), 12, 160, 100)]
    parts += [small(62, 278, "the average of"), small(62, 294, "all people")]
    parts += [
        small(190, 66, "all people"),
        text(486, 398, "what this voice leaves open", "cool-text"),
    ]
    save("gaussian", 724, 424, parts)


def covariance_of_people() -> np.ndarray:
    """The spread of people's faces (128, 128): what voices explain of it, and what they do not."""
    head = VoiceEncoder().head
    load_onnx_weights(nn.ModuleDict({"head": head}), find_model().voice_encoder)
    return (head.residual_covariance + head.explained_covariance).numpy().astype(np.float64)


def draw_decoder(model: Speech2Face) -> None:
    """Landmarks and texture drawn apart, the warp, and the face."""
    voice = model.embed(EXAMPLES / f"{SHAPED}.flac")
    shown = torch.tensor(voice.decoded_embedding)[None]
    path = find_model().face_decoder
    decoder = FaceDecoder(FaceDecoderConfig(), None, *count_hair(path))
    load_onnx_weights(decoder, path)
    with torch.no_grad():
        texture, displacement = decoder.draw_head(shown), decoder.draw_shape(shown)
        face = decoder.warp(texture, displacement)
        side = decoder.config.warp_grid
        field = (decoder.warp_basis @ displacement[0]).unflatten(0, (side, side)).numpy()
    before, moved = decoder.mean_shape.numpy(), displacement[0].numpy()

    parts = ['<rect class="box" x="14" y="146" width="112" height="68" rx="10"/>']
    parts += [text(70, 176, "a face"), text(70, 195, "embedding")]
    parts += [curve(126, 180, 196, 92), curve(126, 180, 196, 268)]
    frame = '<rect class="thin" x="{}" y="{}" width="140" height="140" rx="6"/>'
    parts.append(frame.format(204, 22))
    for start, step in zip(before, moved, strict=True):
        (x1, y1), (x2, y2) = (204, 22) + 140 * start, (204, 22) + 140 * (start + EXAGGERATED * step)
        parts += [line(x1, y1, x2, y2, "thin"), dot(x2, y2, 1.8, "warm-dot")]
    parts += [text(274, 14, "shape: 66 landmarks")]
    parts += [
        picture(to_image(texture), 204, 198, 140),
        text(274, 356, "texture, in the mean shape"),
    ]
    parts += [curve(350, 92, 420, 180), curve(350, 268, 420, 180)]
    parts.append(frame.format(428, 110))
    corner, centres = np.array([428, 110]), (np.arange(side) + 0.5) / side
    for rows in (False, True):
        for i in range(2, side, 4):
            points = np.stack([centres, np.full(side, centres[i])], axis=1)
            points = (points if rows else points[:, ::-1]) + EXAGGERATED * (
                field[i] if rows else field[:, i]
            )
            path = "L".join(f"{x:.1f} {y:.1f}" for x, y in corner + 140 * points)
            parts.append(f'<path class="mesh" d="M{path}"/>')
    parts += [text(498, 102, "the warp"), small(498, 270, f"shown {EXAGGERATED} times as strong")]
    parts += [
        arrow(574, 180, 604),
        picture(to_image(face), 612, 110, 140),
        text(682, 102, "the face"),
    ]
    save("decoder", 768, 372, parts)


def count_hair(decoder: Path) -> tuple[int, int]:
    """How many shapes, without baldness, and colours of hair a released decoder has."""
    sizes = {t.name.removesuffix(".half"): t.dims for t in onnx.load(decoder).graph.initializer}
    return sizes["hair_front"][0] - 1, sizes["hair_colours"][0]


def draw_learning_curve() -> None:
    """Scores by people learned from, and what the two laws make of more people."""
    facts = json.loads((HERE / "benchmarks" / "learning_curve.json").read_text())
    lowest, highest, first, last = 0.7, 1.0, 80, 100_000

    def place(people: float, score: float) -> tuple[float, float]:
        along = math.log(people / first) / math.log(last / first)
        return 60 + 540 * along, 300 - 260 * (score - lowest) / (highest - lowest)

    parts = []
    for tenth in range(round(10 * lowest), 11):
        y = place(first, tenth / 10)[1]
        parts += [line(60, y, 600, y, "thin"), small(38, y + 4, f"{tenth / 10:.1f}")]
    for people in (100, 1_000, 10_000, 100_000):
        x = place(people, lowest)[0]
        parts += [line(x, 300, x, 305, "thin"), small(x, 322, f"{people:,}")]
    parts.append(text(330, 346, "people learned from"))
    parts.append(text(20, 22, "two-way matching by likelihood ratio; chance is 0.5", "left"))
    for (name, row), kind in zip(facts["rows"].items(), ("cool", "warm"), strict=False):
        measured = [
            (people, score["value"], score["low"], score["high"])
            for people, score in zip(row["people"], row["scores"], strict=True)
        ]
        beyond = []
        for people in next(iter(row["extrapolated"].values())):
            laws = [law[people] for law in row["extrapolated"].values()]
            values = [law["value"] for law in laws]
            low, high = min(law["low"] for law in laws), max(law["high"] for law in laws)
            beyond.append((int(people), sum(values) / len(values), low, high))
        start = [(n, score, score, score) for n, score, *_ in measured[-1:]]
        upper = [place(n, high) for n, _, _, high in start + beyond]
        lower = [place(n, low) for n, _, low, _ in start + beyond]
        corners = " ".join(f"{x:.1f},{y:.1f}" for x, y in upper + lower[::-1])
        parts.append(f'<polygon class="{kind}-cloud" points="{corners}"/>')
        for people, score, low, high in measured:
            x, y = place(people, score)
            parts.append(line(x, place(people, low)[1], x, place(people, high)[1], kind))
            parts.append(dot(x, y, 4, f"{kind}-dot"))
        points = "L".join(f"{x:.1f} {y:.1f}" for x, y in (place(n, v) for n, v, *_ in measured))
        parts.append(f'<path class="{kind}" d="M{points}"/>')
        x, y = place(*measured[-1][:2])
        parts.append(small(x, y + 28 if kind == "cool" else y - 32, name))
    save("learning-curve", 640, 356, parts)


def to_image(picture: torch.Tensor) -> Image.Image:
    """(1, 3, S, S) in 0 … 1."""
    pixels = (255 * picture[0].clamp(0, 1)).round().byte().permute(1, 2, 0)
    return Image.fromarray(pixels.numpy())


def curve(x1: float, y1: float, x2: float, y2: float) -> str:
    middle = (x1 + x2) / 2
    ends = f"M{x1} {y1}C{middle} {y1} {middle} {y2} {x2} {y2}m-6 -4.5l6 4.5l-6 4.5"
    return f'<path class="line" d="{ends}"/>'


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<path class="{kind}" d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}"/>'


def arrow(x1: float, y: float, x2: float) -> str:
    return f'<path class="line" d="M{x1} {y}H{x2}m-6 -4.500l6 4.500l-6 4.500"/>'


def dot(x: float, y: float, radius: float, kind: str) -> str:
    return f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="{radius}"/>'


def ellipse(x: float, y: float, a: float, b: float, degrees: float, kind: str) -> str:
    turn = f"rotate({degrees:.1f} {x:.1f} {y:.1f})"
    shape = f'cx="{x:.1f}" cy="{y:.1f}" rx="{a:.1f}" ry="{b:.1f}"'
    return f'<ellipse class="{kind}" {shape} transform="{turn}"/>'


def contour(place: np.ndarray, scale: float, matrix: np.ndarray, width: float, kind: str) -> str:
    """Where a Gaussian (2, 2) is `width` deviations from its mean."""
    values, vectors = np.linalg.eigh(matrix)
    a, b = scale * width * np.sqrt(values[::-1])
    degrees = -np.degrees(np.arctan2(vectors[1, 1], vectors[0, 1]))
    return ellipse(*place, a, b, degrees, kind)


def text(x: float, y: float, words: str, kind: str = "") -> str:
    return f'<text class="{kind}" x="{x}" y="{y}">{words}</text>'.replace(' class=""', "")


def small(x: float, y: float, words: str) -> str:
    return text(x, y, words, "small")


def picture(image: Image.Image, x: float, y: float, side: float) -> str:
    file = io.BytesIO()
    image.resize((192, 192), Image.Resampling.LANCZOS).save(file, "WEBP", quality=80)
    data = base64.b64encode(file.getvalue()).decode()
    return (
        f'<image x="{x}" y="{y}" width="{side}" height="{side}" '
        f'href="data:image/webp;base64,{data}" style="clip-path: inset(0 round 8px)"/>'
    )


def save(name: str, width: int, height: int, parts: list[str]) -> None:
    style = re.sub(r"\s+", " ", STYLE).strip()
    opening = (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="figure wide" '
        f'viewBox="0 0 {width} {height}"><style>{style}</style>'
    )
    path = FIGURES / f"{name}.svg"
    write_text_atomically(path, "\n".join([opening, *parts, "</svg>"]) + "\n")


if __name__ == "__main__":
    main()
