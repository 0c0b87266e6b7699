"""Choose square crops around the people found, to be viewed again at one size.

The network is accurate for people of a certain size in its input. A crop shows each person at that
size, whatever their size in the image, for the cost of a small view. Top-down pose estimators work
on such crops; here the same network serves both. Neighbors in a crop are found too, often in part.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from litepose.core.geometry import Letterbox, letterbox_crop
from litepose.core.oks import compute_oks
from litepose.core.poses import Poses
from litepose.decode.merge_views import person_boxes, person_sides

CROP_PX = 192  # side of a crop in input pixels, where nothing else is said
MARGIN = 0.2  # of the person's longer side, around it
LEAST_SCORE = 0.1  # people scoring lower are not worth a crop
LEAST_PX = 4.0  # image pixels; a smaller person is no person
SAME_OKS = 0.3  # the person found in a crop is the crop's own from here on
NEIGHBOR = 0.5  # factor of the scores of other people in a crop


class Crop(NamedTuple):
    """A square around a person, and the pose that it was chosen by."""

    box: Letterbox
    person: Poses


def person_crops(
    poses: Poses, most: int, crop_px: int = CROP_PX, least_zoom: float = 0.0
) -> list[Crop]:
    """Crops around the best `most` people of an image, best first, each crop_px x crop_px.

    A crop lies inside the image where the image is large enough. least_zoom: those with fewer input
    pixels per image pixel are left out of them.
    """
    if poses.image_wh is None:
        return []
    low, high = person_boxes(poses)
    crops: list[Crop] = []
    for i in np.flatnonzero(poses.person_scores >= LEAST_SCORE)[:most]:
        side = (1 + 2 * MARGIN) * max(float((high[i] - low[i]).max()), LEAST_PX)
        if crop_px < least_zoom * side:
            continue
        center = (low[i] + high[i]) / 2
        room = np.minimum(side, poses.image_wh)
        start = np.clip(center - room / 2, 0, poses.image_wh - room)
        part = (*start.tolist(), *(start + room).tolist())
        crops.append(Crop(letterbox_crop(poses.image_wh, part, crop_px, side), poses[int(i)]))
    return crops


def lower_neighbors(found: Poses, person: Poses) -> Poses:
    """The people found in the crop of a person, with lower scores for all but this one."""
    if not len(found):
        return found
    oks = compute_oks(found, person, person_sides(person) ** 2, person.skeleton.oks_sigmas)[:, 0]
    factors = np.full(len(found), NEIGHBOR, dtype=np.float32)
    if oks.max() >= SAME_OKS:
        factors[oks.argmax()] = 1
    return replace(found, person_scores=found.person_scores * factors)
