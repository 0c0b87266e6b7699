"""Decode the maps of one image into Poses: the fast path and the default."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from litepose.core.geometry import Letterbox
from litepose.core.model_info import ModelInfo
from litepose.core.poses import Poses
from litepose.decode.grouping import People, group
from litepose.decode.merge import ForwardPass, MergedMaps, merge_passes, tag_places
from litepose.decode.peaks import find_candidates
from litepose.decode.pose_nms import drop_duplicates
from litepose.decode.refine import fill_missing


def decode(passes: Sequence[ForwardPass], info: ModelInfo) -> Poses:
    """People of one image from one or more forward passes (mirrored ones already unflipped).

    Positions are in image pixels, not clipped to the image; people come best first; those below
    `info.decode.person_threshold` are left out before their missing keypoints are searched.
    Raises LitePoseError where a map holds NaN or infinity.
    """
    return decode_field(merge_passes(passes, info.tag_kind), passes[0].box, info)


def decode_field(field: MergedMaps, box: Letterbox, info: ModelInfo) -> Poses:
    """As `decode`, from merged maps."""
    settings = info.decode
    candidates = find_candidates(field, settings.heat_threshold, settings.max_candidates)
    people = group(candidates, info.skeleton, settings.tag_threshold)
    people = people.take(people.person_scores >= settings.person_threshold)
    if settings.fill:
        people = fill_missing(people, field)
    people = drop_duplicates(people, info.skeleton, settings.duplicate_oks)
    return poses_of(people, field.stride, field.tag_stride, box, info)


def poses_of(
    people: People, stride: int, tag_stride: int, box: Letterbox, info: ModelInfo
) -> Poses:
    """People in heatmap cells of `stride` input pixels -> Poses in pixels of the image."""
    points = box.to_image(_absent_to_middle(people.cells_xy, people.scores) * np.float32(stride))
    centers = None
    if info.tag_kind == "positional":
        centers = box.to_image(tag_places(people.tags, tag_stride))
    return Poses(
        keypoints_xy=points.astype(np.float32),
        keypoint_scores=np.clip(people.scores, 0, 1),
        person_scores=np.clip(people.person_scores, 0, 1),
        skeleton=info.skeleton,
        image_wh=box.image_wh,
        centers_xy=centers,
    )


def _absent_to_middle(cells_xy: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Move keypoints without a score to the mean of the person's found ones."""
    found = (scores > 0)[..., None]
    if found.all():
        return cells_xy
    middle = (cells_xy * found).sum(axis=1) / np.maximum(found.sum(axis=1), 1)
    return np.where(found, cells_xy, middle[:, None])
