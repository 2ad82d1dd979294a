"""Made-up people for the suite: pictures of one colour, and judges who know what to say of each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from PIL import Image

from speech2face.data.face_unwarping import MeasuredFaces
from speech2face.data.pairs import Pair
from speech2face.data.splits import split_people
from speech2face.data.voice_encoder_data import Voices
from speech2face.evaluation import emotion_robustness, rated_pictures, rating_networks
from speech2face.evaluation.cross_validation import DrawnFolds
from speech2face.evaluation.evaluation_set import EvaluationSet
from speech2face.face_detection import DetectedFace
from speech2face.training.clip_features import ClipFeatures
from speech2face.training.fold_encoders import FoldEncoder
from speech2face.training.gaussian_head import HeadSolution, log_likelihood_ratios
from speech2face.training.recipes import voice_encoder_debug

PEOPLE, FOLDS, SIZE, RATE = 40, 2, 8, 16_000
TYPICAL = 2.25
LANDMARKS = np.zeros((5, 2), np.float32)


@dataclass(frozen=True)
class SyntheticFace:
    """What the judges will say of a picture; nothing where it shows no face."""

    embedding: np.ndarray  # (SIZE,)
    mesh: np.ndarray  # (468, 2)
    age: float
    male: float


class MadeUp:
    """Forty people, two clips of the first; pictures on disk, and what is in them."""

    def __init__(self, folder: Path, monkeypatch) -> None:
        self.folder, self._looks = folder, {}
        self._rng = np.random.default_rng(0)
        self.judged = 0  # how often the judge of age and sex was asked
        people = [f"p{n:02}" for n in range(PEOPLE)]
        self.people = np.array([people[0], *people])
        number = np.array([0, *range(PEOPLE)])
        self.faces = self._rng.normal(size=(PEOPLE, SIZE))[number]
        self.faces[:, 0] += 3 * (number % 2)  # sex shows in the face
        self._mesh = self._rng.uniform(50, 150, size=(PEOPLE, 468, 2))[number]
        self._age = np.array([20.0, 35, 45, 60])[number // 2 % 4]
        self._male = np.where(number % 2, 0.9, 0.1)
        clips = [f"clip{i:02}" for i in range(len(number))]
        kinds = ("face", "canonical", "published")
        files = {kind: [folder / kind / f"{clip}.jpg" for clip in clips] for kind in kinds}
        self.pairs = [
            Pair(clip, person, folder / "audio" / f"{clip}.flac", *paths)
            for clip, person, *paths in zip(clips, self.people, *files.values(), strict=True)
        ]
        for pair in self.pairs:
            pair.audio.parent.mkdir(parents=True, exist_ok=True)
            pair.audio.touch()
        self.paint("face", self.faces)
        monkeypatch.setattr(rating_networks, "measure_faces", self._measure)
        monkeypatch.setattr(rating_networks, "FaceDetector", lambda: self)
        monkeypatch.setattr(rated_pictures, "find_judge", lambda: self)

    def paint(self, kind: str, embeddings: np.ndarray, order: np.ndarray | None = None, end="jpg"):
        """Pictures of all clips with such embeddings; shape, age and sex of those in `order`."""
        order = np.arange(len(self.pairs)) if order is None else order
        paths = [self.folder / kind / f"{p.clip}.{end}" for p in self.pairs]
        for path, embedding, i in zip(paths, embeddings, order, strict=True):
            path.parent.mkdir(parents=True, exist_ok=True)
            colour = tuple(int(c) for c in self._rng.integers(256, size=3))
            Image.new("RGB", (16, 16), colour).save(path)
            with Image.open(path) as picture:
                pixel = np.asarray(picture.convert("RGB"))[0, 0].tobytes()
            looks = SyntheticFace(embedding, self._mesh[i], self._age[i], self._male[i])
            self._looks[path], self._looks[pixel] = looks, looks
        return paths

    def know(self, path: Path, embedding: np.ndarray) -> None:
        """The embedding of the face in a picture that no other judge will see."""
        path.touch()
        self._looks[path] = SyntheticFace(embedding, self._mesh[0], 0.0, 0.0)

    def hide(self, path: Path) -> None:
        """No face will be found in a picture."""
        self._looks[path] = None

    def _measure(self, paths, recogniser, cache, show=None, **_):
        rows = [(i, looks) for i, path in enumerate(paths) if (looks := self._looks[path])]
        return MeasuredFaces(
            np.array([i for i, _ in rows]),
            np.array([looks.mesh for _, looks in rows]),
            np.zeros(len(rows)),
            np.array([looks.embedding for _, looks in rows]),
        )

    def largest(self, image: np.ndarray) -> DetectedFace:
        return DetectedFace((0, 0, 1, 1), LANDMARKS, 1.0)

    def judge(self, image: np.ndarray, landmarks: np.ndarray) -> tuple[float, float]:
        self.judged += 1
        looks = self._looks[image[0, 0].tobytes()]
        return looks.age, looks.male

    def evaluation_set(self, made: list[Path], **others: list[Path]) -> EvaluationSet:
        fold = split_people(list(self.people), FOLDS)
        systems = {"voice": made, **others}
        return EvaluationSet(self.pairs, self.people, fold, systems, {"voice": made}, [])


def make_actors(made_up: MadeUp, monkeypatch) -> Path:
    """Four actors in two emotions, each with a tone of their own."""
    folder, actors = made_up.folder / "ravdess", ("01", "02", "03", "04")
    (folder / "audio").mkdir(parents=True)
    (folder / "face").mkdir()
    for actor in actors:
        for emotion in ("03", "04"):
            (folder / "audio" / f"03-01-{emotion}-01-01-01-{actor}.flac").touch()
        face = folder / "face" / f"Actor_{actor}.png"
        made_up.know(face, np.eye(SIZE)[int(actor)])

    def find_speech(source: str, **_: object) -> SimpleNamespace:
        hertz = (2 * int(Path(source).stem[-2:]) + 1) * RATE / 4 / SIZE  # the middle of a band
        return SimpleNamespace(samples=np.sin(np.arange(RATE) * 2 * np.pi * hertz / RATE))

    monkeypatch.setattr(emotion_robustness, "find_speech", find_speech)
    return folder


class Ear:
    """Hears the loudness of eight bands; counts how many recordings it heard."""

    def __init__(self) -> None:
        self.heard = 0
        self.ear = self

    def state_dict(self) -> dict[str, torch.Tensor]:
        return {"weight": torch.ones(1)}

    def __call__(self, waveforms: torch.Tensor) -> torch.Tensor:
        self.heard += len(waveforms)
        power = torch.fft.rfft(waveforms).abs()[:, :-1].square()
        bands = power.unflatten(1, (SIZE, -1))[..., : power.shape[1] // SIZE].mean(2)
        return (bands / bands.sum(1, keepdim=True)).sqrt()


def make_folds(made_up: MadeUp, folder: Path) -> DrawnFolds:
    """Voices whose bands are as loud as their faces' numbers, heard by an exact head."""
    rng = np.random.default_rng(1)
    ear, count = Ear(), len(made_up.pairs)
    shape = np.abs(made_up.faces) / np.linalg.norm(made_up.faces, axis=1, keepdims=True)
    seconds = 1 + np.arange(count) % 3  # 1, 2 and 3 s
    speech = []
    for i in range(count):
        size = int(seconds[i]) * RATE
        noise = np.fft.rfft(rng.normal(size=size))
        gains = np.repeat(shape[i], len(noise) // SIZE + 1)[: len(noise)]
        sound = np.fft.irfft(noise * gains, size)
        speech.append((0.1 * sound / sound.std()).astype(np.float32))
    features = np.stack([ear(torch.tensor(s)[None])[0].numpy() for s in speech])
    voices = Voices(
        [p.clip for p in made_up.pairs], [p.person for p in made_up.pairs], speech, shape, "made up"
    )
    clips = ClipFeatures(voices, features, seconds.astype(float), np.arange(count))
    average, eye = shape.mean(0), np.eye(SIZE)
    head = HeadSolution(eye, -average, average, 0.01 * eye, 0.05 * eye, 0.01, eye, eye)
    clips_of_all = made_up.evaluation_set([])
    means = head.predict(features, clips.seconds)
    ratios = [
        log_likelihood_ratios(head, means[rows], clips.seconds[rows], shape[rows])
        for rows in (np.flatnonzero(clips_of_all.fold == k) for k in range(FOLDS))
    ]
    recipe = voice_encoder_debug()
    encoders = [FoldEncoder(recipe, ear, head, clips, folder / f"fold{k}") for k in range(FOLDS)]  # pyright: ignore[reportArgumentType]
    average_faces = [made_up.paint("average", made_up.faces, end="png")[0]] * count
    made = {0.0: average_faces, 1.0: made_up.paint("voice", made_up.faces, end="png")}
    made[1.5] = made_up.paint("voice-1.5", made_up.faces, end="png")
    copies = made_up.paint("copy", made_up.faces, end="png")
    return DrawnFolds(
        made_up.pairs,
        clips_of_all.people,
        clips_of_all.fold,
        shape,
        means,
        head.show(means),
        ratios,
        TYPICAL,
        made,
        copies,
        [],
        encoders,
    )
