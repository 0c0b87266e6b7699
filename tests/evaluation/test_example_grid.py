"""The sheet of examples: rows without any take no room, and their words are whole."""

from __future__ import annotations

import numpy as np
import pytest

from litepose.core.skeleton import COCO17
from litepose.evaluation.example_grid import Example, draw_sheet
from litepose.evaluation.ground_truth import ImageFound, ImageTruth

TITLES = ("Best: found most exactly", "Worst: a long title " * 5, "Missed: none is long")


def sheet(filled: int) -> np.ndarray:
    """Of three rows, the first so many with an example each."""
    points = np.random.default_rng(0).uniform(10, 90, (1, 17, 2))
    box = np.array([[10.0, 10, 80, 80]])
    truth = ImageTruth(1, points, np.full((1, 17), 2), np.array([6400.0]), box, np.zeros(1, bool))
    found = ImageFound(points, np.ones((1, 17)), np.ones(1))
    example = Example(0, 0, 0, "OKS 1.00")
    rows = {title: [example] if i < filled else [] for i, title in enumerate(TITLES)}
    return draw_sheet(rows, [truth], [found], COCO17, lambda i: np.zeros((100, 100, 3), np.uint8))


@pytest.mark.parametrize("filled", range(4))
def test_a_row_without_examples_is_a_line_of_text(filled: int) -> None:
    assert sheet(filled).shape[0] == filled * 256 + (3 - filled) * 34 + 6
    dark = (sheet(filled)[-34:] < 200).all(axis=2)
    assert dark.any(), "the last row has something to say"


def test_no_title_is_cut_off() -> None:
    for filled in range(4):
        ink = (sheet(filled) < 200).all(axis=2).any(axis=0)
        assert not ink[-6:].any()
