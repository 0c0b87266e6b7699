"""The corrector learns an error that repeats itself, and which people are not real."""

from __future__ import annotations

import numpy as np
import pytest

from litepose.core.skeleton import COCO17
from litepose.decode.corrector import correct
from litepose.evaluation.ground_truth import ImageFound, ImageTruth

torch = pytest.importorskip("torch")
from benchmarks.fit_corrector import as_poses, fit, pair  # noqa: E402

from benchmarks import fit_corrector  # noqa: E402

K, SIDE = COCO17.num_keypoints, 100.0
LOW = 4.0  # pixels by which everybody's keypoints are found too high


def images(count: int) -> tuple[list[ImageTruth], list[ImageFound]]:
    """Each has one person, found too high, and one that is not there: all keypoints at a line."""
    rng = np.random.default_rng(7)
    shape = np.stack([np.cos(np.arange(K)), np.sin(2.0 * np.arange(K))], axis=1)
    truths, found = [], []
    for i in range(count):
        place = 200 + SIDE / 2 * shape + rng.normal(0, 3, (K, 2))
        line = np.stack([np.linspace(500, 600, K), np.linspace(100, 130, K)], axis=1)
        box = np.array([[150.0, 150.0, SIDE, SIDE]])
        truths.append(
            ImageTruth(
                i, place[None], np.full((1, K), 2), np.array([SIDE**2]), box, np.array([False])
            )
        )
        points = np.stack([line + rng.normal(0, 3, (K, 2)), place - [0, LOW]])
        found.append(ImageFound(points, np.full((2, K), 0.6), np.array([0.6, 0.5])))
    return truths, found


@pytest.mark.slow
def test_what_is_always_off_is_moved_back_and_nobody_scores_low(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fit_corrector, "BATCH", 64)
    monkeypatch.setattr(fit_corrector, "EPOCHS", 30)
    truths, found = images(80)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as the program does; more wait for each other on a busy machine
    trained = fit(truths, found, COCO17)
    torch.set_num_threads(threads)
    others, seen = images(90)
    for truth, people in zip(others[80:], seen[80:], strict=True):
        got = correct(as_poses(people, COCO17), trained)
        apart = got.keypoints_xy[0] - truth.keypoints_xy[0]
        assert np.abs(apart[:, 1]).mean() < LOW / 2, "the real person comes first now"
        assert got.person_scores[1] < 0.3 * got.person_scores[0]


def test_each_labeled_person_is_found_once_best_first() -> None:
    (truth,), _ = images(1)
    oks = np.array([[0.4], [0.9], [0.2]])
    assert pair(oks, truth).tolist() == [0, -1, -1]
    assert pair(oks[2:], truth).tolist() == [-1]
