"""COCO's and CrowdPose's numbers: by hand, and equal to pycocotools and to our own matching."""

from __future__ import annotations

import builtins
import contextlib
import copy
import io
import json
from dataclasses import astuple
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.evaluation.evaluation_scene import Scene, make_scene

from litepose.core.errors import LitePoseError
from litepose.core.skeleton import COCO17, CROWDPOSE14, LSP14, Skeleton
from litepose.evaluation.ground_truth import group_results, read_truth
from litepose.evaluation.matching import average_precision, match_images
from litepose.evaluation.metrics import CrowdReport, coco_ap, crowdpose_report


@pytest.fixture
def scene() -> Scene:
    return make_scene()


def by_pycocotools(truth: dict[str, Any], results: list[dict[str, Any]]) -> np.ndarray:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = {"info": {}, **copy.deepcopy(truth)}
        coco.createIndex()
        compute_metrics = COCOeval(coco, coco.loadRes(copy.deepcopy(results)), "keypoints")
        compute_metrics.evaluate()
        compute_metrics.accumulate()
        compute_metrics.summarize()
    return 100 * compute_metrics.stats


def flat(x: float, y: float) -> list[float]:
    """17 visible keypoints in a zigzag of 80 x 50 px."""
    steps = np.arange(17)
    return (
        np.column_stack([x + 5.0 * steps, y + 50.0 * (steps % 2), np.full(17, 2.0)])
        .ravel()
        .tolist()
    )


def two_people() -> dict[str, Any]:
    annotations = [
        {"id": i, "image_id": 7, "category_id": 1, "iscrowd": 0, "bbox": [0, 100 * i, 80, 50],
         "area": 4000.0, "num_keypoints": 17, "keypoints": flat(0, 100 * i)}
        for i in (0, 1)
    ]  # fmt: skip
    images = [{"id": 7, "file_name": "7.jpg", "width": 200, "height": 200}]
    categories = [{"id": 1, "name": "person", "keypoints": list(COCO17.keypoints)}]
    return {"images": images, "annotations": annotations, "categories": categories}


def entry(x: float, y: float, score: float) -> dict[str, Any]:
    return {"image_id": 7, "category_id": 1, "keypoints": flat(x, y), "score": score}


def test_one_false_person_between_two_right_ones() -> None:
    results = [entry(0, 0, 0.9), entry(900, 900, 0.8), entry(0, 100, 0.7)]
    report = coco_ap(two_people(), results, COCO17)
    expected = 100 * (51 * 1 + 50 * 2 / 3) / 101  # precision 1 up to recall 0.5, then 2/3
    assert report.ap == pytest.approx(expected, abs=1e-9)
    assert report.ap50 == report.ap75 == pytest.approx(expected, abs=1e-9)
    assert report.ap_medium == pytest.approx(expected, abs=1e-9)
    assert report.ar == 100
    assert report.ap_large is None and report.ar_large is None


def test_no_people_found_is_zero_and_annotation_id_0_counts() -> None:
    assert coco_ap(two_people(), [], COCO17).ap == 0
    assert coco_ap(
        two_people(), [entry(0, 0, 0.9), entry(0, 100, 0.9)], COCO17
    ).ap == pytest.approx(100)


@pytest.mark.parametrize("seed", range(3))
def test_equals_pycocotools(seed: int) -> None:
    truth, results = make_scene(40, seed)
    report = coco_ap(truth, results, COCO17)
    np.testing.assert_allclose(astuple(report), by_pycocotools(truth, results), atol=1e-9)
    assert 5 < report.ap < 95


@pytest.mark.slow
def test_equals_pycocotools_on_real_annotations(shared: Path) -> None:
    path = shared / "data/coco-part/annotations/person_keypoints_val2017.json"
    truth = json.loads(path.read_text())
    rng = np.random.default_rng(0)
    results = []
    for annotation in truth["annotations"]:
        triples = np.array(annotation["keypoints"], float).reshape(17, 3)
        triples[:, :2] += rng.normal(size=(17, 2)) * np.sqrt(annotation["area"]) * 0.05
        results.append(
            {"image_id": annotation["image_id"], "category_id": 1,
             "keypoints": triples.ravel().tolist(), "score": float(rng.random())}
        )  # fmt: skip
    report = coco_ap(path, results, COCO17)
    np.testing.assert_allclose(astuple(report), by_pycocotools(truth, results), atol=1e-9)


def test_neither_truth_nor_results_are_changed_and_nothing_is_printed(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    before = copy.deepcopy(scene)
    coco_ap(scene.truth, scene.results, COCO17)
    assert scene == before
    assert capsys.readouterr() == ("", "")


def test_chosen_and_complete_images_only(scene: Scene) -> None:
    whole = [i["id"] for i in scene.truth["images"] if i["people_complete"]]
    part = {
        **scene.truth,
        "images": [i for i in scene.truth["images"] if i["people_complete"]],
        "annotations": [a for a in scene.truth["annotations"] if a["image_id"] in whole],
    }
    expected = coco_ap(part, scene.results, COCO17)
    assert coco_ap(scene.truth, scene.results, COCO17, image_ids=whole) == expected
    assert coco_ap(scene.truth, scene.results, COCO17, only_complete=True) == expected
    assert coco_ap(scene.truth, scene.results, COCO17) != expected


def crowdpose_ap_of(truth: dict, results: list, skeleton: Skeleton) -> CrowdReport:
    truths = read_truth(truth, skeleton, area_rule="box")
    return crowdpose_report(truths, group_results(results, truths, skeleton), skeleton)


def test_crowdpose_levels_are_the_aps_of_their_images() -> None:
    truth, results = make_scene(40, 1, CROWDPOSE14, crowd_index=True)
    for annotation in truth["annotations"]:
        annotation["area"] = 1.0  # must not be used: CrowdPose takes 0.53 of the box
    report = crowdpose_ap_of(truth, results, CROWDPOSE14)
    truths = read_truth(truth, CROWDPOSE14, area_rule="box")
    found = group_results(results, truths, CROWDPOSE14)
    matches = match_images(truths, found, CROWDPOSE14)

    def own(low: float, high: float) -> float:
        chosen = [m for m, t in zip(matches, truths, strict=True) if low <= t.crowd_index < high]
        return average_precision(chosen).mean()

    assert report.ap == pytest.approx(own(0, 2), abs=1e-9)
    levels = [report.ap_easy, report.ap_medium, report.ap_hard]
    # The evaluator rounds these to 0.01.
    np.testing.assert_allclose(levels, [own(0, 0.2), own(0.2, 0.8), own(0.8, 2)], atol=0.006)


def test_crowdpose_level_without_images_is_none() -> None:
    truth, results = make_scene(10, 1, CROWDPOSE14, crowd_index=True)
    for image in truth["images"]:
        image["crowdIndex"] = 0.2  # the limit itself is medium
    report = crowdpose_ap_of(truth, results, CROWDPOSE14)
    assert report.ap_easy is None and report.ap_hard is None
    assert report.ap_medium == pytest.approx(report.ap, abs=0.006)


def test_crowdpose_needs_crowd_indices(scene: Scene) -> None:
    with pytest.raises(LitePoseError, match="crowdIndex"):
        crowdpose_ap_of(scene.truth, scene.results, COCO17)


def test_annotations_in_another_skeleton_are_mapped_by_name() -> None:
    truth, _ = make_scene(5, 2, LSP14)
    own, other = read_truth(truth, LSP14), read_truth(truth, COCO17)
    knee = LSP14.index("left_knee"), COCO17.index("left_knee")
    for a, b in zip(own, other, strict=True):
        np.testing.assert_array_equal(a.visibility[:, knee[0]], b.visibility[:, knee[1]])
        seen = a.visibility[:, knee[0]] > 0
        np.testing.assert_array_equal(a.keypoints_xy[seen, knee[0]], b.keypoints_xy[seen, knee[1]])
        assert not b.visibility[:, COCO17.index("nose")].any()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"keypoints": [1, 2, 3]}, "17 keypoints"),
        ({"keypoints": [float("nan")] * 51}, "not finite"),
        ({"score": None}, "needs image_id, score"),
    ],
)
def test_damaged_results_are_named(scene: Scene, change: dict[str, Any], message: str) -> None:
    with pytest.raises(LitePoseError, match=message):
        coco_ap(scene.truth, [{**scene.results[0], **change}], COCO17)


def test_missing_files_and_images_are_named(tmp_path: Path, scene: Scene) -> None:
    with pytest.raises(LitePoseError, match="cannot read the annotations"):
        coco_ap(tmp_path / "none.json", [], COCO17)
    with pytest.raises(LitePoseError, match="not in COCO's form"):
        coco_ap({"images": []}, [], COCO17)
    with pytest.raises(LitePoseError, match="no image with id 12345"):
        coco_ap(scene.truth, [], COCO17, image_ids=[12345])
    with pytest.raises(LitePoseError, match="choice of images is empty"):
        coco_ap(scene.truth, [], COCO17, image_ids=[])


def test_without_the_evaluator_the_error_says_what_to_install(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def refuse(name: str, *rest: Any) -> Any:
        if name.startswith("faster_coco_eval"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(LitePoseError, match=r"pip install 'litepose\[train\]'"):
        coco_ap(scene.truth, scene.results, COCO17)
