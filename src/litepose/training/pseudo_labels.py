"""Write teacher heatmaps: run a trained model once on every image of a dataset.

Writing can be interrupted and resumed: `teacher_maps.json` records the model, its options and the
images, so that a resumed run continues the same set. Teacher heatmaps include unlabeled people.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from litepose.core.errors import LitePoseError
from litepose.core.files import write_atomically
from litepose.core.geometry import Affine
from litepose.core.names import local_path
from litepose.core.read_text import SETTINGS_BYTES, read_json
from litepose.data.datasets import PoseDataset, UnreadableImageError
from litepose.data.teacher_maps import SCALE, teacher_map_path
from litepose.inference.predictor import PredictOptions, Predictor

DESCRIPTION = "teacher_maps.json"
DESCRIPTION_BEFORE = "answers.json"  # its name in 0.1.0
SCHEMA = 1


def describe(
    predictor: Predictor, weights_sha256: str, dataset: PoseDataset, options: PredictOptions
) -> dict[str, Any]:
    """Everything that the heatmaps depend on, in plain JSON types."""
    images = sorted((r.image_id, r.file_name, *r.image_wh) for r in dataset.records)
    return {
        "schema": SCHEMA,
        "model": predictor.info.name,
        "weights_sha256": weights_sha256,
        "skeleton": predictor.info.skeleton.name,
        "keypoints": list(predictor.info.skeleton.keypoints),
        "size": options.view_sizes(predictor.info.input)[0],
        "flip_test": options.flip_test,
        "scales": [float(scale) for scale in options.scales],
        "images": len(images),
        "images_sha256": hashlib.sha256(json.dumps(images).encode()).hexdigest(),
    }


def check_description(folder: Path, description: dict[str, Any]) -> None:
    """Write the description if the folder is new.

    Raises LitePoseError if it has heatmaps of another description, or without one.
    """
    path = folder / DESCRIPTION
    if (folder / DESCRIPTION_BEFORE).exists():
        path = folder / DESCRIPTION_BEFORE
    if not path.exists():
        if next(folder.glob("*.npz"), None) is not None:
            raise LitePoseError(
                f"{folder} holds heatmaps without {DESCRIPTION}, so their model is unknown;"
                " name another folder"
            )
        write_atomically(path, json.dumps(description, indent=1).encode())
        return
    try:
        found = read_json(path, "the description of teacher maps", SETTINGS_BYTES)
    except LitePoseError as exc:
        raise LitePoseError(f"{exc}; name another folder") from None
    before = found if isinstance(found, dict) else {}
    differs = [
        f"{key} {before.get(key)}, now {value}"
        for key, value in description.items()
        if before.get(key) != value
    ]
    if differs:
        raise LitePoseError(
            f"{folder} holds heatmaps of other settings ({'; '.join(differs)}); name another folder"
        )


def write_teacher_maps(
    predictor: Predictor,
    weights_sha256: str,
    dataset: PoseDataset,
    folder: str | Path,
    options: PredictOptions,
    indices: Sequence[int] | None = None,
) -> Iterator[str | None]:
    """Run on every image; yields None, or the reason why an image was skipped.

    Images whose heatmaps exist already are skipped. `weights_sha256`: of the predictor's
    file; `indices`: only these images. Raises LitePoseError if the model's keypoints are not
    the dataset's, the folder has other heatmaps, or it cannot be written.
    """
    if predictor.info.skeleton != dataset.skeleton:
        raise LitePoseError(
            f"{predictor.info.name} knows {predictor.info.skeleton.name}, the images are labeled"
            f" with {dataset.skeleton.name}; teacher heatmaps need the same keypoints"
        )
    folder = local_path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise LitePoseError(f"cannot make the folder {folder}: {exc.strerror}") from None
    check_description(folder, describe(predictor, weights_sha256, dataset, options))
    for i in range(len(dataset)) if indices is None else indices:
        path = teacher_map_path(folder, dataset.records[i].image_id)
        if path.exists():
            yield None
            continue
        try:
            heat = predict_teacher_maps(predictor, dataset[i].image, options)
        except UnreadableImageError as exc:
            yield str(exc)
            continue
        packed = io.BytesIO()
        np.savez_compressed(packed, heat=heat)
        write_atomically(path, packed.getvalue())
        yield None


def predict_teacher_maps(
    predictor: Predictor, image: np.ndarray, options: PredictOptions
) -> np.ndarray:
    """(h, w, K) uint8: merged heatmaps of one image's first view, covering the whole image."""
    maps, box, _ = predictor.inspect(image, options).views[0]
    cells_w, cells_h = (side / maps.stride for side in box.content_wh)
    size_wh = (round(cells_w), round(cells_h))
    onto = Affine.scale_shift((size_wh[0] / cells_w, size_wh[1] / cells_h)).for_warp()
    heat = np.stack(
        [
            cv2.warpAffine(channel, onto, size_wh, borderMode=cv2.BORDER_REPLICATE)
            for channel in maps.heat
        ],
        axis=-1,
    )
    return np.round(heat.clip(0, 1) * SCALE).astype(np.uint8)
