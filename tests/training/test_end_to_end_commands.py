"""End-to-end training as a user runs it: real commands, from pairs and from a set of shards."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from helpers import killed_training, processes
from helpers.command import run
from helpers.synthetic_pairs import make_pairs
from helpers.train_commands import read_log, succeed
from speech2face.errors import UsageError
from speech2face.networks.paper_loss import PaperLossConfig
from speech2face.training.encoder_factory import load_encoder
from speech2face.training.encoder_options import Options, check_options
from speech2face.training.recipes import END_TO_END, VOICE_ENCODERS, find_recipe

WEIGHTS = "voice_encoder.safetensors"
TRAIN = ("train", "voice-encoder", "--recipe", "end-to-end-debug")


@pytest.fixture(scope="module")
def pairs(tmp_path_factory) -> Path:
    """8 people with 3 clips each."""
    return make_pairs(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def shards(pairs, tmp_path_factory) -> Path:
    """The same as a set, two people of which are held out."""
    folder = tmp_path_factory.mktemp("set") / "set"
    succeed("prepare", pairs / "pairs.csv", "--out", folder, "--split", "75/25")
    return folder


@pytest.fixture(scope="module")
def unbroken(shards, tmp_path_factory) -> Path:
    """A run on the set, from its first to its last step."""
    folder = tmp_path_factory.mktemp("unbroken")
    assert succeed(*TRAIN, "--pairs", shards, "--out", folder) == str(folder / WEIGHTS)
    return folder


def test_pairs_train_by_the_paper_s_loss(pairs, tmp_path):
    layer = tmp_path / "layer.safetensors"
    generator = torch.Generator().manual_seed(0)
    save_file({"weight": torch.randn(9, 128, generator=generator), "bias": torch.zeros(9)}, layer)
    out, again = tmp_path / "run", ("--pairs", pairs, "--out", tmp_path / "run", "--balance")
    faster = ("--channels-last", "--checkpoint-minutes", 0)
    told = succeed(*TRAIN, *again, "--decoder-layer", layer, *faster)
    assert told == str(out / WEIGHTS)
    rows = read_log(out / "end-to-end")
    assert [row["step"] for row in rows] == list(range(10))
    assert rows[0].keys() >= {"decoder", "direction", "distance", "contrastive"}
    encoder, facts = load_encoder(out / WEIGHTS)
    assert encoder(torch.zeros(1, 8_000))[0].shape == (1, 128)
    assert facts["paper"]["decoder"] == 1
    assert facts["paper"]["direction"] != PaperLossConfig().direction  # it was balanced
    done = run(*TRAIN, *again)  # without its layer this would be another curve
    assert done.returncode == 2
    assert f"{out} holds a run of other data (decoder layer differ)" in done.stderr


def test_a_set_trains_and_a_finished_run_is_not_run_again(shards, unbroken):
    rows = read_log(unbroken / "end-to-end")
    assert [row["step"] for row in rows] == list(range(10))
    before = (unbroken / WEIGHTS).read_bytes()
    assert succeed(*TRAIN, "--pairs", shards, "--out", unbroken) == str(unbroken / WEIGHTS)
    assert read_log(unbroken / "end-to-end") == rows
    assert (unbroken / WEIGHTS).read_bytes() == before


def test_a_killed_command_goes_on_as_if_unbroken(shards, unbroken, tmp_path):
    command = (*TRAIN, "--pairs", shards, "--out", tmp_path, "--checkpoint-minutes", 0)
    # Ends when all of its processes have: those that read shards notice after seconds.
    codes, _, errors = processes.start(killed_training.main, 6, *command).finish()
    assert codes == [-signal.SIGKILL], errors
    assert [row["step"] for row in read_log(tmp_path / "end-to-end")] == list(range(7))
    assert not (tmp_path / WEIGHTS).exists()
    succeed(*command)
    assert read_log(tmp_path / "end-to-end") == read_log(unbroken / "end-to-end")
    assert (tmp_path / WEIGHTS).read_bytes() == (unbroken / WEIGHTS).read_bytes()


@pytest.fixture(scope="module")
def two_processes(pairs, tmp_path_factory) -> Path:
    """A run on two processes that learn together."""
    folder = tmp_path_factory.mktemp("two")
    command = (*TRAIN, "--pairs", pairs, "--out", folder)
    codes, printed, errors = processes.start(processes.run_command, *command, count=2).finish()
    assert codes == [0, 0], errors
    assert printed == f"{folder / WEIGHTS}\n"  # one of them prints it
    return folder


def test_two_processes_train_one_network(two_processes):
    assert [row["step"] for row in read_log(two_processes / "end-to-end")] == list(range(10))
    assert load_encoder(two_processes / WEIGHTS)[1]["processes"] == 2


@pytest.mark.slow
def test_torchrun_itself_starts_two_processes(pairs, two_processes, tmp_path):
    torchrun = (sys.executable, "-m", "torch.distributed.run", "--standalone")
    program = ("--nproc-per-node", "2", "-m", "speech2face", *TRAIN)
    done = subprocess.run(
        [*torchrun, *program, "--pairs", pairs, "--out", tmp_path],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{tmp_path / WEIGHTS}\n"
    assert load_encoder(tmp_path / WEIGHTS)[1]["processes"] == 2
    rows = zip(
        read_log(tmp_path / "end-to-end"), read_log(two_processes / "end-to-end"), strict=True
    )
    for row, forked in rows:
        assert row == pytest.approx(forked, rel=1e-4, abs=1e-5)


def test_what_the_first_of_two_processes_misses_both_tell(tmp_path):
    command = (*TRAIN, "--pairs", tmp_path, "--out", tmp_path / "run")
    codes, _, errors = processes.start(processes.run_command, *command, count=2).finish()
    assert codes == [2, 2]
    assert errors.count(f"speech2face: {tmp_path}/pairs.csv: not found") == 2
    assert "RuntimeError" not in errors
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("voice-encoder",), "recipe voice-encoder runs as one process"),
        (("face-decoder",), "train face-decoder runs as one process"),
    ],
)
def test_what_is_for_one_process_is_not_run_as_many(arguments, message, tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")  # as torchrun sets it
    done = run("train", *arguments, "--pairs", tmp_path, "--out", tmp_path / "run")
    assert done.returncode == 2
    assert done.stderr == f"speech2face: {message}; start it without torchrun.\n"
    assert list(tmp_path.iterdir()) == []


def test_options_that_do_not_go_with_the_recipe_are_told_in_one_line(tmp_path):
    command = ("train", "voice-encoder", "--pairs", tmp_path, "--out", tmp_path / "run")
    done = run(*command, "--recipe", "frozen", "--balance", "--checkpoint-minutes", 5)
    assert done.returncode == 2
    wanted = "speech2face: --balance, --checkpoint-minutes: not for recipe voice-encoder-frozen.\n"
    assert done.stderr == wanted
    assert list(tmp_path.iterdir()) == []


LAYER = Path("layer.safetensors")


@pytest.mark.parametrize(
    ("recipe", "options", "unfit"),
    [
        ("default", Options(speaker=LAYER), None),
        ("default", Options(device="cuda"), "--device"),
        ("debug", Options(decoder_layer=LAYER), "--decoder-layer"),
        ("debug", Options(compile=True, channels_last=True), "--compile, --channels-last"),
        ("contrastive", Options(speaker=LAYER, device="cuda", channels_last=True), None),
        ("contrastive", Options(recogniser_layer=LAYER), "--recogniser-layer"),
        ("attentive", Options(compile=True, checkpoint_minutes=9.0), None),
        ("attentive", Options(speaker=LAYER), "--speaker"),
        ("attentive", Options(channels_last=True), "--channels-last"),
        ("attentive", Options(balance=True), "--balance"),
        ("paper", Options(decoder_layer=LAYER, balance=True, channels_last=True), None),
        ("paper-pairs", Options(recogniser_layer=LAYER), None),
        ("paper-pairs", Options(speaker=LAYER, recogniser_layer=LAYER), "--speaker"),
        ("end-to-end-debug", Options(), None),
    ],
)
def test_each_option_has_its_recipes(recipe, options, unfit):
    chosen = find_recipe({**VOICE_ENCODERS, **END_TO_END}, recipe)
    if unfit is None:
        check_options(chosen, options)
    else:
        with pytest.raises(UsageError, match=rf"^{unfit}: not for recipe {chosen.name}\.$"):
            check_options(chosen, options)


@pytest.mark.parametrize("recipe", ["paper", "paper-pairs"])
def test_the_paper_s_loss_alone_needs_a_layer(recipe):
    with pytest.raises(UsageError, match=r"--decoder-layer, --recogniser-layer or both\.$"):
        check_options(END_TO_END[recipe](), Options(balance=True))
