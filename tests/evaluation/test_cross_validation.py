"""Evaluation by folds: whoever is drawn was never met, neither by voice nor by face."""

import numpy as np
import pytest
import soundfile

from helpers.synthetic_pairs import make_pairs
from helpers.tiny_networks import save_tiny_speaker, tiny_debug_recipe
from speech2face.data import merge_pairs
from speech2face.data.face_unwarping import LANDMARKS, MeasuredFaces
from speech2face.data.pairs import read_pairs
from speech2face.errors import UsageError
from speech2face.evaluation import cross_validation
from speech2face.evaluation.cross_validation import draw_by_folds
from speech2face.training import face_decoder, voice_encoder
from speech2face.training.encoder_options import Options
from speech2face.training.recipes import face_decoder_debug

SHAPE = np.random.default_rng(0).uniform(0.25, 0.75, (66, 2))


class Spies:
    """Faces that tell whose they are, and a record of the people each training meets."""

    def __init__(self, folder, monkeypatch):
        self.pairs = read_pairs(make_pairs(folder, clips=2, faces=False))
        self.speaker = save_tiny_speaker(folder / "speaker.safetensors")
        first = self.pairs[0]
        soundfile.write(first.audio, np.zeros(4_800), 16_000)  # too short: left out
        self.faceless = self.pairs[5]
        self.names = sorted({p.person for p in self.pairs})
        self.twins: tuple[str, str] | None = None  # people with one face, to the recogniser
        self.met: list[tuple[str, set[str]]] = []  # of each training: its kind, its people
        self.folds: list[list[tuple[str, set[str]]]] = []  # the same, by fold
        for module in (merge_pairs, face_decoder):
            monkeypatch.setattr(module, "measure_faces", self.measure)
        solve, solve_decoder = voice_encoder.solve_head, face_decoder.solve
        batch = voice_encoder.TuningTask.batch

        def solve_head(features, seconds, targets, people, whole, config):
            assert self.whose(targets) == set(people)
            self.met.append(("head", set(people)))
            return solve(features, seconds, targets, people, whole, config)

        def tuning_batch(own, step, rng):
            *frozen, faces = batch(own, step, rng)
            self.met.append(("tuning", self.whose(faces.numpy())))
            return *frozen, faces

        def meet_and_solve(recipe, targets, mean_shape):
            self.met.append(("decoder", self.whose(targets.embeddings)))
            return solve_decoder(recipe, targets, mean_shape)

        monkeypatch.setattr(voice_encoder, "solve_head", solve_head)
        monkeypatch.setattr(voice_encoder.TuningTask, "batch", tuning_batch)
        monkeypatch.setattr(face_decoder, "solve", meet_and_solve)
        self.drawn_at: dict[str, dict[str, np.ndarray]] = {}  # by fold and kind, then name
        draw = cross_validation.draw_faces

        def draw_faces(network, weights, embeddings, names, run, kind):
            self.drawn_at[f"{run.name} {kind}"] = dict(zip(names, embeddings, strict=True))
            return draw(network, weights, embeddings, names, run, kind)

        monkeypatch.setattr(cross_validation, "draw_faces", draw_faces)

    def measure(self, paths, encoder, cache, show=None, also=(), **_):
        """In place of `measure_faces`: one number of an embedding stands out, the person's."""
        cache.mkdir(parents=True, exist_ok=True)
        person = {path: p.person for p in self.pairs for path in (p.face, p.canonical)}
        index = [i for i, path in enumerate(paths) if path != self.faceless.face]
        rng = np.random.default_rng(0)
        embeddings = rng.normal(scale=0.3, size=(len(index), 128)).astype(np.float32)
        for row, i in enumerate(index):
            embeddings[row, self.names.index(person[paths[i]])] = 20
        if self.twins:
            one, other = ([person[paths[i]] for i in index].index(name) for name in self.twins)
            embeddings[one] = embeddings[other] + 0.01
        mesh = np.zeros((len(index), 468, 2), np.float32)
        mesh[:, LANDMARKS] = SHAPE * 8
        return MeasuredFaces(np.array(index), mesh, np.zeros(len(index)), embeddings)

    def whose(self, embeddings) -> set[str]:
        embeddings = embeddings.reshape(-1, 128)  # all views of a face
        assert (embeddings.max(1) > 10).all()
        return {self.names[i] for i in embeddings.argmax(1)}

    def show(self, what, done, total, words):
        if what == "folds":
            self.folds.append(self.met)
            self.met = []

    def draw(self, folder, folds=2, seed=0):
        recipes = tiny_debug_recipe(), face_decoder_debug()
        options = Options(speaker=self.speaker)
        return draw_by_folds(*recipes, self.pairs, folder, folds, seed, self.show, options)


@pytest.fixture
def spies(tmp_path, monkeypatch) -> Spies:
    return Spies(tmp_path / "data", monkeypatch)


def test_nobody_is_drawn_by_a_model_that_met_them(spies, tmp_path):
    drawn = spies.draw(tmp_path / "out")
    everyone = set(spies.names)
    tested: list[set[str]] = []
    for k, met in enumerate(spies.folds):
        tested.append(set(drawn.people[drawn.fold == k]))
        assert {kind for kind, _ in met} == {"head", "tuning", "decoder"}
        for kind, people in met:
            assert people, kind
            assert not people & tested[k], kind
            if kind != "tuning":  # which draws few clips
                assert people == everyone - tested[k], kind
    assert len(tested) == 2
    assert tested[0] | tested[1] == everyone
    assert not tested[0] & tested[1]

    # Each clip has its own face beside it, though two clips before it were left out.
    left_out = {spies.pairs[0].clip, spies.faceless.clip}
    assert {p.clip for p in drawn.left_out} == left_out
    assert [p.clip for p in drawn.pairs] == [p.clip for p in spies.pairs if p.clip not in left_out]
    for pair, face, person in zip(drawn.pairs, drawn.faces, drawn.people, strict=True):
        assert pair.person == person == spies.names[face.argmax()]
    for pair, fold, picture, copy in zip(
        drawn.pairs, drawn.fold, drawn.pictures[1.0], drawn.copies, strict=True
    ):
        assert picture.match(f"out/fold{fold}/voice-*/{pair.clip}.png")
        assert copy.match(f"out/fold{fold}/face-*/{pair.clip}.png")
        assert picture.is_file()
        assert copy.is_file()
    for k, scores in enumerate(drawn.log_ratios):
        assert scores.shape == ((drawn.fold == k).sum(),) * 2
        assert np.isfinite(scores).all()

    # At each strength faces are drawn so far from the average; at 0 a fold has one.
    assert drawn.typical == face_decoder_debug().typical
    assert list(drawn.pictures) == [0, 1, 1.5]
    for strength, pictures in drawn.pictures.items():
        assert len(set(pictures)) == (len(drawn.pairs) if strength else 2)
        kind = {0: "average", 1: "voice"}.get(strength, f"voice-{strength:g}")
        for row, (fold, picture) in enumerate(zip(drawn.fold, pictures, strict=True)):
            assert picture.match(f"out/fold{fold}/{kind}-*/*.png")
            assert picture.stem == (drawn.pairs[row].clip if strength else "average")
            head = drawn.encoders[fold].head
            average = head.average
            shown = head.draw(drawn.means[row]).astype(np.float32)
            away = strength * drawn.typical * (shown - average)
            place = spies.drawn_at[f"fold{fold} {kind}"][picture.stem]
            np.testing.assert_allclose(place, average + away, atol=1e-12)

    # The same again: no training is repeated, what is missing is drawn again, and the outcome is
    # the same.
    written = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.png")}
    lost = drawn.pictures[1.5][0]
    lost.unlink()
    spies.folds.clear()
    again = spies.draw(tmp_path / "out")
    assert {kind for met in spies.folds for kind, _ in met} == {"head"}
    np.testing.assert_array_equal(again.means, drawn.means)
    assert again.pictures == drawn.pictures
    assert [p for p, time in written.items() if p.stat().st_mtime_ns != time] == [lost]

    # Other folds in the same folder: what was trained there met other people, and is not used.
    for other in ({"folds": 4}, {"seed": 1}):
        (name,) = other
        with pytest.raises(UsageError, match=rf"holds a run of another recipe \({name} \d there"):
            spies.draw(tmp_path / "out", **other)


def test_a_face_on_both_sides_is_refused_before_any_training(spies, tmp_path):
    spies.twins = (spies.names[3], spies.names[6])
    with pytest.raises(UsageError, match=r"^1 face stands .*, dlib 0\.11\)") as error:
        spies.draw(tmp_path / "out", folds=len(spies.names))
    assert all(name in str(error.value) for name in spies.twins)
    assert not spies.met
