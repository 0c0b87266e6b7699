"""Throughput of `litepose map --on local`: one worker against two, one thread each.

    python benchmarks/map.py [--images 300] [--effort fast] [--size N] [--repeats 2]

Rates are by the clock, from the first finished part to the last, so that opening the model does not
count; the best of the repeats is taken. Images for each CPU second are printed beside them, to tell
a busy machine from a slow program. Exit code 1 where two workers are less than 1.7 times one by the
clock. Last line: JSON.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from litepose.apps.map.job import Job, Outcome
from litepose.apps.map.run import local_pool, run_map
from litepose.data.synthetic import SceneSettings, draw_scene
from litepose.imaging.write import save_image
from litepose.inference.backend import RuntimeOptions

LEAST_SPEEDUP = 1.7
PER_PART = 10


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, default=300)
    parser.add_argument("--effort", default="fast")
    parser.add_argument("--size", type=int, default=None)
    parser.add_argument("--repeats", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "source")
        source.mkdir()
        settings = SceneSettings(size_wh=(500, 375), people=(1, 4))
        for i in range(min(options.images, 40)):
            save_image(
                source / f"{i:05d}.jpg", draw_scene(np.random.default_rng(i), settings).image
            )
        for i in range(40, options.images):  # reading the same pixels costs the same
            (source / f"{i:05d}.jpg").hardlink_to(source / f"{i % 40:05d}.jpg")
        numbers: Iterator[int] = iter(range(1000))
        rates, cpu_rates = {1: 0.0, 2: 0.0}, {1: 0.0, 2: 0.0}
        for _ in range(options.repeats):
            for workers in rates:
                job = Job(
                    output=str(Path(folder, f"out{next(numbers)}")),
                    effort=options.effort,
                    size=options.size,
                    runtime=RuntimeOptions(threads=1),
                )
                rate, cpu_rate = images_per_second(str(source), job, workers)
                rates[workers] = max(rates[workers], rate)
                cpu_rates[workers] = max(cpu_rates[workers], cpu_rate)
                print(f"{workers} workers: {rate:.1f} images/s, by CPU time {cpu_rate:.1f}")
        tables = Path(folder, "out0")
        size = sum(path.stat().st_size for path in tables.glob("*/*.parquet"))
    speedup, cpu_speedup = rates[2] / rates[1], cpu_rates[2] / cpu_rates[1]
    good = speedup >= LEAST_SPEEDUP
    print(
        f"two workers are {speedup:.2f} times one, by CPU time {cpu_speedup:.2f}:"
        f" {'good' if good else 'NOT GOOD'}"
    )
    figures = {
        "images_per_s": rates,
        "speedup": speedup,
        "images_per_cpu_s_times_workers": cpu_rates,
        "cpu_speedup": cpu_speedup,
        "bytes_per_image": size / options.images,
    }
    print(json.dumps({"benchmark": "map", "effort": options.effort} | figures))
    return 0 if good else 1


def images_per_second(source: str, job: Job, workers: int) -> tuple[float, float]:
    """By the clock and by CPU time, of all parts but the first and the last of each worker: models
    are opened in the first, and the last may run alone."""
    ends: list[tuple[float, Outcome]] = []

    def report(outcome: Outcome) -> None:
        ends.append((time.monotonic(), outcome))

    run_map(source, job, local_pool(workers), images_per_part=PER_PART, report=report)
    began, counted = ends[workers - 1][0], ends[workers : len(ends) - workers + 1]
    images = sum(outcome.images for _, outcome in counted)
    cpu_seconds = sum(outcome.cpu_seconds for _, outcome in counted)
    return images / (counted[-1][0] - began), workers * images / cpu_seconds


if __name__ == "__main__":
    sys.exit(main())
