"""The COCO and CrowdPose families of AP and AR, by faster-coco-eval.

Source: COCO's keypoint evaluation, run by faster-coco-eval, which equals pycocotools; CrowdPose's
evaluator (area is 0.53 of the box; easy, medium and hard end at a crowd index of 0.2 and 0.8: the
published figures use these limits, not the paper's 0.1).
Differences: numbers are 0..100, None if nothing could be measured, and nothing is printed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from litepose.core.errors import LitePoseError
from litepose.core.skeleton import Skeleton
from litepose.evaluation.ground_truth import (
    GroundTruth,
    ImageFound,
    ImageTruth,
    group_results,
    read_truth,
)


@dataclass(frozen=True)
class CocoReport:
    """COCO's ten keypoint numbers, 0..100; None where no person of that kind is annotated."""

    ap: float | None
    ap50: float | None
    ap75: float | None
    ap_medium: float | None
    ap_large: float | None
    ar: float | None
    ar50: float | None
    ar75: float | None
    ar_medium: float | None
    ar_large: float | None


@dataclass(frozen=True)
class CrowdReport:
    """CrowdPose's nine numbers, 0..100; None where the images hold none of that kind."""

    ap: float | None
    ap50: float | None
    ap75: float | None
    ar: float | None
    ar50: float | None
    ar75: float | None
    ap_easy: float | None
    ap_medium: float | None
    ap_hard: float | None


def coco_ap(
    ground_truth: GroundTruth,
    results: Iterable[Mapping[str, Any]],
    skeleton: Skeleton,
    image_ids: Collection[int] | None = None,
    only_complete: bool = False,
) -> CocoReport:
    """COCO's AP and AR of results entries (`Poses.to_coco`) against a COCO annotation file.

    image_ids: evaluate these images only; only_complete: leave out images marked
    `people_complete: false`, where finding an unlabeled person would count against the model.
    Raises LitePoseError for what `read_truth` refuses and where faster-coco-eval is missing.
    """
    truths = read_truth(ground_truth, skeleton, image_ids)
    truths = [t for t in truths if t.people_complete or not only_complete]
    return coco_report(truths, group_results(results, truths, skeleton), skeleton)


def coco_report(
    truths: Sequence[ImageTruth], found: Sequence[ImageFound], skeleton: Skeleton
) -> CocoReport:
    """`coco_ap` of records already read, one of each kind per image."""
    return CocoReport(*_run_evaluator(truths, found, skeleton, "keypoints"))


def crowdpose_report(
    truths: Sequence[ImageTruth], found: Sequence[ImageFound], skeleton: Skeleton
) -> CrowdReport:
    """CrowdPose's AP, AR and AP by crowding, as its own evaluator counts them.

    truths: read by the area rule "box". Raises LitePoseError where an image has no `crowdIndex`.
    """
    without = [t.image_id for t in truths if t.crowd_index is None]
    if without:
        raise LitePoseError(
            f"CrowdPose's measures need a crowdIndex for every image; image {without[0]} has"
            " none. Use the COCO measures for this file"
        )
    return CrowdReport(*_run_evaluator(truths, found, skeleton, "keypoints_crowd"))


def _run_evaluator(
    truths: Sequence[ImageTruth],
    found: Sequence[ImageFound],
    skeleton: Skeleton,
    kind: Literal["keypoints", "keypoints_crowd"],
) -> list[float | None]:
    """The evaluator's numbers in its own order, 0..100."""
    try:
        from faster_coco_eval import COCO
        from faster_coco_eval.core.faster_eval_api import COCOeval_faster
    except ImportError:
        raise LitePoseError(
            "evaluation needs faster-coco-eval: pip install 'litepose[train]'"
        ) from None
    if not truths:
        raise LitePoseError("there is no image to evaluate: the choice of images is empty")
    truth_coco = COCO(truth_to_coco(truths, skeleton), print_function=_silent)
    found_coco = truth_coco.loadRes(_found_to_coco(truths, found))
    compute_metrics = COCOeval_faster(
        truth_coco,
        found_coco,
        iouType=kind,
        print_function=_silent,
        kpt_oks_sigmas=list(skeleton.oks_sigmas),
        use_area=kind == "keypoints",
    )
    compute_metrics.run()
    stats = compute_metrics.all_stats[: 10 if kind == "keypoints" else 9]
    return [None if value < 0 else float(100 * value) for value in stats]


def _silent(*_: object) -> None: ...


def truth_to_coco(truths: Sequence[ImageTruth], skeleton: Skeleton) -> dict[str, Any]:
    """Back to the evaluator's form: one category, ids from 1 (it takes id 0 for "unmatched")."""
    annotations: list[dict[str, Any]] = []
    for truth in truths:
        for i in range(len(truth.areas)):
            points = np.column_stack([truth.keypoints_xy[i], truth.visibility[i]])
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": truth.image_id,
                    "category_id": 1,
                    "iscrowd": int(truth.crowd[i]),
                    "bbox": truth.boxes_xywh[i].tolist(),
                    "area": float(truth.areas[i]),
                    "num_keypoints": int((truth.visibility[i] > 0).sum()),
                    "keypoints": points.ravel().tolist(),
                }
            )
    return {
        "images": [{"id": t.image_id, "crowdIndex": t.crowd_index} for t in truths],
        "annotations": annotations,
        "categories": [{"id": 1, "name": "person", "keypoints": list(skeleton.keypoints)}],
    }


def _found_to_coco(
    truths: Sequence[ImageTruth], found: Sequence[ImageFound]
) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = []
    for truth, people in zip(truths, found, strict=True):
        triples = np.concatenate([people.keypoints_xy, people.keypoint_scores[..., None]], axis=2)
        for i, score in enumerate(people.scores):
            keypoints = triples[i].ravel().tolist()
            entries.append(
                {
                    "image_id": truth.image_id,
                    "category_id": 1,
                    "keypoints": keypoints,
                    "score": float(score),
                }
            )
    return entries
