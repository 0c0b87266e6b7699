"""Dataset checks of annotations: fields, categories, keypoints."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from litepose.core.errors import LitePoseError
from litepose.core.skeleton import Skeleton, canonical_name
from litepose.data.coco import area_of, box_of, flat_keypoints, id_of
from litepose.data.corner_boxes import is_corner_box
from litepose.data.skeleton_toml import in_category
from litepose.data.validate.findings import Finding, finding, repeated


def check_categories(
    annotations: Sequence[Mapping[str, Any]],
    categories: Sequence[Mapping[str, Any]],
    own: Mapping[str, Any],
) -> list[Finding]:
    """Annotations left out because they belong to another category."""
    others = [a for a in annotations if not in_category(a, own)]
    listed = [category.get("id") for category in categories]
    name = own.get("name")
    return [
        *finding("error", f"annotations whose category_id is no category's (that of {name!r} is"
                 f" {own.get('id')!r}); they are left out",
                 [str(a.get("id")) for a in others if a["category_id"] not in listed]),
        *finding("note", f"annotations of categories other than {name!r} (left out)",
                 [str(a.get("id")) for a in others if a["category_id"] in listed]),
    ]  # fmt: skip


def check_order(category: Mapping[str, Any], own: Skeleton) -> list[Finding]:
    """Compare the order of names in the annotation file with the given skeleton."""
    names = category.get("keypoints")
    theirs = [canonical_name(str(name)) for name in names] if isinstance(names, list) else []
    ours = [canonical_name(name) for name in own.keypoints]
    if sorted(theirs) != sorted(ours):
        return []
    return finding(
        "error",
        "keypoints that the skeleton has at another place than the annotation file",
        [
            f"{name} is number {theirs.index(name) + 1}, not {i + 1}"
            for i, name in enumerate(ours)
            if theirs[i] != name
        ],
    )


def check_annotations(
    annotations: Sequence[Mapping[str, Any]],
    people: Sequence[Mapping[str, Any]],
    sizes: Mapping[Any, tuple[int, int]],
) -> list[Finding]:
    """Ids, images, boxes and areas; `people` are the annotations that will be read."""
    strays = [str(a.get("id")) for a in annotations if a.get("image_id") not in sizes]
    with_people = {a.get("image_id") for a in people}
    boxes, no_boxes = _read(people, box_of)
    with_area = [a for a in people if "area" in a]
    areas, no_areas = _read(with_area, area_of)
    empty = [at for at, box in boxes if box is not None and min(box[2:]) <= 0]
    low = [at for at, area in areas if area is None or area <= 0]
    return [
        *finding("error", "annotation ids that are used twice",
                 repeated(a.get("id") for a in annotations)),
        *finding("error", "annotation ids that are no whole numbers", _read(people, id_of)[1]),
        *finding("error", "annotations of images that are not listed", strays),
        *finding("error", "boxes that are not four numbers", no_boxes),
        *finding("error", "areas that are no numbers", no_areas),
        *finding("warning", "boxes without width or height", empty),
        *finding("warning", "areas that are not above 0 (the OKS needs them)", low),
        *finding("note", "images without annotated people",
                 [str(i) for i in sizes if i not in with_people]),
    ]  # fmt: skip


def _read(
    people: Sequence[Mapping[str, Any]], field_of: Callable[[Mapping[str, Any]], Any]
) -> tuple[list[tuple[str, Any]], list[str]]:
    """(id, value) of the annotations whose field can be read, and the ids of the others."""
    values, damaged = [], []
    for a in people:
        try:
            values.append((str(a.get("id")), field_of(a)))
        except LitePoseError:
            damaged.append(str(a.get("id")))
    return values, damaged


def triples_of(
    people: list[Mapping[str, Any]], k: int
) -> tuple[np.ndarray, list[Mapping[str, Any]], list[Finding]]:
    """(N, K, 3) keypoints of readable annotations, these annotations, and problems of others."""
    rows, kept, lengths, numbers = [], [], [], []
    for a in people:
        flat = flat_keypoints(a, k)
        if not isinstance(flat, list) or len(flat) != 3 * k:
            lengths.append(str(a.get("id")))
            continue
        try:
            row = np.array(flat, np.float64).reshape(k, 3)
        except (TypeError, ValueError, OverflowError):
            row = np.full((k, 3), np.nan)
        if not np.isfinite(row).all():
            numbers.append(str(a.get("id")))
            continue
        rows.append(row)
        kept.append(a)
    return (
        np.stack(rows) if rows else np.zeros((0, k, 3)),
        kept,
        [
            *finding("error", f"annotations without {k} keypoints of x, y, visibility", lengths),
            *finding("error", "annotations with keypoints that are no numbers", numbers),
        ],
    )


def check_keypoints(
    triples: np.ndarray, people: list[Mapping[str, Any]], sizes: Mapping[Any, tuple[int, int]]
) -> list[Finding]:
    """Visibilities, places and repetitions in the (N, K, 3) keypoints of these people."""
    ids = np.array([str(a.get("id")) for a in people], dtype=object)
    wh = np.array([sizes.get(a.get("image_id"), (np.inf, np.inf)) for a in people])
    wh = wh.reshape(-1, 1, 2)
    labeled = triples[..., 2] > 0
    count = labeled.sum(axis=1)
    stated = [a.get("num_keypoints", n) for a, n in zip(people, count.tolist(), strict=True)]
    crowd = np.array([bool(a.get("iscrowd")) for a in people], dtype=bool)
    points = triples[..., :2]
    outside = labeled & ((points < 0) | (points > wh)).any(axis=2)
    corner = labeled & (points == 0).all(axis=2)
    highest = np.where(labeled, points.max(axis=2), -np.inf).max(axis=1)
    odd = ~np.isin(triples[..., 2], (0, 1, 2))
    same: dict[tuple[Any, bytes], list[str]] = {}
    for i in np.flatnonzero(count):
        place = (people[i].get("image_id"), triples[i].tobytes())
        same.setdefault(place, []).append(ids[i])
    return [
        *finding("error", "people with visibilities other than 0, 1, 2", ids[odd.any(axis=1)]),
        *finding("warning", "people with labeled keypoints outside the image",
                 ids[outside.any(axis=1)]),
        *finding("warning", "people annotated twice with the same keypoints",
                 [at for places in same.values() for at in places[1:]]),
        *finding("warning", "people with keypoints labeled at (0, 0)", ids[corner.any(axis=1)]),
        *finding("warning", "people whose num_keypoints is not the number of labeled ones",
                 [at for at, n, m in zip(ids, stated, count.tolist(), strict=True) if n != m]),
        *finding("warning", "people whose keypoints all lie within 0 and 1: shares of the image"
                 " instead of pixels?", ids[(highest > 0) & (highest <= 1)]),
        *finding("note", "people without a labeled keypoint (masked in training)",
                 ids[(count == 0) & ~crowd]),
        *finding("note", "crowd regions (masked in training)", ids[crowd]),
    ]  # fmt: skip


def check_corner_boxes(
    triples: np.ndarray, people: list[Mapping[str, Any]], sizes: Mapping[Any, tuple[int, int]]
) -> list[Finding]:
    """Boxes written as two corners instead of x, y, width, height, if most are."""
    corners, checked, rest_on_them = [], 0, False
    for a, row in zip(people, triples, strict=True):
        box, seen = _box_or_none(a), row[row[:, 2] > 0, :2]
        if box is None or not len(seen) or a.get("image_id") not in sizes:
            continue
        checked += 1
        if is_corner_box(box, seen, sizes[a["image_id"]]):
            corners.append(str(a.get("id")))
            rest_on_them |= not a.get("area")
    if 2 * len(corners) <= checked:
        return []
    why = "; their areas, which the OKS needs, are made from them" if rest_on_them else ""
    return finding(
        "error" if rest_on_them else "warning",
        f"boxes that reach out of the image and fit as two corners: x, y, width, height is"
        f" meant{why}",
        corners,
    )


def _box_or_none(annotation: Mapping[str, Any]) -> tuple[float, float, float, float] | None:
    try:
        return box_of(annotation)
    except LitePoseError:
        return None
