"""Datasets as other programs and systems write them: read where the meaning is clear, or named."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from litepose.apps.cli.main import main
from litepose.core.errors import LitePoseError
from litepose.core.model_info import InputRule, ModelInfo
from litepose.core.skeleton import Skeleton
from litepose.data.contact_sheet import readable_samples
from litepose.data.corner_boxes import areas_of_corners
from litepose.data.layouts import find_dataset
from litepose.data.pack import pack
from litepose.data.reasons import sum_up
from litepose.data.validate.dataset import examine
from litepose.evaluation.evaluator import evaluate
from litepose.training.config_file import config_from_dict
from litepose.training.datasets import named_skeleton
from litepose.training.distributed import open_processes
from litepose.training.run import Run

TRIPLES = [[5, 6, 2], [25, 20, 2]]


def write(folder: Path, images: list[dict[str, Any]], people: list[dict[str, Any]]) -> Path:
    """A dataset whose annotations have what `people` say; files 20 pixels high and 30 wide."""
    (folder / "images" / "val" / "sub").mkdir(parents=True)
    (folder / "annotations").mkdir()
    for name in ("a.png", "sub/b.png"):
        image = np.full((20, 30, 3), 99, np.uint8)
        Image.fromarray(image).save(folder / "images" / "val" / name)
    flat = [value for one in TRIPLES for value in one]
    common = {"category_id": 1, "keypoints": flat, "bbox": [5, 6, 20, 14]}
    data = {
        "images": images,
        "annotations": [{**common, "id": i, **one} for i, one in enumerate(people, 1)],
        "categories": [{"id": 1, "name": "rod", "keypoints": ["left_end", "right_end"]}],
    }
    (folder / "annotations" / "val.json").write_text(json.dumps(data))
    return folder


def image(number: int = 1, name: str = "a.png", **more: Any) -> dict[str, Any]:
    return {"id": number, "file_name": name, "width": 30, "height": 20, **more}


def test_names_with_backslashes_find_their_files(tmp_path: Path) -> None:
    write(tmp_path, [image(name="sub\\b.png")], [{"image_id": 1}])
    assert find_dataset(tmp_path, "val")[0].image.shape == (20, 30, 3)
    assert examine(tmp_path, "val").ok


@pytest.mark.parametrize("name", ["..\\a.png", "sub\\..\\..\\x.png", "C:\\a.png"])
def test_names_with_backslashes_do_not_lead_out(tmp_path: Path, name: str) -> None:
    write(tmp_path, [image(name=name, width=None)], [])
    with pytest.raises(LitePoseError, match="outside their folder"):
        find_dataset(tmp_path, "val")


def test_images_without_a_size_are_measured(tmp_path: Path) -> None:
    images = [{"id": 1, "file_name": "a.png"}, image(2, "sub/b.png", width=None)]
    write(tmp_path, [*images, {"id": 3, "file_name": "gone.png"}], [{"image_id": 1}])
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (20, 30)).save(tmp_path / "images/val/a.png", exif=exif)
    dataset = find_dataset(tmp_path, "val")
    assert [record.image_wh for record in dataset.records] == [(30, 20), (30, 20), (1, 1)]
    assert dataset[0].image.shape == (20, 30, 3)
    report = examine(tmp_path, "val")
    assert "without width and height" in report.text() and "missing" in report.text()


def test_keypoints_as_nested_triples(tmp_path: Path) -> None:
    write(tmp_path, [image()], [{"image_id": 1, "keypoints": TRIPLES}])
    assert find_dataset(tmp_path, "val").records[0].keypoints_xy.tolist() == [[[5, 6], [25, 20]]]
    assert examine(tmp_path, "val").ok
    write(tmp_path / "wrong", [image()], [{"image_id": 1, "keypoints": [[1, 2], [3, 4]]}])
    with pytest.raises(LitePoseError, match="needs 2 keypoints"):
        find_dataset(tmp_path / "wrong", "val")


def test_boxes_of_corners_are_found(tmp_path: Path) -> None:
    corners = {"image_id": 1, "bbox": [5, 6, 25, 20]}
    report = examine(write(tmp_path / "a", [image()], [corners]), "val")
    assert "two corners" in report.text() and "areas" in report.text() and not report.ok
    assert areas_of_corners(find_dataset(tmp_path / "a", "val").records) == 1
    report = examine(write(tmp_path / "b", [image()], [{**corners, "area": 99}]), "val")
    assert "two corners" in report.text() and report.ok
    right = {"image_id": 1, "bbox": [5, 6, 20, 14]}
    report = examine(write(tmp_path / "c", [image()], [right, right, corners]), "val")
    assert "two corners" not in report.text()
    assert not any(areas_of_corners(find_dataset(tmp_path / name, "val").records) for name in "bc")


def test_packing_and_training_warn_of_boxes_of_corners(tmp_path: Path, capsys) -> None:
    corners = {"image_id": 1, "bbox": [5, 6, 25, 20]}
    right = {"image_id": 1, "bbox": [5, 6, 20, 14]}
    for name, box in (("a", corners), ("b", right)):
        write(tmp_path / name, [image()], [box])
        data, out = str(tmp_path / name), str(tmp_path / f"{name}.lpc")
        assert main(["data", "pack", data, "--split", "val", "--output", out]) == 0
        assert ("boxes of 1 people seem to be two corners" in capsys.readouterr().err) is (
            name == "a"
        )
    config = {
        "name": "x", "output": str(tmp_path / "run"), "epochs": 1,
        "phases": [{"size": 64, "batch_size": 1}],
        "model": {"name": "tiny", "skeleton": "data"},
        "data": {
            "root": str(tmp_path), "val": {"root": "a", "split": "val"},
            "train": [{"packed": "a.lpc"}, {"root": "b", "split": "val"}],
        },
    }  # fmt: skip
    with open_processes("cpu") as group:
        notes = Run(config_from_dict(config), group).notes
    assert sum("two corners" in note for note in notes) == 1
    config["data"]["val"] = config["data"]["train"][1]  # type: ignore[index]
    config["data"]["train"] = [config["data"]["val"]]  # type: ignore[index]
    with open_processes("cpu") as group:
        assert not any("corners" in n for n in Run(config_from_dict(config), group).notes)


def test_reasons_are_summed_up_by_kind() -> None:
    many = [f"no file /data/{i}.jpg" for i in range(380)]
    text = sum_up([*many, "b.jpg is empty (0 bytes)", "'x' is 3x4, not 5x6", "'y' is 1x1, not 2x2"])
    assert text == (
        "380 times: no file /data/0.jpg; 2 times: 'x' is 3x4, not 5x6; b.jpg is empty (0 bytes)"
    )
    kinds = sum_up(f"{'abcdefg'[i]} went wrong" for i in range(7))
    assert kinds.endswith("; and 2 of 2 other kinds")


def test_where_nothing_can_be_read_the_reasons_are_said(tmp_path: Path) -> None:
    images = [image(i, f"{i}.png") for i in range(1, 4)]
    write(tmp_path, images, [{"image_id": 1}])
    dataset = find_dataset(tmp_path, "val")
    model = SimpleNamespace(info=ModelInfo("m", dataset.skeleton, InputRule(64)))
    for call in (
        lambda: readable_samples(dataset, 5),
        lambda: pack(dataset, tmp_path / "x.lpc"),
        lambda: evaluate(model, dataset),
    ):
        with pytest.raises(LitePoseError, match=r"3 times: .*no file .*\.png"):
            call()


@pytest.mark.parametrize(
    ("people", "says"),
    [
        ([], "no image has an annotation"),
        ([{"image_id": 1, "iscrowd": 1}] * 2, "every annotation, 2 in all, is a crowd"),
        (
            [{"image_id": 1, "keypoints": [0] * 6}],
            "of 1 annotations, 0 of them crowds, none labels",
        ),
    ],
)
def test_a_dataset_without_labeled_people_is_refused(
    tmp_path: Path, people: list, says: str
) -> None:
    dataset = find_dataset(write(tmp_path, [image()], people), "val")
    model = SimpleNamespace(info=ModelInfo("m", dataset.skeleton, InputRule(64)))
    with pytest.raises(LitePoseError, match=says):
        evaluate(model, dataset)  # type: ignore[arg-type]


def test_the_skeleton_of_the_data_in_one_word() -> None:
    assert named_skeleton("data") is None
    with pytest.raises(LitePoseError, match="or data"):
        named_skeleton("dat")
    assert isinstance(named_skeleton("coco17"), Skeleton)
