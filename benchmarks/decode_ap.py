"""AP of the fast decoder and of the reference path on real images, from the same network outputs.

    python benchmarks/decode_ap.py DATA [--split val2017] [--model p] [--size 384] [--flip-test]

DATA is a folder in COCO layout. Both decoders get the same maps; every person is kept. The rows
below the first two change one thing of the fast path at a time: the effects that
docs/fidelity.md quotes. Ends with one line of JSON. Needs `litepose[train]`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from unittest import mock

import numpy as np

import litepose
from litepose.core.model_info import DecodeSettings, ModelInfo
from litepose.core.poses import Poses
from litepose.data.layouts import find_dataset
from litepose.decode import decoder, grouping
from litepose.decode import peaks as candidates
from litepose.decode.merge import ForwardPass
from litepose.decode.reference import ReferenceSettings, decode_reference
from litepose.evaluation.metrics import coco_ap
from litepose.inference.inspection import forward_passes
from litepose.inference.results import PredictOptions

Decode = Callable[[list[ForwardPass], ModelInfo], Poses]


def quarter(flat: np.ndarray, at: np.ndarray, columns: int) -> np.ndarray:
    """The official quarter offset, at the map's own resolution."""
    steps = (1, columns)
    return np.stack([np.where(flat[at + s] > flat[at - s], 0.25, -0.25) for s in steps], axis=1)


def with_settings(**change: object) -> Decode:
    return lambda passes, info: decoder.decode(
        passes, replace(info, decode=replace(info.decode, **change))
    )


def patched(target: object, name: str, value: object) -> Decode:
    def run(passes: list[ForwardPass], info: ModelInfo) -> Poses:
        with mock.patch.object(target, name, value):
            return decoder.decode(passes, info)

    return run


def quarter_everywhere(passes: list[ForwardPass], info: ModelInfo) -> Poses:
    with mock.patch.object(candidates, "subpixel", quarter):
        return patched(grouping, "subpixel", quarter)(passes, info)


WAYS: dict[str, Decode] = {
    "reference": decode_reference,
    "fast (default)": decoder.decode,
    "fast, duplicates kept": with_settings(duplicate_oks=2.0),
    "fast, nothing filled": with_settings(fill=False),
    "fast, filling searches every block": patched(grouping, "FILL_BLOCKS", 10**6),
    "fast, quarter offset": quarter_everywhere,
    "fast, tag threshold 1": with_settings(tag_threshold=1.0),
    "reference, tag threshold 1": lambda passes, info: decode_reference(
        passes, info, ReferenceSettings(heat_threshold=info.decode.heat_threshold)
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description="AP of both decoders on the same maps.")
    parser.add_argument("data", type=Path)
    parser.add_argument("--split", default="val2017")
    parser.add_argument("--model", default=None)
    parser.add_argument("--size", type=int, default=None)
    parser.add_argument("--flip-test", action="store_true")
    options = parser.parse_args()
    model = litepose.load(options.model, input_size=options.size)
    info = replace(model.info, decode=replace(model.info.decode, person_threshold=0.0))
    assert isinstance(info.decode, DecodeSettings)
    dataset = find_dataset(options.data, options.split, target=info.skeleton)
    how = PredictOptions(flip_test=options.flip_test)
    results: dict[str, list] = {name: [] for name in WAYS}
    people = dict.fromkeys(WAYS, 0)
    for i, record in enumerate(dataset.records):
        passes = forward_passes(model, dataset[i].image, how)
        for name, decode in WAYS.items():
            poses = decode(passes, info)
            people[name] += len(poses)
            results[name] += poses.to_coco(record.image_id)
    rows = []
    print(f"{'':36} {'AP':>6} {'AP50':>6} {'AP75':>6} {'large':>6} {'people':>7}")
    for name, found in results.items():
        report = coco_ap(dataset.annotation_json, found, info.skeleton)
        numbers = [report.ap, report.ap50, report.ap75, report.ap_large]
        print(f"{name:36} " + " ".join(f"{v:6.2f}" for v in numbers) + f" {people[name]:7}")
        rows.append({"decoder": name, "ap": round(report.ap, 2), "ap75": round(report.ap75, 2)})
    lost = rows[0]["ap"] - rows[1]["ap"]
    print(json.dumps({"benchmark": "decode_ap", "size": info.input.size, "flip_test": how.flip_test,
                      "fast_below_reference": round(lost, 2), "rows": rows}))  # fmt: skip


if __name__ == "__main__":
    main()
