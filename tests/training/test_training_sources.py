"""Where training pictures come from, and which keypoints are trained."""

from __future__ import annotations

from pathlib import Path

import pytest

from litepose.core.errors import LitePoseError
from litepose.core.skeleton import COCO17, LSP14, Skeleton
from litepose.training.config import Source
from litepose.training.sources import check_known, named_skeleton, open_source


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
    left.write_bytes(b"half a picture")
    (tmp_path / "2-0" / "annotations").mkdir()
    assert len(open_source(Source(synthetic=2), "", None, tmp_path)) == 2
    drawn = left.read_bytes()
    open_source(Source(synthetic=2), "", None, tmp_path)
    assert drawn != b"half a picture" and left.read_bytes() == drawn
