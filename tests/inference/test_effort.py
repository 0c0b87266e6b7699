"""Views and efforts through the predictor: what is looked at, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import litepose
from litepose.core.errors import LitePoseError
from litepose.inference.effort import EFFORTS
from litepose.inference.predictor import options_for

EXAMPLES = Path(__file__).parents[2] / "examples" / "images"
SCENE = EXAMPLES / "scene.jpg"


@pytest.fixture(scope="module")
def usual() -> litepose.Predictor:
    return litepose.load(threads=1)


@pytest.mark.slow
def test_the_usual_effort_merges_two_views_and_crops(usual) -> None:
    poses, views, timings, crops = usual.inspect(SCENE)
    assert [round(v.box.zoom * 560) for v in views] == [256, 512]
    assert len(crops) == 8
    assert len(poses) >= max(len(v.poses) for v in views)
    assert timings.net > 0
    assert usual.predict(SCENE).to_json() == poses.to_json()


@pytest.mark.slow
def test_an_empty_image_gets_one_view(usual) -> None:
    gray = np.full((300, 400, 3), 127, np.uint8)
    assert len(usual.inspect(gray).views) == 1
    assert len(usual.inspect(gray, options_for(usual, focus=False)).views) == 2


@pytest.mark.slow
def test_a_part_gives_about_what_the_whole_gives(usual) -> None:
    focused = usual.predict(SCENE, crops=0)
    whole = usual.predict(SCENE, crops=0, focus=False)
    assert len(focused) == len(whole)
    assert np.abs(focused.person_scores - whole.person_scores).max() < 0.05


@pytest.mark.slow
def test_flip_test_works_in_each_view(usual) -> None:
    assert len(usual.inspect(SCENE, options_for(usual, flip_test=True)).views) == 2


@pytest.mark.parametrize("effort", EFFORTS)
def test_every_effort_opens(effort) -> None:
    model = litepose.load(effort=effort, threads=1)
    assert model.info.name == EFFORTS[effort].model
    assert model.defaults.view_sizes(model.info.input) == EFFORTS[effort].views
    assert model.defaults.crops == EFFORTS[effort].crops > 0


def test_what_is_given_wins_over_the_effort() -> None:
    assert litepose.load("p", effort="best", threads=1).info.name == "litepose-p"
    model = litepose.load(effort="fast", input_size=320, threads=1)
    assert model.defaults.view_sizes(model.info.input) == (320,) and not model.defaults.crops
    model = litepose.load("p", threads=1)
    assert model.defaults.view_sizes(model.info.input) == (384,) and not model.defaults.crops
    model = litepose.load(effort="fast", views=(320,), crops=3, threads=1)
    assert model.defaults.views == (320,) and model.defaults.crops == 3
    model = litepose.load(effort="best", input_size=256, threads=1)
    assert model.defaults.view_sizes(model.info.input) == (256,) and model.defaults.flip_test
    model = litepose.load("p", views=(256, 320), threads=1)
    assert model.defaults.view_sizes(model.info.input) == (256, 320)
    assert len(model.inspect(SCENE, options_for(model, views=[192])).views) == 1


@pytest.mark.slow
def test_scales_average_maps_of_one_view(usual) -> None:
    assert len(usual.inspect(SCENE, options_for(usual, scales=(1.0, 0.5))).views) == 1
    assert len(usual.inspect(SCENE, options_for(usual, scales=1.0, views=None)).views) == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"effort": "bset"}, "no effort 'bset'; did you mean 'best'"),
        ({"views": ()}, "one input size at least"),
        ({"views": (256, 256)}, "different short sides"),
        ({"views": (8,)}, "32 or more"),
        ({"views": range(256, 800, 32)}, "at most 8"),
        ({"views": (256,), "input_size": 256}, "not both"),
    ],
)
def test_refusals(arguments, said) -> None:
    with pytest.raises(LitePoseError, match=said):
        litepose.load("p", threads=1, **arguments)


def test_a_view_beyond_the_limit_is_a_sentence(usual) -> None:
    with pytest.raises(LitePoseError, match="more than 33,554,432"):
        usual.predict(SCENE, views=(90000,))
