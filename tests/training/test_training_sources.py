"""Where training pictures come from, and which keypoints are trained."""

from __future__ import annotations

import pytest

from litepose.core.errors import LitePoseError
from litepose.core.skeleton import COCO17, LSP14, Skeleton
from litepose.training.sources import check_known, named_skeleton


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
