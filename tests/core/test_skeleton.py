"""Skeletons: derived facts, checks when built, mapping by name."""

from __future__ import annotations

import numpy as np
import pytest

from litepose.core.errors import LitePoseError
from litepose.core.skeleton import COCO17, CROWDPOSE14, LSP14, SKELETONS, Skeleton


@pytest.mark.parametrize("skeleton", SKELETONS.values(), ids=lambda s: s.name)
def test_derived_facts(skeleton: Skeleton) -> None:
    k = skeleton.num_keypoints
    flip = skeleton.flip_index
    assert np.array_equal(flip[flip], np.arange(k))
    for here, there in enumerate(flip):
        a, b = skeleton.keypoints[here], skeleton.keypoints[there]
        assert a == b.replace("left", "#").replace("right", "left").replace("#", "right")
    assert sorted(skeleton.grouping_index) == list(range(k))
    assert skeleton.edge_index.max() < k and skeleton.sigmas.shape == (k,)
    mirrored = {tuple(sorted(flip[list(edge)])) for edge in skeleton.edge_index}
    assert mirrored == {tuple(sorted(edge)) for edge in skeleton.edge_index}, "edges are symmetric"
    assert Skeleton.from_dict(skeleton.to_dict()) == skeleton


def test_coco_flip_index_is_the_known_one() -> None:
    known = [0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15]
    assert COCO17.flip_index.tolist() == known


def test_lsp_maps_onto_crowdpose_one_to_one_and_coco_lacks_head_and_neck() -> None:
    index = CROWDPOSE14.mapping_from(LSP14)
    assert sorted(index) == list(range(14))
    assert LSP14.keypoints[index[CROWDPOSE14.index("head")]] == "head_top"
    missing = [
        CROWDPOSE14.keypoints[i] for i in np.flatnonzero(CROWDPOSE14.mapping_from(COCO17) < 0)
    ]
    assert missing == ["head", "neck"]


def test_names_are_found_by_alias_and_unknown_ones_get_the_nearest() -> None:
    assert LSP14.index("head") == LSP14.keypoints.index("head_top")
    assert COCO17.index("Left Knee") == 13
    with pytest.raises(LitePoseError, match="did you mean 'left_knee'"):
        COCO17.index("left_kne")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"keypoints": ("a", "a"), "edges": ()}, "twice"),
        ({"oks_sigmas": (0.1,)}, "2 OKS sigmas"),
        ({"oks_sigmas": (0.1, 0.0)}, "above 0"),
        ({"edges": (("left_eye", "right_ey"),)}, "did you mean 'right_eye'"),
        ({"grouping_order": ("left_eye", "left_eye")}, "each name once"),
        ({"flip_pairs": (("left_eye", "left_eye"),)}, "mirror back"),
        ({"keypoints": (), "oks_sigmas": (), "edges": ()}, "no keypoints"),
    ],
)
def test_wrong_skeletons_say_what_is_wrong(change: dict, said: str) -> None:
    fields = {
        "name": "eyes",
        "keypoints": ("left_eye", "right_eye"),
        "edges": (("left_eye", "right_eye"),),
        "oks_sigmas": (0.1, 0.1),
    }
    with pytest.raises(LitePoseError, match=said):
        Skeleton(**(fields | change))


def test_flip_pairs_serve_names_without_sides() -> None:
    fins = Skeleton("fish", ("nose", "fin_a", "fin_b"), (), (0.1,) * 3, (), (("fin_a", "fin_b"),))
    assert fins.flip_index.tolist() == [0, 2, 1]
    assert Skeleton.from_dict(fins.to_dict()) == fins


def test_from_dict_names_the_missing_field() -> None:
    with pytest.raises(LitePoseError, match="'keypoints'"):
        Skeleton.from_dict({"name": "x"})
