"""Masks against pycocotools, and against themselves."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pycocotools import mask as official

from litepose.core.errors import LitePoseError
from litepose.data.masks import decode_rle, encode_rle, region_mask

MASKS = arrays(bool, st.tuples(st.integers(1, 20), st.integers(1, 20)))


@given(MASKS)
def test_run_lengths_return_the_mask(mask):
    assert np.array_equal(decode_rle(encode_rle(mask), mask.shape), mask)


@given(MASKS)
def test_compressed_counts_mean_what_pycocotools_means(mask):
    theirs = official.encode(np.asfortranarray(mask.astype(np.uint8)))
    assert np.array_equal(decode_rle(theirs["counts"], mask.shape), mask)
    assert np.array_equal(decode_rle(theirs["counts"].decode(), mask.shape), mask)


def test_long_compressed_runs_are_read():
    mask = np.zeros((300, 400), bool)
    mask[17:290, 5:370] = True
    mask[100:120, 100:300] = False
    theirs = official.encode(np.asfortranarray(mask.astype(np.uint8)))
    assert np.array_equal(decode_rle(theirs["counts"], mask.shape), mask)


@pytest.mark.parametrize("counts", [[3, 2], [-1, 7], "~~~~", "0", [[1, 5]]])
def test_damaged_run_lengths_are_refused(counts):
    with pytest.raises(LitePoseError):
        decode_rle(counts, (2, 3))


@pytest.mark.filterwarnings("ignore:__array__ implementation")  # pycocotools and numpy 2
def test_polygons_equal_the_official_rasteriser_but_for_their_outline():
    polygon = [10.0, 12.0, 60.5, 8.0, 70.0, 50.0, 30.0, 58.2]
    ours = region_mask([polygon], (0, 0, 1, 1), (80, 64))
    theirs = official.decode(official.merge(official.frPyObjects([polygon], 64, 80)))
    three = np.ones((3, 3), np.uint8)
    assert not (ours & (cv2.dilate(theirs, three) == 0)).any()
    assert ours[cv2.erode(theirs, three) > 0].all()


def test_overlapping_outlines_add_up():
    square = [2.0, 2.0, 8.0, 2.0, 8.0, 8.0, 2.0, 8.0]
    once = region_mask([square], (0, 0, 1, 1), (10, 10))
    assert np.array_equal(region_mask([square, square], (0, 0, 1, 1), (10, 10)), once)
    assert once[5, 5] and not once[0, 0]


def test_a_box_stands_in_for_a_missing_segmentation():
    mask = region_mask(None, (2, 3, 4, 5), (20, 20))
    assert mask[3:8, 2:6].all() and mask.sum() == 20
    assert region_mask(None, (-5, 15, 8, 99), (20, 20)).sum() == 3 * 5


def test_a_polygon_of_odd_numbers_is_refused():
    with pytest.raises(LitePoseError, match="flat list"):
        region_mask([[1, 2, 3]], (0, 0, 1, 1), (9, 9))


def test_a_mask_of_another_size_is_refused():
    with pytest.raises(LitePoseError, match="10x8 image"):
        region_mask({"size": [8, 11], "counts": [88]}, (0, 0, 1, 1), (10, 8))


@pytest.mark.parametrize(
    "segmentation",
    [
        {"size": [4, 6], "counts": None},
        {"size": [4, 6], "counts": [None]},
        {"size": [4, 6], "counts": [math.inf]},
        {"size": [4, 6], "counts": [[24]]},
        {"size": [4, 6], "counts": [2**62, 2**62, 2**62, 2**62]},
        {"size": [4, 6], "counts": [10**400]},
        {"size": None, "counts": [24]},
        {"size": 4, "counts": [24]},
        {"counts": [24]},
        [[]],
        [[1, 2, 3]],
        [[[[1, 2]]], 7],
        [{"a": 1}],
        [["a", "b"]],
        [None],
        "polygon",
        3.5,
        True,
    ],
)
def test_odd_segmentations_are_a_sentence(segmentation: object) -> None:
    with pytest.raises(LitePoseError, match=r"mask|polygon|segmentation|run"):
        region_mask(segmentation, (0, 0, 1, 1), (6, 4))


def test_a_size_without_end_takes_no_memory() -> None:
    with pytest.raises(LitePoseError, match="too large"):
        region_mask(None, (0, 0, 1, 1), (10**9, 10**9))
