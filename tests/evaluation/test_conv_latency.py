"""The table of convolutions: what is counted, measured once, kept; measured again if damaged."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

from litepose.evaluation import conv_latency
from litepose.evaluation.conv_latency import LatencyTable, convolutions_of
from litepose.evaluation.cost import network_cost
from litepose.models import zoo


@pytest.mark.parametrize("name", ["tiny", "xs"])
def test_convolutions_are_those_that_cost(name) -> None:
    info = zoo.find_model(name).info.with_input_size(128)
    macs = 0
    for c in convolutions_of(info):
        area = (c.height // c.stride) * (c.width // c.stride)
        macs += area * c.outputs * (c.inputs // c.groups) * c.kernel**2
    # The head's transposed convolutions run as plain ones over one cell more on each side.
    assert macs == pytest.approx(network_cost(info).macs, rel=0.05)


@pytest.fixture
def table(tmp_path, monkeypatch):
    monkeypatch.setattr(conv_latency, "RUNS", 2)
    table = LatencyTable(tmp_path / "table.json", threads=1)
    table.scale = 2.0
    return table


def test_measured_once_and_kept(table) -> None:
    info = zoo.find_model("tiny").info.with_input_size(64)
    first = table.milliseconds(info)
    assert first > 0
    again = LatencyTable(table.path, threads=1)
    assert again.milliseconds(info) == first  # the same numbers: nothing was measured again
    assert again.measure(convolutions_of(info)) == 0
    other = LatencyTable(table.path, threads=2)  # another machine, as far as latency goes
    assert len(other) == 0


def test_a_damaged_table_is_measured_again(table) -> None:
    table.path.write_text('{"x": [')
    assert len(LatencyTable(table.path, threads=1)) == 0
    table.measure(convolutions_of(zoo.find_model("tiny").info.with_input_size(64)))
    assert len(LatencyTable(table.path, threads=1)) == len(table)


def test_scale_comes_from_whole_networks(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(conv_latency, "RUNS", 1)
    table = LatencyTable(tmp_path / "table.json", threads=1)
    ms = table.milliseconds(zoo.find_model("tiny").info.with_input_size(64))
    assert table.scale is not None and table.scale > 0
    assert ms == pytest.approx(
        table.scale * table._sum(convolutions_of(zoo.find_model("tiny").info.with_input_size(64)))
    )
