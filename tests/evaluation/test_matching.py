"""Our matching gives COCO's AP; its bootstrap is fast, repeatable and covers the truth."""

from __future__ import annotations

from dataclasses import replace
from time import perf_counter

import numpy as np
import pytest
from tests.evaluation.evaluation_scene import make_scene

from litepose.core.skeleton import COCO17
from litepose.evaluation.ground_truth import ImageFound, ImageTruth, group_results, read_truth
from litepose.evaluation.matching import (
    ImageMatch,
    ap_intervals,
    average_precision,
    bootstrap_ap,
    match_images,
)
from litepose.evaluation.metrics import coco_ap


def matches_of(images: int, seed: int, area: str = "all") -> list[ImageMatch]:
    truth, results = make_scene(images, seed)
    truths = read_truth(truth, COCO17)
    return match_images(truths, group_results(results, truths, COCO17), COCO17, area)


@pytest.mark.parametrize("seed", range(3))
def test_average_precision_equals_the_evaluator(seed: int) -> None:
    report = coco_ap(*make_scene(40, seed), COCO17)
    everyone = average_precision(matches_of(40, seed))
    assert everyone.mean() == pytest.approx(report.ap, abs=1e-9)
    assert everyone[0] == pytest.approx(report.ap50, abs=1e-9)
    assert everyone[5] == pytest.approx(report.ap75, abs=1e-9)
    for area, value in (("medium", report.ap_medium), ("large", report.ap_large)):
        assert average_precision(matches_of(40, seed, area)).mean() == pytest.approx(
            value, abs=1e-9
        )


def scene_of_one(oks_shift: float, crowd: bool, copies: int) -> ImageMatch:
    """`copies` found people, one labeled person or crowd without keypoints around them."""
    points = np.random.default_rng(0).uniform(0, 100, (1, 17, 2))
    truth = ImageTruth(
        1,
        points,
        np.zeros((1, 17)) if crowd else np.full((1, 17), 2),
        np.array([1e4]),
        np.array([[0.0, 0.0, 100.0, 100.0]]),
        np.array([crowd]),
    )
    found = ImageFound(
        np.repeat(points + oks_shift, copies, axis=0),
        np.ones((copies, 17)),
        np.linspace(0.9, 0.1, copies),
    )
    return match_images([truth], [found], COCO17)[0]


def test_a_person_is_found_once_a_crowd_by_many() -> None:
    person = scene_of_one(0.0, crowd=False, copies=3)
    np.testing.assert_array_equal(person.tp[0], [True, False, False])
    np.testing.assert_array_equal(person.fp[0], [False, True, True])
    crowd = scene_of_one(0.0, crowd=True, copies=3)
    assert not crowd.tp.any() and not crowd.fp.any() and crowd.ignored.all()
    assert average_precision([crowd]) is None


def test_only_the_best_20_people_of_an_image_are_evaluated() -> None:
    assert scene_of_one(0.0, crowd=False, copies=25).tp.shape == (10, 20)


def test_a_resample_is_the_ap_of_the_images_it_drew() -> None:
    matches = [
        replace(m, scores=m.scores - 1e-5 * m.image_id - 1e-7 * np.arange(len(m.scores)))
        for m in matches_of(12, 5)  # without ties, whose order is anybody's
    ]
    samples = bootstrap_ap(matches, resamples=3, seed=8)
    draws = np.random.default_rng(8).multinomial(12, np.full(12, 1 / 12), 3)
    for sample, draw in zip(samples, draws, strict=True):
        drawn = [match for match, count in zip(matches, draw, strict=True) for _ in range(count)]
        np.testing.assert_allclose(sample, average_precision(drawn))


def test_intervals_hold_the_value_and_repeat() -> None:
    matches = matches_of(60, 1)
    intervals = ap_intervals(matches, resamples=200)
    assert set(intervals) == {"ap", "ap50", "ap75"}
    for interval in intervals.values():
        assert 0 <= interval.low < interval.value < interval.high <= 100
    assert ap_intervals(matches, resamples=200) == intervals
    assert ap_intervals(matches, resamples=200, seed=1) != intervals


def test_more_images_give_narrower_intervals() -> None:
    few, many = (ap_intervals(matches_of(n, 1), resamples=200)["ap"] for n in (20, 180))
    ratio = (few.high - few.low) / (many.high - many.low)
    assert 1.8 < ratio < 5  # 3 where widths fall with the root of the count


@pytest.mark.slow
def test_a_thousand_resamples_of_140_images_take_under_3_seconds() -> None:
    matches = matches_of(140, 2)
    start = perf_counter()
    assert bootstrap_ap(matches).shape == (1000, 10)
    assert perf_counter() - start < 3


@pytest.mark.slow
def test_intervals_cover_the_truth_19_times_of_20() -> None:
    population = matches_of(1500, 3)
    truth = average_precision(population).mean()
    rng = np.random.default_rng(0)
    trials, covered = 200, 0
    for trial in range(trials):
        sample = [population[i] for i in rng.choice(len(population), 100, replace=False)]
        low, high = np.percentile(bootstrap_ap(sample, 200, trial).mean(axis=1), [2.5, 97.5])
        covered += low <= truth <= high
    assert 0.88 <= covered / trials <= 0.99


def test_no_images_and_no_people_found() -> None:
    assert average_precision([]) is None
    assert ap_intervals([]) == {}
    truth, _ = make_scene(5, 0)
    truths = read_truth(truth, COCO17)
    no_people = match_images(truths, group_results([], truths, COCO17), COCO17)
    assert average_precision(no_people).mean() == 0
    assert ap_intervals(no_people, resamples=10)["ap"].high == 0
