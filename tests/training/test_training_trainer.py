"""The trainer as a whole, on a few drawn people: it learns, stops, goes on and reports."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from litepose.core.errors import LitePoseError
from litepose.data.synthetic import SceneSettings, synthesize
from litepose.model.checkpoint import load_checkpoint, read_header
from litepose.training import run as run_module
from litepose.training.config import TrainConfig
from litepose.training.config_file import config_from_dict
from litepose.training.interrupt import ASKING, Signals
from litepose.training.objective import Objective
from litepose.training.trainer import train

TABLE = {
    "name": "small",
    "epochs": 2,
    "phases": [{"size": 64, "batch_size": 4}],
    "model": {"name": "tiny"},
    "loss": {"heatmap": "focal", "pull_weight": 1.0, "push_weight": 1.0},
    "optimizer": {"lr": 2e-3, "ema": 0.9},
    "run": {"channels_last": "on", "threads": 1, "evaluate_every": 2, "samples": 1},
}


@pytest.fixture(scope="module")
def people(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("people")
    settings = SceneSettings(size_wh=(96, 80), people=(1, 2))
    synthesize(folder, 12, seed=1, split="train", settings=settings)
    synthesize(folder, 3, seed=2, split="val", settings=settings)
    return folder


@pytest.fixture(autouse=True)
def threads_as_before():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def table(people: Path, output: Path, **changes) -> dict:
    data = {"root": str(people), "train": [{"split": "train"}], "val": {"split": "val"}}
    merged = {**TABLE, "output": str(output), "data": {**data, "workers": 0}}
    for section, values in changes.items():
        merged[section] = (
            {**merged.get(section, {}), **values} if isinstance(values, dict) else values
        )
    return merged


def config(people: Path, output: Path, **changes) -> TrainConfig:
    return config_from_dict(table(people, output, **changes))


def weights(output: Path, name: str = "last.safetensors") -> dict[str, torch.Tensor]:
    return load_checkpoint(output / name)[0].state_dict()


def metrics(output: Path) -> list[dict]:
    return [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(a[name], b[name]) for name in a)


@pytest.fixture(scope="module")
def undisturbed(people, tmp_path_factory) -> Path:
    output = tmp_path_factory.mktemp("runs") / "undisturbed"
    before = torch.get_num_threads()
    assert train(config(people, output)).finished
    torch.set_num_threads(before)
    return output


def test_a_run_leaves_what_is_needed(undisturbed):
    lines = metrics(undisturbed)
    assert [line["epoch"] for line in lines] == [1, 2]
    assert lines[0]["validation"] == {} and lines[1]["validation"]["total"] > 0
    assert set(lines[1]["intervals"]) == {"ap", "ap50", "ap75"}
    assert lines[1]["training"]["total"] < lines[0]["training"]["total"]
    header = read_header(undisturbed / "best.safetensors")
    assert header.info.name == "small" and header.info.input.size == 128
    assert json.loads(header.extra["training"])["epochs"] == 2
    assert list((undisturbed / "samples").glob("*.jpg"))
    assert list((undisturbed / "tensorboard").iterdir())


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


def test_weights_without_their_state_are_not_overwritten(people, tmp_path):
    output = tmp_path / "run"
    train(config(people, output, epochs=1))
    kept = (output / "best.safetensors").read_bytes()
    (output / "resume.pt").unlink()
    for resume in (False, True):
        with pytest.raises(LitePoseError, match=r"best\.safetensors and .* but no resume\.pt"):
            train(config(people, output, seed=5), resume=resume)
    assert (output / "best.safetensors").read_bytes() == kept


def test_of_equal_aps_the_latest_is_best(people, tmp_path):
    """As where AP is still 0: the first of them would be the least trained."""
    train(config(people, tmp_path / "run", epochs=2, run={"evaluate_every": 1}))
    aps = [line["intervals"]["ap"]["value"] for line in metrics(tmp_path / "run")]
    assert aps == [0, 0], "or the test proves nothing"
    assert read_header(tmp_path / "run" / "best.safetensors").extra["epochs"] == "2"


def test_a_bad_validation_picture_costs_no_work(people, tmp_path):
    broken = tmp_path / "broken"
    shutil.copytree(people, broken)
    picture = next((broken / "images" / "val").iterdir())
    whole = picture.read_bytes()
    picture.write_bytes(b"")
    settings = {"epochs": 1, "data": {"root": str(broken)}}
    with pytest.raises(LitePoseError, match=r"max_unreadable.* is empty"):
        train(config(broken, tmp_path / "run", **settings))
    picture.write_bytes(whole)
    assert train(config(broken, tmp_path / "run", **settings), resume=True).finished
    train(config(people, tmp_path / "whole", epochs=1))
    assert same(weights(tmp_path / "run"), weights(tmp_path / "whole"))


def test_validation_pictures_of_nobody_are_refused(people, tmp_path):
    empty = tmp_path / "empty"
    shutil.copytree(people, empty)
    path = next((empty / "annotations").glob("*val*.json"))
    labels = json.loads(path.read_text())
    path.write_text(json.dumps({**labels, "annotations": []}))
    with pytest.raises(LitePoseError, match="labelled"):
        train(config(empty, tmp_path / "run", data={"root": str(empty)}))


def test_a_second_signal_leaves_at_once_but_not_the_echo_of_the_first(monkeypatch, capfd):
    """Called by hand: a runner of tests may have plans for signals too."""
    assert {signal.SIGINT, signal.SIGTERM, signal.SIGHUP} <= {*ASKING}
    signals = Signals()
    signals._catch(signal.SIGINT, None)
    signals._catch(signal.SIGINT, None)
    assert signals.caught == signal.SIGINT
    assert "once more leaves without saving" in capfd.readouterr().err
    monkeypatch.setattr("litepose.training.interrupt.IMPATIENT_AFTER", 0)
    with pytest.raises(KeyboardInterrupt):
        signals._catch(signal.SIGINT, None)


def test_a_full_disk_is_said_before_anything_is_written(people, tmp_path, monkeypatch):
    from collections import namedtuple

    usage = namedtuple("usage", "total used free")(10**9, 10**9, 10**6)
    monkeypatch.setattr(run_module.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(LitePoseError, match=r"needs .* MB .* 1 MB free"):
        train(config(people, tmp_path / "run"))
    assert not any((tmp_path / "run").iterdir())


def test_frozen_parts_keep_their_weights_and_norms(people, undisturbed, tmp_path):
    start = undisturbed / "last.safetensors"
    model = {"name": "", "start": str(start), "freeze": ["stem", "blocks.0-4", "top"]}
    assert train(config(people, tmp_path / "run", model=model, epochs=1)).finished
    before, after = weights(undisturbed), weights(tmp_path / "run")
    frozen = ("stem.", "top.", *(f"blocks.{i}." for i in range(5)))
    for name in before:
        counts = name.endswith("num_batches_tracked")
        assert counts or torch.equal(before[name], after[name]) == name.startswith(frozen), name


def test_blended_weights_lie_between_start_and_trained_also_after_a_stop(
    people, undisturbed, tmp_path
):
    start = undisturbed / "last.safetensors"

    def trained(blend: float, *, stops: bool = False) -> dict[str, torch.Tensor]:
        output = tmp_path / str(blend)
        model = {"name": "", "start": str(start), "blend": blend}
        wanted = config(people, output, epochs=1, model=model)
        if stops:
            train(wanted, stop_after=0)
        train(wanted, resume=stops)
        return weights(output)

    before, after = weights(undisturbed), trained(1.0)
    between = trained(0.25, stops=True)
    assert not same(before, after)
    for name, value in between.items():
        if value.is_floating_point():
            expected = before[name] + 0.25 * (after[name] - before[name])
            torch.testing.assert_close(value, expected)


def test_another_skeleton_gets_new_heads_and_is_told(people, undisturbed, tmp_path, capsys):
    model = {"name": "", "start": str(undisturbed / "last.safetensors"), "skeleton": "crowdpose14"}
    with pytest.raises(LitePoseError, match="leave blend at 1"):
        train(config(people, tmp_path / "blend", model={**model, "blend": 0.5}))
    assert train(config(people, tmp_path / "run", model=model, epochs=1)).finished
    said = capsys.readouterr().err
    assert "made anew for this skeleton: heatmap.project, tag.output" in said
    assert "stem.conv" not in said
    assert read_header(tmp_path / "run" / "last.safetensors").info.skeleton.name == "crowdpose14"


def test_accumulated_batches_step_together(people, tmp_path):
    settings = {"model": {"freeze_norms": True}, "epochs": 1, "augment": {"flip": 0.0}}
    train(config(people, tmp_path / "four", **settings, run={"accumulate": 3}))
    twelve = [{"size": 64, "batch_size": 12}]
    train(config(people, tmp_path / "twelve", **settings, phases=twelve))
    one, other = weights(tmp_path / "four"), weights(tmp_path / "twelve")
    for name in one:
        torch.testing.assert_close(one[name], other[name], rtol=1e-3, atol=1e-4)


def test_a_loss_gone_wrong_names_the_pictures(people, tmp_path):
    with pytest.raises(LitePoseError, match="pictures of the batch"):
        train(config(people, tmp_path / "run", optimizer={"lr": 1e30, "warmup": 0, "clip": 0}))


def test_a_teacher_and_half_precision(people, undisturbed, tmp_path):
    settings = {
        "teacher": {
            "model": str(undisturbed / "last.safetensors"),
            "flip": True,
            "ignore_above": 0.3,
        },
        "loss": {"dense_weight": 1.0},
        "run": {"precision": "bf16", "channels_last": "auto"},
        "epochs": 1,
    }
    assert train(config(people, tmp_path / "run", **settings)).finished
    assert metrics(tmp_path / "run")[0]["training"]["dense"] > 0


PROGRAM = """
import json, sys
from litepose.training.config_file import config_from_dict
from litepose.training.interrupt import ASKING, Signals
from litepose.training.trainer import train
train(config_from_dict(json.loads(sys.argv[1])), resume=sys.argv[2] == "resume")
"""


def start_process(settings: dict, how: str, **environment: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, json.dumps(settings), how],
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen) -> None:
    _, said = process.communicate(timeout=200)
    assert process.returncode == 0, said


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
def test_two_processes_find_the_losses_of_one(people, tmp_path):
    """Same global batch, batch norms frozen: the same losses and weights to 1e-4."""
    settings = {"model": {"freeze_norms": True}, "epochs": 3}
    alone = table(people, tmp_path / "one", **settings, phases=[{"size": 64, "batch_size": 4}])
    finish(start_process(alone, "new"))
    shared = table(people, tmp_path / "two", **settings, phases=[{"size": 64, "batch_size": 2}])
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    both = [
        start_process(
            shared, "new", RANK=rank, LOCAL_RANK=rank, WORLD_SIZE="2",
            MASTER_ADDR="127.0.0.1", MASTER_PORT=port,
        )
        for rank in ("0", "1")
    ]  # fmt: skip
    for process in both:
        finish(process)
    for one, two in zip(metrics(tmp_path / "one"), metrics(tmp_path / "two"), strict=True):
        for side in ("training", "validation"):
            assert two[side] == pytest.approx(one[side], rel=1e-4, abs=1e-6)
        assert two["intervals"] == one["intervals"]
