"""A whole evaluation with a stand-in model: files, stopping, going on, unreadable images."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from tests.evaluation.evaluation_scene import IMAGES, INFO, Drawer, StandIn

from litepose.core import temporary
from litepose.core.errors import LitePoseError
from litepose.core.skeleton import COCO17, CROWDPOSE14
from litepose.evaluation.evaluator import EvaluateOptions, evaluate
from litepose.evaluation.metrics import coco_ap
from litepose.models.model_file import ModelFile

QUICK = EvaluateOptions(resamples=20)


def test_report_files_and_numbers_agree(tmp_path: Path) -> None:
    dataset, ticks = Drawer(), []
    report = evaluate(
        StandIn(dataset), dataset, tmp_path / "out", QUICK, lambda *tick: ticks.append(tick)
    )
    assert ticks[-1] == (IMAGES, IMAGES) and len(ticks) == IMAGES
    files = {path.name for path in (tmp_path / "out").iterdir()}
    assert files == {"report.json", "report.txt", "results.json", "sheet.png"}
    results = json.loads((tmp_path / "out/results.json").read_text())
    assert asdict(coco_ap(dataset.truth, results, COCO17)) == pytest.approx(
        asdict(report.metrics.coco)
    )
    whole = coco_ap(dataset.truth, results, COCO17, only_complete=True)
    assert asdict(whole) == pytest.approx(asdict(report.complete.coco))
    assert report.metrics.intervals["ap"].value == pytest.approx(report.metrics.coco.ap)
    assert report.metrics.intervals["ap_large"].value == pytest.approx(report.metrics.coco.ap_large)
    saved = json.loads((tmp_path / "out/report.json").read_text())
    assert saved["schema"] == 1 and saved["judged"]["coco"]["ap"] == report.metrics.coco.ap
    assert saved["settings"] == {"views": [256], "flip test": False, "scales": [1.0]}
    text = (tmp_path / "out/report.txt").read_text()
    assert f"{report.metrics.coco.ap:.1f} [" in text and "left_wrist" in text
    assert max(map(len, text.splitlines())) <= 100


@pytest.mark.slow
def test_sheet_shows_all_four_kinds(tmp_path: Path) -> None:
    dataset = Drawer()
    evaluate(StandIn(dataset), dataset, tmp_path, QUICK)
    sheet = cv2.imread(str(tmp_path / "sheet.png"))
    for row in np.array_split(sheet, 4):
        assert (np.ptp(row.astype(int), axis=2) > 60).sum() > 200  # limbs are colorful


@pytest.mark.slow
def test_a_stopped_run_is_evaluated_kept_and_resumed(tmp_path: Path) -> None:
    dataset = Drawer()
    stopped = evaluate(StandIn(dataset, stop_at=5), dataset, tmp_path, QUICK)
    assert stopped.interrupted and stopped.metrics.images == 5
    assert "STOPPED EARLY" in stopped.to_text()
    partial = tmp_path / "results.partial.jsonl"
    partial.write_text(partial.read_text() + '{"image": 5, "peo')  # killed while writing
    second = StandIn(dataset)
    report = evaluate(second, dataset, tmp_path, EvaluateOptions(resume=True, resamples=20))
    assert second.predicted == list(range(5, IMAGES))
    undisturbed = evaluate(StandIn(dataset), dataset, None, QUICK)
    assert report.metrics == undisturbed.metrics
    assert not partial.exists()


def test_another_model_does_not_resume_a_stopped_run(tmp_path: Path) -> None:
    dataset = Drawer()
    evaluate(StandIn(dataset, stop_at=5), dataset, tmp_path, QUICK)
    other = StandIn(dataset)
    other.info = replace(INFO, name="another")
    with pytest.raises(LitePoseError, match="another model, dataset or settings"):
        evaluate(other, dataset, tmp_path, EvaluateOptions(resume=True, resamples=20))
    assert (tmp_path / "results.partial.jsonl").exists()


@pytest.mark.slow
def test_a_stopped_run_is_not_resumed_with_other_weights(tmp_path: Path) -> None:
    dataset, weights, out = Drawer(), tmp_path / "m.onnx", tmp_path / "out"
    weights.write_bytes(b"one")
    first = replace(QUICK, weights=ModelFile("m", weights))
    evaluate(StandIn(dataset, stop_at=5), dataset, out, first)
    going_on = replace(QUICK, weights=ModelFile("m", weights), resume=True)
    weights.write_bytes(b"two")
    before = (out / "results.partial.jsonl").read_bytes()
    with pytest.raises(LitePoseError, match="comes from other weights; start without resuming"):
        evaluate(StandIn(dataset), dataset, out, going_on)
    assert (out / "results.partial.jsonl").read_bytes() == before
    weights.write_bytes(b"one")
    going_on = replace(going_on, weights=ModelFile("m", weights))
    assert evaluate(StandIn(dataset), dataset, out, going_on).metrics.images == IMAGES


@pytest.mark.slow
@pytest.mark.parametrize(
    "bad",
    [
        b"\xff\xfe{",
        b"{",
        b"[]",
        b'{"image": "one"}',
        b'{"image": 1}',
        b'{"image": 1, "people": 2}',
    ],
)
@pytest.mark.parametrize("at", [0, 2])
def test_a_damaged_stopped_run_is_a_sentence(tmp_path: Path, bad: bytes, at: int) -> None:
    dataset = Drawer()
    evaluate(StandIn(dataset, stop_at=5), dataset, tmp_path, QUICK)
    partial = tmp_path / "results.partial.jsonl"
    lines = partial.read_bytes().splitlines()
    lines[at] = bad
    partial.write_bytes(b"\n".join(lines) + b"\n")
    with pytest.raises(LitePoseError, match=r"damaged in line|comes from another"):
        evaluate(StandIn(dataset), dataset, tmp_path, replace(QUICK, resume=True))


@pytest.mark.slow
@pytest.mark.parametrize("kept", [0, 30])
def test_a_run_stopped_in_its_first_line_starts_again(tmp_path: Path, kept: int) -> None:
    dataset = Drawer()
    evaluate(StandIn(dataset, stop_at=5), dataset, tmp_path, QUICK)
    partial = tmp_path / "results.partial.jsonl"
    partial.write_bytes(partial.read_bytes()[:kept])
    again = StandIn(dataset, stop_at=7)
    evaluate(again, dataset, tmp_path, replace(QUICK, resume=True))
    assert again.predicted == list(range(7))
    last = StandIn(dataset)
    evaluate(last, dataset, tmp_path, replace(QUICK, resume=True))
    assert last.predicted == list(range(7, IMAGES))


def test_taking_up_without_a_folder_is_misuse() -> None:
    dataset = Drawer()
    with pytest.raises(LitePoseError, match="none is given: name it"):
        evaluate(StandIn(dataset), dataset, None, EvaluateOptions(resume=True))


def test_unreadable_images_are_counted_and_left_out(tmp_path: Path) -> None:
    dataset = Drawer(unreadable=(0, 7))
    report = evaluate(StandIn(dataset), dataset, tmp_path, QUICK)
    assert report.metrics.images == IMAGES - 2
    assert [what.split(":")[0] for what in report.unreadable] == ["1.jpg", "8.jpg"]
    assert "2 images could not be read" in report.to_text()
    chosen = [i + 1 for i in range(IMAGES) if i not in (0, 7)]
    expected = coco_ap(dataset.truth, dataset.results, COCO17, chosen)
    assert report.metrics.coco.ap == pytest.approx(expected.ap)


def test_limit_takes_the_first_images() -> None:
    dataset = Drawer()
    model = StandIn(dataset)
    assert (
        evaluate(model, dataset, options=EvaluateOptions(limit=3, resamples=20)).metrics.images == 3
    )
    assert model.predicted == [0, 1, 2]


def test_few_images_have_no_interval_in_text_and_json() -> None:
    dataset = Drawer()
    report = evaluate(StandIn(dataset), dataset, options=replace(QUICK, limit=4))
    saved = json.loads(json.dumps(report.to_dict()))["judged"]
    assert saved["intervals"]["ap"] == {
        "value": pytest.approx(saved["coco"]["ap"]),
        "low": None,
        "high": None,
    }
    assert all(group["ap"] is None or group["ap"]["low"] is None for group in saved["by_people"])
    families, groups = report.to_text().split("\n\n")[1:3]
    assert "[" not in families.partition("\n")[2] and "[" not in groups.partition("\n")[2]


@pytest.mark.parametrize(
    ("complete", "says"),
    [
        ((), "no image has everybody labeled: finding"),
        ((1, 2, 3), "3 images have everybody labeled; in the others"),
        (range(IMAGES), ""),
    ],
)
def test_unlabeled_people_that_count_as_wrong_are_said(complete: Sequence[int], says: str) -> None:
    dataset = Drawer()
    dataset.records = [
        replace(record, people_complete=i in complete) for i, record in enumerate(dataset.records)
    ]
    report = evaluate(StandIn(dataset), dataset, None, QUICK)
    assert report.metrics.complete_images == len(complete)
    saved = [note for note in report.to_dict()["notes"] if "everybody labeled" in note]
    assert len(saved) == bool(says)
    assert not says or (saved[0].startswith(says) and saved[0] in report.to_text())


def test_the_limit_of_twenty_people_per_image_is_noted() -> None:
    dataset = Drawer()  # 30 people in the first image, fewer than 20 in the others
    report = evaluate(StandIn(dataset), dataset, None, QUICK)
    said = "more are found in 1 and labeled in 1 images"
    assert any("best 20 people" in note and said in note for note in report.to_dict()["notes"])
    dataset.records = [replace(r, image_id=r.image_id - 1) for r in dataset.records[1:]]
    dataset.results = [r | {"image_id": r["image_id"] - 1} for r in dataset.results]
    others = evaluate(StandIn(dataset), dataset, None, QUICK)
    assert not any("best 20 people" in note for note in others.notes)


def test_no_images_and_wrong_skeletons_are_refused(tmp_path: Path) -> None:
    dataset = Drawer(unreadable=range(IMAGES))
    with pytest.raises(LitePoseError, match="12 of 12 could not be read"):
        evaluate(StandIn(dataset), dataset, None, QUICK)
    with pytest.raises(LitePoseError, match=r"crowdpose14, the model coco17.*target="):
        evaluate(StandIn(dataset), Drawer(CROWDPOSE14))
    (tmp_path / "file").write_text("")
    with pytest.raises(LitePoseError, match="cannot write to"):
        evaluate(StandIn(dataset), dataset, tmp_path / "file")


def test_crowdpose_images_get_crowdpose_numbers() -> None:
    dataset = Drawer()
    dataset.records = [replace(r, crowd_index=0.1 * i) for i, r in enumerate(dataset.records)]
    report = evaluate(StandIn(dataset), dataset, None, QUICK)
    assert report.metrics.crowd.ap_medium is not None
    assert report.metrics.crowd.ap == pytest.approx(report.metrics.intervals["ap"].value)
    assert "AP hard (crowd)" in report.to_text()


@pytest.mark.slow
def test_default_model_on_real_images(shared: Path) -> None:
    pytest.importorskip("onnxruntime")
    from litepose.data.datasets import CocoDataset
    from litepose.inference.open import open_backend
    from litepose.inference.predictor import Predictor

    root = shared / "data/coco-part"
    predictor = Predictor(open_backend(None, None))
    dataset = CocoDataset(
        root / "annotations/person_keypoints_val2017.json",
        root / "images/val2017",
        target=predictor.info.skeleton,
    )
    report = evaluate(predictor, dataset, options=EvaluateOptions(limit=12, resamples=20))
    assert report.metrics.coco.ap > 10 and not report.unreadable


@pytest.mark.slow
def test_a_report_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch) -> None:
    dataset = Drawer()
    evaluate(StandIn(dataset), dataset, tmp_path, QUICK)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(temporary.os, "fsync", full)
    with pytest.raises(LitePoseError, match="No space left"):
        evaluate(StandIn(dataset), dataset, tmp_path, QUICK)
    after = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    after.pop("results.partial.jsonl")
    assert before == after
