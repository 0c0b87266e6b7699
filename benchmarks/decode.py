"""Time the decoder from raw network maps, against the reference path in the same run.

    python benchmarks/decode.py [--people 1,10,30,100] [--repeats 30] [--reference-repeats 3]
                                [--layout official]

Maps are those of an official-layout network for an input of 448x640 (stride 4: 34x112x160, stride
2: 17x224x320), or with `--layout p` those of P for 384x512 (17x96x128, tags of two numbers), on one
core, 30 % of the keypoints missing, filling included. Prints a table of medians and ends with one
line of JSON.
"""

from __future__ import annotations

import argparse
import json
import platform
from typing import NamedTuple

import cv2
import numpy as np

from litepose.core.geometry import Letterbox
from litepose.core.maps import Maps
from litepose.core.model_info import InputRule, ModelInfo
from litepose.core.skeleton import COCO17
from litepose.core.timing import median_ms
from litepose.decode.decoder import decode
from litepose.decode.merge import ForwardPass
from litepose.decode.reference import decode_reference

MISSING = 0.3


class Layout(NamedTuple):
    """What a network puts out: input size, strides of its heatmaps, numbers in a tag."""

    input_wh: tuple[int, int]
    strides: tuple[int, ...]
    tag_size: int


LAYOUTS = {"official": Layout((640, 448), (4, 2), 1), "p": Layout((512, 384), (4,), 2)}


def crowd_maps(people: int, seed: int, layout: Layout = LAYOUTS["official"]) -> Maps:
    """Maps of `people` people standing about: Gaussians, tags two apart, a noisy floor."""
    rng = np.random.default_rng(seed)
    input_wh = layout.input_wh
    middle = rng.uniform(0.1, 0.9, size=(people, 1, 2)) * input_wh
    reach = rng.uniform(20, 120, size=(people, 1, 1)) * (0.3, 1.0)
    points = middle + reach * rng.uniform(-1, 1, size=(people, 17, 2))
    points = np.clip(points, 8, np.subtract(input_wh, 8))
    present = rng.random((people, 17)) >= MISSING
    own_tags = rng.permutation(people) * 2.0
    heatmaps = []
    for stride in layout.strides:
        shape = (17, input_wh[1] // stride, input_wh[0] // stride)
        heat = rng.normal(0, 0.01, shape).astype(np.float32)
        tags = rng.normal(0, 0.05, shape).astype(np.float32)
        for n, k in np.argwhere(present):
            x, y = points[n, k] / stride
            rows = slice(max(int(y) - 7, 0), int(y) + 8)
            columns = slice(max(int(x) - 7, 0), int(x) + 8)
            v, u = np.ogrid[rows, columns]
            v, u = v[v < shape[1]][:, None], u[u < shape[2]][None]
            window = heat[k, rows, columns]
            bump = np.exp(-((u + 0.5 - x) ** 2 + (v + 0.5 - y) ** 2) / 8)
            np.maximum(window, bump * rng.uniform(0.4, 1.0), out=window)
            near = tags[k, max(int(y) - 1, 0) : int(y) + 2, max(int(x) - 1, 0) : int(x) + 2]
            near[:] = own_tags[n] + rng.normal(0, 0.05, near.shape)
        heatmaps.append(heat[None])
        if stride == 4:
            tag_map = np.stack([tags] * layout.tag_size, axis=1)[None]
    return Maps(tuple(heatmaps), layout.strides, tag_map, 4)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--people", default="1,10,30,100", help="people counts (default %(default)s)"
    )
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--reference-repeats", type=int, default=3, help="0 leaves it out")
    parser.add_argument("--layout", choices=LAYOUTS, default="official")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    layout = LAYOUTS[options.layout]
    info = ModelInfo("benchmark", COCO17, InputRule(layout.input_wh[1]), layout.strides)
    box = Letterbox(layout.input_wh, layout.input_wh, layout.input_wh)
    rows = []
    print(f"{'people':>7} {'found':>6} {'fast ms':>8} {'reference ms':>13} {'ratio':>6}")
    for people in map(int, options.people.split(",")):
        passes = [ForwardPass(crowd_maps(people, people, layout), box)]
        found = len(decode(passes, info))
        fast = median_ms(lambda p=passes: decode(p, info), options.repeats)
        row = {"people": people, "found": found, "fast_ms": round(fast, 2)}
        if options.reference_repeats:
            slow = median_ms(lambda p=passes: decode_reference(p, info), options.reference_repeats)
            row |= {"reference_ms": round(slow, 1), "ratio": round(slow / fast, 1)}
        rows.append(row)
        print(
            f"{people:7} {found:6} {fast:8.2f} {row.get('reference_ms', float('nan')):13.1f}"
            f" {row.get('ratio', float('nan')):6.1f}",
            flush=True,
        )
    machine = {
        "cpu": platform.processor() or platform.machine(),
        "python": platform.python_version(),
    }
    head = {"benchmark": "decode", "layout": options.layout, "threads": 1}
    print(json.dumps({**head, "rows": rows, **machine}))


if __name__ == "__main__":
    main()
