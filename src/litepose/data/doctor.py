"""`litepose data doctor`: what is wrong with a dataset, before it costs a training run.

Ours. It reads the annotation file itself, damaged as it may be, and never stops at the first
mistake. What the numbers say about left and right is in doctor_sides.py.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

from litepose.core.skeleton import Skeleton
from litepose.data.datasets import check_inside
from litepose.data.doctor_sides import sides_findings
from litepose.data.findings import Finding, finding
from litepose.data.layouts import find_files
from litepose.data.records import keypoint_category, load_json, load_skeleton, skeleton_of
from litepose.data.regions import region_mask


@dataclass(frozen=True)
class DoctorReport:
    """What was looked at and what was found. `ok` is False where a finding is an error."""

    annotation_json: str
    skeleton: str
    pictures: int
    people: int
    keypoints: int
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        return not any(found.level == "error" for found in self.findings)

    def text(self) -> str:
        """For reading: a line per finding, worst first, with its examples below."""
        lines = [
            f"{self.annotation_json}: {self.pictures:,} pictures, {self.people:,} people,"
            f" {self.keypoints:,} labelled keypoints, skeleton {self.skeleton}"
        ]
        for found in self.findings:
            lines.append(f"{found.level:>7}  {found.count:>7,}  {found.what}")
            if found.examples:
                lines.append(f"{'':18}{', '.join(found.examples)}")
        if not self.findings:
            lines.append("nothing wrong was found")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """JSON form: the fields, `ok` and the findings."""
        return {**asdict(self), "ok": self.ok}


def examine(
    root: str | Path,
    split: str,
    skeleton: Skeleton | str | Path | None = None,
    pictures: Literal["none", "header"] = "header",
) -> DoctorReport:
    """Look at a split of a dataset folder (see `find_dataset`); `header` opens every picture.

    Raises LitePoseError only where there is nothing to look at: no such files, or not COCO's form.
    """
    files = find_files(root, split)
    data = load_json(files.annotation_json)
    category = keypoint_category(data["categories"], str(files.annotation_json))
    meant = skeleton or files.skeleton_toml
    given = load_skeleton(meant) if isinstance(meant, str | Path) else meant
    own = given or skeleton_of(category)
    sizes, found = _check_images(data["images"])
    people = [a for a in data["annotations"] if a.get("category_id") == category.get("id")]
    found += _check_annotations(data["annotations"], sizes)
    triples, kept, wrong = _triples(people, own.num_keypoints)
    found += wrong
    found += _check_keypoints(triples, kept, sizes)
    found += sides_findings(triples, [str(a.get("id")) for a in kept], own)
    if pictures == "header":
        found += _check_files(data["images"], files.image_folder)
        found += _check_masks(triples, kept, sizes)
    order = {"error": 0, "warning": 1, "note": 2}
    return DoctorReport(
        annotation_json=str(files.annotation_json),
        skeleton=own.name,
        pictures=len(data["images"]),
        people=int((triples[..., 2] > 0).any(axis=1).sum()),
        keypoints=int((triples[..., 2] > 0).sum()),
        findings=tuple(sorted(found, key=lambda f: (order[f.level], -f.count))),
    )


def _check_images(images: list[Mapping[str, Any]]) -> tuple[dict[Any, tuple[int, int]], list]:
    """Sizes by picture id, and what is wrong with the list itself."""
    sizes: dict[Any, tuple[int, int]] = {}
    incomplete = []
    for image in images:
        try:
            check_inside(str(image["file_name"]))
            sizes[image["id"]] = (int(image["width"]), int(image["height"]))
        except (KeyError, TypeError, ValueError):  # LitePoseError is a ValueError
            incomplete.append(str(image.get("id", "?")))
    ids = Counter(image.get("id") for image in images)
    names = Counter(image.get("file_name") for image in images)
    return sizes, [
        *finding("error", "picture entries without id, size or a file name inside the folder",
                 incomplete),
        *finding("error", "picture ids that are used twice", _repeated(ids)),
        *finding("warning", "picture files that are listed twice", _repeated(names)),
    ]  # fmt: skip


def _check_annotations(
    annotations: list[Mapping[str, Any]], sizes: Mapping[Any, tuple[int, int]]
) -> list[Finding]:
    ids = Counter(a.get("id") for a in annotations)
    strays = [str(a.get("id")) for a in annotations if a.get("image_id") not in sizes]
    with_people = {a.get("image_id") for a in annotations}
    boxes = [
        str(a.get("id"))
        for a in annotations
        if a.get("bbox") is not None
        and not (len(a["bbox"]) == 4 and all(map(_is_positive, a["bbox"][2:])))
    ]
    areas = [str(a.get("id")) for a in annotations if "area" in a and not _is_positive(a["area"])]
    return [
        *finding("error", "annotation ids that are used twice", _repeated(ids)),
        *finding("error", "annotations of pictures that are not listed", strays),
        *finding("warning", "boxes without width or height", boxes),
        *finding("warning", "areas that are not above 0 (the OKS needs them)", areas),
        *finding("note", "pictures with nobody annotated",
                 [str(i) for i in sizes if i not in with_people]),
    ]  # fmt: skip


def _triples(
    people: list[Mapping[str, Any]], k: int
) -> tuple[np.ndarray, list[Mapping[str, Any]], list[Finding]]:
    """(N, K, 3) of the annotations that can be read, these annotations, and what cannot."""
    rows, kept, lengths, numbers = [], [], [], []
    for a in people:
        flat = a.get("keypoints") or [0] * (3 * k)
        if len(flat) != 3 * k:
            lengths.append(str(a.get("id")))
            continue
        try:
            row = np.array(flat, np.float64).reshape(k, 3)
        except (TypeError, ValueError):
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


def _check_keypoints(
    triples: np.ndarray, people: list[Mapping[str, Any]], sizes: Mapping[Any, tuple[int, int]]
) -> list[Finding]:
    ids = np.array([str(a.get("id")) for a in people], dtype=object)
    wh = np.array([sizes.get(a.get("image_id"), (np.inf, np.inf)) for a in people])
    wh = wh.reshape(-1, 1, 2)
    labelled = triples[..., 2] > 0
    count = labelled.sum(axis=1)
    told = np.array([a.get("num_keypoints", n) for a, n in zip(people, count, strict=True)])
    crowd = np.array([bool(a.get("iscrowd")) for a in people], dtype=bool)
    points = triples[..., :2]
    outside = labelled & ((points < 0) | (points > wh)).any(axis=2)
    corner = labelled & (points == 0).all(axis=2)
    odd = ~np.isin(triples[..., 2], (0, 1, 2))
    same: dict[tuple[Any, bytes], list[str]] = {}
    for i in np.flatnonzero(count):
        place = (people[i].get("image_id"), triples[i].tobytes())
        same.setdefault(place, []).append(ids[i])
    return [
        *finding("error", "people with visibilities other than 0, 1, 2", ids[odd.any(axis=1)]),
        *finding("warning", "people with labelled keypoints outside the picture",
                 ids[outside.any(axis=1)]),
        *finding("warning", "people annotated twice with the same keypoints",
                 [at for places in same.values() for at in places[1:]]),
        *finding("warning", "people with keypoints labelled at (0, 0)", ids[corner.any(axis=1)]),
        *finding("warning", "people whose num_keypoints is not the number of labelled ones",
                 ids[told != count]),
        *finding("note", "people without a labelled keypoint (masked in training)",
                 ids[(count == 0) & ~crowd]),
        *finding("note", "crowd regions (masked in training)", ids[crowd]),
    ]  # fmt: skip


def _check_files(images: Iterable[Mapping[str, Any]], folder: Path) -> list[Finding]:
    missing, unreadable, sizes, outside = [], [], [], []
    for image in images:
        name = str(image.get("file_name", ""))
        path = folder / name
        if not path.is_file():
            missing.append(name)
            continue
        if not path.resolve().is_relative_to(folder.resolve()):
            outside.append(name)
            continue
        try:
            with Image.open(path) as header:
                size = header.size
                turned = header.getexif().get(0x0112, 1) >= 5
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
            unreadable.append(name)
            continue
        if (size[::-1] if turned else size) != (image.get("width"), image.get("height")):
            sizes.append(name)
    return [
        *finding("error", "pictures that are missing", missing),
        *finding("error", "pictures whose link leads out of the folder", outside),
        *finding("error", "pictures that cannot be read", unreadable),
        *finding("error", "pictures of another size than annotated (after EXIF turning)", sizes),
    ]


def _check_masks(
    triples: np.ndarray, people: list[Mapping[str, Any]], sizes: Mapping[Any, tuple[int, int]]
) -> list[Finding]:
    damaged = []
    masked: np.ndarray = np.all(triples[..., 2] <= 0, axis=1)
    for a, unlabelled in zip(people, masked, strict=True):
        size = sizes.get(a.get("image_id"))
        if size is None or not a.get("segmentation") or not (unlabelled or a.get("iscrowd")):
            continue
        try:
            region_mask(a["segmentation"], (0, 0, 0, 0), size)
        except (TypeError, ValueError):  # LitePoseError is a ValueError
            damaged.append(str(a.get("id")))
    return finding("error", "regions whose segmentation cannot be read", damaged)


def _repeated(counts: Counter) -> Iterator[str]:
    return (str(value) for value, count in counts.items() if count > 1)


def _is_positive(value: Any) -> bool:
    return isinstance(value, int | float) and value > 0
