"""Ground truth and results from random numbers, in COCO's form; a dataset and a model of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from litepose.core.model_info import InputRule, ModelInfo
from litepose.core.poses import Poses
from litepose.core.skeleton import COCO17, Skeleton
from litepose.data.coco import Record, records_of
from litepose.data.datasets import UnreadableImageError
from litepose.data.sample import Sample


class Scene(NamedTuple):
    """COCO annotations and COCO results of the same images."""

    truth: dict[str, Any]
    results: list[dict[str, Any]]


def make_scene(
    count: int = 30, seed: int = 0, skeleton: Skeleton = COCO17, crowd_index: bool = False
) -> Scene:
    """Images of 0-30 people of all sizes, some crowds, some without keypoints; most are found,
    some twice, some badly, and scores have ties."""
    rng = np.random.default_rng(seed)
    k = skeleton.num_keypoints
    images, annotations, results = [], [], []
    for image_id in range(1, count + 1):
        images.append(
            {
                "id": image_id,
                "file_name": f"{image_id}.jpg",
                "width": 640,
                "height": 480,
                "people_complete": bool(rng.random() < 0.5),
            }
        )
        if crowd_index:
            images[-1]["crowdIndex"] = round(float(rng.random()), 3)
        people = 30 if image_id == 1 else rng.integers(0, 7)
        for _ in range(people):
            x, y = rng.uniform(0, 500, 2)
            w, h = rng.uniform(15, 250, 2)
            points = np.column_stack([x + w * rng.random(k), y + h * rng.random(k)])
            visibility = rng.choice(3, k, p=(0.3, 0.2, 0.5))
            is_crowd = bool(rng.random() < 0.05)
            if is_crowd or rng.random() < 0.1:
                visibility[:] = 0
            triples = np.column_stack([points * (visibility > 0)[:, None], visibility]).round(2)
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": 1,
                    "iscrowd": int(is_crowd),
                    "bbox": [round(float(v), 2) for v in (x, y, w, h)],
                    "area": round(float(w * h * rng.uniform(0.3, 0.7)), 2),
                    "num_keypoints": int((visibility > 0).sum()),
                    "keypoints": triples.ravel().tolist(),
                }
            )
            for _ in range(rng.choice(3, p=(0.2, 0.7, 0.1))):
                spread = rng.uniform(0.01, 0.12)
                moved = points + rng.normal(size=(k, 2)) * np.sqrt(w * h) * spread
                sure = np.clip(0.95 - 6 * spread + rng.normal() * 0.1, 0, 1)
                entry = np.column_stack([moved, rng.random(k)]).round(3)
                results.append(
                    {
                        "image_id": image_id,
                        "category_id": 1,
                        "keypoints": entry.ravel().tolist(),
                        "score": round(float(sure), 2),
                    }
                )
    category = {"id": 1, "name": "person", "keypoints": list(skeleton.keypoints), "skeleton": []}
    return Scene({"images": images, "annotations": annotations, "categories": [category]}, results)


IMAGES = 12
INFO = ModelInfo("stand-in", COCO17, InputRule(256))


class Drawer:
    """A dataset in memory; image i is filled with the gray i, so that the model knows it."""

    def __init__(self, skeleton: Skeleton = COCO17, unreadable: Sequence[int] = ()) -> None:
        self.truth, self.results = make_scene(IMAGES, 3, skeleton)
        self.skeleton: Skeleton = skeleton
        self.records: Sequence[Record] = records_of(self.truth, skeleton)[1]
        self.unreadable = unreadable

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> Sample:
        if index in self.unreadable:
            raise UnreadableImageError("the file is cut off")
        record = self.records[index]
        w, h = record.image_wh
        return Sample(
            image=np.full((h, w, 3), index, np.uint8),
            keypoints_xy=record.keypoints_xy,
            visibility=record.visibility,
            areas=record.areas,
            valid_mask=np.ones((h, w), bool),
            labeled=np.ones(self.skeleton.num_keypoints, bool),
            image_id=record.image_id,
            people_complete=record.people_complete,
        )


class StandIn:
    """Answers with the scene's results; Ctrl-C is pressed at image `stop_at`."""

    info: ModelInfo = INFO

    def __init__(self, dataset: Drawer, stop_at: int | None = None) -> None:
        self.dataset, self.stop_at = dataset, stop_at
        self.predicted: list[int] = []

    def predict(self, source: Any, **options: Any) -> Poses:
        assert options == {
            "flip_test": False, "scales": (1.0,), "views": None, "crops": 0, "threshold": 0.0,
        }  # fmt: skip
        index = int(source[0, 0, 0])
        if index == self.stop_at:
            raise KeyboardInterrupt
        self.predicted.append(index)
        own = [r for r in self.dataset.results if r["image_id"] == index + 1]
        return Poses.from_coco(own, COCO17)
