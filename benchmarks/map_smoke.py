"""The smoke run of `litepose map`: drawn images in tar shards, a local Ray, a worker killed.

    python benchmarks/map_smoke.py [--images 3000] [--output out/map-smoke]

Exit code 1 where an image is missing or twice in the tables, people and images do not agree, a part
is unfinished, or no worker was killed. Last line: JSON.
"""

from __future__ import annotations

import argparse
import collections
import io
import json
import os
import shutil
import signal
import sys
import tarfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from litepose.apps.map.job import Job, Outcome
from litepose.apps.map.on_ray import RayPool
from litepose.apps.map.run import run_map
from litepose.data.synthetic import SceneSettings, draw_scene
from litepose.inference.backend import RuntimeOptions

PER_SHARD = 150
BROKEN_EVERY = 500
DRAWN = 300  # different ones; drawing takes longer than finding people


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, default=3000)
    parser.add_argument("--output", type=Path, default=Path("out/map-smoke"))
    options = parser.parse_args()
    if (options.output / "source").exists():  # an earlier smoke run; nothing else goes
        shutil.rmtree(options.output)
    began = time.monotonic()
    source = options.output / "source"
    expected, broken = write_shards(source, options.images)
    print(f"{options.images} images in {time.monotonic() - began:.0f} s", flush=True)
    summary, killed = map_and_kill(str(source), str(options.output / "tables"))
    seconds = time.monotonic() - began
    wrong = check(options.output / "tables", expected, broken)
    wrong += [f"{name}: {text}" for name, text in summary["unfinished"].items()]
    if not killed:
        wrong.append("no worker was killed")
    print(
        "\n".join(wrong) or f"every image once, {summary['people']} people, {seconds:.0f} s: good"
    )
    counts = {name: summary[name] for name in ("parts", "images", "people", "failures")}
    print(json.dumps({"benchmark": "map_smoke", "seconds": round(seconds, 1)} | counts))
    return 1 if wrong else 0


def write_shards(folder: Path, count: int) -> tuple[set[str], set[str]]:
    """Tar files of drawn images; the names of all that can be read, and of those that cannot."""
    folder.mkdir(parents=True)
    settings = SceneSettings(size_wh=(96, 96), people=(1, 2))
    encoded = []
    for i in range(min(count, DRAWN)):
        file = io.BytesIO()
        scene = draw_scene(np.random.default_rng(i), settings)
        Image.fromarray(scene.image).save(file, "JPEG")
        encoded.append(file.getvalue())
    good, broken = set(), set()
    for first in range(0, count, PER_SHARD):
        with tarfile.open(folder / f"{first // PER_SHARD:05d}.tar", "w") as tar:
            for i in range(first, min(first + PER_SHARD, count)):
                name, data = f"{i:06d}.jpg", encoded[i % len(encoded)]
                if i % BROKEN_EVERY == BROKEN_EVERY - 1:
                    data = data[:200]
                    broken.add(name)
                else:
                    good.add(name)
                info = tarfile.TarInfo(name)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    return good, broken


def map_and_kill(source: str, output: str) -> tuple[dict, bool]:
    """Map on a local Ray of two cores; both workers are killed once, in mid-run."""
    import ray

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    pids: list[int] = []
    finished = 0

    def open_pool(job: Job) -> RayPool:
        pool = RayPool(job, workers=2)
        pids.extend(ray.get([actor.pid.remote() for actor in pool.actors]))
        return pool

    def report(_: Outcome) -> None:
        nonlocal finished
        finished += 1
        if finished == 3:  # both have their model open and one is in mid-part
            for pid in pids:
                os.kill(pid, signal.SIGKILL)

    job = Job(output=output, model="p", size=96, runtime=RuntimeOptions(threads=1))
    try:
        return run_map(source, job, open_pool, report=report), finished >= 3
    finally:
        ray.shutdown()


def check(folder: Path, good: set[str], broken: set[str]) -> list[str]:
    """What is wrong with the tables, one line each."""
    from pyarrow import dataset

    tables = {name: dataset.dataset(folder / name).to_table() for name in ("people", "images")}
    failures = dataset.dataset(folder / "failures").to_table()["image_id"].to_pylist()
    names = tables["images"]["image_id"].to_pylist()
    wrong = []
    if sorted(names) != sorted(good):
        wrong.append(f"{len(names)} rows of {len(set(names))} images; {len(good)} were wanted")
    if sorted(failures) != sorted(broken):
        wrong.append(f"{len(failures)} failures; {len(broken)} were wanted")
    said = {
        name: count
        for name, count in zip(names, tables["images"]["people"].to_pylist(), strict=True)
        if count
    }
    if said != collections.Counter(tables["people"]["image_id"].to_pylist()):
        wrong.append("the table of people has others than the table of images says")
    return wrong


if __name__ == "__main__":
    sys.exit(main())
