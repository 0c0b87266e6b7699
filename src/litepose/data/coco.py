"""Read annotation files in COCO keypoints form into records.

Source: the COCO data format, also used by CrowdPose and Leeds Sports Pose. The file is read once
into small arrays (segmentations only where a mask needs them); it defines the skeleton; an error
names the damaged annotation.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from litepose.core.errors import LitePoseError
from litepose.core.oks import AREA_OF_BOX
from litepose.core.read_text import read_json
from litepose.core.skeleton import Skeleton
from litepose.data.skeleton_toml import in_category, keypoint_category, skeleton_of

# COCO's segment area is on average this share of the box; CrowdPose's OKS uses it everywhere.


@dataclass(frozen=True, eq=False)
class Region:
    """Region of people without labeled keypoints: a crowd, or one such person."""

    annotation_id: int
    box_xywh: tuple[float, float, float, float]
    area: float
    segmentation: Any  # polygons, run lengths, or None: then the box is the region
    is_crowd: bool


@dataclass(frozen=True, eq=False)
class Record:
    """Annotations of one image: N people of K keypoints.

    keypoints_xy (N, K, 2) float32 in pixels of the image; visibility (N, K) uint8;
    areas (N,) float32; boxes_xywh (N, 4) float32; annotation_ids (N,) int64.
    confidence: (N, K) float32 in [0, 1], of people found by a model; None for labels, all 1
    `crowd_index` is CrowdPose's measure of overlap in [0, 1], None elsewhere.
    """

    image_id: int
    file_name: str
    image_wh: tuple[int, int]
    keypoints_xy: np.ndarray
    visibility: np.ndarray
    areas: np.ndarray
    boxes_xywh: np.ndarray
    annotation_ids: np.ndarray
    ignored: tuple[Region, ...] = ()
    people_complete: bool = True
    crowd_index: float | None = None
    confidence: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.areas)

    def only(self, people: np.ndarray) -> Record:
        """The record with these people alone; `people`: (N,) bool."""
        return replace(
            self,
            keypoints_xy=self.keypoints_xy[people],
            visibility=self.visibility[people],
            areas=self.areas[people],
            boxes_xywh=self.boxes_xywh[people],
            annotation_ids=self.annotation_ids[people],
            confidence=None if self.confidence is None else self.confidence[people],
        )


def load_json(path: Path) -> dict[str, Any]:
    """Read an annotation file and check that its three lists exist."""
    return check_form(read_json(path, "the annotations", any_number=True), str(path))


def check_form(data: Any, where: str) -> dict[str, Any]:
    """Returns the data. Raises LitePoseError if one of COCO's three lists is missing."""
    for key in ("images", "annotations", "categories"):
        if not isinstance(data, Mapping) or not isinstance(data.get(key), list):
            raise LitePoseError(
                f"{where} is not in COCO's form: it needs the lists images, annotations and"
                f" categories; {key!r} is missing"
            )
        for entry in data[key]:
            ids = (entry.get("id"), entry.get("image_id")) if isinstance(entry, dict) else ([],)
            if not all(isinstance(value, int | str | None) for value in ids):
                raise LitePoseError(f"{where} has an entry in {key!r} that is none: {entry!r:.80}")
    return dict(data)


def read_records(
    path: Path,
    skeleton: Skeleton | None,
    complete: Callable[[list[Any]], list[Any]] = lambda images: images,
) -> tuple[Skeleton, list[Record]]:
    """`records_of` an annotation file. complete: adds missing fields of its images.

    Raises LitePoseError where it is missing or damaged.
    """
    data = load_json(path)
    return records_of({**data, "images": complete(data["images"])}, skeleton, str(path))


def records_of(
    data: Mapping[str, Any], skeleton: Skeleton | None, where: str = "the annotations"
) -> tuple[Skeleton, list[Record]]:
    """Records of every image of COCO-form annotations, in order, and the annotations' skeleton.

    `skeleton` None takes the file's own. People with no labeled keypoint and crowds become
    `ignored` regions. Annotations of other categories or of images not listed are left out.
    Raises LitePoseError that names the annotation where one is damaged.
    """
    category = keypoint_category(data["categories"], where, skeleton)
    own = skeleton or skeleton_of(category)
    of_image: dict[Any, list[Mapping[str, Any]]] = {}
    for annotation in data["annotations"]:
        if in_category(annotation, category):
            of_image.setdefault(annotation.get("image_id"), []).append(annotation)
    records = []
    for image in data["images"]:
        try:
            records.append(_record(image, of_image.get(image["id"], []), own.num_keypoints))
        except (KeyError, TypeError, ValueError, OverflowError) as exc:
            problem = exc if isinstance(exc, LitePoseError) else f"bad or missing field {exc}"
            raise LitePoseError(
                f"{where}, image {image.get('id')}: {problem} (litepose data check lists all)"
            ) from None
    if len({record.image_id for record in records}) != len(records):
        raise LitePoseError(f"{where} lists an image id twice (litepose data check lists all)")
    return own, records


def _record(image: Mapping[str, Any], annotations: list[Mapping[str, Any]], k: int) -> Record:
    people: list[np.ndarray] = []
    regions, kept = [], []
    for annotation in annotations:
        triples = _triples(annotation, k)
        region = _region(annotation, triples)
        if region.is_crowd or not (triples[:, 2] > 0).any():
            regions.append(region)
        else:
            people.append(triples)
            kept.append(region)
    stacked = np.stack(people) if people else np.zeros((0, k, 3))
    crowd_index = image.get("crowdIndex")
    return Record(
        image_id=int(image["id"]),
        file_name=str(image["file_name"]),
        image_wh=(int(image["width"]), int(image["height"])),
        keypoints_xy=stacked[..., :2].astype(np.float32),
        visibility=np.clip(stacked[..., 2], 0, 2).astype(np.uint8),
        areas=np.array([r.area for r in kept], np.float32),
        boxes_xywh=np.array([r.box_xywh for r in kept], np.float32).reshape(-1, 4),
        annotation_ids=np.array([r.annotation_id for r in kept], np.int64),
        ignored=tuple(regions),
        people_complete=bool(image.get("people_complete", True)),
        crowd_index=None if crowd_index is None else float(crowd_index),
    )


def flat_keypoints(annotation: Mapping[str, Any], k: int) -> Any:
    """Keypoints of an annotation as a flat list of x, y, visibility; zeros if it has none.

    Some programs write a list of triples instead.
    """
    given = annotation.get("keypoints") or [0] * (3 * k)
    nested = isinstance(given, list) and len(given) == k != 3 * k
    if nested and all(isinstance(triple, list) and len(triple) == 3 for triple in given):
        return [value for triple in given for value in triple]
    return given


def _triples(annotation: Mapping[str, Any], k: int) -> np.ndarray:
    """(K, 3) float64: x, y, visibility; all zero where the annotation has no keypoints."""
    flat = flat_keypoints(annotation, k)
    if len(flat) != 3 * k:
        raise LitePoseError(
            f"annotation {annotation.get('id')} needs {k} keypoints of x, y, visibility;"
            f" it has {len(flat)} numbers"
        )
    triples = np.array(flat, np.float64).reshape(k, 3)
    if not np.isfinite(triples).all():
        raise LitePoseError(f"annotation {annotation.get('id')} has a keypoint that is no number")
    return triples


def id_of(annotation: Mapping[str, Any]) -> int:
    """Id of an annotation, 0 if absent. Raises LitePoseError unless it is a whole number."""
    try:
        return int(np.int64(int(annotation.get("id", 0))))
    except (TypeError, ValueError, OverflowError):
        raise LitePoseError(
            f"the annotation id {annotation['id']!r:.40} is no whole number"
        ) from None


def box_of(annotation: Mapping[str, Any]) -> tuple[float, float, float, float] | None:
    """Bbox of an annotation, None if absent. Raises LitePoseError unless it is four numbers."""
    box = annotation.get("bbox")
    if not box:
        return None
    if not isinstance(box, list | tuple) or len(box) != 4:
        raise LitePoseError(
            f"annotation {annotation.get('id')} needs a bbox of x, y, width, height;"
            f" it has {box!r:.80}"
        )
    x, y, w, h = (_finite(annotation, "bbox", value) for value in box)
    return x, y, w, h


def area_of(annotation: Mapping[str, Any]) -> float | None:
    """Area of an annotation, None if absent or 0. Raises LitePoseError unless it is a number."""
    area = annotation.get("area")
    return _finite(annotation, "area", area) if area else None


def _finite(annotation: Mapping[str, Any], field: str, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise LitePoseError(
            f"annotation {annotation.get('id')} has {value!r:.40} in its {field}: that is no number"
        )
    return number


def _region(annotation: Mapping[str, Any], triples: np.ndarray) -> Region:
    box = box_of(annotation)
    if box is None:
        seen = triples[triples[:, 2] > 0, :2] if (triples[:, 2] > 0).any() else np.zeros((1, 2))
        (x, y), (w, h) = seen.min(axis=0).tolist(), np.ptp(seen, axis=0).tolist()
        box = (x, y, w, h)
    masked = annotation.get("iscrowd") or not (triples[:, 2] > 0).any()
    return Region(
        annotation_id=id_of(annotation),
        box_xywh=box,
        area=area_of(annotation) or AREA_OF_BOX * box[2] * box[3],
        segmentation=annotation.get("segmentation") if masked else None,
        is_crowd=bool(annotation.get("iscrowd")),
    )
