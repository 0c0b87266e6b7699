"""Choose square crops around the people found, to be viewed again at one size.

The network is accurate for people of a certain size in its input. A crop shows each person at that
size, whatever their size in the image, for the cost of a small view; it also finds neighbors.
Top-down pose estimators work on such crops; here the same network serves both.
"""

from __future__ import annotations

import numpy as np

from litepose.core.geometry import Letterbox, letterbox_crop
from litepose.core.poses import Poses
from litepose.decode.merge_views import person_boxes

CROP_PX = 192  # side of a crop in input pixels
MARGIN = 0.2  # of the person's longer side, around it
LEAST_SCORE = 0.1  # people scoring lower are not worth a crop
LEAST_PX = 4.0  # image pixels; a smaller person is no person


def person_crops(poses: Poses, most: int) -> list[Letterbox]:
    """Crops around the best `most` people of an image, best first, each CROP_PX x CROP_PX.

    A crop lies inside the image where the image is large enough.
    """
    if poses.image_wh is None:
        return []
    low, high = person_boxes(poses)
    crops: list[Letterbox] = []
    for i in np.flatnonzero(poses.person_scores >= LEAST_SCORE)[:most]:
        side = (1 + 2 * MARGIN) * max(float((high[i] - low[i]).max()), LEAST_PX)
        center = (low[i] + high[i]) / 2
        room = np.minimum(side, poses.image_wh)
        start = np.clip(center - room / 2, 0, poses.image_wh - room)
        crops.append(letterbox_crop(poses.image_wh, (*start, *(start + room)), CROP_PX, side))
    return crops
