"""What the views and crops of the efforts cost, end to end, against one view of P at 384 px.

    python benchmarks/views.py [IMAGE|FOLDER ...] [--repeats 5] [--people 30] [--bfloat16]

Each effort runs alone in a process of its own, on the same images, taking turns; times are medians
over turns of the mean over images, from decoded image to `Poses`. Then decoding and merging alone,
for a crowd. --bfloat16: the usual effort with OpenVINO in bfloat16 as well, on a CPU that has it.
Ratios within one run are what counts. Ends with one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import litepose
from litepose.apps.bench.crowd_maps import crowd_maps
from litepose.core.geometry import letterbox
from litepose.core.timing import median_ms
from litepose.decode.decoder import decode_field
from litepose.decode.merge import ForwardPass, merge_passes
from litepose.decode.merge_views import ViewPoses, merge_views
from litepose.imaging.find_images import list_images

EXAMPLES = Path(__file__).resolve().parents[1] / "examples" / "images"
RUNS = 31  # of decoding and merging a crowd
ONE = "P, one view"
WAYS = {
    ONE: {"model": "p"},
    "fast": {"effort": "fast"},
    "fast, no crops": {"effort": "fast", "crops": 0},
    "usual": {"effort": "usual"},
    "usual, no crops": {"effort": "usual", "crops": 0},
    "best": {"effort": "best"},
}
BFLOAT16 = {"usual, bfloat16": {"effort": "usual", "backend": "openvino", "precision": "bfloat16"}}
MEASURE = """
import sys, time, json
from dataclasses import replace
import litepose
from litepose.imaging.read import read_image
model = litepose.load(**json.loads(sys.argv[1]))
images = [read_image(path) for path in sys.argv[2:]]
model.inspect(images[0], replace(model.defaults, focus=False))
start = time.perf_counter()
found = [model.inspect(image) for image in images]
ms = (time.perf_counter() - start) / len(images) * 1e3
counts = [sum(len(getattr(one, name)) for one in found) for name in ("views", "crops")]
print(json.dumps([ms, *(count / len(images) for count in counts)]))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description="What several views cost.")
    parser.add_argument("images", nargs="*", default=[str(EXAMPLES)])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--people", type=int, default=30)
    parser.add_argument("--bfloat16", action="store_true")
    options = parser.parse_args()
    ways = WAYS | (BFLOAT16 if options.bfloat16 else {})
    paths = [str(path) for given in options.images for path in list_images(given)]
    times: dict[str, list[float]] = {name: [] for name in ways}
    counts: dict[str, list[float]] = {}
    for _ in range(options.repeats):
        for name, how in ways.items():
            command = [sys.executable, "-c", MEASURE, json.dumps(how), *paths]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            ms, *counts[name] = json.loads(done.stdout)
            times[name].append(ms)
    medians = {name: statistics.median(found) for name, found in times.items()}
    print(f"{len(paths)} images, {options.repeats} turns{'':12} ms  of one view  views  crops")
    for name, ms in medians.items():
        views, crops = counts[name]
        print(f"  {name:30} {ms:7.1f} {ms / medians[ONE]:12.2f}  {views:5.2f} {crops:6.2f}")
    parts = crowd_ms(options.people)
    print(
        f"{options.people} people: "
        + ", ".join(f"{name} {ms:.2f} ms" for name, ms in parts.items())
    )
    rounded = {name: round(ms, 2) for name, ms in (medians | parts).items()}
    print(json.dumps({"benchmark": "views", "images": len(paths), "ms": rounded}))


def crowd_ms(people: int) -> dict[str, float]:
    """Median milliseconds of decoding each view of a made-up crowd, and of merging them."""
    info = litepose.load(threads=1).info
    info = replace(info, decode=replace(info.decode, person_threshold=0.0))
    found, took = [], {}
    for size in info.input.views:
        box = letterbox((640, 480), size, info.input.multiple)
        passes = [ForwardPass(crowd_maps(info, box.input_wh, people), box)]
        poses = decode_field(merge_passes(passes, info.tag_kind), box, info)
        found.append(ViewPoses(poses, box.zoom))
        took[f"decode {size}"] = median_ms(
            lambda passes=passes, box=box: decode_field(
                merge_passes(passes, info.tag_kind), box, info
            ),
            RUNS,
        )
    took["merge"] = median_ms(lambda: merge_views(found, info.merge), RUNS)
    return took


if __name__ == "__main__":
    main()
