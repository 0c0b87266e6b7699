"""Deadlines: the dearest views that are fast enough, and a sentence where none is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import numpy as np
import pytest

import litepose
from litepose.apps.cli.main import main
from litepose.core.errors import LitePoseError
from litepose.core.geometry import letterbox_crop
from litepose.core.poses import Poses
from litepose.decode.crops import CROP_PX, Crop
from litepose.inference import deadline
from litepose.inference.deadline import candidates
from litepose.inference.predictor import Predictor, options_for

IMAGE = np.full((60, 80, 3), 90, np.uint8)


class Clock:
    """Time that passes only in the network: a millisecond for each 16 x 16 pixels, times `load`."""

    def __init__(self) -> None:
        self.now, self.load = 0.0, 1.0

    def perf_counter(self) -> float:
        return self.now


@pytest.fixture
def model() -> Iterator[Predictor]:
    yield litepose.load(threads=1)


@pytest.fixture
def clock(model: Predictor, monkeypatch) -> Clock:
    clock, run = Clock(), model.backend.run

    def slow(images: np.ndarray):
        clock.now += clock.load * images[:, 0].size / 256e3
        return run(images[:, :, :64, :64])

    def small(*args):  # the maps are of a small input: nothing is decoded from them
        return Poses.empty(model.info.skeleton, (80, 60))

    monkeypatch.setattr(model.backend, "run", slow)
    monkeypatch.setattr("litepose.inference.inspection.decode_field", small)
    monkeypatch.setattr(deadline, "time", clock)
    monkeypatch.setattr("litepose.core.timing.time", clock)
    monkeypatch.setattr(deadline, "RUNS", 2)
    return clock


def test_the_candidates_get_dearer(model: Predictor) -> None:
    found = candidates(model, options_for(model, threshold=0.4))
    sizes = [one.views for one in found]
    assert sizes == [(128,), (192,), (256,), (256, 512), (256, 512)]
    assert [one.flip_test for one in found] == [False] * 4 + [True]
    sizes = [one.views for one in candidates(model, options_for(model, crops=0))]
    assert sizes == [(128,), (192,), (256,), (320,), (384,), (256, 512), (256, 512)]
    assert all(one.threshold == 0.4 and one.deadline_ms is None for one in found)


@pytest.mark.parametrize(
    ("views", "last"), [((512,), [(384,), (512,), (512,)]), ((256,), [(192,), (256,), (256,)])]
)
def test_given_views_are_the_dearest(model: Predictor, views: tuple, last: list) -> None:
    found = candidates(model, options_for(model, views=views))
    assert [one.views for one in found][-3:] == last


def test_more_time_gives_more_views(model: Predictor, clock: Clock) -> None:
    used = [model.predict(IMAGE, deadline_ms=ms).used for ms in (120, 450, 3400, 99999)]
    assert all(one is not None for one in used)
    assert [(one["views"], one["flip_test"]) for one in used if one] == [
        ([128], False), ([256], False), ([256, 512], False), ([256, 512], True),
    ]  # fmt: skip


def test_changing_deadlines_are_not_kept(model: Predictor, clock: Clock) -> None:
    for ms in (120, 121, 122.5):
        model.predict(IMAGE, deadline_ms=ms)
    assert len(deadline._LADDERS[model]._candidates) == 1


def test_what_is_too_dear_is_not_measured(model: Predictor, clock: Clock) -> None:
    model.predict(IMAGE, deadline_ms=120)
    assert clock.now < 2.0  # a single view at 512 takes 1.4 s


@pytest.mark.slow
def test_a_loaded_machine_takes_cheaper_views_and_recovers(model: Predictor, clock: Clock) -> None:
    def views() -> list[int]:
        used = model.predict(IMAGE, deadline_ms=450).used
        assert used is not None
        return used["views"]

    assert views() == [256]
    clock.load = 2.0
    views()
    assert views() < [256]
    clock.load = 50.0
    views()
    assert views() == [128]  # nothing meets it now: the cheapest, and no error
    clock.load = 1.0
    for _ in range(2 * deadline.REMEMBERED):
        last = views()
    assert last == [256]


def test_a_deadline_that_nothing_meets(model: Predictor, clock: Clock) -> None:
    with pytest.raises(LitePoseError, match=r"no view of litepose-pm .* 2 ms .* least .* \d+ ms"):
        model.predict(IMAGE, deadline_ms=2)
    for wrong in (0, -5, float("nan"), float("inf")):
        with pytest.raises(LitePoseError, match=r"above 0|finite number"):
            model.predict(IMAGE, deadline_ms=wrong)


@pytest.mark.slow
def test_people_are_those_of_the_same_views(tmp_path: Path, capsys, monkeypatch) -> None:
    """With the true network; the deadline is so long that the machine cannot matter."""
    monkeypatch.setattr(deadline, "RUNS", 2)
    path = "examples/images/astronaut.jpg"
    how = ["--no-draw", "--model", "p", "--views", "288", "--crops", "8", "--quiet"]
    assert main(["predict", path, "--deadline", "100000", *how]) == 0
    record = json.loads(capsys.readouterr().out)
    schema = json.loads(Path("docs/poses.schema.json").read_text())
    jsonschema.validate(record, schema)
    assert record["used"] == {"deadline_ms": 100000, "views": [288], "flip_test": True, "crops": 1}
    assert Poses.from_dict(record).used == record["used"]
    assert main(["predict", path, "--flip-test", *how]) == 0
    plain = json.loads(capsys.readouterr().out)
    assert record["people"] == plain["people"] and "used" not in plain


def test_crops_fill_the_time_that_is_left(model: Predictor, clock: Clock, monkeypatch) -> None:
    box = letterbox_crop((80, 60), (0, 0, 60, 60), CROP_PX, 60)
    crops = [Crop(box, Poses.empty(model.info.skeleton))] * 8
    monkeypatch.setattr(
        "litepose.inference.inspection.person_crops", lambda poses, most, *_: crops[:most]
    )
    used = [model.predict(IMAGE, deadline_ms=ms).used for ms in (400, 800, 1400, 3400)]
    assert [one["crops"] for one in used if one] == [0, 1, 4, 8]
    assert [one["views"] for one in used if one] == [[256], [256], [256], [256, 512]]
