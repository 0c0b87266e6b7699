"""The ledger: claims that anybody can compute again, and that fail when something changed."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import replace

import pytest

import litepose
from litepose.apps.cli.main import main
from litepose.core.errors import LitePoseError
from litepose.core.skeleton import COCO17
from litepose.data.layouts import find_dataset
from litepose.data.synthetic import SceneSettings, synthesize
from litepose.evaluation import reported_results
from litepose.evaluation.evaluator import EvaluateOptions
from litepose.models import zoo

pytest.importorskip("faster_coco_eval")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scene")
    synthesize(folder, 4, 3, "val2017", SceneSettings(size_wh=(160, 128), people=(1, 2)))
    return folder


@pytest.fixture(scope="module")
def own_weights(tmp_path_factory):
    """A checkpoint whose name the zoo does not know, with a skeleton of its own."""
    pytest.importorskip("torch")
    from litepose.models.checkpoint import save_checkpoint

    skeleton = replace(COCO17, name="mine", oks_sigmas=(0.1,) * 17)
    network, info = zoo.create("litepose-tiny", skeleton)
    path = tmp_path_factory.mktemp("own") / "own.safetensors"
    save_checkpoint(path, network, replace(info, name="my-pose"))
    return path


@pytest.fixture(scope="module")
def entry(folder):
    predictor = litepose.load("p", input_size=128)
    dataset = find_dataset(folder, "val2017", target=predictor.info.skeleton)
    options = EvaluateOptions(dataset_name="drawn", resamples=10)
    made = reported_results.record(predictor, dataset, options, "2026-01-01")
    # The drawn people are hard for a model of photographs: let it have found them all but one.
    found = [
        {"image_id": a["image_id"], "category_id": 1, "score": 0.5, "keypoints": a["keypoints"]}
        for a in made.truth["annotations"][1:]
    ]
    made = replace(made, results=found)
    return replace(made, claimed=reported_results.compute(made))


def test_an_entry_verifies_after_the_way_to_disk_and_back(entry, tmp_path):
    path = tmp_path / f"x{reported_results.SUFFIX}"
    reported_results.write_result(path, entry)
    first = path.read_bytes()
    again = reported_results.read_result(path)
    assert again == entry
    check = reported_results.verify(again)
    assert check.problems == () and 0 < check.found["ap"] < 100
    reported_results.write_result(path, again)
    assert path.read_bytes() == first


def test_a_drift_of_more_than_a_tenth_fails(entry):
    def problems(by: float) -> tuple[str, ...]:
        changed = {**entry.claimed, "ap": entry.claimed["ap"] + by}
        return reported_results.verify(replace(entry, claimed=changed)).problems

    assert problems(0.09) == () and problems(-0.09) == ()
    assert "claimed" in problems(0.11)[0] and problems(-0.11)


def test_lost_people_and_changed_weights_fail(entry):
    assert reported_results.verify(replace(entry, results=entry.results[1:])).problems
    changed = reported_results.verify(replace(entry, weights_sha256="0" * 64))
    assert len(changed.problems) == 1
    assert "the weights are not those that were evaluated" in changed.problems[0]
    assert reported_results.verify(replace(entry, claimed={})).problems == ("nothing is claimed",)


DAMAGED = {
    "empty": b"",
    "text": b"text",
    "list": gzip.compress(b"[]"),
    "none": gzip.compress(b"{}"),
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_damaged_entries_are_said(tmp_path, kind):
    path = tmp_path / f"x{reported_results.SUFFIX}"
    path.write_bytes(DAMAGED[kind])
    with pytest.raises(LitePoseError, match="not a readable file of reported results"):
        reported_results.read_result(path)
    with pytest.raises(LitePoseError, match="not a readable file of reported results"):
        reported_results.read_result(tmp_path / "none")


def test_an_entry_of_own_weights_is_recorded_and_verified_with_them(
    folder, own_weights, tmp_path, capsys
):
    path = tmp_path / f"own{reported_results.SUFFIX}"
    where = ["--data", str(folder), "--split", "val2017"]
    assert main(["verify", "--record", str(path), "--model", str(own_weights), *where]) == 0
    made = reported_results.read_result(path)
    assert made.model == "my-pose"
    assert made.weights_sha256 == hashlib.sha256(own_weights.read_bytes()).hexdigest()
    assert main(["verify", str(path), "--model", str(own_weights)]) == 0
    capsys.readouterr()
    assert main(["verify", str(path)]) == 1
    assert "name their file with --model" in capsys.readouterr().err
    other = tmp_path / "other.safetensors"
    other.write_bytes(own_weights.read_bytes() + b" ")
    assert main(["verify", str(path), "--model", str(other)]) == 1
    assert "not those that were evaluated" in capsys.readouterr().err


def test_numbers_are_of_the_skeleton_in_the_entry(entry):
    moved = [{**r, "keypoints": [v + 4 for v in r["keypoints"]]} for r in entry.results]
    strict, loose = (
        replace(entry, results=moved, skeleton=replace(COCO17, oks_sigmas=(s,) * 17).to_dict())
        for s in (0.01, 1.0)
    )
    assert reported_results.compute(strict)["ap"] < reported_results.compute(loose)["ap"]


def test_weights_that_are_nowhere_are_said_before_the_work(folder):
    predictor = litepose.load("p", input_size=128)
    predictor.info = replace(predictor.info, name="my-pose")
    dataset = find_dataset(folder, "val2017", target=predictor.info.skeleton)

    def fail(*_):
        raise AssertionError("it was evaluated")

    with pytest.raises(LitePoseError, match=r"my-pose is no model of the zoo.*weights="):
        reported_results.record(predictor, dataset, EvaluateOptions(), "2026-01-01", fail)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("--model p", "name its file too"),
        ("--data x", "--data is for evaluating a model, so it needs --record"),
        ("--split y", "--split is for evaluating"),
        ("--flip-test", "--flip-test is for evaluating"),
        ("--size 128", "--size is for evaluating"),
        ("e.ledger.json.gz --record f.ledger.json.gz", "is unexpected"),
    ],
)
def test_what_would_be_ignored_is_refused(arguments, said, capsys):
    assert main(["verify", *arguments.split()]) == 2
    assert said in capsys.readouterr().err


def test_help_says_what_an_entry_is_called(capsys):
    with pytest.raises(SystemExit):
        main(["verify", "--help"])
    assert reported_results.SUFFIX in capsys.readouterr().out


def test_the_package_holds_entries_and_they_verify(capsys):
    """What README and model cards claim."""
    assert reported_results.result_files()
    assert main(["verify"]) == 0
    assert "computed" in capsys.readouterr().out


def test_the_command_fails_on_a_false_claim(entry, tmp_path, capsys):
    path = tmp_path / f"x{reported_results.SUFFIX}"
    reported_results.write_result(path, replace(entry, claimed={"ap": 99.0}))
    assert main(["verify", str(path)]) == 1
    assert "claimed 99.00" in capsys.readouterr().err
    assert (
        main(["verify", "--record", str(tmp_path / "y.json"), "--data", "x", "--split", "y"]) == 2
    )
