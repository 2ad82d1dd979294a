"""What parts of the voice encoder are worth, by folds: the encoder never met whom it hears.

    python benchmarks/voice_encoders.py [ROW …] --pairs PAIRS --out runs/voice-encoders [--fold K]
        [--against ROW] [--write]

A row is a way to make an encoder; all use the same five folds by person, and galleries of one fold.
Finished folds of a row are kept in OUT, stopped ones go on. --write stores what is there in
benchmarks/voice_encoders.json, where rows that are not in OUT keep their figures if the data is the
same and else stay as `earlier`, draws the tables of docs/training.md, and needs no row to run. With
several PAIRS all learn and are tested together, and a table for each follows, of its people matched
among themselves. --against prints what the rows gain on another than the linear map.
On 2 cores: frozen rows a minute once the speaker networks have listened (3 min), tuned ones 20 min,
from nothing 15 min, the paper's network at its own size 50 min. Two folds at a time, each with
OMP_NUM_THREADS=1, are faster than one after the other.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from speech2face.array_cache import write_arrays
from speech2face.console import ProgressBars, ProgressCallback
from speech2face.data.merge_pairs import join_people, name_sets, read_sets
from speech2face.data.pairs import Pair
from speech2face.data.splits import split_people
from speech2face.data.voice_encoder_data import Voices, load_pair_voices
from speech2face.evaluation.cross_validation import deal_folds, draw_faces
from speech2face.evaluation.rating_networks import embed_pictures
from speech2face.files import hash_file, write_text_atomically
from speech2face.media import SAMPLE_RATE
from speech2face.metrics.intervals import Estimate, bootstrap_people
from speech2face.metrics.matching import centred_cosine, two_way
from speech2face.networks.losses import contrastive_loss, gaussian_nll, regression_loss
from speech2face.networks.paper_voice_encoder import PaperVoiceEncoderConfig
from speech2face.networks.voice_encoder import VoiceEncoder
from speech2face.training.clip_features import ClipFeatures
from speech2face.training.end_to_end_task import EndToEndRecipe, LossWeights
from speech2face.training.end_to_end_voice_encoder import train_end_to_end
from speech2face.training.face_decoder import load_face_decoder, train_face_decoder
from speech2face.training.gaussian_head import HeadSolution, log_likelihood_ratios
from speech2face.training.loop import RunOptions, fit, report_progress
from speech2face.training.recipes import (
    attentive,
    face_decoder,
    paper_pairs,
    voice_encoder,
)
from speech2face.training.ridge import solve_ridge
from speech2face.training.voice_encoder import (
    BLOCKS,
    LAST_BLOCK,
    TuningTask,
    VoiceEncoderRecipe,
    load_speaker,
    prepare_clips,
    set_head,
    solve,
)

HERE = Path(__file__).parent
FIGURES = HERE / "voice_encoders.json"
FOLDS, SEED = 5, 0
RIDGE = 14.0  # of the linear map
SHORT = 1.0  # s: of each clip a crop so long tells how sure heads are of short ones
CAMPPLUS = slice(0, 192)  # of the features; GE2E's are the rest
GE2E = slice(192, 448)
REFERENCE = "linear map"  # what the rows are compared with
KEPT = "answer.npz"


@dataclass(frozen=True)
class Fold:
    """Who is heard and who is learned from, and where the row's runs are kept."""

    clips: ClipFeatures  # by the speaker networks as they were before tuning
    test: np.ndarray  # (N,) bool
    decoder: Path  # weights of the face decoder that met nobody of the test either
    folder: Path
    show: ProgressCallback
    first: np.ndarray | None = None  # (N,) bool: in the first set, where several are given

    @property
    def voices(self) -> Voices:
        return self.clips.voices


Answer = tuple[np.ndarray, np.ndarray]  # shown (n, D), log-likelihood ratios (n voices, n faces)
Row = Callable[[Fold], Answer]


def map_linearly(fold: Fold) -> Answer:
    """Ridge from whole clips, one Gaussian for all: the least that one would do."""
    heard = fold.clips.features[fold.clips.whole].astype(np.float64)
    for part in (CAMPPLUS, GE2E):
        heard[:, part] /= np.linalg.norm(heard[:, part], axis=1, keepdims=True)
    faces, train = fold.voices.faces.astype(np.float64), ~fold.test
    people = np.array(fold.voices.people)[train]
    slope, offset = solve_ridge(heard[train], faces[train], RIDGE)
    means = heard[fold.test] @ slope + offset
    held_out = np.empty_like(faces[train])
    inner = split_people(list(people), FOLDS, seed=1)
    for k in range(FOLDS):
        rest = inner == k
        slope, offset = solve_ridge(heard[train][~rest], faces[train][~rest], RIDGE)
        held_out[rest] = heard[train][rest] @ slope + offset
    return means, _compare(means, faces[fold.test], faces[train] - held_out, faces[train])


def of_first_set(row: Row) -> Row:
    """The same, learned from the people of the first set alone."""

    def part(fold: Fold) -> Answer:
        if fold.first is None or fold.first.all():
            raise ValueError("there is only one set")
        rows = np.flatnonzero(fold.first | fold.test)
        clips, test, first = fold.clips.take(rows), fold.test[rows], fold.first[rows]
        return row(replace(fold, clips=clips, test=test, first=first))

    return part


def _compare(
    means: np.ndarray,
    faces: np.ndarray,
    errors: np.ndarray,
    everybody: np.ndarray,
) -> np.ndarray:
    """Log-likelihood ratios (n, n) of faces (n, D) where all Gaussians have the covariance of
    held-out errors (m, D), and the prior is that of everybody (M, D)."""
    size, average, prior = faces.shape[1], everybody.mean(0), np.cov(everybody.T)
    residual = np.cov(errors.T)
    head = HeadSolution(
        np.zeros((size, 1)),
        average,
        average,
        residual,
        prior - residual,
        0.0,
        unshrink=np.eye(size),
        reach=np.eye(size),
    )
    return log_likelihood_ratios(head, means, np.ones(len(means)), faces)


def freeze(columns: slice) -> Row:
    """The head in closed form on these features of the frozen networks."""

    def row(fold: Fold) -> Answer:
        clips = replace(fold.clips, features=fold.clips.features[:, columns])
        return _judge(solve(voice_encoder(), clips, ~fold.test), clips, fold.test)

    return row


def _judge(head: HeadSolution, clips: ClipFeatures, test: np.ndarray) -> Answer:
    features, seconds = clips.features[clips.whole][test], clips.seconds[clips.whole][test]
    means = head.predict(features, seconds)
    return head.show(means), log_likelihood_ratios(head, means, seconds, clips.voices.faces[test])


@dataclass(frozen=True)
class Tuning:
    """What the released recipe is varied by: what moves, and what is asked of it."""

    moved: tuple[str, ...] = BLOCKS
    likelihood: float = 0.0
    distance: float = 1.0
    contrastive: float = 0.0
    steps: int | None = None

    @property
    def recipe(self) -> VoiceEncoderRecipe:
        recipe = voice_encoder()
        assert recipe.tuning
        tuning = replace(recipe.tuning, steps=self.steps or recipe.tuning.steps)
        return replace(recipe, tuned=self.moved, tuning=tuning)


class VariedTask(TuningTask):
    """The released recipe's tuning, varied."""

    def __init__(self, varied: Tuning, network: VoiceEncoder, fold: Fold) -> None:
        super().__init__(varied.recipe, network, fold.clips, np.flatnonzero(~fold.test))
        self._varied, self._average = varied, network.head.average.clone()

    def compare(self, mean: Tensor, covariance: Tensor, faces: Tensor) -> dict[str, Tensor]:
        rows = torch.arange(len(faces))  # who appears twice is rare: each row is a person
        asked = {
            "nll": (self._varied.likelihood, lambda: gaussian_nll(mean, covariance, faces)),
            "distance": (self._varied.distance, lambda: regression_loss(mean, faces)),
            "contrastive": (
                self._varied.contrastive,
                lambda: contrastive_loss(mean, faces, rows, self._average),
            ),
        }
        return {name: weight * loss() for name, (weight, loss) in asked.items() if weight}


def tune(varied: Tuning) -> Row:
    """Speaker networks tuned, the head solved anew on what they then hear."""

    def row(fold: Fold) -> Answer:
        recipe = varied.recipe
        assert recipe.tuning
        network = load_speaker(recipe)
        set_head(network, solve(recipe, fold.clips, ~fold.test))
        task = VariedTask(varied, network, fold)
        facts = {"tuning": asdict(varied), "data": fold.voices.data}
        fit(task, recipe.tuning, fold.folder, facts, report_progress(fold.show, "tuning"))
        clips = fold.clips.extract_again(network.speaker, fold.folder, fold.show)
        return _judge(solve(recipe, clips, ~fold.test), clips, fold.test)

    return row


def learn(recipe: EndToEndRecipe) -> Row:
    """From nothing, by gradient steps; a tenth of the people learned from says when to stop."""

    def row(fold: Fold) -> Answer:
        voices, train = fold.voices, np.flatnonzero(~fold.test)
        source = voices.take(train)
        layer = first_layer(fold.decoder) if recipe.weights.paper else None
        convolves = isinstance(recipe.network, PaperVoiceEncoderConfig)
        # In bfloat16 channels last is twice as fast, on CPUs too; a checkpoint takes gigabytes.
        options = RunOptions(checkpoint_seconds=600, channels_last=convolves)
        trained = train_end_to_end(
            recipe, source, fold.folder, fold.show, decoder=layer, options=options
        )
        assert trained  # in one process
        ear = trained.network.ear
        if convolves:
            ear.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        half = torch.autocast("cpu", torch.bfloat16, enabled=recipe.loop.bfloat16)
        heard, seconds = [], []
        with torch.inference_mode(), half:
            for clip in np.flatnonzero(fold.test):
                speech = voices.speech[clip]
                heard.append(ear(torch.from_numpy(speech)[None])[0].float().numpy())
                seconds.append(len(speech) / SAMPLE_RATE)
                fold.show("listening", len(heard), int(fold.test.sum()), "")
        head, lengths = trained.head, np.array(seconds)
        means = head.predict(np.array(heard), lengths)
        faces = voices.faces[fold.test]
        return head.show(means), log_likelihood_ratios(head, means, lengths, faces)

    return row


def first_layer(decoder: Path) -> nn.Linear:
    """What the decoder makes of an embedding before anything that is not linear."""
    network, _ = load_face_decoder(decoder)
    layer = nn.Linear(*network.light_slope.shape)
    layer.weight.data = network.light_slope.T.contiguous()
    layer.bias.data = network.light_offset - network.average @ network.light_slope
    return layer


def _shorten(recipe: EndToEndRecipe, steps: int, batch: int) -> EndToEndRecipe:
    """For a CPU: fewer steps of fewer clips, crops of three seconds, half precision.

    The learning rate falls as far as in all the recipe's steps.
    """
    whole = recipe.loop
    loop = replace(
        whole,
        steps=steps,
        validate_every=steps // 4,
        decay_steps=max(1, whole.decay_steps * steps // whole.steps),
        bfloat16=True,
    )
    network = recipe.network
    if isinstance(network, PaperVoiceEncoderConfig):
        network = replace(network, least_seconds=3.0)
    balanced = bool(recipe.weights.paper)
    return replace(
        recipe, loop=loop, network=network, batch=batch, seconds=(3.0, 3.0), balanced=balanced
    )


def by_distance(recipe: EndToEndRecipe) -> EndToEndRecipe:
    """What the contrastive loss is measured against."""
    return replace(recipe, name="regression", weights=LossWeights(distance=1.0))


ROWS: dict[str, Row] = {
    REFERENCE: map_linearly,
    "linear map, first set": of_first_set(map_linearly),
    "GE2E alone": freeze(GE2E),
    "CAM++ alone": freeze(CAMPPLUS),
    "frozen": freeze(slice(None)),
    "last block, distance, first set": of_first_set(tune(Tuning(moved=LAST_BLOCK))),
    "last block, distance": tune(Tuning(moved=LAST_BLOCK)),
    "all blocks, distance": tune(Tuning()),
    "all blocks, likelihood": tune(Tuning(likelihood=1.0, distance=0.0)),
    "all blocks, distance and contrastive": tune(Tuning(contrastive=0.1)),
    "all blocks, distance, 100 steps": tune(Tuning(steps=100)),
    "all blocks, distance, 400 steps": tune(Tuning(steps=400)),
    "from nothing: attentive": learn(_shorten(attentive(), 600, 16)),
    "from nothing: attentive, distance alone": learn(_shorten(by_distance(attentive()), 600, 16)),
    "from nothing: the paper's": learn(_shorten(paper_pairs(), 100, 8)),
}


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure what parts of the encoder are worth.")
    parser.add_argument("rows", nargs="*", help=f"of: {'; '.join(ROWS)}")
    parser.add_argument(
        "--pairs",
        type=Path,
        required=True,
        action="append",
        help="folder with pairs.csv; may be repeated",
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for runs; they go on")
    parser.add_argument("--fold", type=int, nargs="*", default=[*range(FOLDS)])
    parser.add_argument(
        "--against", default=REFERENCE, help="the row that others are compared with"
    )
    parser.add_argument("--write", action="store_true", help="store what is there, draw the table")
    given = parser.parse_args()
    if unknown := {*given.rows, given.against} - {*ROWS}:
        parser.error(f"no row {', '.join(unknown)}")
    if given.write and given.against != REFERENCE:
        parser.error(f"what is stored is compared with the {REFERENCE}")
    with ProgressBars() as show:
        crowd = gather(given.pairs, given.out, show)
        for name in given.rows:
            for k in given.fold:
                answer(name, crowd, k, given.out, show)
        told = compare(crowd, given.out, given.against, show)
        sets = {
            name: compare(crowd, given.out, given.against, show, only=name)
            for name in sorted({pair.set for pair in crowd.pairs} - {""})
        }
    print(draw_table(told, given.against))
    for name, of_set in sets.items():
        print(f"\n{name}, matched among its own people\n{draw_table(of_set, given.against)}")
    if given.write:
        data = crowd.clips.voices.data
        stored = json.loads(FIGURES.read_text()) if FIGURES.is_file() else {}
        earlier = stored.get("earlier")
        if stored and stored["data"] != data:
            earlier = {key: stored[key] for key in ("data", "people", "clips", "rows")}
            stored = {}
        told = keep_rows(told, stored.get("rows", {}))
        known = stored.get("sets", {})
        sets = {name: keep_rows(rows, known.get(name, {})) for name, rows in sets.items()}
        facts = {
            "data": data,
            "people": len({*crowd.people}),
            "clips": len(crowd.people),
            "folds": FOLDS,
            "chance": 0.5,
            "rows": {name: asdict(row) for name, row in told.items()},
            "sets": {
                name: {row: asdict(one) for row, one in rows.items()} for name, rows in sets.items()
            },
            "earlier": earlier,  # of other data
        }
        write_text_atomically(FIGURES, json.dumps(facts, indent=1) + "\n")
        tables = {f"All {facts['people']:,} people": told} | {
            f"Of `{name}`, matched among its own people": rows for name, rows in sets.items()
        }
        write_table(
            "\n\n".join(f"{n}:\n\n{draw_table(t, REFERENCE)}" for n, t in tables.items()),
            "voice encoders",
        )


@dataclass(frozen=True)
class Crowd:
    """Everybody, and the fold in which nobody has met them."""

    pairs: list[Pair]  # N
    clips: ClipFeatures  # by the speaker networks as they were before tuning
    fold: np.ndarray  # (N,)
    decoders: list[Path]  # of each fold
    first: np.ndarray  # (N,) bool: in the first set

    @property
    def people(self) -> np.ndarray:
        return np.array(self.clips.voices.people)


def gather(folders: list[Path], out: Path, show: ProgressCallback) -> Crowd:
    """Hear everybody, and solve the face decoder of each fold."""
    recipe, cache = replace(voice_encoder(), crop_seconds=(SHORT,)), out / "cache"
    pairs = join_people(read_sets(folders), cache, show)
    voices = load_pair_voices(pairs, recipe.face_encoder, cache, show, recognise=True)
    clips = prepare_clips(recipe, load_speaker(recipe), voices, cache, show)
    dealt, rows = deal_folds(pairs, voices, FOLDS, SEED)
    decoders = []
    for k in range(FOLDS):
        without = {p.person for p, own in zip(pairs, dealt == k, strict=True) if own}
        run = out / "decoders" / f"fold{k}"
        decoders.append(train_face_decoder(face_decoder(), pairs, run, cache, show, without))
    kept = [pairs[row] for row in rows]
    name = name_sets(folders)[0] if len(folders) > 1 else ""
    return Crowd(kept, clips, dealt[rows], decoders, np.array([p.set == name for p in kept]))


def answer(name: str, crowd: Crowd, k: int, out: Path, show: ProgressCallback) -> None:
    """Make a row's encoder of a fold, and keep what it says of the people it has not met."""
    folder = find_folder(name, k, out)
    if (folder / KEPT).is_file():
        return
    folder.mkdir(parents=True, exist_ok=True)
    fold = Fold(crowd.clips, crowd.fold == k, crowd.decoders[k], folder, show, crowd.first)
    shown, ratios = ROWS[name](fold)
    network, _ = load_face_decoder(fold.decoder)
    names = [crowd.pairs[i].clip for i in np.flatnonzero(fold.test)]
    places = draw_faces(network, hash_file(fold.decoder), shown, names, folder, "voice")
    pictures = np.array([str(path.relative_to(folder)) for path in places])
    write_arrays(folder / KEPT, {"shown": shown, "ratios": ratios, "pictures": pictures})


def find_folder(name: str, k: int, out: Path) -> Path:
    return out / "-".join(re.findall(r"\w+", name)) / f"fold{k}"


@dataclass(frozen=True)
class Matching:
    """How often the true face beats a stranger's of the same fold; 0.5 by chance."""

    likelihood: Estimate
    cosine: Estimate
    sface: Estimate  # of the pictures drawn, by a recogniser that had no part in training
    likelihood_gain: Estimate | None  # on the reference, of the same clips
    sface_gain: Estimate | None


def compare(
    crowd: Crowd, out: Path, against: str, show: ProgressCallback, only: str | None = None
) -> dict[str, Matching]:
    """All rows of which all folds are there, and what they gain on one of them.

    With the name of a set, `only` its people are matched, among themselves.
    """
    done = [n for n in ROWS if all((find_folder(n, k, out) / KEPT).is_file() for k in range(FOLDS))]
    cache, faces = out / "cache", crowd.clips.voices.faces
    true = embed_pictures([p.face for p in crowd.pairs], "sface", cache, show, "faces").embeddings
    wins: dict[str, np.ndarray] = {}
    for name in done:
        won = np.full((3, len(crowd.pairs)), np.nan)
        for k in range(FOLDS):
            test, folder = np.flatnonzero(crowd.fold == k), find_folder(name, k, out)
            own = np.array([only in (None, crowd.pairs[i].set) for i in test])
            with np.load(folder / KEPT) as kept:
                shown, ratios, pictures = kept["shown"], kept["ratios"], kept["pictures"]
            drawn = [folder / picture for picture in pictures]
            seen = embed_pictures(drawn, "sface", cache, show, name).embeddings[own]
            shown, ratios, test = shown[own], ratios[np.ix_(own, own)], test[own]
            people = crowd.people[test]
            won[0, test] = two_way(ratios, people)
            won[1, test] = two_way(centred_cosine(shown, faces[test]), people)
            won[2, test] = match_pictures(seen, true[test], people)
        wins[name] = won
    base = wins.get(against)
    told = {}
    for name, won in wins.items():
        gains = [None, None]
        if base is not None and name != against:
            gains = [average(won[i] - base[i], crowd.people) for i in (0, 2)]
        told[name] = Matching(*(average(row, crowd.people) for row in won), *gains)
    return told


def keep_rows(told: dict[str, Matching], stored: dict[str, Any]) -> dict[str, Matching]:
    """These rows, to which others are added that were stored before."""
    for name, row in stored.items():
        kept = {key: value and Estimate(**value) for key, value in row.items()}
        told.setdefault(name, Matching(**kept))
    return {name: told[name] for name in ROWS if name in told}


def match_pictures(drawn: np.ndarray, true: np.ndarray, people: np.ndarray) -> np.ndarray:
    """Wins (n,); NaN for who has no face in one of the pictures, and nobody is compared with it."""
    known = np.isfinite(drawn[:, 0]) & np.isfinite(true[:, 0])
    wins = np.full(len(known), np.nan)
    wins[known] = two_way(centred_cosine(drawn[known], true[known]), people[known])
    return wins


def average(values: np.ndarray, people: np.ndarray) -> Estimate:
    known = np.isfinite(values)
    return bootstrap_people(values[known], people[known])


def draw_table(told: dict[str, Matching], against: str) -> str:
    """The table of docs/training.md."""
    less = "less the map" if against == REFERENCE else f"less {against}"
    lines = [
        f"| encoder | likelihood ratio | {less} | cosine | pictures, SFace | {less} |",
        "|--|--|--|--|--|--|",
    ]
    for name, row in told.items():
        cells = [
            name,
            format_matching(row.likelihood),
            format_matching(row.likelihood_gain, signed=True),
            format_matching(row.cosine),
            format_matching(row.sface),
            format_matching(row.sface_gain, signed=True),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def format_matching(estimate: Estimate | None, signed: bool = False) -> str:
    if estimate is None:
        return ""
    sign = "+" if signed else ""
    low, high = (format(x, f"{sign}.3f") for x in (estimate.low, estimate.high))
    return f"{estimate.value:{sign}.3f} [{low}, {high}]"


def write_table(table: str, name: str) -> None:
    """Put a table between its marks in docs/training.md."""
    path = HERE.parent / "docs/training.md"
    start, end = f"<!-- {name} -->\n", f"\n<!-- /{name} -->"
    before, opening, rest = path.read_text().partition(start)
    _, closing, after = rest.partition(end)
    if not (opening and closing):
        raise ValueError(f"{path}: lacks the marks of the table {name}")
    write_text_atomically(path, before + start + table + end + after)


if __name__ == "__main__":
    main()
