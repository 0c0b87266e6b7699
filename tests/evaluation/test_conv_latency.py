"""The table of convolutions: what is counted, measured once, kept; measured again if damaged."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

from litepose.evaluation import conv_latency
from litepose.evaluation.conv_latency import Fit, LatencyTable, convolutions_of
from litepose.evaluation.cost import network_cost
from litepose.models import zoo


@pytest.mark.slow
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
    table.bundled = Fit(2.0, 0.1)
    return table


@pytest.mark.slow
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


@pytest.mark.slow
def test_the_fit_comes_from_whole_networks(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(conv_latency, "RUNS", 1)
    table = LatencyTable(tmp_path / "table.json", threads=1)
    info = zoo.find_model("tiny").info.with_input_size(64)
    ms = table.milliseconds(info)
    assert table.bundled is not None and table.bundled.scale > 0
    convolutions = convolutions_of(info)
    fit = table.bundled
    assert ms == pytest.approx(
        fit.scale * table._sum(convolutions) + fit.overhead * len(convolutions)
    )


@pytest.mark.slow
def test_a_space_fits_its_own_networks(table) -> None:
    """Times that are exactly scale and overhead are found again, and nothing is stored of them."""
    infos = [zoo.find_model("tiny").info.with_input_size(size) for size in (64, 128)]
    rows = [convolutions_of(info) for info in infos]
    table.measure([one for row in rows for one in row])
    times = [0.5 * table._sum(row) + 0.2 * len(row) for row in rows]
    table.fit(list(zip(infos, times, strict=True)))
    for info, took in zip(infos, times, strict=True):
        assert table.milliseconds(info) == pytest.approx(took)
    assert LatencyTable(table.path, threads=1).bundled == Fit(2.0, 0.1)


@pytest.mark.slow
def test_no_overhead_below_zero(table) -> None:
    infos = [zoo.find_model("tiny").info.with_input_size(size) for size in (64, 128)]
    table.fit([(infos[0], 1e-3), (infos[1], 1e3)])
    assert table._own is not None and table._own.overhead == 0 < table._own.scale
