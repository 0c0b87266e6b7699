"""One odd segmentation or file name is one unreadable image, or a finding; the rest goes on."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from litepose.data.contact_sheet import readable_samples
from litepose.data.layouts import find_dataset
from litepose.data.pack import pack
from litepose.data.packed import PackedDataset
from litepose.data.validate.dataset import examine

NAMES = ["left_end", "right_end"]
ODD_SEGMENTATIONS: list[Any] = [
    {"size": [32, 48], "counts": None}, {"size": [32, 48], "counts": [math.inf]},
    {"size": None, "counts": []}, [[]], [[[1, 2], [3]]], "x",
]  # fmt: skip
ODD_NAMES = ["\ud800.jpg", "n" * 3000 + ".jpg", "a\nb.jpg", "loop/x.jpg"]


def write(folder: Path, names: list[str], segmentation: Any = None) -> Path:
    """Images called so, one crowd region in the first of them."""
    (folder / "images" / "val").mkdir(parents=True)
    (folder / "annotations").mkdir()
    for name in ("1.jpg", "2.jpg", "3.jpg"):
        Image.fromarray(np.full((32, 48, 3), 99, np.uint8)).save(folder / "images" / "val" / name)
    (folder / "images" / "val" / "loop").symlink_to("loop")
    person = {"category_id": 1, "keypoints": [9, 9, 2, 20, 20, 2], "bbox": [9, 9, 11, 11]}
    crowd = {"id": 9, "image_id": 1, "category_id": 1, "iscrowd": 1, "keypoints": [0] * 6}
    data = {
        "images": [
            {"id": i, "file_name": name, "width": 48, "height": 32}
            for i, name in enumerate(names, 1)
        ],
        "annotations": [
            *({**person, "id": i, "image_id": i} for i in (1, 2, 3)),
            {**crowd, "bbox": [0, 0, 4, 4], "segmentation": segmentation},
        ],
        "categories": [{"id": 1, "name": "person", "keypoints": NAMES}],
    }
    path = folder / "annotations" / "person_keypoints_val.json"
    path.write_text(json.dumps(data), encoding="utf-8")
    return folder


@pytest.mark.parametrize("segmentation", ODD_SEGMENTATIONS, ids=str)
def test_segmentations(segmentation: Any, tmp_path: Path) -> None:
    check(write(tmp_path / "set", ["1.jpg", "2.jpg", "3.jpg"], segmentation), tmp_path / "x.lpc")


@pytest.mark.parametrize("name", ODD_NAMES, ids=["surrogate", "long", "newline", "loop"])
def test_names(name: str, tmp_path: Path) -> None:
    check(write(tmp_path / "set", [name, "2.jpg", "3.jpg"]), tmp_path / "x.lpc")


def check(folder: Path, packed: Path) -> None:
    """Two images are read, the third is left out with a reason, the doctor names what is wrong."""
    dataset = find_dataset(folder, "val")
    samples, reasons = readable_samples(dataset, 5)
    assert len(samples) == 2 and len(reasons) == 1 and len(reasons[0]) <= 1000
    report = pack(dataset, packed)
    assert report.images == 2 and list(report.unreadable) == [0]
    assert len(PackedDataset(packed)) == 2
    found = examine(folder, "val")
    assert not found.ok
    assert all(len(line) < 2000 for line in found.text().splitlines())
    json.dumps(found.to_dict()).encode("utf-8")
