"""`litepose bench`: how fast models are on this machine, as a table, a plot and JSON."""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from litepose.core.console import say, tell
from litepose.core.packages import missing
from litepose.core.progress import status

if TYPE_CHECKING:
    from litepose.apps.bench.folder import FolderRate
    from litepose.apps.bench.report import ModelReport

IMAGE_WH = (640, 480)
FOLDERS_WH = ((640, 480), (1920, 1080))
MOST_PEOPLE, MOST_SIDE = 1000, 4096


def add_parser(verbs: Any) -> None:
    parser = verbs.add_parser(
        "bench",
        help="how fast models are on this machine",
        description=(
            "Times the stages of models, on every installed backend, for several numbers of people,"
            " and with the official method (PyTorch and the official decoder) if PyTorch is"
            " installed. Writes bench.json and bench.png. Takes minutes; less with --quick."
        ),
    )
    parser.add_argument(
        "--models",
        help="comma-separated names or files; models without weights get random ones"
        " (default: p,xs,s, or p without litepose[export])",
    )
    parser.add_argument(
        "--backends",
        help="such as onnxruntime,openvino:bfloat16,torch (default: all installed, in float32)",
    )
    parser.add_argument("--people", default="1,10,30", help="people (default: %(default)s)")
    parser.add_argument("--sizes", help="input sizes, short side (default: the model's)")
    parser.add_argument("--images", type=int, default=200, help="images in a folder (default: 200)")
    parser.add_argument("--quick", action="store_true", help="fewer runs: less exact, in a minute")
    parser.add_argument(
        "--output", default="bench", metavar="DIR", help="folder (default: %(default)s)"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from litepose.apps.bench.machine import measure_machine
    from litepose.apps.bench.plot import draw_bench
    from litepose.apps.bench.report import BenchReport
    from litepose.imaging.write import save_image

    names = _models(options.models)
    people = _numbers(options.people, "--people", MOST_PEOPLE)
    sizes = _numbers(options.sizes, "--sizes", MOST_SIDE) if options.sizes else [None]
    if options.images < 0:
        raise _wrong(f"--images must be 0 or more; got {options.images}")
    folder = _folder(options.output)
    status("the machine itself")
    machine = measure_machine(0.3 if options.quick else 1.0)
    with tempfile.TemporaryDirectory() as scratch:
        models = [
            _one_model(name, size, people, options, Path(scratch))
            for name in names
            for size in sizes
        ]
        folders = _folders(names[0], sizes[0], options, Path(scratch)) if options.images else []
    report = BenchReport(machine, datetime.now(UTC).date().isoformat(), models, folders)
    status("")
    tell(report.table())
    record = report.to_dict()
    (folder / "bench.json").write_text(json.dumps(record, indent=1), encoding="utf-8")
    if missing(("matplotlib",)):
        say("no plot: it needs matplotlib (pip install 'litepose[plot]')")
    else:
        save_image(folder / "bench.png", draw_bench(report))
    say(f"the results are in {folder}")
    print(json.dumps(record))
    return 0


def _one_model(
    name: str, size: int | None, people: list[int], options: argparse.Namespace, scratch: Path
) -> ModelReport:
    import numpy as np

    from litepose.apps.bench.models import BenchPlan, bench_model
    from litepose.apps.bench.report import ModelReport
    from litepose.apps.bench.run import open_model
    from litepose.data.synthetic import SceneSettings, draw_scene
    from litepose.evaluation.cost import network_cost
    from litepose.inference.system import BackgroundLoad

    model = open_model(name, size, options.backends, scratch, status)
    scene = draw_scene(np.random.default_rng(0), SceneSettings(size_wh=IMAGE_WH)).image
    plan = BenchPlan(scene, tuple(people))
    if options.quick:
        plan = BenchPlan(scene, tuple(people), runs=6, rounds=2, reference_runs=1)
    others = BackgroundLoad()
    rows = bench_model(model.ways, model.network, plan, status)
    busy = others.share()
    cost = None
    if find_spec("torch") is not None and model.info.arch is not None:
        cost = network_cost(model.info, rows[0].input_wh)
    memory = {}
    for way in list(model.ways)[: 1 if options.quick else None]:
        status(f"{name}, {way}: memory")
        memory[way] = model.peak_mb(way, IMAGE_WH)
    label = Path(name).name if Path(name).suffix else model.info.name
    rows = [replace(row, model=label) for row in rows]
    return ModelReport(label, model.random, rows, cost, memory, busy)


def _folders(
    name: str, size: int | None, options: argparse.Namespace, scratch: Path
) -> list[FolderRate]:
    from litepose.apps.bench.folder import draw_folder, measure_folder
    from litepose.apps.bench.run import open_model

    images = min(options.images, 40) if options.quick else options.images
    ways = open_model(name, size, options.backends, scratch, status).ways
    predictor = next(iter(ways.values()))
    rates = []
    for size_wh in FOLDERS_WH:
        status(f"a folder of {images} images of {size_wh[0]}x{size_wh[1]}")
        place = scratch / f"{size_wh[0]}"
        place.mkdir()
        rates.append(measure_folder(predictor, draw_folder(place, images, size_wh)))
    return rates


def _models(text: str | None) -> list[str]:
    if text is not None:
        names = [name.strip() for name in text.split(",")]
        if not all(names):
            raise _wrong(f"--models needs names or files such as p,mine.onnx; got {text!r}")
        return names
    can_export = not missing(("torch", "safetensors", "onnxscript", "onnxslim"))
    return ["p", "xs", "s"] if can_export else ["p"]


def _numbers(text: str, option: str, most: int) -> list[int]:
    try:
        numbers = [int(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if not numbers or min(numbers) < 1 or max(numbers) > most:
        raise _wrong(f"{option} needs comma-separated whole numbers from 1 to {most}; got {text!r}")
    return numbers


def _folder(name: str) -> Path:
    folder = Path(name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise _wrong(f"cannot make the folder {folder}: {exc.strerror}") from None
    return folder


def _wrong(text: str) -> Exception:
    from litepose.core.errors import LitePoseError

    return LitePoseError(text)
