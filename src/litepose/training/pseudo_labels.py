"""Write teacher heatmaps: ask a trained model once about every image of a dataset.

Writing can stop anywhere and go on: `answers.json` says who was asked, how, and about which images,
so that what goes on is the same. Teacher heatmaps also speak of people whom nobody labeled.
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
from litepose.core.geometry import Affine
from litepose.data.datasets import PoseDataset, UnreadableImageError
from litepose.data.teacher_maps import SCALE, answer_path
from litepose.inference.predictor import PredictOptions, Predictor
from litepose.models.checkpoint import write_atomically

DESCRIPTION = "answers.json"
SCHEMA = 1


def describe(
    predictor: Predictor, weights_sha256: str, dataset: PoseDataset, options: PredictOptions
) -> dict[str, Any]:
    """What decides the answers, in plain JSON types."""
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
    """Write the description where the folder is new.

    Raises LitePoseError where it holds answers of another description, or of none.
    """
    path = folder / DESCRIPTION
    try:
        there = json.loads(path.read_bytes())
    except FileNotFoundError:
        if next(folder.glob("*.npz"), None) is not None:
            raise LitePoseError(
                f"{folder} holds answers without {DESCRIPTION}, so who gave them is unknown;"
                " name another folder"
            ) from None
        write_atomically(path, json.dumps(description, indent=1).encode())
        return
    except (OSError, ValueError) as wrong:
        raise LitePoseError(f"cannot read {path}: {wrong}; name another folder") from None
    before = there if isinstance(there, dict) else {}
    differs = [
        f"{key} {before.get(key)}, now {value}"
        for key, value in description.items()
        if before.get(key) != value
    ]
    if differs:
        raise LitePoseError(
            f"{folder} holds other answers ({'; '.join(differs)}); name another folder"
        )


def write_answers(
    predictor: Predictor,
    weights_sha256: str,
    dataset: PoseDataset,
    folder: str | Path,
    options: PredictOptions,
    indices: Sequence[int] | None = None,
) -> Iterator[str | None]:
    """Ask about every image; yields None, or why an image was left out, as each is done.

    Images whose answer is there already are passed over. `weights_sha256`: of the predictor's
    file; `indices`: only these images. Raises LitePoseError where the model's keypoints are not
    the dataset's, the folder holds other answers, or nothing can be written.
    """
    if predictor.info.skeleton != dataset.skeleton:
        raise LitePoseError(
            f"{predictor.info.name} knows {predictor.info.skeleton.name}, the images are labeled"
            f" with {dataset.skeleton.name}; answers need the same keypoints"
        )
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as wrong:
        raise LitePoseError(f"cannot make the folder {folder}: {wrong.strerror}") from None
    check_description(folder, describe(predictor, weights_sha256, dataset, options))
    for i in range(len(dataset)) if indices is None else indices:
        path = answer_path(folder, dataset.records[i].image_id)
        if path.exists():
            yield None
            continue
        try:
            heat = ask(predictor, dataset[i].image, options)
        except UnreadableImageError as wrong:
            yield str(wrong)
            continue
        packed = io.BytesIO()
        np.savez_compressed(packed, heat=heat)
        write_atomically(path, packed.getvalue())
        yield None


def ask(predictor: Predictor, image: np.ndarray, options: PredictOptions) -> np.ndarray:
    """(h, w, K) uint8: the merged heatmaps of one image's first view, their cells laid over all
    of it."""
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
