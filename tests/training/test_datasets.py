"""Where training images come from, and which keypoints are trained."""

from __future__ import annotations

from pathlib import Path

import pytest

from litepose.core.errors import LitePoseError
from litepose.core.skeleton import COCO17, LSP14, Skeleton
from litepose.data.layouts import find_dataset
from litepose.data.pack import pack
from litepose.data.synthetic import SceneSettings, synthesize
from litepose.training.config import Source
from litepose.training.datasets import check_known, named_skeleton, open_source


def test_keypoints_that_the_start_lacks_are_named_and_a_subset_is_fine() -> None:
    hands = Skeleton("hands", ("nose", "left_hand", "right_hand"), (), (0.1,) * 3)
    with pytest.raises(LitePoseError, match=r"left_hand, right_hand.*model\.skeleton"):
        check_known(hands, COCO17)
    with pytest.raises(LitePoseError, match="neck"):
        check_known(LSP14, COCO17)
    check_known(Skeleton("noses", ("nose",), (), (0.1,)), COCO17)


def test_a_skeleton_is_named_or_a_file() -> None:
    assert named_skeleton("") is None and named_skeleton("coco17") is COCO17
    with pytest.raises(LitePoseError, match="coco17"):
        named_skeleton("coco71")


def test_people_whose_drawing_was_interrupted_are_drawn_again(tmp_path: Path) -> None:
    left = tmp_path / "2-0" / "images" / "drawn" / "000000000001.jpg"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half an image")
    (tmp_path / "2-0" / "annotations").mkdir()
    assert len(open_source(Source(synthetic=2), "", None, tmp_path)) == 2
    drawn = left.read_bytes()
    open_source(Source(synthetic=2), "", None, tmp_path)
    assert drawn != b"half an image" and left.read_bytes() == drawn


def test_a_pack_trains_on_what_its_split_trains_on(tmp_path: Path) -> None:
    with_people = SceneSettings(size_wh=(64, 64), people=(0, 1), crowd=0)
    without_people = SceneSettings(size_wh=(64, 64), people=(0, 0), crowd=0)
    for split, settings in (("some", with_people), ("none", without_people)):
        synthesize(tmp_path, 8, split=split, settings=settings)
        pack(find_dataset(tmp_path, split), tmp_path / f"{split}.lpc")

    def opened(**source: str) -> list[int]:
        dataset = open_source(Source(**source), str(tmp_path), None, tmp_path, people_only=True)
        return [record.image_id for record in dataset.records]

    assert 0 < len(opened(split="some")) < 8
    assert opened(packed="some.lpc") == opened(split="some")
    for source in ({"split": "none"}, {"packed": "none.lpc"}):
        with pytest.raises(LitePoseError, match="no image with labeled people"):
            opened(**source)


def test_the_datas_own_keypoints_are_trained_in_one_word(people, tmp_path: Path) -> None:
    """A start with other keypoints gives its trunk; the heads are new."""
    import json

    from tests.training.runs import config

    from litepose.training.trainer import train

    source = find_dataset(people, "train").annotation_json
    for path in source.parent.glob("*.json"):
        data = json.loads(path.read_text())
        data["categories"][0]["keypoints"] = [f"{i}_mark" for i in range(17)]
        (tmp_path / "marked" / "annotations").mkdir(parents=True, exist_ok=True)
        (tmp_path / "marked" / "annotations" / path.name).write_text(json.dumps(data))
    (tmp_path / "marked" / "images").symlink_to(people / "images")
    settings = config(tmp_path / "marked", tmp_path / "run", model={"skeleton": "data"})
    assert not train(settings, stop_after=0).finished


def test_held_out_images_are_the_rest_of_the_others(people, tmp_path: Path) -> None:
    def ids(**source) -> set[int]:
        found = open_source(Source(split="train", **source), str(people), None, tmp_path)
        return {record.image_id for record in found.records}

    rest, held = ids(held_out=0.5), ids(held_out=0.5, only_held_out=True)
    assert rest and held and not rest & held
    assert rest | held == ids()
    assert ids(held_out=0.3, only_held_out=True) <= held  # a larger share keeps the smaller


def test_only_held_out_needs_a_share() -> None:
    with pytest.raises(ValueError, match="needs a share"):
        Source(split="train", only_held_out=True)
