"""How many people are in a video at each moment, and how many different ones in all.

    python examples/count_people.py [video.mp4]

Who leaves for more than a second and comes back counts as another. Without a video it makes one: a
camera that turns over a group.
"""

from __future__ import annotations

import sys
from collections import Counter
from typing import NamedTuple

import litepose

SEEN_FOR = 0.5  # seconds that somebody must be seen to count


class Count(NamedTuple):
    """at_once: of each whole second, the people seen; different: all who were seen long enough."""

    at_once: dict[int, int]
    different: int


def count_people(video: str) -> Count:
    model = litepose.load(effort="fast")
    at_once: dict[int, int] = {}
    frames_of = Counter[int]()
    with litepose.video.frames(video) as frames:
        for frame in model.stream(frames, track=True):
            second = int(frame.seconds)
            at_once[second] = max(at_once.get(second, 0), len(frame.poses))
            frames_of.update(frame.poses.track_ids.tolist())
        enough = SEEN_FOR * frames.fps
    return Count(at_once, sum(count >= enough for count in frames_of.values()))


def main(video: str | None = None) -> None:
    if video is None:
        from clips import group_video

        video = group_video()
    found = count_people(video)
    for second, people in found.at_once.items():
        print(f"{second:4d} s  {'█' * people} {people}")
    print(f"{found.different} different people")


if __name__ == "__main__":
    try:
        main(*sys.argv[1:2])
    except litepose.LitePoseError as exc:
        sys.exit(str(exc))
