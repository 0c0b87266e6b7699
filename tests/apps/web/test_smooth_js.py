"""The page's smoother moves keypoints as Python's does."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import litepose
from litepose.core.poses import Poses
from litepose.core.skeleton import COCO17

STATIC = Path(litepose.__file__).parent / "apps/web/static"
pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="needs node")


def walk(seed: int) -> list[tuple[float, Poses]]:
    """Up to four people who drift, come and go, with keypoints that are at times missing; the clock
    stumbles, and once the video starts again."""
    rng = np.random.default_rng(seed)
    places = rng.uniform(0, 400, (4, 1, 2)) + rng.uniform(-60, 60, (4, 17, 2))
    seconds, frames = 0.0, []
    for i in range(60):
        seconds = 0.0 if i == 40 else seconds + rng.choice([0.033, 0.033, 0.1, 0.0, 1.5, -0.02])
        places += rng.normal(0, 4, (4, 1, 2)) + rng.normal(0, 1, (4, 17, 2))
        scores = rng.uniform(0, 0.6, (4, 17)) * (rng.random((4, 17)) > 0.15)
        scores[:, 0] = 0.5  # nobody without a keypoint
        there = np.flatnonzero(rng.random(4) > 0.2)
        points = places[there].astype(np.float32)
        poses = Poses(points, scores[there], np.full(len(there), 0.5), COCO17, track_ids=there + 1)
        frames.append((max(seconds, 0.0), poses))
    return frames


@pytest.mark.slow
def test_keypoints_are_those_of_python(tmp_path: Path) -> None:
    for name in ("smooth.js", "decode.js", "matching.js"):
        shutil.copy(STATIC / name, tmp_path)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    walks = [walk(seed) for seed in range(12)]
    records = [
        [{"seconds": seconds, "people": one.to_dict()["people"]} for seconds, one in frames]
        for frames in walks
    ]
    for frames, kept in zip(walks, records, strict=True):  # the JSON rounds
        for (_, poses), record in zip(frames, kept, strict=True):
            for i, person in enumerate(record["people"]):
                scores = poses.scores[i].tolist()
                person["keypoints"] = [
                    [*xy, score]
                    for xy, score in zip(poses.keypoints_xy[i].tolist(), scores, strict=True)
                ]
    (tmp_path / "walks.json").write_text(json.dumps(records))
    script = Path(__file__).with_name("smooth_cases.mjs")
    done = subprocess.run(
        ["node", str(script), str(tmp_path)], capture_output=True, text=True, check=True
    )
    moved = 0.0
    for frames, found in zip(walks, json.loads(done.stdout), strict=True):
        smoother = litepose.Smoother()
        for (seconds, poses), people in zip(frames, found, strict=True):
            ours = smoother.update(poses, seconds)
            theirs = np.array([p["keypoints"] for p in people]).reshape(-1, 17, 3)
            np.testing.assert_allclose(theirs[..., :2], ours.keypoints_xy, atol=1e-3)
            boxes = np.array([p["box_xyxy"] for p in people]).reshape(-1, 4)
            np.testing.assert_allclose(boxes, ours.boxes_xyxy, atol=1e-3)
            moved = max(moved, float(np.abs(ours.keypoints_xy - poses.keypoints_xy).max(initial=0)))
    assert moved > 5
