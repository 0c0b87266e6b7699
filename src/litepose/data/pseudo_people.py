"""Add people found by a teacher to the labeled ones.

A file of COCO results (as written by `litepose evaluate`) has the people that a better model, or
the same model with more passes, found in the images of a dataset. People that match no labeled
person are added to the sample; the score of a keypoint is the height of its target.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from litepose.core.errors import LitePoseError
from litepose.core.oks import pose_area, pose_similarity
from litepose.core.read_text import read_json
from litepose.data.datasets import PoseDataset
from litepose.data.sample import Sample

SAME_PERSON_OKS = 0.3  # above this, a found person is a labeled one
LEAST_KEYPOINT_SCORE = 0.1  # below, a keypoint was not found


class WithPseudoPeople:
    """A dataset whose samples have the people of `people` (image id -> (N, K, 3)) as well."""

    def __init__(self, dataset: PoseDataset, people: Mapping[int, np.ndarray]) -> None:
        self.dataset, self.people = dataset, people
        self.skeleton, self.records = dataset.skeleton, dataset.records

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Sample:
        sample = self.dataset[index]
        found = self.people.get(self.records[index].image_id)
        return sample if found is None else self._joined(sample, found)

    def _joined(self, sample: Sample, found: np.ndarray) -> Sample:
        points, scores = found[..., :2], found[..., 2]
        scores = np.where(scores >= LEAST_KEYPOINT_SCORE, scores, 0)
        present = (sample.visibility > 0).astype(np.float32)
        area = pose_area(points, scores)
        oks = pose_similarity(
            points[:, None],
            scores[:, None],
            sample.keypoints_xy[None],
            present[None],
            np.maximum(area[:, None], pose_area(sample.keypoints_xy, present)[None]),
            self.skeleton,
        )
        new = (scores > 0).any(axis=1) & ~(oks >= SAME_PERSON_OKS).any(axis=1)
        labeled = np.ones(sample.visibility.shape, np.float32)
        return replace(
            sample,
            keypoints_xy=np.concatenate([sample.keypoints_xy, points[new]]).astype(np.float32),
            visibility=np.concatenate([sample.visibility, scores[new] > 0]).astype(np.uint8),
            areas=np.concatenate([sample.areas, area[new]]).astype(np.float32),
            confidence=np.concatenate([labeled, scores[new]]).astype(np.float32),
        )


def read_people(path: str | Path, num_keypoints: int, least: float) -> dict[int, np.ndarray]:
    """COCO results -> image id -> (N, K, 3): x, y, score of people scoring `least` or more.

    Raises LitePoseError where the file is missing, damaged or of other keypoints.
    """
    entries = read_json(path, "the people")
    try:
        found: dict[int, list[np.ndarray]] = {}
        for entry in entries:
            if float(entry["score"]) >= least:
                triples = np.asarray(entry["keypoints"], np.float32).reshape(num_keypoints, 3)
                if not np.isfinite(triples).all():
                    raise ValueError("a keypoint is not a finite number")
                found.setdefault(int(entry["image_id"]), []).append(triples)
    except (ValueError, KeyError, TypeError, OverflowError) as exc:
        raise LitePoseError(
            f"{path} holds no COCO results of {num_keypoints} keypoints: {exc}"
        ) from None
    return {image_id: np.stack(people) for image_id, people in found.items()}
