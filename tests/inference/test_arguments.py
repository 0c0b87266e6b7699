"""Arguments of a wrong Python type are a TypeError, and a LitePoseError, that names them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import litepose
from litepose.core.errors import LitePoseError
from litepose.data.pack import PackSettings
from litepose.evaluation.evaluator import EvaluateOptions
from litepose.imaging.read import ReadLimits
from litepose.inference.backend import RuntimeOptions
from litepose.inference.results import PredictOptions

WRONG: list[tuple[str, Callable[[], Any]]] = [
    ("model", lambda: litepose.load(3)),
    ("effort", lambda: litepose.load("p", effort=["fast"])),
    ("backend", lambda: litepose.load("p", backend=1)),
    ("input_size", lambda: litepose.load("p", input_size=float("inf"))),
    ("input_size", lambda: litepose.load("p", input_size="384")),
    ("input_size", lambda: litepose.load("p", input_size=True)),
    ("views", lambda: litepose.load("p", views=256)),
    ("views", lambda: litepose.load("p", views=("256",))),
    ("threads", lambda: litepose.load("p", threads=1.5)),
    ("threads", lambda: litepose.load("p", threads=None)),
    ("providers", lambda: litepose.load("p", providers=[1])),
    ("device", lambda: litepose.load("p", device=0)),
    ("precision", lambda: litepose.load("p", precision=32)),
    ("limits", lambda: litepose.load("p", limits=5)),
    ("flip_test", lambda: PredictOptions(flip_test="yes")),
    ("threshold", lambda: PredictOptions(threshold="0.5")),
    ("max_people", lambda: PredictOptions(max_people=2.5)),
    ("scales", lambda: PredictOptions(scales=("1",))),
    ("max_pixels", lambda: ReadLimits(max_pixels="many")),
    ("seconds", lambda: ReadLimits(seconds=float("nan"))),
    ("piece_bytes", lambda: PackSettings(piece_bytes=1.5)),
    ("encoding", lambda: PackSettings(encoding="gif")),
    ("limit", lambda: EvaluateOptions(limit="3")),
    ("threads", lambda: RuntimeOptions(threads="4")),
]


@pytest.mark.parametrize(("name", "call"), WRONG)
def test_wrong_types(name: str, call: Callable[[], Any]) -> None:
    with pytest.raises(TypeError, match=rf"^{name} must be .*; got ") as caught:
        call()
    assert isinstance(caught.value, LitePoseError)


@pytest.fixture(scope="module")
def model():
    return litepose.load("p", input_size=np.int64(32), threads=1)


@pytest.mark.parametrize(
    "how",
    [{"scales": object()}, {"views": {256}}, {"flip_test": "x"}, {"max_people": "1"}],
)
def test_wrong_types_of_predict(model, how: dict) -> None:
    with pytest.raises(TypeError, match=f"^{next(iter(how))} must be"):
        model.predict(np.zeros((8, 8, 3), np.uint8), **how)


@pytest.mark.parametrize("call", [
    lambda: litepose.load("."), lambda: litepose.load(""),
    lambda: litepose.load("p", input_size=100_000_000), lambda: litepose.load("p", threads=10**11),
    lambda: ReadLimits(max_pixels=0),
])  # fmt: skip
def test_impossible_values(call: Callable[[], Any]) -> None:
    with pytest.raises(LitePoseError):
        call()


def test_numbers_of_numpy_are_numbers(model) -> None:
    image = np.zeros((8, 8, 3), np.uint8)
    assert len(model.predict(image, threshold=np.float32(0.5), max_people=np.int64(1))) == 0
    assert len(model.predict(image, scales=np.array([1.0]), views=np.array([32]))) == 0
