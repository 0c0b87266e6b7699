"""Find the files of a dataset in the folder layouts of COCO, CrowdPose and LSP."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from litepose.core.errors import LitePoseError
from litepose.core.names import local_path
from litepose.core.skeleton import Skeleton
from litepose.data.datasets import CocoDataset

# Annotation file and image folders of a split; the first that exist are used.
LAYOUTS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("annotations/person_keypoints_{split}.json", ("images/{split}", "{split}", "images")),
    ("annotations/crowdpose_{split}.json", ("images",)),
    ("json/crowdpose_{split}.json", ("images",)),
    ("crowdpose_{split}.json", ("images",)),
    ("annotations/{split}.json", ("images/{split}", "{split}", "images")),
    ("{split}/_annotations.coco.json", ("{split}",)),
    ("{split}.json", ("images/{split}", "{split}", "images")),
)
# Each image has one annotated person; other people in it are unlabeled.
SINGLE_PERSON_SETS = ("lsp", "lspet")


@dataclass(frozen=True)
class DatasetFiles:
    """Paths of one split; `skeleton_toml` is None if there is none."""

    annotation_json: Path
    image_folder: Path
    skeleton_toml: Path | None


def find_dataset(
    root: str | Path,
    split: str,
    target: Skeleton | None = None,
    skeleton: Skeleton | str | Path | None = None,
    people_only: bool = False,
) -> CocoDataset:
    """The dataset of a folder in COCO's, CrowdPose's, LSP's or a plain layout.

    `split` is e.g. `train2017`, `val2017` (COCO), `trainval`, `test` (CrowdPose), `lsp`, `train`.
    A `skeleton.toml` in the folder says what the keypoints mean, unless `skeleton` is given.
    Raises LitePoseError that lists the files searched for.
    """
    files = find_files(root, split)
    dataset = CocoDataset(
        files.annotation_json,
        files.image_folder,
        skeleton or files.skeleton_toml,
        target,
        people_only,
    )
    return dataset.incomplete() if split in SINGLE_PERSON_SETS else dataset


def check_unused(root: Path, split: str) -> None:
    """Raise LitePoseError if a folder already has files of this split.

    Annotations of another layout count too: `find_files` would find one and hide the other.
    """
    unused = [root / form.format(split=split) for form, _ in LAYOUTS]
    unused = [path for path in unused if path.exists()]
    images = root / "images" / split
    if images.is_dir() and any(images.iterdir()):
        unused.append(images)
    if unused:
        names = ", ".join(str(path.relative_to(root)) for path in unused)
        raise LitePoseError(
            f"{root} has files of the split {split!r} already: {names}; nothing was written."
            " Choose another folder or split"
        )


def find_files(root: str | Path, split: str) -> DatasetFiles:
    """The files of a split. Raises LitePoseError that lists the expected files."""
    root = local_path(root)
    if not root.is_dir():
        raise LitePoseError(f"there is no dataset folder {root}")
    toml = root / "skeleton.toml"
    candidates = []
    for annotation_form, folder_forms in LAYOUTS:
        annotation = root / annotation_form.format(split=split)
        candidates.append(annotation_form.format(split=split))
        if not local_path(annotation).is_file():
            continue
        folders = [root / form.format(split=split) for form in folder_forms]
        existing = [folder for folder in folders if folder.is_dir()]
        if not existing:
            wanted = ", ".join(str(folder.relative_to(root)) for folder in folders)
            raise LitePoseError(f"{root} has {annotation.name} but no image folder: {wanted}")
        return DatasetFiles(annotation, existing[0], toml if toml.is_file() else None)
    splits = _splits_there(root)
    raise LitePoseError(
        f"{root} has no split {split!r}; searched for {', '.join(candidates)}."
        + (f" Splits there: {', '.join(splits)}" if splits else "")
    )


def _splits_there(root: Path) -> list[str]:
    found: set[str] = set()
    for form, _ in LAYOUTS:
        folder, _, name = form.rpartition("/")
        before, _, after = name.partition("{split}")
        if "{split}" in folder or not after:
            continue
        for path in (root / folder).glob(f"{before}*{after}"):
            found.add(path.name.removeprefix(before).removesuffix(after))
    return sorted(s for s in found if not s.startswith(("person_keypoints_", "crowdpose_")))
