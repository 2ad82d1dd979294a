"""Whole clips: the right face and the right voice, or the right reason."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from helpers.drawn_faces import draw_faces, sample_embeddings
from helpers.sounds import RATE, encode, noise
from helpers.synthetic_video import (
    SECONDS,
    beside,
    even_times,
    film,
    loudness,
    sway,
    voice,
    write_video,
)
from speech2face.data.samples import Refusal, Sample, SampleSource
from speech2face.preparation.active_speaker import TRUST_ANY_FACE, SpeakerThresholds
from speech2face.preparation.clip_to_sample import Models, make_sample
from speech2face.preparation.lip_sync import fit_synchrony
from speech2face.preparation.mouth_tracking import Mouth, MouthWatcher
from speech2face.preparation.video import Sound
from speech2face.speech import find_speech

REAL = Path(__file__).parents[3] / "shared" / "data" / "videos"
TIMES = even_times()
VOICE = voice()
OPEN = loudness(VOICE, TIMES)
OTHERS = ("alex", "alpha", "bella", "michael", "omega", "sara")
SHUT = np.zeros(len(TIMES))
SAME = 0.58  # distance of dlib's embeddings; two people are beyond 0.6


@pytest.fixture(scope="module")
def released() -> Models:
    return Models.load()


@pytest.fixture(scope="module")
def models(released) -> Models:
    """With a measure of agreement fitted to mouths that are drawn: no mouth of flesh moves so."""
    return replace(released, synchrony=fit_synchrony([watch(released, name) for name in OTHERS]))


def watch(models: Models, name: str) -> tuple[Mouth, Sound]:
    """A drawn mouth that speaks with another voice, as the stages see it."""
    sound, watcher = voice(name), MouthWatcher()
    frames = film(draw_faces(1)[0], loudness(sound, TIMES), TIMES)
    for image, seconds in zip(frames, TIMES, strict=True):
        face = models.detector.largest(image)
        assert face
        mesh = models.mesh.landmarks(image, face.landmarks)
        assert mesh is not None
        watcher.add(seconds, image, mesh)
    return watcher.mouth(), Sound(0.0, sound)


def sample(
    path: Path,
    models: Models,
    start: float = 0,
    end: float = 60,
    center: tuple[float, float] | None = None,
    thresholds: SpeakerThresholds | None = None,
) -> Sample | Refusal:
    source = SampleSource("clip", path.name, start, end, "nobody")
    result, seconds = make_sample(source, path.parent, models, center, thresholds)
    assert result.source == source
    assert all(value >= 0 for value in seconds.values())
    return result


def check(result: Sample | Refusal, face: int, sound: np.ndarray = VOICE) -> Sample:
    """A sample of drawn face number `face` and of the speech in a sound."""
    assert isinstance(result, Sample), result
    distances = np.linalg.norm(sample_embeddings(2) - result.embedding, axis=1)
    assert distances[face] < SAME < distances[1 - face]
    assert (result.face.shape, result.face.dtype) == ((224, 224, 3), np.uint8)
    assert result.speech.dtype == np.float32
    assert len(result.speech) / RATE == pytest.approx(result.quality.speech_seconds, abs=0.02)
    expected = find_speech((sound, RATE)).samples
    assert likeness(result.speech, expected) > 0.9
    return result


def refusal(result: Sample | Refusal) -> str:
    assert isinstance(result, Refusal), result
    return f"{result.stage}: {result.reason}"


def likeness(heard: np.ndarray, original: np.ndarray) -> float:
    """Greatest correlation over all lags."""
    n = len(heard) + len(original)
    product = np.fft.irfft(np.fft.rfft(heard, n) * np.fft.rfft(original, n).conj(), n)
    return float(product.max() / np.linalg.norm(heard) / np.linalg.norm(original))


def crowd(rows: int, columns: int) -> np.ndarray:
    small = np.asarray(Image.fromarray(draw_faces(3)[2]).resize((64, 64)))
    return np.tile(small, (rows, columns, 1))


def test_one_face_that_speaks(tmp_path, models):
    path = write_video(tmp_path / "v.mp4", film(draw_faces(2)[0], OPEN, TIMES), TIMES, VOICE)
    found = check(sample(path, models), 0)
    assert found.quality.agreement > 0.6
    assert found.mean is not None
    assert found.quality.frames > 2
    distance = np.linalg.norm(found.mean - found.embedding)
    assert 0 < found.quality.spread < 0.3
    assert distance < 3 * found.quality.spread
    assert 0 <= found.quality.frame_seconds < SECONDS
    assert abs(found.quality.yaw) < 0.15
    assert json.loads(json.dumps(found.describe()))["source"]["person"] == "nobody"
    again = sample(path, models)
    assert isinstance(again, Sample)
    np.testing.assert_array_equal(again.face, found.face)
    np.testing.assert_array_equal(again.speech, found.speech)


def test_of_two_faces_the_one_that_speaks(tmp_path, models):
    first, second = draw_faces(2)
    frames = beside(film(first, SHUT, TIMES), film(second, OPEN, TIMES))
    path = write_video(tmp_path / "v.mp4", frames, TIMES, VOICE)
    check(sample(path, models), 1)
    check(sample(path, models, center=(0.75, 0.5)), 1)
    silent = sample(path, models, center=(0.25, 0.5))
    assert refusal(silent) == "speak: the mouth is still while someone speaks"


def test_of_two_mouths_the_one_that_moves_with_the_sound(tmp_path, models):
    first, second = draw_faces(2)
    frames = beside(film(first, OPEN, TIMES), film(second, OPEN[::-1], TIMES))
    path = write_video(tmp_path / "v.mp4", frames, TIMES, VOICE)
    check(sample(path, models), 0)


def test_two_mouths_that_move_alike_are_refused(tmp_path, models):
    frames = beside(*[film(draw_faces(1)[0], OPEN, TIMES)] * 2)
    path = write_video(tmp_path / "v.mp4", frames, TIMES, VOICE)
    assert refusal(sample(path, models)) == "speak: two mouths move with the sound"


def test_a_narrator_over_a_silent_face_is_refused(tmp_path, models):
    path = write_video(tmp_path / "v.mp4", film(draw_faces(1)[0], SHUT, TIMES), TIMES, VOICE)
    assert refusal(sample(path, models)) == "speak: the mouth is still while someone speaks"


def test_whoever_is_seen_is_trusted_to_speak(tmp_path, models):
    first, second = draw_faces(2)
    path = write_video(tmp_path / "v.mp4", film(first, SHUT, TIMES), TIMES, VOICE)
    found = check(sample(path, models, thresholds=TRUST_ANY_FACE), 0)
    assert found.quality.trusted
    frames = beside(film(first, OPEN[::-1], TIMES), film(second, OPEN, TIMES))
    path = write_video(tmp_path / "v.mp4", frames, TIMES, VOICE)
    check(sample(path, models, thresholds=TRUST_ANY_FACE), 1)
    path = write_video(tmp_path / "v.mp4", [first] * len(TIMES), TIMES, VOICE)
    assert refusal(sample(path, models, thresholds=TRUST_ANY_FACE)).startswith(
        "track: a photograph"
    )


def test_the_question_of_somebody_unseen_is_left_out(tmp_path, models):
    question, answer = voice("george"), VOICE
    sound = np.concatenate([question, answer])
    times = np.concatenate([TIMES, SECONDS + TIMES])
    frames = film(draw_faces(2)[0], np.concatenate([SHUT, OPEN]), times)
    path = write_video(tmp_path / "v.mp4", frames, times, sound)
    check(sample(path, models), 0, answer)


def test_a_turned_video(tmp_path, models):
    frames = [np.rot90(frame) for frame in film(draw_faces(2)[0], OPEN, TIMES)]
    path = write_video(tmp_path / "v.mp4", frames, TIMES, VOICE, turned=-90)
    check(sample(path, models), 0)


def test_a_variable_frame_rate(tmp_path, models):
    times = np.cumsum(np.random.default_rng(0).uniform(0.01, 0.09, 80))
    times = times[times < SECONDS]
    frames = film(draw_faces(2)[0], loudness(VOICE, times), times)
    found = check(sample(write_video(tmp_path / "v.mp4", frames, times, VOICE), models), 0)
    assert found.quality.agreement > 0.6
    assert found.mean is not None
    assert found.quality.frames > 2
    distance = np.linalg.norm(found.mean - found.embedding)
    assert 0 < found.quality.spread < 0.3
    assert distance < 3 * found.quality.spread


def test_ten_hours_into_a_file(tmp_path, models):
    frames = film(draw_faces(2)[0], OPEN, TIMES)
    path = write_video(tmp_path / "v.mp4", frames, TIMES, VOICE, begins=36_000)
    found = check(sample(path, models, 36_000, 36_010), 0)
    assert found.quality.frame_seconds > 36_000
    assert "no sound between 900 s" in refusal(sample(path, models, 900, 910))


def test_a_wrong_extension_does_no_harm(tmp_path, models):
    frames = film(draw_faces(2)[0], OPEN, TIMES)
    path = write_video(tmp_path / "v.txt", frames, TIMES, VOICE, container="mp4")
    check(sample(path, models), 0)


def hostile_empty(path: Path) -> None:
    path.touch()


def hostile_cut_off(path: Path) -> None:
    write_video(path, film(draw_faces(1)[0], OPEN, TIMES), TIMES, VOICE)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def hostile_text(path: Path) -> None:
    path.write_text("Not a video at all.\n" * 99)


def hostile_picture(path: Path) -> None:
    Image.fromarray(draw_faces(1)[0]).save(path, format="jpeg")


def hostile_sound(path: Path) -> None:
    path.write_bytes(encode(VOICE, RATE, "mp4", "aac"))


def hostile_silent_film(path: Path) -> None:
    write_video(path, film(draw_faces(1)[0], OPEN, TIMES), TIMES, None)


def hostile_photograph(path: Path) -> None:
    write_video(path, [draw_faces(1)[0]] * len(TIMES), TIMES, VOICE)


def hostile_single_frame(path: Path) -> None:
    write_video(path, draw_faces(1), TIMES[:1], VOICE)


def hostile_noise(path: Path) -> None:
    write_video(path, film(draw_faces(1)[0], OPEN, TIMES), TIMES, noise(SECONDS))


def hostile_nobody(path: Path) -> None:
    random = np.random.default_rng(0)
    pictures = [random.integers(0, 256, (64, 96, 3), np.uint8) for _ in TIMES]
    write_video(path, pictures, TIMES, VOICE)


def hostile_crowd(path: Path) -> None:
    picture = crowd(9, 16)
    frames = [sway(picture, seconds) for seconds in TIMES]
    write_video(path, frames, TIMES, VOICE)


def hostile_tiny(path: Path) -> None:
    levels = (np.arange(len(TIMES)) * 7) % 200
    write_video(path, [np.full((16, 16, 3), k, np.uint8) for k in levels], TIMES, VOICE)


def hostile_folder(path: Path) -> None:
    path.mkdir()


def hostile_absent(path: Path) -> None:
    assert not path.exists()


REASONS = {
    hostile_empty: "decode: the file is empty",
    hostile_cut_off: "decode: a video that is cut off or damaged",
    hostile_text: "decode: not a video that can be read",
    hostile_picture: "decode: a picture, not a video",
    hostile_sound: "decode: sound without video",
    hostile_silent_film: "decode: video without sound",
    hostile_photograph: "track: a photograph: nothing moves",
    hostile_single_frame: "track: a single picture, not a video",
    hostile_noise: "speech: noise or music but no speech",
    hostile_nobody: "track: no face",
    hostile_crowd: "speak: none of 3 faces speaks: the mouth ",
    hostile_tiny: "track: no face",
    hostile_folder: "decode: a folder, not a file",
    hostile_absent: "decode: the file does not exist",
}


@pytest.mark.parametrize("make", REASONS, ids=lambda make: make.__name__)
def test_a_hostile_file_is_refused_with_its_reason(tmp_path, models, make):
    path = tmp_path / "v.mp4"
    make(path)
    assert refusal(sample(path, models)).startswith(REASONS[make])


def test_nobody_speaks_while_a_face_is_seen(tmp_path, models):
    face = film(draw_faces(1)[0], SHUT, TIMES)
    blank = [np.full_like(face[0], 255)] * len(TIMES)
    times = np.concatenate([TIMES, SECONDS + TIMES])
    sound = np.concatenate([0 * VOICE, VOICE])
    path = write_video(tmp_path / "v.mp4", [*face, *blank], times, sound)
    assert refusal(sample(path, models)) == "speech: nobody speaks while a face is seen"


def test_a_face_that_the_picture_follows_is_one(tmp_path, models):
    coarse = np.random.default_rng(0).integers(0, 256, (28, 120, 3), np.uint8)
    wall = coarse.repeat(8, 0).repeat(8, 1)
    frames = film(draw_faces(2)[0], OPEN, TIMES)
    for number, frame in enumerate(frames):
        moved = wall[:, 6 * number :]
        frame[:60], frame[:, :30], frame[:, -30:] = (
            moved[:60, :224],
            moved[:, :30],
            moved[:, 194:224],
        )
    path = write_video(tmp_path / "v.mp4", frames, TIMES, VOICE)
    check(sample(path, models), 0)


def test_another_face_after_a_cut_is_not_the_speakers(tmp_path, models):
    first, second = (film(face, OPEN, TIMES) for face in draw_faces(2))
    half = len(TIMES) * 2 // 3
    path = write_video(tmp_path / "v.mp4", first[:half] + second[half:], TIMES, VOICE)
    found = sample(path, models)
    assert isinstance(found, Sample), found
    assert found.quality.speech_seconds < 0.8 * SECONDS
    distances = np.linalg.norm(sample_embeddings(2) - found.embedding, axis=1)
    assert (found.quality.frame_seconds < TIMES[half]) == (distances[0] < distances[1])


@pytest.mark.skipif(not REAL.is_dir(), reason="the real videos are not here")
def test_real_clips_are_all_kept(released):
    for path in sorted(REAL.glob("*.mpg")):
        found = sample(path, released)
        assert isinstance(found, Sample), (path.name, found)
        assert found.quality.agreement > 0.25
        assert 1 < found.quality.speech_seconds < 3
        assert abs(found.quality.yaw) < 0.1
