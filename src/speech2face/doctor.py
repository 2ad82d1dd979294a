"""Checks an installation, a line for each part.

✓ works, ✗ does not, – is optional and missing or was not tried.
"""

from __future__ import annotations

import io
import platform
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, NamedTuple

from speech2face import __version__
from speech2face.errors import ModelError, NoSpeechError, Speech2FaceError
from speech2face.extras import (
    PURPOSES,
    find_missing,
    how_to_install,
    list_packages,
    name_module,
    read_requirements,
)

if TYPE_CHECKING:
    import numpy as np


class MediaKind(NamedTuple):
    """A common kind of file, and how a small one is written."""

    name: str
    container: str
    codec: str
    rate: int = 16_000  # Hz
    video: bool = False


MEDIA_KINDS = (
    MediaKind("wav", "wav", "pcm_s16le"),
    MediaKind("flac", "flac", "flac"),
    MediaKind("mp3", "mp3", "libmp3lame"),
    MediaKind("ogg/opus", "ogg", "libopus", rate=48_000),
    MediaKind("m4a/aac", "ipod", "aac"),
    MediaKind("webm", "webm", "libopus", rate=48_000),
    MediaKind("mp4 with video", "mp4", "aac", video=True),
    MediaKind("mkv with video", "matroska", "ac3", rate=48_000, video=True),
)
VIDEO_CODEC = "mpeg4"
TONE_SECONDS, TONE_HERTZ = 1.0, 440.0


def examine(print_line: Callable[[str], None]) -> bool:
    """Print a line for each check; False where something that inference needs does not work."""
    print_line(f"✓ Python {platform.python_version()}, speech2face {__version__}")
    healthy = True
    for check in (_libraries, _versions, _runtime, _media, _speech_detector, _models, _drawing):
        try:
            for line in check():
                print_line(line)
                healthy &= not line.startswith("✗")
        except (Speech2FaceError, ImportError) as error:
            print_line(f"✗ {error}")
            healthy = False
        except Exception as error:  # a broken library raises anything
            print_line(f"✗ {_one_line(error)}")
            healthy = False
    for extra, purpose in PURPOSES.items():
        missing, name = find_missing(extra), f"extra {extra} (for {purpose})"
        lacks = f"lacks {', '.join(missing)}"
        if missing == list_packages(extra):
            lacks = "is not installed"
        print_line(f"– {name} {lacks}: {how_to_install(extra)}" if missing else f"✓ {name}")
    return healthy


def _libraries() -> Iterator[str]:
    from speech2face.runtime import import_runtime

    import_runtime()  # before anybody else does
    packages = [requirement.name for requirement in read_requirements()]
    for package in packages:
        import_module(name_module(package))
    if packages:
        yield "✓ " + ", ".join(f"{package} {version(package)}" for package in packages)
    else:
        yield "– run from its source, not installed: no versions or extras are known"


def _versions() -> Iterator[str]:
    """A line for each dependency whose version is not among those that were tried."""
    for requirement in read_requirements():
        name, tried = requirement.name, requirement.specifier
        if not tried.contains(version(name), prereleases=True):
            yield (
                f"– {name} {version(name)} was not tried with this version: "
                f"where it makes trouble, pip install '{name}{tried}'"
            )


def _runtime() -> Iterator[str]:
    from speech2face.runtime import import_runtime

    yield f"✓ ONNX Runtime offers {', '.join(import_runtime().get_available_providers())}"


def _media() -> Iterator[str]:
    """Reads a tone from a small file of each common kind, as recordings are read."""
    from speech2face.media import SAMPLE_RATE, load_audio

    read: list[str] = []
    not_written: list[str] = []
    broken: dict[str, list[str]] = {}
    for kind in MEDIA_KINDS:
        if not _has_encoders(kind):
            not_written.append(kind.name)
            continue
        try:
            samples = load_audio(_write_tone(kind)).samples
        except Exception as error:  # a broken library raises anything
            broken.setdefault(_one_line(error), []).append(kind.name)
            continue
        if _holds_tone(samples, SAMPLE_RATE):
            read.append(kind.name)
        else:
            broken.setdefault("a tone became another sound", []).append(kind.name)
    for reason, kinds in broken.items():
        yield f"✗ {', '.join(kinds)} cannot be read ({reason}); install av again."
    if read:
        yield f"✓ reads {', '.join(read)}"
    if not_written:
        yield f"– not tried, for lack of an encoder: {', '.join(not_written)}"


def _has_encoders(kind: MediaKind) -> bool:
    import av

    try:
        for name in (kind.codec, *[VIDEO_CODEC] * kind.video):
            av.Codec(name, "w")
    except ValueError:  # PyAV's error for an unknown encoder is one
        return False
    return True


def _write_tone(kind: MediaKind) -> bytes:
    """A file of a tone, beside ten grey pictures where the kind has video."""
    import av
    import numpy as np

    times = np.arange(round(TONE_SECONDS * kind.rate)) / kind.rate
    tone = (0.3 * np.sin(2 * np.pi * TONE_HERTZ * times)).astype(np.float32)
    file = io.BytesIO()
    with av.open(file, "w", format=kind.container) as output:
        sound: Any = output.add_stream(kind.codec, rate=kind.rate, layout="mono")
        sound.format = sound.codec.audio_formats[0].name
        sound.open()
        if kind.video:
            video: Any = output.add_stream(VIDEO_CODEC, rate=10)
            video.width = video.height = 64
            video.pix_fmt = "yuv420p"
            for _ in range(10):
                picture = av.VideoFrame.from_ndarray(np.full((96, 64), 128, np.uint8), "yuv420p")
                output.mux(video.encode(picture))
            output.mux(video.encode(None))
        frame = av.AudioFrame.from_ndarray(tone[None], format="fltp", layout="mono")
        frame.sample_rate = kind.rate
        convert = av.AudioResampler(sound.format, "mono", kind.rate, sound.frame_size or None)
        for part in [*convert.resample(frame), *convert.resample(None)]:
            output.mux(sound.encode(part))
        output.mux(sound.encode(None))
    return file.getvalue()


def _holds_tone(samples: np.ndarray, rate: int) -> bool:
    """True if the sound is as long as the tone and nearly all of its power is at its pitch."""
    import numpy as np

    if not 0.9 * TONE_SECONDS < len(samples) / rate < 1.2 * TONE_SECONDS:
        return False
    power = np.abs(np.fft.rfft(samples * np.hanning(len(samples)))) ** 2
    hertz = np.fft.rfftfreq(len(samples), 1 / rate)
    return bool(power[np.abs(hertz - TONE_HERTZ) < 20].sum() > 0.9 * power.sum() > 0)


def _speech_detector() -> Iterator[str]:
    import numpy as np

    from speech2face.speech import find_speech

    try:
        find_speech((np.random.default_rng(0).normal(0, 0.1, 16_000), 16_000))
    except NoSpeechError:
        yield "✓ the speech detector loads, and hears none in noise"
    else:
        raise ModelError("the speech detector takes noise for speech; install speech2face again.")


def _models() -> Iterator[str]:
    from speech2face.model_cache import list_kept
    from speech2face.model_folders import find_model, model_names

    if not model_names():
        raise ModelError("no model came with the package; install it again.")
    fetched = [kept.name or kept.address for kept in list_kept()]
    for name in [*model_names(), *fetched]:
        try:
            model = find_model(name)
            yield f"✓ model {name} {model.card.version}, {model.megabytes:.1f} MB, files verified"
        except ModelError as error:
            yield f"✗ {error}"


def _drawing() -> Iterator[str]:
    import numpy as np

    from speech2face.reconstruct import load

    model = load()
    noise = np.random.default_rng(0).normal(0, 0.05, (1, 16_000))
    mean, covariance, *_ = model.encode(noise)
    picture = model.decode(mean)[0][0]
    if not np.isfinite(covariance).all() or picture.std() == 0:
        raise ModelError("the model drew an empty face; install the package again.")
    yield f"✓ a face drawn from a made-up voice, {picture.shape[1]} × {picture.shape[0]} pixels"


def _one_line(error: Exception) -> str:
    kind = "" if isinstance(error, Speech2FaceError) else f"{type(error).__name__}: "
    return kind + " ".join(str(error).split())
