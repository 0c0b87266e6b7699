"""Rows of images with titles, and prediction beside truth."""

from __future__ import annotations

import numpy as np
import pytest

from litepose.core.errors import LitePoseError
from litepose.imaging.grid import side_by_side
from litepose.imaging.text import draw_label, text_mask


def plain(w: int, h: int, level: int) -> np.ndarray:
    return np.full((h, w, 3), level, np.uint8)


def test_images_share_one_height_and_keep_their_shape() -> None:
    sheet = side_by_side([plain(100, 200, 10), plain(50, 50, 20)], ["one", "two"])
    assert (sheet == 10).all(axis=2).sum() == 200 * 100
    assert (sheet == 20).all(axis=2).sum() == 200 * 200
    low = side_by_side([plain(100, 200, 10)], height=100)
    assert (low == 10).all(axis=2).sum() == 100 * 50


def test_titles_are_written_above() -> None:
    bare = side_by_side([plain(100, 100, 252)], [""])
    titled = side_by_side([plain(100, 100, 252)], ["A title that is much too long for it"])
    assert (bare == 252).all() and (titled[:20] < 100).any() and (titled[25:] == 252).all()


@pytest.mark.parametrize(("images", "titles"), [(0, 0), (2, 1)])
def test_wrong_counts(images: int, titles: int) -> None:
    with pytest.raises(LitePoseError, match=f"got {images} images and {titles} titles"):
        side_by_side([plain(4, 4, 0)] * images, ["t"] * titles)


def test_words() -> None:
    short, long = text_mask("i", 20), text_mask("wwwwww", 20)
    assert short.shape[0] == long.shape[0] and long.shape[1] > 5 * short.shape[1]
    assert long.max() > 200 and text_mask("", 20).max() == 0


def test_a_label_stays_inside_or_is_left_out() -> None:
    for tip in ((0.0, 0.0), (200.0, 100.0), (100.0, 1e6)):
        image = plain(200, 100, 128)
        draw_label(image, "#12", tip)
        assert (image != 128).any()
    tiny = plain(10, 5, 128)
    draw_label(tiny, "#12", (5, 5))
    assert (tiny == 128).all()
