"""Count the repetitions of an exercise by the angle at a joint: here, arms that are raised.

    python examples/count_repetitions.py [video.mp4]

For squats take hip, knee, ankle with BENT about 100 and STRAIGHT about 160. Without a video it
makes one: a drawn person who raises the arms three times.
"""

from __future__ import annotations

import sys

import numpy as np

import litepose

JOINT = ("hip", "shoulder", "elbow")  # the angle at the middle one
LOW, HIGH = 35, 55  # degrees; between them nothing is decided, so that trembling does not count
SURE = 0.1  # keypoints that score less are not believed


def angle(poses: litepose.Poses) -> float | None:
    """Degrees at the joint of the best person, the mean of both sides; None where it is unseen."""
    sides = []
    for side in ("left", "right"):
        a, joint, b = (poses.keypoint(f"{side}_{part}")[0] for part in JOINT)
        if min(a[2], joint[2], b[2]) >= SURE:
            one, other = (a - joint)[:2], (b - joint)[:2]
            cosine = one @ other / max(np.linalg.norm(one) * np.linalg.norm(other), 1e-6)
            sides.append(np.degrees(np.arccos(np.clip(cosine, -1, 1))))
    return float(np.mean(sides)) if sides else None


def count_repetitions(video: str) -> int:
    repetitions, is_high = 0, False
    for frame in litepose.load().stream(video, smooth=True):
        degrees = angle(frame.poses) if len(frame.poses) else None
        if degrees is None:
            continue
        if is_high and degrees < LOW:
            repetitions += 1
            print(f"{frame.seconds:6.1f} s  {repetitions}")
        is_high = degrees > HIGH or (is_high and degrees >= LOW)
    return repetitions


def main(video: str | None = None) -> None:
    if video is None:
        from clips import exercise_video

        video = exercise_video()
    print(f"{count_repetitions(video)} repetitions")


if __name__ == "__main__":
    try:
        main(*sys.argv[1:2])
    except litepose.LitePoseError as exc:
        sys.exit(str(exc))
