"""The ledger: claims that anybody can compute again, and that fail when something changed."""

from __future__ import annotations

import gzip
from dataclasses import replace

import pytest

import litepose
from litepose.apps.cli.main import main
from litepose.core.errors import LitePoseError
from litepose.data.layouts import find_dataset
from litepose.data.synthetic import SceneSettings, synthesize
from litepose.evaluation import ledger
from litepose.evaluation.evaluate import EvaluateOptions

pytest.importorskip("faster_coco_eval")


@pytest.fixture(scope="module")
def entry(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scene")
    synthesize(folder, 4, 3, "val2017", SceneSettings(size_wh=(160, 128), people=(1, 2)))
    predictor = litepose.load(input_size=128)
    dataset = find_dataset(folder, "val2017", target=predictor.info.skeleton)
    options = EvaluateOptions(dataset_name="drawn", resamples=10)
    made = ledger.record(predictor, dataset, options, "2026-01-01")
    # The drawn people are hard for a model of photographs: let it have found them all but one.
    found = [
        {"image_id": a["image_id"], "category_id": 1, "score": 0.5, "keypoints": a["keypoints"]}
        for a in made.truth["annotations"][1:]
    ]
    made = replace(made, results=found)
    return replace(made, claimed=ledger.compute(made))


def test_an_entry_verifies_after_the_way_to_disk_and_back(entry, tmp_path):
    path = tmp_path / f"x{ledger.SUFFIX}"
    ledger.write_entry(path, entry)
    first = path.read_bytes()
    again = ledger.read_entry(path)
    assert again == entry
    verdict = ledger.verify(again)
    assert verdict.problems == () and 0 < verdict.found["ap"] < 100
    ledger.write_entry(path, again)
    assert path.read_bytes() == first


def test_a_drift_of_more_than_a_tenth_fails(entry):
    def problems(by: float) -> tuple[str, ...]:
        changed = {**entry.claimed, "ap": entry.claimed["ap"] + by}
        return ledger.verify(replace(entry, claimed=changed)).problems

    assert problems(0.09) == () and problems(-0.09) == ()
    assert "claimed" in problems(0.11)[0] and problems(-0.11)


def test_lost_people_and_changed_weights_fail(entry):
    assert ledger.verify(replace(entry, results=entry.results[1:])).problems
    changed = ledger.verify(replace(entry, weights_sha256="0" * 64))
    assert changed.problems == ("the weights are not those that were judged",)
    assert ledger.verify(replace(entry, claimed={})).problems == ("nothing is claimed",)


DAMAGED = {
    "empty": b"",
    "text": b"text",
    "list": gzip.compress(b"[]"),
    "none": gzip.compress(b"{}"),
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_damaged_entries_are_said(tmp_path, kind):
    path = tmp_path / f"x{ledger.SUFFIX}"
    path.write_bytes(DAMAGED[kind])
    with pytest.raises(LitePoseError, match="not a ledger entry"):
        ledger.read_entry(path)
    with pytest.raises(LitePoseError, match="not a ledger entry"):
        ledger.read_entry(tmp_path / "none")


def test_the_package_holds_entries_and_they_verify(capsys):
    """What README and model cards claim."""
    assert ledger.entry_files()
    assert main(["verify"]) == 0
    assert "computed" in capsys.readouterr().out


def test_the_command_fails_on_a_false_claim(entry, tmp_path, capsys):
    path = tmp_path / f"x{ledger.SUFFIX}"
    ledger.write_entry(path, replace(entry, claimed={"ap": 99.0}))
    assert main(["verify", str(path)]) == 1
    assert "claimed 99.00" in capsys.readouterr().err
    assert (
        main(["verify", "--record", str(tmp_path / "y.json"), "--data", "x", "--split", "y"]) == 2
    )
