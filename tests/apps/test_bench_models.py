"""The bench: made-up crowds hold as many people as said, and every figure finds its place."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import litepose
from litepose.apps.bench.crowd_maps import crowd_maps
from litepose.apps.bench.folder import draw_folder, measure_folder
from litepose.apps.bench.machine import Machine, measure_machine
from litepose.apps.bench.models import REFERENCE, BenchPlan, BenchRow, bench_model
from litepose.apps.bench.plot import draw_bench
from litepose.apps.bench.report import BenchReport, ModelReport
from litepose.core.errors import LitePoseError
from litepose.core.geometry import Letterbox
from litepose.decode.decoder import decode
from litepose.decode.merge import ForwardPass
from litepose.evaluation.cost import Latency, NetworkCost, Percentiles
from litepose.inference.system import BackgroundLoad
from litepose.models import zoo

MACHINE = Machine("Some CPU", 2, 100.0, 25.0)


@pytest.mark.parametrize("name", ["p", "s"])
@pytest.mark.parametrize("people", [0, 1, 10, 30])
def test_a_made_up_crowd_holds_its_people(name: str, people: int) -> None:
    info = zoo.find_model(name).info
    input_wh = (512, 384)
    maps = crowd_maps(info, input_wh, people)
    assert maps.tags.shape == (1, 17, 2 if name == "p" else 1, 96, 128)
    assert [h.shape[-1] for h in maps.heatmaps] == [512 // stride for stride in info.strides]
    found = decode([ForwardPass(maps, Letterbox(input_wh, input_wh, input_wh))], info)
    assert len(found) == people
    again = crowd_maps(info, input_wh, people)
    assert np.array_equal(again.tags, maps.tags)


def row(way: str, people: int, flip: bool, ms: float) -> BenchRow:
    parts = [Percentiles(share * ms, 1.1 * share * ms) for share in (0.1, 0.8, 0.1, 1.0)]
    return BenchRow("litepose-p", way, (512, 384), people, flip, people, Latency(*parts, runs=5))


def report() -> BenchReport:
    rows = [row("onnxruntime", n, flip, 20) for n, flip in ((1, False), (10, False), (10, True))]
    rows += [row(REFERENCE, 10, False, 200), row(REFERENCE, 10, True, 400)]
    cost = NetworkCost(2_400_000, 1_600_000_000, 80_000_000, (512, 384))
    model = ModelReport("litepose-p", False, rows, cost, {"onnxruntime": 150.0}, 0.25)
    return BenchReport(MACHINE, "2026-01-01", [model], [])


def test_rates_and_ratios_are_those_of_their_rows() -> None:
    model = report().models[0]
    plain, flipped = model.row("onnxruntime", 10, False), model.row("onnxruntime", 10, True)
    assert plain is not None and flipped is not None
    assert model.gmacs(plain) == pytest.approx(100) and model.gmacs(flipped) == pytest.approx(200)
    assert model.traffic_gbs(plain) == pytest.approx(5)
    assert model.times_reference(plain, False) == pytest.approx(10)
    assert model.times_reference(plain, True) == pytest.approx(20)
    assert model.row("openvino", 10, False) is None
    one = model.row("onnxruntime", 1, False)
    assert one is not None and model.times_reference(one, False) is None


def test_the_table_and_the_json_say_what_was_found() -> None:
    table = report().table()
    assert "other programs took 25%" in table and "10.0 x (20.0)" in table and "100%" in table
    record = json.loads(json.dumps(report().to_dict()))
    assert record["models"][0]["rows"][1]["reference_ratio"] == 10
    assert record["models"][0]["rows"][0]["latency"]["net"]["p50"] == 16


@pytest.mark.slow
def test_the_plot_grows_with_its_rows_and_keeps_its_bars_inside() -> None:
    pytest.importorskip("matplotlib")
    image = draw_bench(report())
    network = (np.abs(image.astype(int) - (66, 120, 180)).sum(axis=2) < 9).nonzero()
    assert image.dtype == np.uint8 and image.shape[1:] == (1300, 3)
    assert len(network[0]) > 3 * 15 * 100, "three bars of ours"
    assert network[1].max() < 1280
    twice = BenchReport(MACHINE, "2026-01-01", [*report().models] * 2, [])
    assert len(draw_bench(twice)) > 1.5 * len(image)


def test_one_model_is_timed_in_all_its_ways() -> None:
    model = litepose.load("p", threads=1, input_size=96)
    plan = BenchPlan(np.zeros((96, 128, 3), np.uint8), (1, 3), runs=2, rounds=2)
    rows = bench_model({"one": model, "two": model}, None, plan)
    assert {(r.way, r.people, r.flip_test) for r in rows} == {
        (way, *case) for way in ("one", "two") for case in ((1, False), (3, False), (3, True))
    }
    for one in rows:
        assert one.found == one.people and one.latency.runs == 2 and one.input_wh == (128, 96)
        assert 0 < one.latency.net.p50 <= one.latency.total.p50 <= one.latency.total.p95


def test_the_reference_path_finds_the_same_people() -> None:
    pytest.importorskip("torch")
    network, _ = zoo.create("litepose-tiny")
    model = litepose.load("p", threads=1, input_size=96)
    plan = BenchPlan(np.zeros((96, 128, 3), np.uint8), (2,), runs=1, rounds=1, reference_runs=1)
    rows = bench_model({"ours": model}, network.eval(), plan)
    slow = [r for r in rows if r.way == REFERENCE]
    assert [(r.people, r.flip_test, r.found) for r in slow] == [(2, False, 2), (2, True, 2)]


def test_a_folder_is_timed_both_ways(tmp_path: Path) -> None:
    paths = draw_folder(tmp_path, 10, (96, 64))
    assert len(paths) == 10 and len({p.read_bytes() for p in paths}) == 8
    rate = measure_folder(litepose.load("p", threads=2, input_size=64), paths)
    assert rate.identical and rate.images == 10 and rate.image_wh == (96, 64)
    assert rate.one_by_one > 0 and rate.many > 0


@pytest.mark.slow
def test_the_machine_is_measured() -> None:
    found = measure_machine(0.01)
    assert found.matrix_gmacs > 0.1 and found.copy_gbs > 0.1 and found.cores >= 1 and found.cpu
    share = BackgroundLoad().share()
    assert share is None or 0 <= share <= 1


@pytest.mark.slow
def test_bench_prints_a_table_and_writes_a_plot(tmp_path, capsys, monkeypatch) -> None:
    from litepose.apps.cli import bench
    from litepose.apps.cli.main import main

    monkeypatch.setattr(bench, "IMAGE_WH", (128, 96))
    monkeypatch.setattr(bench, "FOLDERS_WH", ((64, 48),))
    words = ["--models", "p", "--backends", "onnxruntime", "--sizes", "64", "--people", "1,2"]
    out = ["--quick", "--images", "8", "--output", str(tmp_path / "out")]
    assert main(["bench", *words, *out]) == 0
    shown = capsys.readouterr().out.splitlines()
    record = json.loads(shown[-1])
    assert record == json.loads((tmp_path / "out" / "bench.json").read_text())
    drawn = find_spec("matplotlib") is not None
    assert (tmp_path / "out" / "bench.png").is_file() == drawn
    assert record["folders"][0]["identical"] and record["models"][0]["peak_mb"]["onnxruntime"] > 50
    for wrong in ("--people", "--sizes"):
        for value in ("ten", ",", "0", "100000000"):
            assert main(["bench", wrong, value]) == 2
            assert f"{wrong} needs comma-separated" in capsys.readouterr().err
    assert main(["bench", "--models", ",,"]) == 2
    assert "--models needs names" in capsys.readouterr().err
    assert main(["bench", "--models", "p", "--backends", "tpu"]) == 2
    assert "no backend 'tpu'" in capsys.readouterr().err


@pytest.mark.slow
def test_a_model_without_weights_is_timed_with_random_ones(tmp_path, monkeypatch) -> None:
    pytest.importorskip("torch")
    from litepose.apps.bench.run import open_model

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    model = open_model("xs", 64, "torch", tmp_path, lambda _: None)
    assert model.random and model.info.name == "litepose-xs" and list(model.ways) == ["torch"]
    assert [p.suffix for p in (tmp_path / "litepose" / "bench").iterdir()] == [".safetensors"]
    with pytest.raises(LitePoseError, match="did you mean"):
        open_model("xss", 64, None, tmp_path, lambda _: None)
