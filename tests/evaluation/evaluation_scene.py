"""Ground truth and results made from random numbers, in COCO's form."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from litepose.core.skeleton import COCO17, Skeleton


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
