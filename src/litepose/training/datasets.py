"""Open the datasets of a run: folders, chosen images, synthetic people, mixtures."""

from __future__ import annotations

import shutil
from pathlib import Path
from zlib import crc32

from litepose.core.errors import LitePoseError, did_you_mean
from litepose.core.names import local_path
from litepose.core.skeleton import SKELETONS, Skeleton
from litepose.data.datasets import Mixture, PoseDataset
from litepose.data.layouts import find_dataset
from litepose.data.packed import PackedDataset
from litepose.data.pseudo_people import WithPseudoPeople, read_people
from litepose.data.skeleton_toml import load_skeleton
from litepose.data.synthetic import synthesize
from litepose.data.teacher_maps import TeacherMaps, WithTeacherMaps
from litepose.training.config import DataConfig, Phase, Source

DRAWN_SPLIT = "drawn"
OF_DATA = "data"  # model.skeleton: the keypoints of the annotations


def _place(image_id: int) -> float:
    """In 0..1, by chance, the same for an image each time and in every version of its dataset."""
    return crc32(str(image_id).encode()) / 2**32


def named_skeleton(name: str) -> Skeleton | None:
    """A known skeleton, one from a TOML file, or None without a name."""
    if name in ("", OF_DATA):
        return None
    if name in SKELETONS:
        return SKELETONS[name]
    if name.endswith(".toml"):
        return load_skeleton(name)
    raise LitePoseError(
        f"no skeleton {name!r}{did_you_mean(name, SKELETONS)}; or data (the annotations' own), or"
        " name a .toml file"
    )


def check_known(own: Skeleton, start: Skeleton) -> None:
    """Raise LitePoseError if the data labels keypoints that the initial weights lack."""
    unknown = [k for k, at in zip(own.keypoints, own.mapping_from(start), strict=True) if at < 0]
    if unknown:
        raise LitePoseError(
            f"the validation data has keypoints that the weights to start from do not know"
            f" ({', '.join(unknown)}): say which are trained, with model.skeleton="
            f"{start.name} (theirs), data (the data's; new heads) or a .toml file of your own (new"
            " heads)"
        )


def training_data(config: DataConfig, target: Skeleton, drawn: Path) -> list[PoseDataset]:
    """The training sources, in the keypoints of `target`."""
    return [
        open_source(source, config.root, target, drawn, people_only=True) for source in config.train
    ]


def mixture(datasets: list[PoseDataset], config: DataConfig, phase: Phase) -> Mixture:
    """The sources of a phase as one dataset, each with its share."""
    chosen = phase.sources or range(len(datasets))
    return Mixture([(datasets[i], config.train[i].weight) for i in chosen], config.length)


def open_source(
    source: Source, root: str, target: Skeleton | None, drawn: Path, people_only: bool = False
) -> PoseDataset:
    """One source. Drawn people are kept in the folder `drawn` and drawn only once.

    target: None keeps the annotations' own skeleton. Raises LitePoseError without a usable image.
    """
    if source.synthetic:
        folder = drawn / f"{source.synthetic}-{source.seed}"
        if not (folder / "annotations" / f"person_keypoints_{DRAWN_SPLIT}.json").is_file():
            # Images without annotations come from an interrupted run: draw them again.
            shutil.rmtree(folder, ignore_errors=True)
            synthesize(folder, source.synthetic, source.seed, DRAWN_SPLIT)
        return find_dataset(folder, DRAWN_SPLIT, target, people_only=people_only)
    if not (source.root or root):
        raise LitePoseError(f"{source.split or source.packed!r} needs a folder: data.root=FOLDER")
    folder = local_path(Path(root) / source.root)
    if source.packed:
        packed = PackedDataset(folder / source.packed, target, people_only, source.labels_only)
        if not len(packed):
            raise LitePoseError(f"{folder / source.packed} has no image with labeled people")
        return packed
    dataset = find_dataset(folder, source.split, target, people_only=people_only)
    if source.image_ids:
        place = {record.image_id: i for i, record in enumerate(dataset.records)}
        missing = [i for i in source.image_ids if i not in place]
        if missing:
            raise LitePoseError(f"{folder} split {source.split} has no usable image {missing[0]}")
        dataset = dataset.select([place[i] for i in source.image_ids])
    if source.held_out:
        inside = [_place(record.image_id) < source.held_out for record in dataset.records]
        dataset = dataset.select(
            [i for i, held_out in enumerate(inside) if held_out == source.only_held_out]
        )
    if not len(dataset):
        raise LitePoseError(f"{folder} split {source.split} has no image with labeled people")
    teacher_heatmaps: PoseDataset = dataset
    if source.people:
        k = dataset.skeleton.num_keypoints
        teacher_heatmaps = WithPseudoPeople(
            teacher_heatmaps, read_people(folder / source.people, k, source.people_above)
        )
    if source.teacher_maps:
        views = [TeacherMaps(folder / name, dataset.skeleton) for name in source.teacher_maps]
        teacher_heatmaps = WithTeacherMaps(teacher_heatmaps, views)
    return teacher_heatmaps
