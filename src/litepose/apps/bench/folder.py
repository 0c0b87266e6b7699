"""Throughput of a folder of images: one by one against `Predictor.predict_many`."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from litepose.data.synthetic import SceneSettings, draw_scene
from litepose.imaging.write import save_image
from litepose.inference.predictor import Predictor

_CHUNK = 40  # images timed in turns, so that both ways meet the same minutes
_DRAWN = 8  # different images; the folder repeats them


@dataclass(frozen=True)
class FolderRate:
    """Images a second; `ratio` is the median over the chunks; `identical`: the same people."""

    images: int
    image_wh: tuple[int, int]
    one_by_one: float
    many: float
    ratio: float
    identical: bool


def draw_folder(folder: Path, images: int, image_wh: tuple[int, int]) -> list[Path]:
    """Write so many JPEGs of drawn people, grainy as photographs are."""
    rng = np.random.default_rng(0)
    settings = SceneSettings(size_wh=image_wh, people=(1, 6))
    paths = []
    for i in range(min(images, _DRAWN)):
        image = draw_scene(rng, settings).image
        grain = rng.integers(-12, 13, image.shape)
        grainy = np.clip(image + grain, 0, 255).astype(np.uint8)
        paths.append(save_image(folder / f"{i:04}.jpg", grainy))
    for i in range(_DRAWN, images):
        path = folder / f"{i:04}.jpg"
        path.write_bytes(paths[i % _DRAWN].read_bytes())
        paths.append(path)
    return paths


def measure_folder(predictor: Predictor, paths: list[Path]) -> FolderRate:
    """Time every image sequentially and in parallel, in alternating chunks."""
    predictor.predict(paths[0])
    list(predictor.predict_many(paths[:_CHUNK]))  # opens what it needs
    alone_s, many_s, identical = [], [], True
    for begin in range(0, len(paths), _CHUNK):
        chunk = paths[begin : begin + _CHUNK]
        start = time.perf_counter()
        alone = [predictor.predict(path) for path in chunk]
        between = time.perf_counter()
        many = list(predictor.predict_many(chunk))
        end = time.perf_counter()
        alone_s.append(between - start)
        many_s.append(end - between)
        identical &= all(
            prediction.poses is not None and prediction.poses.to_json() == other.to_json()
            for prediction, other in zip(many, alone, strict=True)
        )
    image_wh = predictor.predict(paths[0]).image_wh
    assert image_wh is not None, "an image that was read has a size"
    return FolderRate(
        images=len(paths),
        image_wh=image_wh,
        one_by_one=round(len(paths) / sum(alone_s), 1),
        many=round(len(paths) / sum(many_s), 1),
        ratio=round(statistics.median(a / b for a, b in zip(alone_s, many_s, strict=True)), 2),
        identical=identical,
    )
