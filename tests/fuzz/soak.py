"""A long video: `python -m tests.fuzz.soak --frames 20000` tracks people and watches the memory."""

from __future__ import annotations

import argparse
import resource
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

import litepose

ASTRONAUT = Path(__file__).parents[2] / "examples" / "images" / "astronaut.jpg"
WARM = 500  # frames after which nothing should grow any more


class Walk(Sequence):
    """One photograph, moving to and fro: as many frames as wanted, none kept."""

    def __init__(self, count: int, side: int) -> None:
        self._image = np.asarray(Image.open(ASTRONAUT).convert("RGB").resize((side, side)))
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, number):
        if not 0 <= number < self._count:
            raise IndexError
        return np.roll(self._image, round(10 * np.sin(number / 20)), axis=1)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.soak", description=__doc__)
    parser.add_argument("--frames", type=int, default=20_000)
    parser.add_argument("--size", type=int, default=96)
    options = parser.parse_args()
    model = litepose.load("p", input_size=options.size)
    began, people, ids, warm = time.monotonic(), 0, set[int](), 0.0
    frames = Walk(options.frames, 2 * options.size)
    for frame in model.stream(frames, track=True, smooth=True):
        people += len(frame.poses)
        if frame.poses.track_ids is not None:
            ids.update(frame.poses.track_ids.tolist())
        if frame.number == WARM:
            warm = resident_mb()
    grown = resident_mb() - warm
    seconds = time.monotonic() - began
    print(
        f"{options.frames:,} frames in {seconds:.0f} s, {people:,} people, {len(ids)} ids;"
        f" {warm:.0f} MB after {WARM} frames, {grown:+.1f} MB at the end"
    )
    return 0 if grown < 50 else 1


def resident_mb() -> float:
    """What the process has in memory now; where the system does not say, at most so far."""
    status = Path("/proc/self/statm")
    if status.exists():
        return int(status.read_text().split()[1]) * resource.getpagesize() / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


if __name__ == "__main__":
    sys.exit(main())
