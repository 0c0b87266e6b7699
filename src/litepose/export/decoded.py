"""Group the candidates of graphs that contain the first half of the decoder. Needs no torch.

The graph gives, per image, `scores` (K, M), `xy` (K, M, 2) in input pixels and `tags` (K, M, T);
`people_of` groups them with the functions of the default decoder. Missing keypoints are not filled,
because that needs the maps, which stay inside the graph.
"""

from __future__ import annotations

import numpy as np

from litepose.core.geometry import Letterbox
from litepose.core.model_info import ModelInfo
from litepose.core.poses import Poses
from litepose.decode.decoder import poses_of
from litepose.decode.grouping import group
from litepose.decode.peaks import Candidates
from litepose.decode.pose_nms import drop_duplicates


def people_of(
    scores: np.ndarray, xy: np.ndarray, tags: np.ndarray, box: Letterbox, info: ModelInfo
) -> Poses:
    """People of one image, best first, in its pixels.

    scores: (K, M), 0 where there is no candidate; xy: (K, M, 2) input pixels; tags: (K, M, T);
    box: position of the image in the input.
    """
    settings, stride = info.decode, info.strides[-1]
    keypoint, place = np.nonzero(scores > 0)
    candidates = Candidates(
        keypoint,
        xy[keypoint, place] / np.float32(stride),
        scores[keypoint, place],
        tags[keypoint, place],
    )
    people = group(candidates, info.skeleton, settings.tag_threshold)
    people = people.take(people.person_scores >= settings.person_threshold)
    people = drop_duplicates(people, info.skeleton, settings.duplicate_oks)
    return poses_of(people, stride, info.tag_stride, box, info)
