"""Ground truth and results as arrays, one record of each kind per image.

Source: COCO's annotation and results formats, CrowdPose's in COCO's form (read by data/coco.py).
Differences: keypoints are mapped to the skeleton by name, ignored people are rows like the others,
annotation ids do not matter, inputs are not changed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from litepose.core.errors import LitePoseError
from litepose.core.oks import AREA_OF_BOX
from litepose.core.skeleton import Skeleton
from litepose.data.coco import Record, check_form, read_records, records_of

GroundTruth = Mapping[str, Any] | str | Path
AreaRule = Literal["annotated", "box"]


@dataclass(frozen=True, eq=False)
class ImageTruth:
    """Annotations of one image: M people in one skeleton of K keypoints.

    keypoints_xy: (M, K, 2) float64, pixels;  visibility: (M, K) 0 unlabeled, 1 hidden, 2 visible
    areas: (M,) pixels squared;  boxes_xywh: (M, 4);  crowd: (M,) bool, a region of many people
    people_complete: False where people in view were left out of the annotations
    crowd_index: CrowdPose's measure of how people overlap, None elsewhere
    """

    image_id: int
    keypoints_xy: np.ndarray
    visibility: np.ndarray
    areas: np.ndarray
    boxes_xywh: np.ndarray
    crowd: np.ndarray
    people_complete: bool = True
    crowd_index: float | None = None

    @property
    def ignore(self) -> np.ndarray:
        """(M,) bool: a crowd or a person without keypoints, ignored in matching."""
        return self.crowd | ~(self.visibility > 0).any(axis=1)

    @property
    def num_people(self) -> int:
        """People that should be found."""
        return int((~self.ignore).sum())


@dataclass(frozen=True, eq=False)
class ImageFound:
    """What a model found in one image: N people, best first.

    keypoints_xy: (N, K, 2) float64, pixels;  keypoint_scores: (N, K);  scores: (N,)
    """

    keypoints_xy: np.ndarray
    keypoint_scores: np.ndarray
    scores: np.ndarray


def read_truth(
    ground_truth: GroundTruth,
    skeleton: Skeleton,
    image_ids: Collection[int] | None = None,
    area_rule: AreaRule = "annotated",
) -> list[ImageTruth]:
    """COCO annotations (a dict or their file) -> one record per image, ordered by id.

    Keypoints that the annotations do not name are unlabeled. `image_ids` chooses images, None
    takes all.
    Raises LitePoseError if the annotations are missing or damaged, share no keypoint with the
    skeleton, or lack a chosen image.
    """
    if isinstance(ground_truth, Mapping):
        own, records = records_of(check_form(ground_truth, "the ground truth"), None)
    else:
        own, records = read_records(Path(ground_truth), None)
    source = skeleton.mapping_from(own)
    if (source < 0).all():
        raise LitePoseError(
            f"the annotations' keypoints ({', '.join(own.keypoints)}) share no name with those of"
            f" {skeleton.name}"
        )
    by_id = {record.image_id: record for record in records}
    chosen = sorted(by_id if image_ids is None else {int(i) for i in image_ids})
    absent = [i for i in chosen if i not in by_id]
    if absent:
        raise LitePoseError(f"the ground truth has no image with id {absent[0]}")
    return [truth_of(by_id[i], source, area_rule) for i in chosen]


def truth_of(
    record: Record, source: np.ndarray | None = None, area_rule: AreaRule = "annotated"
) -> ImageTruth:
    """One dataset record as ground truth; `source` (K,) as of `Skeleton.mapping_from`.

    Area rule "box" takes 0.53 of each box, as CrowdPose does, "annotated" the record's areas.
    """
    m, regions = len(record), record.ignored
    keypoints_xy, visibility = record.keypoints_xy.astype(np.float64), record.visibility
    if source is not None:
        keypoints_xy = keypoints_xy[:, source]
        visibility = np.where(source >= 0, visibility[:, source], 0)
    rest = ((0, len(regions)), (0, 0))
    boxes = np.concatenate(
        [record.boxes_xywh, np.reshape([r.box_xywh for r in regions], (-1, 4))]
    ).astype(np.float64)
    areas = np.concatenate([record.areas.astype(np.float64), [r.area for r in regions]])
    return ImageTruth(
        image_id=record.image_id,
        keypoints_xy=np.pad(keypoints_xy, (*rest, (0, 0))),
        visibility=np.pad(visibility, rest),
        areas=AREA_OF_BOX * boxes[:, 2] * boxes[:, 3] if area_rule == "box" else areas,
        boxes_xywh=boxes,
        crowd=np.array([False] * m + [r.is_crowd for r in regions], bool),
        people_complete=record.people_complete,
        crowd_index=record.crowd_index,
    )


def group_results(
    results: Iterable[Mapping[str, Any]], truths: Sequence[ImageTruth], skeleton: Skeleton
) -> list[ImageFound]:
    """COCO results entries -> people found in each image of `truths`, best first.

    Entries of other images are left out.
    Raises LitePoseError where an entry lacks a field or its numbers do not fit the skeleton.
    """
    k = skeleton.num_keypoints
    entries: dict[int, list[tuple[float, np.ndarray]]] = {t.image_id: [] for t in truths}
    for entry in results:
        try:
            image_id, score = int(entry["image_id"]), float(entry["score"])
            triples = np.asarray(entry["keypoints"], np.float64).reshape(k, 3)
        except (KeyError, ValueError, TypeError, OverflowError) as exc:
            raise LitePoseError(
                f"a result needs image_id, score and {k} keypoints of x, y, score"
                f" ({skeleton.name}): {exc}"
            ) from None
        if not (np.isfinite(triples).all() and np.isfinite(score)):
            raise LitePoseError(f"a result of image {image_id} holds numbers that are not finite")
        if image_id in entries:
            entries[image_id].append((score, triples))
    return [_found(entries[t.image_id], k) for t in truths]


def _found(entries: list[tuple[float, np.ndarray]], k: int) -> ImageFound:
    scores = np.array([score for score, _ in entries], np.float64)
    triples = np.array([keypoints for _, keypoints in entries]).reshape(-1, k, 3)
    order = np.argsort(-scores, kind="stable")
    return ImageFound(triples[order, :, :2], triples[order, :, 2], scores[order])


def check_people(records: Sequence[Record]) -> None:
    """Raise LitePoseError where no person is labeled: AP is undefined then."""
    if any(map(len, records)):
        return
    regions = [region for record in records for region in record.ignored]
    crowds = sum(region.is_crowd for region in regions)
    if not regions:
        why = "no image has an annotation of a person"
    elif crowds == len(regions):
        why = f"every annotation, {crowds:,} in all, is a crowd (iscrowd)"
    else:
        why = f"of {len(regions):,} annotations, {crowds:,} of them crowds, none labels a keypoint"
    raise LitePoseError(f"there is nothing to evaluate against: {why}")
