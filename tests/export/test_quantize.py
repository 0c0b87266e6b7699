"""The 8-bit gate: layers go back to float until it is right; not faster is refused."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

from litepose.apps.cli.main import main  # noqa: E402
from litepose.core.errors import LitePoseError  # noqa: E402
from litepose.core.poses import Poses  # noqa: E402
from litepose.core.skeleton import COCO17  # noqa: E402
from litepose.export import quantize as q  # noqa: E402
from litepose.export.quantize import most_sensitive_first, rounded  # noqa: E402


class Converter:
    """In place of int8_onnx: as right as the layers kept, as slow as told."""

    def __init__(self, int8_seconds: float) -> None:
        self.int8_seconds = int8_seconds
        self.tried: list[int] = []

    def prepare(self, source):
        return None

    def quantize(self, model, images, keep):
        self.tried.append(len(keep))
        return tuple(keep)

    def run(self, model):
        seconds = 0.002 if model is None else self.int8_seconds
        return lambda images: time.sleep(seconds) or [np.array(len(model or ()))]


@pytest.fixture
def gate(tiny, monkeypatch):
    """`gate(converter)` quantizes with accuracy 0.01 a layer kept in float, 0.08 demanded."""

    def metric(source, run_float, inputs):
        return lambda run: q.Accuracy(0.01 * float(run(None)[0]), 0.08, "likeness")

    monkeypatch.setattr(q, "by_agreement", metric)
    monkeypatch.setattr(q, "most_sensitive_first", lambda *_: [f"layer{i}" for i in range(40)])
    image = np.zeros((32, 32, 3), np.uint8)
    return lambda converter: q.quantize(tiny, converter, [image], None, lambda text: None)


def test_the_most_sensitive_layers_stay_float_until_it_is_right(gate) -> None:
    converter = Converter(0.0001)
    model, report = gate(converter)
    assert converter.tried == [0, 4, 8] and model == tuple(f"layer{i}" for i in range(8))
    assert report.kept_float == model and report.int8_ms < report.float_ms
    assert [rung.float_layers for rung in report.rungs] == [0, 4, 8]
    assert "8 layers" in report.text()


def test_not_faster_is_refused_with_the_numbers(gate) -> None:
    with pytest.raises(q.RefusedError, match="not faster in 8 bits") as refused:
        gate(Converter(0.004))
    assert refused.value.report.int8_ms > refused.value.report.float_ms


def test_a_gain_that_noise_could_be_is_none(gate, monkeypatch) -> None:
    monkeypatch.setattr(q, "medians_in_turns_ms", lambda calls: {"float": 10.0, "int8": 9.6})
    with pytest.raises(q.RefusedError, match=r"9\.6 ms against 10\.0 ms"):
        gate(Converter(0.0))


def test_never_right_enough_is_refused_with_the_numbers(gate, monkeypatch) -> None:
    monkeypatch.setattr(q, "LADDER", (0, 4))
    with pytest.raises(q.RefusedError, match=r"0\.000 with 0, 0\.040 with 4") as refused:
        gate(Converter(0.0001))
    assert refused.value.report.int8_ms is None


def test_a_refusal_ends_in_json_and_exit_1(tmp_path, monkeypatch, capsys) -> None:
    report = q.QuantizeReport("AP", 24.0, (q.Rung(0, 23.0),), ())

    def refuse(request, say):
        raise q.RefusedError("refused, not right enough", report)

    monkeypatch.setattr("litepose.export.export.export_model", refuse)
    monkeypatch.setattr("litepose.core.packages.find_spec", lambda _: True)
    target = str(tmp_path / "x.onnx")
    wanted = ["export", "--format", "int8-onnx", "--calibration", "shots", "--output", target]
    assert main(wanted) == 1
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert last["written"] is None and last["int8"]["rungs"][0]["accuracy"] == 23.0


def test_agreement_is_the_oks_with_the_nearest() -> None:
    xy = np.random.default_rng(0).uniform(0, 200, (2, 17, 2)).astype(np.float32)
    scores = np.full((2, 17), 0.5, np.float32)
    theirs = Poses(xy, scores, np.array([0.9, 0.8]), COCO17)
    assert q.best_oks(theirs, theirs[[1, 0]]) == pytest.approx([1, 1])
    only_one = q.best_oks(theirs, theirs[1])
    assert only_one[1] == pytest.approx(1) and only_one[0] < 0.5
    assert list(q.best_oks(theirs, Poses.empty(COCO17))) == [0, 0]


def test_images_without_people_cannot_measure_agreement(tiny) -> None:
    from litepose.export.parity import eager, make_input

    inputs = [make_input(np.zeros((64, 64, 3), np.uint8), tiny.info)]
    quiet = replace(tiny.info, decode=replace(tiny.info.decode, heat_threshold=1.0))
    with pytest.raises(LitePoseError, match="finds no people"):
        q.by_agreement(replace(tiny, info=quiet), eager(tiny), inputs)


def test_the_layer_that_suffers_most_comes_first() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 1), nn.Conv2d(8, 4, 1))
    with torch.no_grad():
        net[1].weight[:, 0] *= 300  # its other weights vanish beside these

    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def forward(self, x):
            return (self.net(x),)

    before = net[1].weight.clone()
    order = most_sensitive_first(Two(), [np.random.default_rng(0).random((1, 3, 16, 16), "f4")])
    assert order[0] == "net.1" and len(order) == 3
    assert torch.equal(net[1].weight, before)


def test_rounding_keeps_256_values_and_both_ends() -> None:
    values = torch.linspace(-1, 3, 10001)
    out = rounded(values, torch.tensor(-1.0), torch.tensor(3.0))
    assert len(out.unique()) == 256 and out[0] == -1 and out[-1] == pytest.approx(3)
    assert (out - values).abs().max() <= 4 / 255 / 2 + 1e-6
