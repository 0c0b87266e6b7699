"""Probabilities: the maps of each effort, for people of the models in the package."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import litepose
from litepose.apps.cli.main import main
from litepose.core.errors import LitePoseError
from litepose.inference.effort import EFFORTS
from litepose.inference.probabilities import bundled_maps

IMAGE = Path(__file__).parents[2] / "examples" / "images" / "astronaut.jpg"


@pytest.fixture(scope="module")
def models() -> dict[str, litepose.Predictor]:
    return {name: litepose.load(effort=name, threads=1) for name in EFFORTS}


def test_each_effort_has_its_own_maps(models) -> None:
    maps = [bundled_maps(model) for model in models.values()]
    assert len({id(one) for one in maps}) == len(EFFORTS)
    for one in maps:
        assert one.people is not None and one.keypoints is not None


def test_other_views_take_the_usual_maps(models) -> None:
    other = litepose.load("pm", views=(320,), threads=1)
    assert bundled_maps(other) is bundled_maps(models["usual"])


def test_people_keep_places_and_order(models) -> None:
    found = models["fast"].predict(IMAGE)
    mapped = litepose.probabilities(models["fast"], found)
    np.testing.assert_array_equal(mapped.keypoints_xy, found.keypoints_xy)
    assert (mapped.person_scores > found.person_scores).all()  # scores are modest
    assert (mapped.found == found.found).all()


def test_a_model_without_maps_is_a_sentence(models) -> None:
    model = litepose.load("p", threads=1)
    model.info = replace(model.info, name="mine")
    with pytest.raises(LitePoseError, match="mine has no score maps in the package"):
        litepose.probabilities(model, model.predict(IMAGE))


@pytest.mark.slow
def test_the_command_prints_them_and_draws_by_scores(tmp_path: Path, capsys) -> None:
    given = ["predict", str(IMAGE), "--effort", "fast", "--threads", "1", "--output", str(tmp_path)]

    def run(*more: str) -> tuple[dict, bytes]:
        assert main([*given, *more]) == 0
        drawn = (tmp_path / "astronaut.pose.jpg").read_bytes()
        return json.loads(capsys.readouterr().out), drawn

    plain, drawn = run()
    mapped, same = run("--probabilities")
    assert mapped["people"][0]["score"] > plain["people"][0]["score"] and same == drawn
    knots = {"people": {"map": [[0, 0.25], [1, 0.25]]}}
    (tmp_path / "calibration.json").write_text(json.dumps(knots))
    own, _ = run("--probabilities", str(tmp_path / "calibration.json"))
    assert own["people"][0]["score"] == 0.25
    assert own["people"][0]["keypoints"] == plain["people"][0]["keypoints"]
    assert main([*given, "--probabilities", str(tmp_path / "none.json")]) == 2
    assert "none.json" in capsys.readouterr().err
