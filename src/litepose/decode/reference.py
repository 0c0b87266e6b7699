"""The official decoder, literal and slow: the reference for the fast path.

Source: the published implementation of Lite Pose (HigherHRNet's parser), described
in docs/fidelity.md. Everything is enlarged to the network's input size first. Differs only where
the official code is undefined: people are rows instead of being keyed by a float tag, and equal
rounded distances are decided by a small multiple of the distance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from litepose.core.assignment import min_cost_matching
from litepose.core.geometry import Affine, Letterbox
from litepose.core.model_info import ModelInfo
from litepose.core.poses import Poses
from litepose.decode.merge import ForwardPass, check_finite

# For CrowdPose the official code cuts COCO's order to 14: a permutation only by accident.
OFFICIAL_ORDER = {
    17: (0, 1, 2, 3, 4, 5, 6, 11, 12, 7, 8, 9, 10, 13, 14, 15, 16),
    14: (0, 1, 2, 3, 4, 5, 6, 11, 12, 7, 8, 9, 10, 13),
}


@dataclass(frozen=True)
class ReferenceSettings:
    """The official parser's switches, with its own values."""

    max_people: int = 30
    heat_threshold: float = 0.1
    tag_threshold: float = 1.0
    nms_kernel: int = 5
    nudge: bool = True  # official "adjust"
    fill: bool = True  # official "refine"


def official_input(
    image_wh: tuple[int, int], input_size: int, scale: float = 1.0, min_scale: float = 1.0
) -> tuple[tuple[int, int], Affine]:
    """Size of the network's input, and the affine from its pixels to image pixels.

    The short side becomes the input size, the other a multiple of 64 (a fraction of a pixel over a
    multiple is cut); the image is scaled about its center pixel, the rest is border.
    """
    w, h = image_wh
    base = _up_to_64(min_scale * input_size)
    short = int(base * scale / min_scale)
    long = int(_up_to_64(base / min(w, h) * max(w, h)) * scale / min_scale)
    network_wh = (short, long) if w < h else (long, short)
    zoom = min(w, h) / short
    middle = int(w / 2 + 0.5), int(h / 2 + 0.5)
    shift = (middle[0] - zoom * network_wh[0] / 2, middle[1] - zoom * network_wh[1] / 2)
    return network_wh, Affine.scale_shift((zoom, zoom), shift)


def _up_to_64(side: float) -> int:
    return (int(side) + 63) // 64 * 64


def enlarge(passes: Sequence[ForwardPass], per_pass_tags: bool) -> tuple[np.ndarray, np.ndarray]:
    """Heatmaps (K, H, W) and tags (K, T, H, W) at the size of the first pass's input.

    Strides are averaged at the finest one, passes averaged at input size; tags come from passes of
    the first one's size: as further numbers, or averaged where `per_pass_tags` is False.
    """
    input_wh = passes[0].box.input_wh
    heat, tags = [], []
    for forward in passes:
        finest = forward.maps.heatmaps[-1][0]
        size_wh = finest.shape[:0:-1]
        merged = np.mean([_resized(h[0], size_wh) for h in forward.maps.heatmaps], axis=0)
        heat.append(_resized(merged, input_wh))
        if forward.box == passes[0].box:
            k, t = forward.maps.tags.shape[1:3]
            flat = _resized(
                forward.maps.tags[0].reshape(k * t, *forward.maps.tags.shape[3:]), input_wh
            )
            tags.append(flat.reshape(k, t, *flat.shape[1:]))
    merged_tags = np.concatenate(tags, axis=1) if per_pass_tags else np.mean(tags, axis=0)
    return np.mean(heat, axis=0), merged_tags


def _resized(maps: np.ndarray, size_wh: tuple[int, ...]) -> np.ndarray:
    return np.stack([cv2.resize(np.ascontiguousarray(m), size_wh) for m in maps])


def parse(
    heat: np.ndarray, tags: np.ndarray, settings: ReferenceSettings = ReferenceSettings()
) -> tuple[np.ndarray, np.ndarray]:
    """Maps at one size -> people (N, K, 3 + T) as x, y, score, tags, and their scores (N,).

    heat: (K, H, W); tags: (K, T, H, W). Positions are map pixels as the official code counts them.
    """
    candidates = top_candidates(heat, tags, settings)
    people = match_by_tag(candidates, settings)
    if settings.nudge:
        for person in people:
            for k in np.flatnonzero(person[:, 2] > 0):
                person[k, :2] += nudge_to_neighbor(heat[k], person[k, 0], person[k, 1])
    scores = people[:, :, 2].mean(axis=1) if len(people) else np.zeros(0)
    if settings.fill:
        for person in people:
            fill_missing(heat, tags, person)
    return people, scores


def top_candidates(
    heat: np.ndarray, tags: np.ndarray, settings: ReferenceSettings
) -> list[np.ndarray]:
    """Per keypoint (M, 3 + T): x, y, score, tags of the strongest peaks, strongest first."""
    kernel = np.ones((settings.nms_kernel, settings.nms_kernel), np.uint8)
    out = []
    for channel, tag in zip(heat, tags, strict=True):
        peaks = np.where(cv2.dilate(channel, kernel) == channel, channel, 0)
        at = np.argsort(-peaks, axis=None, kind="stable")[: settings.max_people]
        y, x = np.divmod(at, channel.shape[1])
        rows = np.column_stack([x, y, peaks[y, x], tag[:, y, x].T])
        out.append(rows[rows[:, 2] > settings.heat_threshold])
    return out


def match_by_tag(candidates: list[np.ndarray], settings: ReferenceSettings) -> np.ndarray:
    """People (N, K, 3 + T): keypoint by keypoint, the cheapest assignment to mean tags."""
    k, width = len(candidates), candidates[0].shape[1]
    people: list[np.ndarray] = []
    tags: list[list[np.ndarray]] = []
    for joint in OFFICIAL_ORDER[k] if k in OFFICIAL_ORDER else range(k):
        rows = candidates[joint]
        given: dict[int, int] = {}
        if len(rows) and people:
            means = np.array([np.mean(t, axis=0) for t in tags[: settings.max_people]])
            distance = np.linalg.norm(rows[:, None, 3:] - means[None], axis=2)
            cost = np.round(distance) * 100 - rows[:, 2:3] + 1e-6 * distance
            for row, column in zip(*min_cost_matching(cost), strict=True):
                if distance[row, column] < settings.tag_threshold:
                    given[int(row)] = int(column)
        for row, values in enumerate(rows):
            if row not in given:
                given[row] = len(people)
                people.append(np.zeros((k, width)))
                tags.append([])
            people[given[row]][joint] = values
            tags[given[row]].append(values[3:])
    return np.array(people).reshape(-1, k, width)


def nudge_to_neighbor(channel: np.ndarray, x: float, y: float) -> tuple[float, float]:
    """A quarter pixel toward the hotter neighbor (equal counts as the lower one), plus a half."""
    h, w = channel.shape
    i, j = int(x), int(y)
    right = channel[j, min(i + 1, w - 1)] > channel[j, max(i - 1, 0)]
    down = channel[min(j + 1, h - 1), i] > channel[max(j - 1, 0), i]
    return (0.75 if right else 0.25), (0.75 if down else 0.25)


def fill_missing(heat: np.ndarray, tags: np.ndarray, person: np.ndarray) -> None:
    """Give a person's missing keypoints the place where heat minus rounded tag distance is most."""
    found = np.flatnonzero(person[:, 2] > 0)
    x, y = person[found, 0].astype(int), person[found, 1].astype(int)
    mean_tag = np.mean(tags[found, :, y, x], axis=0)
    for k in np.flatnonzero(person[:, 2] <= 0):
        distance = np.sqrt(((tags[k] - mean_tag[:, None, None]) ** 2).sum(axis=0))
        row, column = np.unravel_index(np.argmax(heat[k] - np.round(distance)), heat[k].shape)
        if heat[k, row, column] > 0:
            dx, dy = nudge_to_neighbor(heat[k], float(column), float(row))
            person[k, :3] = column + dx, row + dy, heat[k, row, column]


def decode_reference(
    passes: Sequence[ForwardPass], info: ModelInfo, settings: ReferenceSettings | None = None
) -> Poses:
    """As `decoder.decode`, by the official algorithm. Duplicates are kept."""
    settings = settings or ReferenceSettings(
        heat_threshold=info.decode.heat_threshold,
        tag_threshold=info.decode.tag_threshold,
        fill=info.decode.fill,
    )
    for forward in passes:
        check_finite(forward.maps)
    heat, tags = enlarge(passes, per_pass_tags=info.tag_kind == "learned")
    people, scores = parse(heat, tags, settings)
    keep = np.flatnonzero(scores >= info.decode.person_threshold)
    keep = keep[np.argsort(-scores[keep], kind="stable")]
    box: Letterbox = passes[0].box
    return Poses(
        keypoints_xy=box.to_image(people[keep, :, :2]),
        keypoint_scores=np.clip(people[keep, :, 2], 0, 1),
        person_scores=np.clip(scores[keep], 0, 1),
        skeleton=info.skeleton,
        image_wh=box.image_wh,
    )
