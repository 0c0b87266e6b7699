"""From image to people: the default model against the same network in plain PyTorch with the
reference decoder, and `litepose predict` as a whole process.

    python benchmarks/predict.py [--repeats 20]

The image, a JPEG, holds ten people (the generated scene beside the astronaut), and all whom the
decoder finds are kept. Prints a table and ends
with one line of JSON. The PyTorch row needs `litepose[torch]`; without it it is left out.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np

import litepose
from litepose.core.geometry import letterbox
from litepose.core.maps import Maps
from litepose.core.timing import median_ms
from litepose.decode.merge import ForwardPass
from litepose.decode.reference import decode_reference
from litepose.imaging.preprocess import to_input
from litepose.imaging.read import read_image
from litepose.imaging.write import save_image

IMAGES = Path(__file__).resolve().parents[1] / "examples" / "images"


def ten_people() -> np.ndarray:
    scene, astronaut = (read_image(IMAGES / f"{n}.jpg") for n in ("scene", "astronaut"))
    return np.hstack([scene, cv2.resize(astronaut, (560, 560))])


def eager_with_reference(path: Path) -> Callable[[], int]:
    """The straightforward way: read, resize, PyTorch eager, official decoding. Returns people."""
    import torch

    from litepose.models import zoo

    network, info = zoo.load("p")
    info = replace(info, decode=replace(info.decode, person_threshold=0.0))

    def run() -> int:
        image = read_image(path)
        size_wh = (image.shape[1], image.shape[0])
        box = letterbox(size_wh, info.input.size, info.input.multiple)
        batch = np.empty((1, 3, *box.input_wh[::-1]), np.float32)
        to_input(image, box, info.input.mean, info.input.std, batch[0])
        with torch.no_grad():
            maps = network(torch.from_numpy(batch))
        numbers = Maps(tuple(h.numpy() for h in maps.heatmaps), maps.strides, maps.tags.numpy(), 4)
        return len(decode_reference([ForwardPass(numbers, box)], info))

    return run


def whole_process(path: Path, repeats: int) -> dict[str, float]:
    """`litepose predict` from start to end, after a first run: median seconds, most memory."""
    command = [sys.executable, "-m", "litepose", "predict", str(path), "--output"]
    seconds = []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(repeats + 1):
            start = time.perf_counter()
            subprocess.run([*command, folder], check=True, capture_output=True)
            seconds.append(time.perf_counter() - start)
    kilobytes = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return {
        "seconds": round(statistics.median(seconds[1:]), 3),
        "peak_mb": round(kilobytes / 1024, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Image to people, timed.")
    parser.add_argument("--repeats", type=int, default=20)
    options = parser.parse_args()
    # Before torch is loaded here: a child's peak counts what it shares with its parent at birth.
    process = whole_process(IMAGES / "astronaut.jpg", 5)
    print(f"litepose predict, whole process: {process['seconds']} s, {process['peak_mb']} MB")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ten.jpg"
        save_image(path, ten_people())
        model = litepose.load()
        people = len(model.predict(path, threshold=0.0))
        ours = median_ms(lambda: model.predict(path, threshold=0.0), options.repeats)
        row = {"people": people, "ours_ms": round(ours, 1)}
        print(f"default model, {people} people: {ours:.1f} ms")
        if find_spec("torch") is not None:
            run = eager_with_reference(path)
            slow = median_ms(run, max(3, options.repeats // 4))
            row |= {"eager_reference_ms": round(slow, 1), "ratio": round(slow / ours, 1)}
            print(f"PyTorch eager + reference decoder: {slow:.1f} ms, ratio {slow / ours:.1f}")
    machine = {"cores": os.cpu_count(), "python": platform.python_version()}
    print(json.dumps({"benchmark": "predict", "process": process, "image": row, **machine}))


if __name__ == "__main__":
    main()
