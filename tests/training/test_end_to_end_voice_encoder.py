"""End-to-end training: its losses, who is held out, and a curve that stays what it was."""

import json
import os
import signal
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
import torch.distributed as dist
from torch import nn

from helpers.finished_samples import make_sample, make_set
from helpers.golden_run import GOLDEN, LOG, make_layers, make_voices, run
from speech2face.data.shard_index import INDEX, Packing
from speech2face.data.voice_encoder_data import Voices
from speech2face.errors import Interrupted, ModelError, UsageError
from speech2face.networks.attentive_voice_encoder import AttentiveEncoderConfig
from speech2face.networks.losses import contrastive_loss, gaussian_nll, regression_loss
from speech2face.networks.paper_loss import PaperLoss, PaperLossConfig
from speech2face.networks.voice_encoder import VoiceEncoderConfig
from speech2face.training.batches import HeldBatches
from speech2face.training.checkpoint import hash_weights, load_weights, save_weights
from speech2face.training.encoder_command import find_stream, train
from speech2face.training.encoder_factory import fit_size, load_encoder, make_network
from speech2face.training.encoder_options import Options
from speech2face.training.end_to_end_task import EndToEndTask, LossWeights
from speech2face.training.end_to_end_voice_encoder import split_people, train_end_to_end
from speech2face.training.loop import LoopConfig
from speech2face.training.recipes import end_to_end_debug, voice_encoder_debug
from speech2face.training.shard_dataset import Augmentation, Reading
from speech2face.training.voice_encoder import load_speaker, prepare_clips, solve

SIZE = 16
RECIPE = end_to_end_debug()
RECIPE = replace(RECIPE, network=fit_size(RECIPE.network, SIZE))
AVERAGE = np.full(SIZE, 0.25, np.float32)
TINY_ATTENTION = AttentiveEncoderConfig(
    channels=(8, 8, 8, 8, 12), attention=4, hidden=8, embedding_size=SIZE
)


def quiet(*_) -> None:
    pass


class Plain(nn.Module):
    """A linear map of a clip's first samples; with a Gaussian's covariance if it is asked to."""

    def __init__(self, gaussian: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.linear, self.gaussian = nn.Linear(50, SIZE), gaussian

    def forward(self, waveform):
        mean = self.linear(waveform[:, :50])
        if not self.gaussian:
            return mean
        return mean, 2 * torch.eye(SIZE).expand(len(mean), SIZE, SIZE), torch.zeros_like(mean)


def make_task(
    hears: nn.Module | None = None, clips: Voices | None = None, **changes
) -> EndToEndTask:
    recipe, clips = replace(RECIPE, **changes), clips or make_voices()
    source = HeldBatches(clips, Reading(recipe.batch, recipe.seconds))
    paper = PaperLoss(recipe.paper, *make_layers())
    return EndToEndTask(recipe, hears or Plain(), source, clips, AVERAGE, paper)


def terms_of(task: EndToEndTask, step: int = 0) -> dict[str, float]:
    batch = task.batch(step, np.random.default_rng())
    return {name: term.item() for name, term in task.losses(batch).items()}


def test_the_curve_is_what_it_was(tmp_path):
    rows, golden = run(tmp_path), json.loads(GOLDEN.read_text())
    assert len(rows) == len(golden) == 10
    for row, wanted in zip(rows, golden, strict=True):
        assert row == pytest.approx(wanted, rel=1e-3)


def test_each_loss_is_asked_for_by_its_weight():
    gaussian = {"network": VoiceEncoderConfig(face_embedding=SIZE)}
    network = Plain(gaussian=True)
    task = make_task(network, weights=LossWeights(distance=1.0), **gaussian)
    speech, faces, people = task.batch(0, np.random.default_rng())
    mean, covariance, _ = network(speech)
    average = torch.tensor(AVERAGE)
    paper = PaperLoss(PaperLossConfig(), *make_layers())(mean, faces)
    wanted = {
        "paper": {k: 2 * v for k, v in paper.items()},
        "distance": {"distance": 2 * regression_loss(mean, faces)},
        "nll": {"nll": 2 * gaussian_nll(mean, covariance, faces)},
        "contrastive": {"contrastive": 2 * contrastive_loss(mean, faces, people, average, 0.5)},
    }
    for name, terms in wanted.items():
        task = make_task(network, weights=LossWeights(**{name: 2.0}), **gaussian)
        assert terms_of(task) == pytest.approx({k: v.item() for k, v in terms.items()})
    together = make_task(network, weights=LossWeights(2.0, 2.0, 2.0, 2.0), **gaussian)
    assert len(terms_of(together)) == 6


def test_batches_hold_people_as_whole_numbers():
    task = make_task(batch=10, clips=make_voices(people=8))
    assert task.clips == 10
    speech, faces, people = task.batch(3, np.random.default_rng(0))
    assert speech.shape[0] == 10
    assert faces.shape == (10, SIZE)
    assert people.dtype == torch.int64
    assert len(set(people.tolist())) == 8
    again = task.batch(3, np.random.default_rng(1))  # the step alone says what is in it
    for some, others in zip((speech, faces, people), again, strict=True):
        assert torch.equal(some, others)


def test_losses_are_taken_in_single_precision():
    task = make_task(weights=LossWeights(1.0, 1.0, 0.0, 1.0))
    batch = task.batch(0, np.random.default_rng())
    with torch.autocast("cpu", torch.bfloat16):
        rounded = task.losses(batch)
    exact = task.losses(batch)
    assert {term.dtype for term in rounded.values()} == {torch.float32}
    for name, term in exact.items():
        assert rounded[name].item() == pytest.approx(term.item(), rel=0.05), name


class Telling(nn.Module):
    """Hears in the level of a clip which face belongs to it."""

    def __init__(self, faces: np.ndarray, wrong: int = 0) -> None:
        super().__init__()
        self.faces = nn.Parameter(torch.tensor(np.roll(faces, wrong, axis=0)))

    def forward(self, waveform):
        return self.faces[waveform[:, 0].long()]


def test_validation_matches_the_people_held_out():
    people = make_voices(people=5, clips=1)
    speech = [np.full(16_000, row, np.float32) for row in range(5)]
    clips = replace(people, speech=speech)
    weights = LossWeights(paper=1.0, distance=1.0, contrastive=1.0)
    task = make_task(Telling(clips.faces), clips, weights=weights, batch=2)  # 2, 2 and 1
    found = task.validate()
    assert next(iter(found)) == "loss"
    assert found["two_way"] == 1
    assert sum(v for k, v in found.items() if k.startswith("share of ")) == pytest.approx(1)
    faces, numbers = torch.tensor(clips.faces), torch.arange(5)
    paper = PaperLoss(None, *make_layers())(faces, faces)
    contrast = contrastive_loss(faces, faces, numbers, torch.tensor(AVERAGE), 0.5)
    assert found["loss"] == pytest.approx((sum(paper.values()) + contrast).item(), rel=1e-5)
    assert make_task(Telling(clips.faces, 1), clips, weights=weights).validate()["two_way"] < 0.5


def test_validation_is_the_same_each_time_and_leaves_nothing_behind():
    task = make_task(make_network(RECIPE.network))
    task.network.eval()
    before = {k: v.clone() for k, v in task.network.state_dict().items()}
    assert task.validate() == task.validate()
    assert all(torch.equal(v, before[k]) for k, v in task.network.state_dict().items())
    assert all(p.grad is None for p in task.network.parameters())


def test_validation_asks_no_other_process(monkeypatch):
    """It runs on one; waiting there for the others would last for ever."""

    def ask() -> int:
        raise AssertionError("another process is asked")

    task = make_task()
    monkeypatch.setattr(dist, "is_initialized", lambda: True)
    monkeypatch.setattr(dist, "get_rank", ask)
    assert np.isfinite(task.validate()["loss"])
    with pytest.raises(AssertionError, match="another process is asked"):
        task.losses(task.batch(0, np.random.default_rng()))


def test_nobody_stands_on_both_sides():
    clips = make_voices(people=12)
    recipe = replace(RECIPE, held_out=0.25)
    data = split_people(recipe, clips, quiet)
    assert not set(data.train.people) & set(data.held_out.people)
    assert len(set(data.held_out.people)) == 3
    assert len(data.train) + len(data.held_out) == 24
    assert data.origin == {"data": clips.data}
    np.testing.assert_allclose(data.average, data.faces.mean(0), rtol=1e-5)
    other = split_people(replace(recipe, seed=2), clips, quiet)
    assert set(other.held_out.people) != set(data.held_out.people)


def test_a_stopped_run_follows_the_same_curve(tmp_path):
    recipe = replace(RECIPE, augmentation=Augmentation(), balanced=True)
    layers = dict(zip(("decoder", "recogniser"), make_layers(), strict=True))

    def stop(_, done: int, *__) -> None:
        if done == 4:
            os.kill(os.getpid(), signal.SIGTERM)

    whole, broken = tmp_path / "whole", tmp_path / "broken"
    path = train_end_to_end(recipe, make_voices(), whole, quiet, **layers).save(whole)
    with pytest.raises(Interrupted):
        train_end_to_end(recipe, make_voices(), broken, stop, **layers)
    assert len((broken / LOG).read_text().splitlines()) == 5  # the step after the signal's
    again = train_end_to_end(recipe, make_voices(), broken, quiet, **layers).save(broken)
    assert again.read_bytes() == path.read_bytes()
    assert (broken / LOG).read_text() == (whole / LOG).read_text()
    with pytest.raises(ModelError, match="of another recipe or other data"):
        train_end_to_end(recipe, make_voices(clips=3), broken, quiet, **layers)
    with pytest.raises(ModelError, match="of another recipe or other data"):
        train_end_to_end(recipe, make_voices(), broken, quiet, decoder=layers["decoder"])


def test_balanced_terms_have_as_much_to_say_where_training_begins():
    recipe = RECIPE
    network = make_network(recipe.network)
    task = make_task(network)
    before = {k: v.clone() for k, v in network.state_dict().items()}
    clips = HeldBatches(make_voices(), Reading(recipe.batch, recipe.seconds))
    task.balance(clips.batch(0))
    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())
    speech, faces, _ = task.batch(0, np.random.default_rng())
    with torch.no_grad():
        mean = network(speech)
    shares = PaperLoss(task.paper, *make_layers()).share_gradient(mean, faces)
    assert list(shares.values()) == pytest.approx([1 / 3] * 3, rel=1e-3)


def test_shards_are_streamed_and_their_side_val_is_held_out(tmp_path):
    folder = tmp_path / "set"
    samples = [make_sample(i) for i in range(24)]
    index = make_set(folder, samples, Packing((0.75, 0.25), samples=7, join=False))
    weights = LossWeights(distance=1.0, contrastive=1.0)
    recipe = replace(RECIPE, weights=weights, loop=replace(RECIPE.loop, steps=4), workers=0)
    path = train_end_to_end(recipe, folder, tmp_path / "run", quiet).save(tmp_path)
    rows = [json.loads(line) for line in (tmp_path / "run" / LOG).read_text().splitlines()]
    assert [row["step"] for row in rows] == [0, 1, 2, 3]  # 18 samples are 3 batches an epoch
    encoder, facts = load_encoder(path)
    assert facts["network"] == "paper_voice_encoder"
    assert encoder(torch.zeros(2, 30_000))[0].shape == (2, 128)  # as many numbers as faces have
    data = split_people(recipe, folder, quiet)
    assert data.train == folder
    assert set(data.held_out.people) == set(index.people["val"])
    assert data.average.shape == (128,)
    assert data.origin["data"] == facts["data"] != data.held_out.data  # which is of one side


def test_a_set_has_to_have_people_held_out_and_the_recipe_s_recogniser(tmp_path):
    samples = [make_sample(i) for i in range(8)]
    make_set(tmp_path / "whole", samples, Packing(samples=7))
    with pytest.raises(UsageError, match=r"nobody is held out; .* --split 90/10"):
        train_end_to_end(RECIPE, tmp_path / "whole", tmp_path / "run", quiet)
    make_set(tmp_path / "split", samples, Packing((0.5, 0.5), samples=7, join=False))
    with pytest.raises(UsageError, match="embedded by dlib, not by sface"):
        train_end_to_end(
            replace(RECIPE, face_encoder="sface"), tmp_path / "split", tmp_path / "run", quiet
        )
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("network", [RECIPE.network, TINY_ATTENTION])
def test_weights_come_back_as_the_network_they_are_of(network, tmp_path):
    recipe = replace(RECIPE, network=network, loop=replace(RECIPE.loop, steps=2))
    path = train_end_to_end(recipe, make_voices(), tmp_path, quiet).save(tmp_path)
    encoder, facts = load_encoder(path)
    assert facts["paper"] == asdict(PaperLossConfig())
    assert facts["held_out"] == {"people": 2, "clips": 4}
    assert not encoder.training
    last, _ = load_weights(tmp_path / LOG.with_name("checkpoint.safetensors"))
    before = make_network(network).state_dict()
    for name, weight in encoder.ear.named_parameters():
        assert torch.equal(weight, last[f"average/{name}"]), name
        assert not torch.equal(weight, before[name]), name
    speech = torch.randn(2, 24_000, generator=torch.Generator().manual_seed(0))
    mean, covariance, *_ = encoder(speech)
    assert mean.shape == (2, SIZE)
    np.linalg.cholesky(covariance.detach().double().numpy())


def test_the_released_network_learns_by_its_likelihood(tmp_path):
    recipe = replace(
        RECIPE,
        network=VoiceEncoderConfig(),
        weights=LossWeights(nll=1.0),
        loop=replace(RECIPE.loop, steps=2),
        batch=2,
        seconds=(0.5, 0.5),
    )
    path = train_end_to_end(recipe, make_voices(), tmp_path, quiet).save(tmp_path)
    encoder, facts = load_encoder(path)
    assert facts["network"] == "voice_encoder"
    mean, covariance, average, shown = encoder(torch.zeros(1, 8_000))
    assert mean.shape == average.shape == shown.shape == (1, SIZE)
    assert covariance.shape == (1, SIZE, SIZE)
    rows = [json.loads(line) for line in (tmp_path / LOG).read_text().splitlines()]
    assert rows[0].keys() >= {"step", "nll"}


def test_a_network_may_begin_as_the_closed_form_leaves_it(tmp_path):
    """Without steps that move anything, what comes out is the head of the training side."""
    start = replace(voice_encoder_debug(), tuning=None)
    recipe = replace(
        RECIPE,
        start=start,
        network=VoiceEncoderConfig(),
        weights=LossWeights(nll=1.0),
        loop=replace(RECIPE.loop, steps=1, learning_rate=1e-12, weight_decay=0.0),
        batch=2,
        seconds=(0.5, 0.5),
    )
    voices = make_voices(size=128)
    path = train_end_to_end(recipe, voices, tmp_path, quiet).save(tmp_path)
    encoder, facts = load_encoder(path)
    network = load_speaker(start)
    assert facts["start"] == hash_weights(network.speaker)
    train = split_people(recipe, voices, quiet).train
    clips = prepare_clips(start, network, train, tmp_path / "cache", quiet)
    solved = solve(start, clips, np.ones(len(train), bool))
    left, _ = load_weights(tmp_path / LOG.with_name("checkpoint.safetensors"))
    for name, value in (
        ("buffer/head.residual_covariance", solved.residual_covariance),
        ("buffer/head.average", solved.average),
        ("average/head.linear.weight", solved.weight),
    ):
        np.testing.assert_allclose(left[name], value, atol=1e-6)
    # What is released says how sure it is of the people held out, whom that head has not met.
    assert not np.allclose(encoder.head.residual_covariance, solved.residual_covariance)


def test_other_weights_are_refused(tmp_path):
    path = tmp_path / "x.safetensors"
    save_weights(path, {}, {"network": "face_decoder", "recipe": {"network": {}}})
    with pytest.raises(ModelError, match="holds a face_decoder; wanted the released network"):
        load_encoder(path)


@pytest.mark.parametrize("network", [RECIPE.network, TINY_ATTENTION])
def test_a_network_may_begin_by_saying_the_average_face_of_everybody(network, tmp_path):
    still = LoopConfig(steps=1, learning_rate=0.0)
    recipe = replace(RECIPE, network=network, from_average=True, loop=still)
    voices = make_voices()
    encoder, _ = load_encoder(train_end_to_end(recipe, voices, tmp_path, quiet).save(tmp_path))
    average = split_people(recipe, voices, quiet).average
    speech = torch.tensor(np.stack([s[:16_000] for s in voices.speech]))
    said = encoder.ear(speech).detach()
    np.testing.assert_allclose(said, np.tile(average, (len(said), 1)), rtol=1e-6)
    mean = encoder(speech)[0].detach()  # which is the same of everybody, too
    np.testing.assert_allclose(mean, np.tile(mean[0], (len(mean), 1)), atol=1e-4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"weights": LossWeights()}, "no loss has a weight"),
        ({"weights": LossWeights(nll=1.0)}, "nll needs a network that gives a covariance"),
        ({"network": VoiceEncoderConfig(), "from_average": True}, "networks that give a point"),
        ({"held_out": 0.0}, "no share of people"),
        ({"held_out": 0.1}, "fewer than two people are held out"),
    ],
)
def test_what_does_not_go_together_is_told_at_once(changes, message, tmp_path):
    with pytest.raises(UsageError, match=message) as error:
        train_end_to_end(replace(RECIPE, **changes), make_voices(), tmp_path / "run", quiet)
    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_a_layer_for_other_faces_is_told(tmp_path):
    decoder, _ = make_layers(size=20)
    with pytest.raises(UsageError, match="takes 20 numbers, faces are 16"):
        train_end_to_end(RECIPE, make_voices(), tmp_path, quiet, decoder=decoder)


def test_a_set_of_shards_is_streamed_alone(tmp_path):
    recipe, shards, pairs = end_to_end_debug(), tmp_path / "set", tmp_path / "pairs"
    shards.mkdir()
    (shards / INDEX).touch()
    assert find_stream(recipe, [shards]) == shards
    assert find_stream(recipe, [pairs, tmp_path / "more"]) is None
    with pytest.raises(UsageError, match=rf"cannot be mixed .*: give {shards} alone, or folders"):
        train(recipe, [pairs, shards], tmp_path / "run", Options(), quiet)
    assert not (tmp_path / "run").exists()
