"""`litepose cost`: parameters, MACs, latency and memory of a model."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from litepose.apps.cli.options import add_model_options, open_predictor
from litepose.apps.cli.parser import whole
from litepose.core.console import tell
from litepose.core.packages import need

if TYPE_CHECKING:
    from litepose.models.zoo import ZooModel


def add_parser(verbs: Any) -> None:
    parser = verbs.add_parser("cost", help="weights, MACs, latency and memory of a model")
    parser.add_argument("images", nargs="*", metavar="IMAGE", help="images to time it on")
    parser.add_argument("--runs", type=whole(1), default=30, help="timed predictions (default 30)")
    add_model_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    need("this command", "torch", extra="torch")
    import numpy as np

    from litepose.evaluation.cost import measure_latency, network_cost, peak_memory_mb
    from litepose.imaging.read import read_image
    from litepose.models import zoo
    from litepose.models.model_file import model_files

    if not model_files(options.model):
        return _count_only(zoo.find_model(options.model), options.size)
    predictor = open_predictor(options)
    images = [read_image(path) for path in options.images]
    settings = predictor.defaults
    sides = settings.view_sizes(predictor.info.input)
    networks = [network_cost(predictor.info, (side, side)) for side in sides]
    if not images:  # a gray image shows no people, so later views would be left out
        settings = replace(settings, focus=False)
    shown = images or [np.full((480, 640, 3), 127, np.uint8)]
    latency = measure_latency(predictor, shown, options.runs, options=settings)
    memory = peak_memory_mb(options.model or zoo.DEFAULT)
    measured = f"{len(images)} images" if images else "a gray image of 640x480"
    macs = sum(network.macs for network in networks)
    squares = " + ".join(f"{side}x{side}" for side in sides)
    crop_wh = (settings.crop_px, settings.crop_px)
    crop = network_cost(predictor.info, crop_wh).macs if settings.crops else 0
    tell(f"{predictor!r}")
    tell(f"  weights      {networks[0].params:,}")
    tell(f"  MACs         {macs / 1e9:.3f} G at {squares}")
    if crop:
        tell(f"               {crop / 1e9:.3f} G more for each of the best {settings.crops} people")
    tell(f"  peak memory  {memory:.0f} MB, a fresh process")
    tell(f"  latency on {measured}, {latency.runs} runs, ms")
    tell(f"  {'':12} {'p50':>7} {'p95':>7}")
    for part in ("pre", "net", "decode", "total"):
        spread = getattr(latency, part)
        tell(f"  {part:12} {spread.p50:7.2f} {spread.p95:7.2f}")
    record = {
        **asdict(networks[0]),
        "macs": macs,
        "views": list(sides),
        "crops": settings.crops,
        "crop_macs": crop,
        "peak_mb": round(memory, 1),
        "latency_ms": asdict(latency),
    }
    print(json.dumps({"model": predictor.info.name, **record}))
    return 0


def _count_only(model: ZooModel, size: int | None) -> int:
    """Counts of a model without weights here."""
    from litepose.evaluation.cost import network_cost

    side = size or model.info.input.size
    counts = network_cost(model.info, (side, side))
    tell(f"{model.info.name}: no weights here, so it is counted and not timed")
    tell(f"  weights      {counts.params:,}")
    tell(f"  MACs         {counts.macs / 1e9:.4g} G at {side}x{side}")
    print(json.dumps({"model": model.info.name, **asdict(counts), "views": [side]}))
    return 0
