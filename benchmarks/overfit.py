"""Does training do what it says? P on sixteen real images, no augmentation, to AP 80 and more.

    python benchmarks/overfit.py COCO-FOLDER [--output out/overfit]

Chooses images whose people are all labeled and at least 96 px high, runs `litepose train
configs/overfit.toml` on them and judges on the same ones. Exit code 1 below AP 80. Last line: JSON.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from litepose.data.coco import Record
from litepose.data.layouts import find_dataset

CONFIG = Path(__file__).resolve().parents[1] / "configs" / "overfit.toml"
IMAGES, LEAST_HEIGHT, MOST_PEOPLE, LEAST_AP = 16, 96.0, 4, 80.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--output", type=Path, default=Path("out/overfit"))
    parser.add_argument("words", nargs="*", help="further key=value for the configuration")
    options = parser.parse_args()
    ids = choose(options.data)
    began = time.monotonic()
    words = [
        f"data.root={options.data}",
        f"data.train.0.image_ids={ids}",
        f"data.val.image_ids={ids}",
        f"output={options.output}",
        *options.words,
    ]
    command = [sys.executable, "-m", "litepose", "train", str(CONFIG), *words]
    done = subprocess.run(command, check=False)
    if done.returncode:
        return done.returncode
    seconds = time.monotonic() - began
    last = json.loads((options.output / "metrics.jsonl").read_text().splitlines()[-1])
    ap = last["intervals"]["ap"]["value"]
    print(f"AP {ap:.1f} on the {len(ids)} images it was shown, after {seconds:.0f} s")
    print(json.dumps({"benchmark": "overfit", "ap": ap, "seconds": seconds, "image_ids": ids}))
    return 0 if ap >= LEAST_AP else 1


def choose(folder: Path) -> list[int]:
    """The images whose smallest person is largest."""
    dataset = find_dataset(folder, "train2017", people_only=True)
    fitting = [record for record in dataset.records if _fits(record)]
    fitting.sort(key=lambda record: (-record.boxes_xywh[:, 3].min(), record.image_id))
    return [record.image_id for record in fitting[:IMAGES]]


def _fits(record: Record) -> bool:
    heights = record.boxes_xywh[:, 3]
    everybody = record.people_complete and not record.ignored
    return bool(everybody and len(record) <= MOST_PEOPLE and np.all(heights >= LEAST_HEIGHT))


if __name__ == "__main__":
    sys.exit(main())
