"""Two models side by side on one video: what each sees, and how long it takes.

    python examples/compare_models.py [video.mp4 [MODEL [MODEL]]]

A MODEL is a name or file, with @SIZE behind it for another input size. Writes comparison.webm.
"""

from __future__ import annotations

import sys
import time
from typing import NamedTuple

import numpy as np

import litepose


class Row(NamedTuple):
    model: str
    people_per_frame: float
    ms_per_frame: float


def compare(video: str, models: tuple[str, str], target: str = "comparison.webm") -> list[Row]:
    loaded = []
    for spec in models:
        name, _, size = spec.partition("@")
        loaded.append(litepose.load(name, input_size=int(size) if size else None))
    people, seconds, count = [0, 0], [0.0, 0.0], 0
    writer = None
    with litepose.video.frames(video) as frames:
        for frame in frames:
            drawn = []
            for i, model in enumerate(loaded):
                start = time.perf_counter()
                poses = model.predict(frame.image)
                seconds[i] += time.perf_counter() - start
                people[i] += len(poses)
                drawn.append(np.asarray(litepose.draw(frame.image, poses)))
            both, count = np.hstack(drawn), count + 1
            if writer is None:
                writer = litepose.video.VideoWriter(target, both.shape[1::-1], frames.fps)
            writer.write(both, frame.seconds)
    writer.close()
    return [Row(m, people[i] / count, 1000 * seconds[i] / count) for i, m in enumerate(models)]


def main(video: str | None = None, one: str = "p", other: str = "p@256") -> None:
    if video is None:
        from clips import group_video

        video = group_video()
    for row in compare(video, (one, other)):
        print(f"{row.model:12} {row.people_per_frame:5.2f} people, {row.ms_per_frame:6.1f} ms")


if __name__ == "__main__":
    try:
        main(*sys.argv[1:4])
    except litepose.LitePoseError as exc:
        sys.exit(str(exc))
