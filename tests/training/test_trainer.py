"""The trainer as a whole, on a few drawn people: it learns and reports, alone and side by side."""

from __future__ import annotations

import json
import shutil
import socket

import pytest
import torch
from tests.training.runs import config, finish, metrics, same, start_process, table, weights

from litepose.core.errors import LitePoseError
from litepose.models.checkpoint import read_header
from litepose.training.trainer import train

pytestmark = pytest.mark.usefixtures("threads_as_before")


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


@pytest.mark.slow
def test_of_equal_aps_the_latest_is_best(people, tmp_path):
    """As where AP is still 0: the first of them would be the least trained."""
    train(config(people, tmp_path / "run", epochs=2, run={"evaluate_every": 1}))
    aps = [line["intervals"]["ap"]["value"] for line in metrics(tmp_path / "run")]
    assert aps == [0, 0], "or the test proves nothing"
    assert read_header(tmp_path / "run" / "best.safetensors").extra["epochs"] == "2"


def test_validation_images_without_people_are_refused(people, tmp_path):
    empty = tmp_path / "empty"
    shutil.copytree(people, empty)
    path = next((empty / "annotations").glob("*val*.json"))
    labels = json.loads(path.read_text())
    path.write_text(json.dumps({**labels, "annotations": []}))
    with pytest.raises(LitePoseError, match="labeled"):
        train(config(empty, tmp_path / "run", data={"root": str(empty)}))


@pytest.mark.slow
def test_frozen_parts_keep_their_weights_and_norms(people, undisturbed, tmp_path):
    start = undisturbed / "last.safetensors"
    model = {"name": "", "init": str(start), "freeze": ["stem", "blocks.0-4", "top"]}
    assert train(config(people, tmp_path / "run", model=model, epochs=1)).finished
    before, after = weights(undisturbed), weights(tmp_path / "run")
    frozen = ("stem.", "top.", *(f"blocks.{i}." for i in range(5)))
    for name in before:
        counts = name.endswith("num_batches_tracked")
        assert counts or torch.equal(before[name], after[name]) == name.startswith(frozen), name


@pytest.mark.slow
def test_blended_weights_lie_between_start_and_trained_also_after_a_stop(
    people, undisturbed, tmp_path
):
    start = undisturbed / "last.safetensors"

    def trained(blend: float, *, stops: bool = False) -> dict[str, torch.Tensor]:
        output = tmp_path / str(blend)
        model = {"name": "", "init": str(start), "weight_interpolation": blend}
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


@pytest.mark.slow
def test_another_skeleton_gets_new_heads_and_a_note(people, undisturbed, tmp_path, capsys):
    model = {"name": "", "init": str(undisturbed / "last.safetensors"), "skeleton": "crowdpose14"}
    with pytest.raises(LitePoseError, match="leave weight_interpolation at 1"):
        train(config(people, tmp_path / "blend", model={**model, "weight_interpolation": 0.5}))
    assert train(config(people, tmp_path / "run", model=model, epochs=1)).finished
    said = capsys.readouterr().err
    assert "reinitialized for this skeleton: heatmap.project, tag.output" in said
    assert "stem.conv" not in said
    assert read_header(tmp_path / "run" / "last.safetensors").info.skeleton.name == "crowdpose14"


@pytest.mark.slow
def test_accumulated_batches_step_together(people, tmp_path):
    settings = {"model": {"freeze_norms": True}, "epochs": 1, "augment": {"flip": 0.0}}
    train(config(people, tmp_path / "four", **settings, run={"accumulate": 3}))
    twelve = [{"size": 64, "batch_size": 12}]
    train(config(people, tmp_path / "twelve", **settings, phases=twelve))
    one, other = weights(tmp_path / "four"), weights(tmp_path / "twelve")
    for name in one:
        torch.testing.assert_close(one[name], other[name], rtol=1e-3, atol=1e-4)


def test_a_loss_gone_wrong_names_the_images(people, tmp_path):
    with pytest.raises(LitePoseError, match="images of the batch"):
        train(
            config(
                people, tmp_path / "run", optimizer={"lr": 1e30, "warmup": 0, "grad_clip_norm": 0}
            )
        )


@pytest.mark.slow
def test_a_teacher_and_half_precision(people, undisturbed, tmp_path):
    settings = {
        "teacher": {
            "model": str(undisturbed / "last.safetensors"),
            "flip": True,
            "ignore_above": 0.3,
        },
        "loss": {"dense_weight": 1.0, "teacher_tag_weight": 1.0},
        "run": {"precision": "bf16"},
        "epochs": 1,
    }
    assert train(config(people, tmp_path / "run", **settings)).finished
    trained = metrics(tmp_path / "run")[0]["training"]
    assert trained["dense"] > 0 and "teacher_tags" in trained
    learned = {"model": {"name": "xs"}, "loss": {"heatmap": "mse", "teacher_tag_weight": 1.0}}
    other = settings | learned
    with pytest.raises(LitePoseError, match=r"has positional ones.* learned ones"):
        train(config(people, tmp_path / "other", **other))


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
