"""Results of `litepose bench` as a table and as JSON."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from litepose.apps.bench.folder import FolderRate
from litepose.apps.bench.machine import Machine
from litepose.apps.bench.models import REFERENCE, BenchRow
from litepose.evaluation.cost import NetworkCost

_PACKAGES = ("litepose", "numpy", "opencv-python-headless", "onnxruntime", "openvino", "torch")


@dataclass(frozen=True)
class ModelReport:
    """One model at one size. random: its weights are; cost: None without PyTorch;
    peak_mb: most memory of a fresh process that predicts an image, by backend;
    background_load: share of all cores that other programs kept busy, None where unknown."""

    model: str
    random: bool
    rows: Sequence[BenchRow]
    cost: NetworkCost | None
    peak_mb: Mapping[str, float]
    background_load: float | None

    def row(self, way: str, people: int, flip_test: bool) -> BenchRow | None:
        wanted = (way, people, flip_test)
        return next((r for r in self.rows if (r.way, r.people, r.flip_test) == wanted), None)

    def gmacs(self, row: BenchRow) -> float | None:
        """1e9 multiply-adds a second that the network reached."""
        if self.cost is None:
            return None
        passes = 2 if row.flip_test else 1
        return self.cost.macs * passes / row.latency.net.p50 / 1e6

    def traffic_gbs(self, row: BenchRow) -> float | None:
        """1e9 bytes a second that its convolutions would move without caches."""
        if self.cost is None:
            return None
        passes = 2 if row.flip_test else 1
        return self.cost.traffic * passes / row.latency.net.p50 / 1e6

    def times_reference(self, row: BenchRow, flip_test: bool) -> float | None:
        """How many times as long the reference path takes, from image to people."""
        other = self.row(REFERENCE, row.people, flip_test)
        return None if other is None else other.latency.total.p50 / row.latency.total.p50


@dataclass(frozen=True)
class BenchReport:
    """All results, with date and machine."""

    machine: Machine
    date: str
    models: Sequence[ModelReport]
    folders: Sequence[FolderRate]

    def table(self) -> str:
        return "\n".join(self._lines())

    def to_dict(self) -> dict[str, Any]:
        return {
            "bench": 1,
            "date": self.date,
            "machine": asdict(self.machine),
            "python": platform.python_version(),
            "packages": _versions(),
            "models": [_model_dict(model) for model in self.models],
            "folders": [asdict(rate) for rate in self.folders],
        }

    def _lines(self) -> Iterator[str]:
        m = self.machine
        yield (
            f"{m.cpu}, {m.cores} cores: {m.matrix_gmacs:.0f} GMAC/s in a float32 matrix product,"
            f" copies {m.copy_gbs:.0f} GB/s; {self.date}"
        )
        for model in self.models:
            yield from _model_lines(model, m)
        for rate in self.folders:
            w, h = rate.image_wh
            yield (
                f"\n{rate.images} images of {w}x{h}: {rate.one_by_one:.1f}/s one by one,"
                f" {rate.many:.1f}/s as a folder, {rate.ratio:.2f} times as many"
                f" ({'the same people' if rate.identical else 'NOT THE SAME PEOPLE'})"
            )


def _model_lines(model: ModelReport, machine: Machine) -> Iterator[str]:
    w, h = model.rows[0].input_wh
    cost = model.cost
    facts = "" if cost is None else f", {cost.macs / 1e9:.2f} GMACs"
    if model.background_load is not None and model.background_load >= 0.02:
        facts += f"; other programs took {model.background_load:.0%} of the machine meanwhile"
    yield f"\n{model.model} at {w}x{h}{', random weights' if model.random else ''}{facts}"
    yield (
        f"  {'':22} {'people':>6} {'pre':>6} {'network p50, p95':>17} {'decode p50, p95':>17}"
        f" {'all p50, p95, ms':>17} {'GMAC/s':>7} {'of peak':>7} {'of copy':>7} {'MB':>5}"
        f" {'reference takes':>16}"
    )
    for row in model.rows:
        t = row.latency
        way = row.way + (" + flip" if row.flip_test else "")
        rate, moved = model.gmacs(row), model.traffic_gbs(row)
        shares = (
            f"{rate:7.1f} {rate / machine.matrix_gmacs:7.0%} {moved / machine.copy_gbs:7.0%}"
            if rate is not None and moved is not None
            else f"{'':23}"
        )
        memory = model.peak_mb.get(row.way)
        ratio = model.times_reference(row, row.flip_test)
        shown = "" if ratio is None or row.way == REFERENCE else f"{ratio:.1f} x"
        flipped = model.times_reference(row, True)
        if shown and flipped is not None and not row.flip_test:
            shown += f" ({flipped:.1f})"
        yield (
            f"  {way:22} {row.people:6} {t.pre.p50:6.2f} {t.net.p50:9.1f} {t.net.p95:7.1f}"
            f" {t.decode.p50:9.1f} {t.decode.p95:7.1f} {t.total.p50:9.1f} {t.total.p95:7.1f}"
            f" {shares} {'' if memory is None else format(memory, '.0f'):>5} {shown:>16}"
        )


def _model_dict(model: ModelReport) -> dict[str, Any]:
    rows = []
    for row in model.rows:
        rate, ratio = model.gmacs(row), model.times_reference(row, row.flip_test)
        rows.append(
            asdict(row)
            | {
                "gmacs": None if rate is None else round(rate, 1),
                "reference_ratio": None if ratio is None else round(ratio, 2),
            }
        )
    return {
        "model": model.model,
        "random_weights": model.random,
        "cost": None if model.cost is None else asdict(model.cost),
        "bystanders": None if model.background_load is None else round(model.background_load, 3),
        "peak_mb": {way: round(mb, 1) for way, mb in model.peak_mb.items()},
        "rows": rows,
    }


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
