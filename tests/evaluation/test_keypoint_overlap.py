"""Data with keypoints that the model lacks: said, counted, and refused where most are unknown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from litepose.apps.cli.main import main
from litepose.core.errors import LitePoseError
from litepose.core.skeleton import COCO17, CROWDPOSE14
from litepose.data.synthetic import SceneSettings, synthesize
from litepose.evaluation import reported_results
from litepose.evaluation.keypoint_overlap import open_for_evaluation

pytest.importorskip("faster_coco_eval")
ANNOTATIONS = "annotations/person_keypoints_val.json"
SHARED = ["nose", "left_wrist", "right_wrist"]


def make(folder: Path, keypoints: list[str], strangers: int = 0) -> Path:
    """Drawn people with these keypoints; those that COCO lacks copy the nose. The first `strangers`
    people of the first image are labeled with nothing that COCO knows."""
    synthesize(folder, 3, 3, "val", SceneSettings(size_wh=(160, 128), people=(2, 3)))
    data: dict[str, Any] = json.loads((folder / ANNOTATIONS).read_text())
    data["categories"][0] |= {"keypoints": keypoints, "skeleton": []}
    of_first = 0
    for annotation in data["annotations"]:
        old = [annotation["keypoints"][i : i + 3] for i in range(0, 51, 3)]
        new = {name: old[COCO17.keypoints.index(name)] for name in keypoints if name in SHARED}
        nose = [old[0][0], old[0][1], 2]
        triples = [new.get(name, nose) for name in keypoints]
        if annotation["image_id"] == data["images"][0]["id"] and of_first < strangers:
            triples = [[0, 0, 0] if name in SHARED else nose for name in keypoints]
            of_first += 1
        annotation["keypoints"] = [value for triple in triples for value in triple]
    (folder / ANNOTATIONS).write_text(json.dumps(data))
    return folder


@pytest.mark.slow
def test_what_the_model_lacks_is_warned_of_and_reported(tmp_path: Path, capsys) -> None:
    folder, out = make(tmp_path / "data", [*SHARED, "tail"], strangers=2), tmp_path / "out"
    where = ["--data", str(folder), "--split", "val"]
    assert main(["evaluate", *where, "--output", str(out), "--size", "128"]) == 0
    shown = capsys.readouterr()
    said = "1 of the 4 keypoints that the data labels, which the model lacks (tail), and 2 people"
    assert f"warning: NOT EVALUATED: {said}" in shown.err
    report = json.loads((out / "report.json").read_text())
    assert report["left_out"] == {"keypoints": ["tail"], "of_keypoints": 4, "people": 2}
    assert any(said in note for note in report["notes"])
    text = (out / "report.txt").read_text()
    assert said in " ".join(text.split()) and max(map(len, text.splitlines())) <= 100

    entry = tmp_path / f"x{reported_results.SUFFIX}"
    assert main(["verify", "--record", str(entry), *where, "--size", "128"]) == 0
    assert "NOT EVALUATED" in capsys.readouterr().err
    assert reported_results.read_result(entry).settings["not judged"] == ["tail"]


def test_less_than_half_known_is_refused(tmp_path: Path, capsys) -> None:
    folder = make(tmp_path / "third", ["nose", "tail", "horn"])
    assert main(["evaluate", "--data", str(folder), "--split", "val"]) == 2
    err = capsys.readouterr().err
    assert "labels 3 keypoints, and litepose-pm knows only 1" in err and "(not tail, horn)" in err
    half = make(tmp_path / "half", ["nose", "tail"])
    assert open_for_evaluation(half, "val", "m", COCO17)[1] is not None
    with pytest.raises(LitePoseError, match="knows only 0"):
        open_for_evaluation(make(tmp_path / "none", ["tail", "horn"]), "val", "m", COCO17)


def test_mappings_on_purpose_work_and_the_same_skeleton_says_nothing(tmp_path: Path) -> None:
    synthesize(tmp_path, 2, 3, "val", SceneSettings(size_wh=(160, 128), people=(1, 2)))
    same, nothing = open_for_evaluation(tmp_path, "val", "m", COCO17)
    assert nothing is None and same.skeleton == COCO17
    mapped, unknown = open_for_evaluation(tmp_path, "val", "m", CROWDPOSE14)
    assert mapped.skeleton == CROWDPOSE14 and unknown is not None
    assert unknown.of_keypoints == 17 and "left_eye" in unknown.keypoints
    assert unknown.of([0, 1]).people == 0
