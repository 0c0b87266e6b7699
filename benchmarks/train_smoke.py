"""The smoke run: does training learn at all? A tiny network, drawn people, random weights, a CPU.

    python benchmarks/train_smoke.py [--output out/train-smoke]

Runs `litepose train configs/tiny.toml` as a user would, into an empty folder. Exit code 1 where
AP50 on people it has not seen stays below 60. Last line: JSON.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

CONFIG = Path(__file__).resolve().parents[1] / "configs" / "tiny.toml"
LEAST_AP50 = 60.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--output", type=Path, default=Path("out/train-smoke"))
    options = parser.parse_args()
    if (options.output / "metrics.jsonl").exists():  # an earlier smoke run; nothing else goes
        shutil.rmtree(options.output)
    began = time.monotonic()
    command = ["-m", "litepose", "train", str(CONFIG), f"output={options.output}"]
    done = subprocess.run([sys.executable, *command], check=False)
    seconds = time.monotonic() - began
    if done.returncode:
        return done.returncode
    last = json.loads((options.output / "metrics.jsonl").read_text().splitlines()[-1])
    ap, ap50 = (last["intervals"][name]["value"] for name in ("ap", "ap50"))
    good = ap50 >= LEAST_AP50
    print(f"AP {ap:.1f}, AP50 {ap50:.1f} in {seconds:.0f} s: {'good' if good else 'NOT GOOD'}")
    print(json.dumps({"benchmark": "train_smoke", "ap": ap, "ap50": ap50, "seconds": seconds}))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
