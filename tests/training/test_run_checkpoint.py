"""A run that is stopped, killed or hindered loses nothing, and no run spoils another."""

from __future__ import annotations

import random
import shutil
import signal
import time
from pathlib import Path

import pytest
import torch
from tests.training.runs import config, finish, metrics, same, start_process, table, weights

from litepose.core.errors import LitePoseError
from litepose.training import run as run_module
from litepose.training.objective import Objective
from litepose.training.run_checkpoint import Progress, load_state
from litepose.training.signals import STOP_SIGNALS, Signals
from litepose.training.trainer import Trainer, train

pytestmark = pytest.mark.usefixtures("threads_as_before")


@pytest.mark.slow
def test_stopped_in_mid_epoch_it_goes_on_bit_exact(people, undisturbed, tmp_path):
    output = tmp_path / "run"
    stopped = train(config(people, output), stop_after=0)
    assert not stopped.finished and stopped.epochs == 0
    # More data workers and another folder are no other run.
    moved = config(people, output, data={"workers": 2}, run={"save_minutes": 1e-6})
    assert train(moved, resume=True).finished
    assert same(weights(output), weights(undisturbed))
    assert same(weights(output, "best.safetensors"), weights(undisturbed, "best.safetensors"))
    for ours, theirs in zip(metrics(output), metrics(undisturbed), strict=True):
        assert all(ours[k] == theirs[k] for k in ("epoch", "training", "validation", "intervals"))


@pytest.mark.slow
def test_an_epoch_that_ended_is_kept_whatever_comes_then(
    people, undisturbed, tmp_path, monkeypatch
):
    """Also where its turn to be judged has not come, or its figures would lie without a state."""
    train_epoch = Trainer.train_epoch

    def dies(self):
        if self.run.progress.epoch:
            raise KeyboardInterrupt
        return train_epoch(self)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Trainer, "train_epoch", dies)
        train(config(people, tmp_path / "run"))
    assert len(metrics(tmp_path / "run")) == 1
    assert train(config(people, tmp_path / "run"), resume=True).finished
    assert same(weights(tmp_path / "run"), weights(undisturbed))


class Harmful:
    """Pickled, it makes a file when it is read as pickles are."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple:
        return Path.touch, (self.target,)


def test_pickled_code_in_a_state_is_not_run(people, tmp_path):
    state, harm = tmp_path / "resume.pt", tmp_path / "harm"
    torch.save({"version": 1, "more": Harmful(harm)}, state)
    with pytest.raises(LitePoseError, match="no state of a run, or damaged"):
        load_state(state, config(people, tmp_path))
    assert not harm.exists()


def test_a_state_of_a_program_with_fewer_losses_is_read():
    assert Progress(loss_sums=[1.0, 2.0]).loss_sums == [1.0, 2.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    with pytest.raises(LitePoseError, match="a run has 7 sums; got 8"):
        Progress(loss_sums=[0.0] * 8)


@pytest.mark.slow
def test_random_numbers_go_on_where_they_were(people, tmp_path, monkeypatch):
    measure = Objective.__call__

    def noisy(self, *args):
        losses = measure(self, *args)
        return losses._replace(total=losses.total * torch.rand(()))

    monkeypatch.setattr(Objective, "__call__", noisy)
    train(config(people, tmp_path / "whole", epochs=1))
    train(config(people, tmp_path / "halves", epochs=1), stop_after=0)
    train(config(people, tmp_path / "halves", epochs=1), resume=True)
    assert same(weights(tmp_path / "halves"), weights(tmp_path / "whole"))


def test_an_existing_run_is_not_overwritten(people, undisturbed):
    with pytest.raises(LitePoseError, match="holds a run already"):
        train(config(people, undisturbed))
    with pytest.raises(LitePoseError, match=r"other settings: optimizer\.lr"):
        train(config(people, undisturbed, optimizer={"lr": 1e-3}), resume=True)


@pytest.mark.slow
def test_weights_without_their_state_are_not_overwritten(people, tmp_path):
    output = tmp_path / "run"
    train(config(people, output, epochs=1))
    kept = (output / "best.safetensors").read_bytes()
    (output / "resume.pt").unlink()
    for resume in (False, True):
        with pytest.raises(LitePoseError, match=r"best\.safetensors and .* but no resume\.pt"):
            train(config(people, output, seed=5), resume=resume)
    assert (output / "best.safetensors").read_bytes() == kept


@pytest.mark.slow
def test_a_bad_validation_image_costs_no_work(people, tmp_path):
    broken = tmp_path / "broken"
    shutil.copytree(people, broken)
    image = next((broken / "images" / "val").iterdir())
    whole = image.read_bytes()
    image.write_bytes(b"")
    settings = {"epochs": 1, "data": {"root": str(broken)}}
    with pytest.raises(LitePoseError, match=r"max_unreadable.* is empty"):
        train(config(broken, tmp_path / "run", **settings))
    image.write_bytes(whole)
    assert train(config(broken, tmp_path / "run", **settings), resume=True).finished
    train(config(people, tmp_path / "whole", epochs=1))
    assert same(weights(tmp_path / "run"), weights(tmp_path / "whole"))


def test_a_second_signal_leaves_at_once_but_not_the_echo_of_the_first(monkeypatch, capfd):
    """Called by hand: a runner of tests may have plans for signals too."""
    assert {signal.SIGINT, signal.SIGTERM, signal.SIGHUP} <= {*STOP_SIGNALS}
    signals = Signals()
    signals._catch(signal.SIGINT, None)
    signals._catch(signal.SIGINT, None)
    assert signals.caught == signal.SIGINT
    assert "once more leaves without saving" in capfd.readouterr().err
    monkeypatch.setattr("litepose.training.signals.IMPATIENT_AFTER", 0)
    with pytest.raises(KeyboardInterrupt):
        signals._catch(signal.SIGINT, None)


def test_a_full_disk_is_said_before_anything_is_written(people, tmp_path, monkeypatch):
    from collections import namedtuple

    usage = namedtuple("usage", "total used free")(10**9, 10**9, 10**6)
    monkeypatch.setattr(run_module.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(LitePoseError, match=r"needs .* MB .* 1 MB free"):
        train(config(people, tmp_path / "run"))
    assert not any((tmp_path / "run").iterdir())


@pytest.mark.slow
def test_a_signal_saves_and_leaves(people, tmp_path):
    """In a process of its own: a runner of tests may have plans for signals too."""
    settings = {"epochs": 500, "run": {"evaluate_every": 500, "save_minutes": 1e-6}}
    process = start_process(table(people, tmp_path / "run", **settings), "new")
    state = tmp_path / "run" / "resume.pt"
    while not state.exists():
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.05)
    process.terminate()
    finish(process)  # it left in order
    assert torch.load(state, weights_only=True)["progress"]["epoch"] < 500


@pytest.mark.slow
def test_killed_three_times_it_ends_with_the_undisturbed_weights(people, tmp_path):
    """kill -9 at random moments; in these runs the state is saved after every batch."""
    settings = {"epochs": 20, "run": {"evaluate_every": 4, "save_minutes": 1e-6}}
    whole, output = tmp_path / "whole", tmp_path / "killed"
    finish(start_process(table(people, whole, **settings), "new"))
    dice = random.Random()
    for _ in range(3):
        began = time.time()
        process = start_process(table(people, output, **settings), "resume")
        state = output / "resume.pt"
        while not (state.exists() and state.stat().st_mtime > began):
            assert process.poll() is None, process.communicate()[1]
            time.sleep(0.02)
        time.sleep(dice.uniform(0, 1))
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL  # not done before it was killed
    finish(start_process(table(people, output, **settings), "resume"))
    assert same(weights(output), weights(whole))
    assert same(weights(output, "best.safetensors"), weights(whole, "best.safetensors"))


@pytest.mark.slow
def test_an_edited_or_damaged_state_is_a_sentence(people, tmp_path):
    output = tmp_path / "run"
    settings = config(people, output)
    assert not train(settings, stop_after=0).finished
    path = output / "resume.pt"
    whole = path.read_bytes()
    state = torch.load(path, weights_only=True)
    edits = [
        {"version": 7}, {"config": None}, {"config": "[" * 5000}, {"config": "{}"},
        {"progress": None}, {"progress": {"epochs": 1}}, {"progress": {"epoch": "1"}},
        {"progress": {"batch": -1}}, {"random": {}}, {"random": [1]}, {"random": [{"cpu": 3}]},
        {"parts": None}, {"parts": {}}, {"parts": state["parts"] | {"model": {}}},
        {"parts": state["parts"] | {"optimizer": [1]}},
    ]  # fmt: skip
    for edit in edits:
        torch.save(state | edit, path)
        with pytest.raises(LitePoseError):
            train(settings, resume=True)
    for content in (
        whole[:1000],
        whole[:-100],
        b"",
        b"PK",
        whole[:500] + bytes(500) + whole[1000:],
    ):
        path.write_bytes(content)
        with pytest.raises(LitePoseError):
            train(settings, resume=True)
