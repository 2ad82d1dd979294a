"""The Python interface: a recording in, faces and what they rest on out."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import speech2face
from helpers.sounds import EXAMPLES, example_speech, music
from speech2face import Reconstruction, Speech2Face
from speech2face.errors import ModelError, NoSpeechError, UnreadableMediaError, UsageError
from speech2face.media import load_audio
from speech2face.pictures import MOST_SAMPLES
from speech2face.watermark import add_mark


@pytest.fixture(scope="module")
def face(model: Speech2Face, recording: Path) -> Reconstruction:
    return model.reconstruct(recording, samples=3, seed=5)


def test_a_face_and_what_it_rests_on(face: Reconstruction, model: Speech2Face) -> None:
    assert (face.image.mode, face.image.size) == ("RGB", (224, 224))
    assert np.asarray(face.image).std() > 10
    assert len(face.samples) == 3
    assert face.warnings == ()
    voice = face.voice
    assert voice.model == model.card.name
    assert 4 < voice.speech.speech_seconds < 6
    assert voice.mean.dtype == voice.covariance.dtype == np.float32
    assert voice.covariance.shape == (len(voice.mean),) * 2
    np.testing.assert_allclose(voice.covariance, voice.covariance.T, atol=1e-6)
    assert np.linalg.eigvalsh(voice.covariance.astype(np.float64)).min() > 0


def test_every_way_in_gives_the_same_face(model: Speech2Face) -> None:
    samples, rate = example_speech()
    path = sorted(EXAMPLES.glob("*.flac"))[0]
    sources = [path, str(path), path.read_bytes(), (samples, rate)]
    first, *others = (np.asarray(model.reconstruct(source).image) for source in sources)
    for other in others:
        np.testing.assert_array_equal(other, first)


def test_voices_differ_and_so_do_their_faces(model: Speech2Face) -> None:
    faces = [model.reconstruct(path) for path in sorted(EXAMPLES.glob("*.flac"))[:3]]
    assert len({face.image.tobytes() for face in faces}) == 3


def test_samples_are_drawn_from_the_gaussian(face: Reconstruction) -> None:
    voice = face.voice
    drawn = voice.sample(20_000).astype(np.float64)
    deviation = voice.covariance.diagonal() ** 0.5
    assert np.abs((drawn.mean(axis=0) - voice.mean) / deviation).max() < 0.05
    found, wanted = np.cov(drawn.T), voice.covariance
    assert np.abs((found - wanted) / np.outer(deviation, deviation)).max() < 0.06


def test_seeds(model: Speech2Face, recording: Path, face: Reconstruction) -> None:
    again = model.reconstruct(recording, samples=3, seed=5)
    assert again.samples == face.samples
    fewer = model.reconstruct(recording, samples=1, seed=5)
    assert fewer.samples == face.samples[:1]
    other = model.reconstruct(recording, samples=3, seed=9)
    assert other.image != face.image  # the same face in other hair
    assert np.array_equal(other.voice.decoded_embedding, face.voice.decoded_embedding)
    assert not set(map(_bytes, other.samples)) & set(map(_bytes, face.samples))


@pytest.mark.parametrize("size", [16, 100, 512])
def test_size(model: Speech2Face, recording: Path, size: int) -> None:
    face = model.reconstruct(recording, samples=1, size=size)
    assert face.image.size == face.samples[0].size == (size, size)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        *(
            ({"size": size}, "size is a whole number, 16 to 2048 pixels, not ")
            for size in (15, 2049, 300.0, "224", None, True, np.array([1, 2]))
        ),
        *(
            ({"samples": samples}, f"samples is a whole number, 0 to {MOST_SAMPLES}, not ")
            for samples in (-1, MOST_SAMPLES + 1, 1.5, "3", None, float("nan"), [1])
        ),
        *(
            ({"seed": seed}, "seed is a whole number, 0 or more, not ")
            for seed in (-1, 1.5, "3", None, float("inf"))
        ),
        *(
            ({"style": style}, "style is plain or cartoon, not ")
            for style in ("oil", "a\nb", None, np.array(["plain", "x"]))
        ),
        *(
            ({name: value}, f"{name} is a number of seconds, not ")
            for name in ("start", "end")
            for value in ("3", [1], float("nan"), np.array([3, 4]))
        ),
        *(
            ({"track": track}, "track is a whole number, 1 or more, not ")
            for track in (0, 1.0, "1", float("nan"))
        ),
        *(
            ({"strength": strength}, "strength is a number from 0 to 1.5, not ")
            for strength in (-0.1, 1.6, float("nan"), float("inf"), "1", None, True, [1])
        ),
        ({"hair": "long"}, "hair "),
        ({"hair": None}, "hair "),
        ({"hair": 0}, "hair "),
    ],
)
def test_refuses_wrong_arguments_in_one_line(
    model: Speech2Face, recording: Path, options: dict[str, Any], reason: str
) -> None:
    with pytest.raises(UsageError, match=f"^{reason}") as refused:
        model.reconstruct(recording, **options)
    assert "\n" not in str(refused.value)


def test_numbers_of_numpy_are_taken(model: Speech2Face, recording: Path) -> None:
    face = model.reconstruct(recording, size=np.int64(32), samples=np.int32(1), end=np.float32(3))
    assert face.samples[0].size == (32, 32)
    assert face.voice.speech.analysed_seconds == 3
    assert model.embed(recording, end=float("inf")).speech.analysed_seconds > 5


def test_refuses_wrong_arrays_in_one_line(model: Speech2Face, face: Reconstruction) -> None:
    """Some of these would end the process within ONNX Runtime, or come back as NaN."""
    mean = face.voice.mean
    for wrong in (None, "a", [], mean, mean[None, :5], [mean * np.nan], mean[None] * 1j):
        with pytest.raises(UsageError, match=r"^embeddings are finite numbers of shape \(B, 128\)"):
            model.decode(wrong)  # type: ignore[arg-type]
    sound = np.zeros((1, 16_000))
    for wrong in (None, sound[0], sound[:, :500], sound + np.nan, sound + 1e300, [[1], [1, 2]]):
        with pytest.raises(UsageError, match=r"^waveforms are finite numbers of shape \(B, n"):
            model.encode(wrong)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="waveforms is empty"):
        model.encode(sound[:0])
    with pytest.raises(UsageError, match="count is a whole number, 0 to 1000000, not -1"):
        face.voice.sample(-1)


@pytest.mark.parametrize("wrong", [None, 1, b"default\xff", ["default"], {}, True])
def test_a_model_is_a_name_or_a_folder(wrong: Any) -> None:
    with pytest.raises((UsageError, ModelError), match=r"^(a model is given by|no model )"):
        speech2face.load(wrong)


@pytest.mark.parametrize("threads", [0, -1, 1.5, "2", None, 10**30])
def test_threads_are_a_number(threads: Any) -> None:
    with pytest.raises(UsageError, match=r"^threads is a whole number, 1 to 1024, not "):
        speech2face.load(threads=threads)


def test_refuses_recordings_without_a_voice(model: Speech2Face, tmp_path: Path) -> None:
    with pytest.raises(UnreadableMediaError):
        model.reconstruct(tmp_path / "missing.wav")
    with pytest.raises(UnreadableMediaError):
        model.reconstruct(b"")
    with pytest.raises(NoSpeechError):
        model.reconstruct((music(3), 16_000))


def test_a_part_of_a_recording(model: Speech2Face, recording: Path) -> None:
    face = model.reconstruct(recording, start=1, end=4, track=1)
    speech = face.voice.speech
    assert 1 <= speech.segments[0][0] < speech.segments[-1][1] <= 4
    assert speech.analysed_seconds == 3
    with pytest.raises(UsageError, match="go with one recording"):
        model.embed(speech, start=1)
    with pytest.raises(UsageError, match="no track 2"):
        model.embed(recording, track=2)


def test_warnings_are_passed_on(model: Speech2Face) -> None:
    samples, rate = example_speech()
    loud = np.clip(30 * samples, -1, 1)
    assert "clipped" in model.reconstruct((loud, rate)).warnings[0]


def test_waveforms_of_any_length_in_batches(model: Speech2Face) -> None:
    samples, _ = example_speech()
    for seconds in (0.5, 1.37, 3.0):
        clip = samples[8_000:][: round(seconds * 16_000)]
        mean, covariance, average, shown = model.encode(np.stack([clip, clip[::-1]]))
        alone, *_ = model.encode(clip[None])
        assert mean.shape == average.shape == shown.shape == (2, covariance.shape[-1])
        # In a batch floats are added in another order, and some round to another of 8 bits.
        assert np.linalg.norm(mean[:1] - alone) < 0.15 * np.linalg.norm(alone - average[:1])
        pixels, landmarks = model.decode(mean)
        assert (pixels.dtype, pixels.shape) == (np.uint8, (2, 224, 224, 3))
        assert landmarks.shape == (2, 66, 2)
        assert ((landmarks > 0) & (landmarks < 1)).all()


def test_the_face_is_drawn_where_the_voice_points(model: Speech2Face) -> None:
    drawn = model.reconstruct(EXAMPLES / "michael.flac")
    pixels, _ = model.decode(drawn.voice.decoded_embedding[None])
    assert drawn.image == add_mark(Image.fromarray(pixels[0]), model.card.number)


def test_strength_goes_from_the_average_face_to_more_than_the_voices(
    model: Speech2Face, face: Reconstruction
) -> None:
    voice = face.voice
    np.testing.assert_array_equal(voice.at_strength(0), voice.prior_mean)
    np.testing.assert_array_equal(voice.at_strength(1), voice.decoded_embedding)
    farther = voice.prior_mean + 1.5 * (voice.decoded_embedding - voice.prior_mean)
    np.testing.assert_allclose(voice.at_strength(1.5), farther, atol=1e-6)
    with pytest.raises(UsageError, match=r"^strength is a number from 0 to 1\.5, not 2\.$"):
        voice.at_strength(2)
    drawn = {s: model.reconstruct(voice.speech, samples=1, strength=s) for s in (0, 1, 1.5)}
    away = [np.abs(np.asarray(drawn[s].image, float) - np.asarray(drawn[0].image)) for s in drawn]
    assert 0 == away[0].mean() < away[1].mean() < away[2].mean()
    assert drawn[1].image == model.reconstruct(voice.speech).image
    assert drawn[0].samples == drawn[1.5].samples
    assert drawn[1.5].comments == (
        "strength 1.5 (0 average, 1 typical), hair typical",
        "a sample, hair typical",
    )


def test_a_cartoon_is_flat_and_of_the_same_face(model: Speech2Face) -> None:
    path = EXAMPLES / "michael.flac"
    plain = model.reconstruct(path, samples=1)
    cartoon = model.reconstruct(path, samples=1, style="cartoon", size=300)
    assert cartoon.image.size == cartoon.samples[0].size == (300, 300)
    np.testing.assert_array_equal(cartoon.voice.mean, plain.voice.mean)
    for picture in (cartoon.image, *cartoon.samples):
        largest = sorted(picture.getcolors(300 * 300), reverse=True)[:16]
        assert sum(count for count, _ in largest) > 0.8 * 300 * 300
    assert _bytes(cartoon.image) != _bytes(cartoon.samples[0])
    with pytest.raises(UsageError, match="style is plain or cartoon, not 'oil'"):
        model.reconstruct(path, style="oil")


def test_threads_may_share_a_model(model: Speech2Face) -> None:
    paths = sorted(EXAMPLES.glob("*.flac"))[:4]
    alone = [model.reconstruct(path).image for path in paths]
    with ThreadPoolExecutor(4) as pool:
        together = [face.image for face in pool.map(model.reconstruct, paths)]
    assert together == alone


def test_public_names() -> None:
    for name in speech2face.__all__:
        assert getattr(speech2face, name)
    with pytest.raises(AttributeError, match="has no attribute 'paint'"):
        speech2face.paint  # noqa: B018


def _bytes(picture) -> bytes:
    return picture.tobytes()


def test_more_than_ten_seconds_are_heard_in_windows_of_ten(model: Speech2Face) -> None:
    voices = [load_audio(path).samples for path in sorted(EXAMPLES.glob("*.flac"))[:5]]
    speech = np.concatenate(voices)[None, : 25 * 16_000]
    windows = [model.encode(speech[:, at : at + 160_000]) for at in (0, 120_000, 240_000)]
    for pooled, *each in zip(model.encode(speech), *windows, strict=True):
        np.testing.assert_allclose(pooled, np.mean(each, axis=0), rtol=1e-5, atol=1e-7)
    _, covariance, _, _ = model.encode(speech[:, :160_000])
    np.testing.assert_allclose(model.encode(speech)[1], covariance, rtol=1e-6)
