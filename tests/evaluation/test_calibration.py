"""Calibration: maps rise, probabilities are right, and what is right already stays so."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tests.evaluation.evaluation_scene import make_scene

from litepose.apps.cli.main import main
from litepose.core.errors import LitePoseError
from litepose.core.skeleton import COCO17
from litepose.data.synthetic import synthesize
from litepose.evaluation.calibration import (
    Scored,
    calibrate,
    calibration_error,
    fit_isotonic,
    score_predictions,
)
from litepose.evaluation.ground_truth import group_results, read_truth


def drawn(truth_of_score, n: int = 20000, seed: int = 0) -> Scored:
    """Scores with that true probability."""
    rng = np.random.default_rng(seed)
    scores = rng.random(n)
    return Scored(scores, rng.random(n) < truth_of_score(scores), rng.integers(0, 1000, n))


def test_isotonic_equals_the_definition() -> None:
    """By the min-max formula: max over starts, min over ends, of means."""
    rng = np.random.default_rng(3)
    scores = np.arange(12.0)
    right = rng.random(12) < scores / 12
    exact = [
        max(min(right[a : b + 1].mean() for b in range(i, 12)) for a in range(i + 1))
        for i in range(12)
    ]
    curve = fit_isotonic(scores, right)
    pooled = [curve.probabilities[np.abs(curve.scores - s).argmin()] for s in scores]
    ends = np.unique(np.round(exact, 9))
    np.testing.assert_allclose(curve.probabilities, ends)
    assert (np.diff(curve.scores) > 0).all() and (np.diff(pooled) >= 0).all()


def test_scores_that_are_too_low_become_probabilities() -> None:
    found = calibrate(drawn(np.sqrt), "tests")
    assert found.before == pytest.approx(1 / 6, abs=0.02)  # the mean of sqrt(x) - x
    assert found.after < 0.02
    np.testing.assert_allclose(found.map(np.array([0.25, 0.64])), [0.5, 0.8], atol=0.06)


def test_what_is_calibrated_stays_so() -> None:
    scored = drawn(lambda scores: scores)
    assert calibration_error(scored.scores, scored.right) < 0.02
    assert calibrate(scored, "tests").after < 0.03


def test_people_and_keypoints_of_a_scene_are_scored() -> None:
    truth, results = make_scene(40, 1)
    truths = read_truth(truth, COCO17)
    scored = score_predictions(truths, group_results(results, truths, COCO17), COCO17)
    for kind in scored.values():
        assert 0 < kind.right.mean() < 1 and ((kind.scores >= 0) & (kind.scores <= 1)).all()
    complete = {i for i, one in enumerate(truths) if one.people_complete}
    assert set(scored["people"].image.tolist()) <= complete


def test_too_few_scores_are_a_sentence() -> None:
    with pytest.raises(LitePoseError, match="scores of people needs 100 in each half"):
        calibrate(drawn(np.sqrt, 100), "people")


@pytest.mark.slow
def test_the_command_writes_the_diagram(tmp_path, capsys) -> None:
    pytest.importorskip("faster_coco_eval")
    synthesize(tmp_path / "data", 120, split="val2017")
    where = ["--data", str(tmp_path / "data"), "--split", "val2017", "--quiet"]
    how = ["--effort", "fast", "--size", "192", "--calibration"]
    assert main(["evaluate", *where, *how]) == 2
    assert "--calibration writes into the folder of the report" in capsys.readouterr().err
    assert main(["evaluate", *where, *how, "--output", str(tmp_path / "out")]) == 0
    assert "scores of keypoints: calibration error" in capsys.readouterr().out
    table = json.loads((tmp_path / "out/calibration.json").read_text())
    assert table["people"]["ece_after"] < table["people"]["ece_before"]
    assert (tmp_path / "out/calibration.png").stat().st_size > 2000
