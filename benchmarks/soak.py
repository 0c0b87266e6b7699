"""Does a long video leak? Resident memory over 20,000 frames, with tracking and smoothing.

    python benchmarks/soak.py [--frames 20000] [--size 128] [--threads 1]

Writes a video (a small image that moves over the generated scene, so that people come and go),
then streams it through reading, network, decoding, tracker and smoother. Memory is compared after a
warm-up of a tenth. Ends with one line of JSON; exit code 1 where it grew by 5 % or more.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

import litepose
from litepose.imaging.read import read_image

SCENE = Path(__file__).resolve().parents[1] / "examples" / "images" / "scene.jpg"
WINDOW_WH = (176, 144)
FPS = 25
MOST_GROWTH = 0.05


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def make_video(path: Path, count: int) -> None:
    scene = cv2.resize(read_image(SCENE), None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    width, height = WINDOW_WH
    reach = np.array([scene.shape[1] - width, scene.shape[0] - height])
    with litepose.video.VideoWriter(path, WINDOW_WH, FPS) as video:
        for i in range(count):
            turn = 0.5 - 0.5 * np.cos(i * np.array([0.013, 0.0071]))
            x, y = (turn * reach).astype(int)
            video.write(np.ascontiguousarray(scene[y : y + height, x : x + width]), i / FPS)


def soak(video: Path, count: int, size: int, threads: int) -> dict[str, float]:
    model = litepose.load(input_size=size, threads=threads)
    people, ids, curve = 0, set[int](), []
    start = time.monotonic()
    step = max(1, count // 20)
    for done, frame in enumerate(model.stream(video, track=True, smooth=True), start=1):
        people += len(frame.poses)
        ids.update(frame.poses.track_ids.tolist())
        if done % step == 0:
            curve.append(resident_mb())
            print(f"{done:6d} frames {curve[-1]:8.1f} MB", file=sys.stderr)
    warm, end = curve[1], max(curve[-3:])
    return {
        "frames": done,
        "people_per_frame": round(people / done, 2),
        "ids": len(ids),
        "warm_mb": round(warm, 1),
        "end_mb": round(end, 1),
        "growth_percent": round(100 * (end / warm - 1), 2),
        "seconds": round(time.monotonic() - start, 1),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description="Memory over a long video.")
    parser.add_argument("--frames", type=int, default=20_000)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        video = Path(folder) / "soak.webm"
        make_video(video, options.frames)
        row = soak(video, options.frames, options.size, options.threads)
    print(json.dumps({"benchmark": "soak", **row}))
    return int(row["growth_percent"] >= 100 * MOST_GROWTH)


if __name__ == "__main__":
    sys.exit(main())
