"""`litepose data check`: check a dataset before it costs a training run.

It reads the annotation file, even if damaged, and reports all problems. annotations.py checks
annotations, left_right.py left and right, images.py files.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from litepose.core.skeleton import Skeleton
from litepose.data.coco import load_json
from litepose.data.datasets import check_inside
from litepose.data.image_files import has_size, with_sizes
from litepose.data.layouts import find_files
from litepose.data.skeleton_toml import in_category, keypoint_category, load_skeleton, skeleton_of
from litepose.data.validate.annotations import (
    check_annotations,
    check_categories,
    check_corner_boxes,
    check_keypoints,
    check_order,
    triples_of,
)
from litepose.data.validate.findings import Finding, finding
from litepose.data.validate.images import check_files, check_images, check_masks
from litepose.data.validate.left_right import sides_findings

DECODE_AT_MOST = 2000  # images; of larger datasets only headers are read, to save minutes


@dataclass(frozen=True)
class DoctorReport:
    """What was checked and what was found. `ok` is False where a finding is an error."""

    annotation_json: str
    skeleton: str
    images: int
    people: int
    keypoints: int
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        return not any(found.level == "error" for found in self.findings)

    def text(self) -> str:
        """Text: a line per finding, worst first, with its examples below."""
        lines = [
            f"{self.annotation_json}: {self.images:,} images, {self.people:,} people,"
            f" {self.keypoints:,} labeled keypoints, skeleton {self.skeleton}"
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
    images: Literal["none", "header", "decode"] | None = None,
) -> DoctorReport:
    """Check a split of a dataset folder (see `find_dataset`).

    images: whether to open them, and to decode them too, which finds damage behind the header;
    None decodes up to DECODE_AT_MOST and reads the headers of more.
    Raises LitePoseError only if there is nothing to check: no files, or not in COCO form.
    """
    files = find_files(root, split)
    data = load_json(files.annotation_json)
    meant = skeleton or files.skeleton_toml
    given = load_skeleton(meant) if isinstance(meant, str | Path) else meant
    category = keypoint_category(data["categories"], str(files.annotation_json), given)
    own = given or skeleton_of(category)
    unsized = [str(image.get("file_name")) for image in data["images"] if not has_size(image)]
    data["images"] = with_sizes(data["images"], files.image_folder, check_inside)
    sizes, found = check_images(data["images"])
    found += finding("note", "images without width and height (they are measured)", unsized)
    people = [a for a in data["annotations"] if in_category(a, category)]
    found += check_categories(data["annotations"], data["categories"], category)
    found += check_order(category, own)
    found += check_annotations(data["annotations"], people, sizes)
    triples, kept, problems = triples_of(people, own.num_keypoints)
    found += problems
    found += check_keypoints(triples, kept, sizes)
    found += check_corner_boxes(triples, kept, sizes)
    found += sides_findings(triples, [str(a.get("id")) for a in kept], own)
    count = len(data["images"])
    if images is None:
        images = "decode" if count <= DECODE_AT_MOST else "header"
    if images != "none":
        found += check_files(data["images"], files.image_folder, images == "decode")
        found += check_masks(triples, kept, sizes)
    if images != "decode":
        opened = "only their headers were read" if images == "header" else "nor opened"
        found.append(Finding("note", f"images that were not decoded, {opened}", count))
    labeled = triples[..., 2] > 0
    if not labeled.any():
        found.append(
            Finding("error", "images, none with labeled people: nothing to train on", count)
        )
    order = {"error": 0, "warning": 1, "note": 2}
    return DoctorReport(
        annotation_json=str(files.annotation_json),
        skeleton=own.name,
        images=count,
        people=int(labeled.any(axis=1).sum()),
        keypoints=int(labeled.sum()),
        findings=tuple(sorted(found, key=lambda f: (order[f.level], -f.count))),
    )
