"""The search's smoke run: train -> supernet -> search -> fine-tune -> evaluate, on drawn people.

    python benchmarks/search_smoke.py [--output out/search-smoke] [--largest FILE]

Runs the commands of docs/search.md as a user would, into an empty folder, in minutes on a CPU. The
supernet begins with the network of train_smoke.py where that has run, else with one of its own.
Exit code 1 where the extracted network keeps less than 80 % of the AP that it had inside the
supernet, where fine-tuning loses a tenth of AP50, or where that stays below 35. Last line: JSON.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

CONFIGS = Path(__file__).resolve().parents[1] / "configs"
KEPT, LEAST_AP50 = 0.8, 35.0
IMAGES, EVALUATIONS = 800, 12


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--output", type=Path, default=Path("out/search-smoke"))
    parser.add_argument("--largest", type=Path, default=Path("out/train-smoke/best.safetensors"))
    options = parser.parse_args()
    output, start = options.output, options.largest
    if (output / "supernet/metrics.jsonl").exists():  # an earlier smoke run; nothing else goes
        shutil.rmtree(output)
    began = time.monotonic()
    supernet, found, tuned = (output / name for name in ("supernet", "search", "tuned"))
    drawn = f"data.train.0.synthetic={IMAGES}"
    if not start.exists():
        largest = output / "largest"
        start = largest / "best.safetensors"
        _litepose("train", CONFIGS / "tiny.toml", f"output={largest}", drawn)
    _litepose(
        "train", CONFIGS / "tiny_supernet.toml", f"output={supernet}", drawn, "epochs=2",
        "model.name=", f"model.init={start}", "optimizer.lr=2e-3",
        "run.evaluate_every=2",
    )  # fmt: skip
    _litepose(
        "search", CONFIGS / "tiny_search.toml", f"output={found}", f"evaluations={EVALUATIONS}",
        f"supernet={supernet / 'best.supernet.safetensors'}", "--limit", "macs<20M",
    )  # fmt: skip
    best = json.loads((found / "front.json").read_text())["front"][-1]
    network = found / best["file"]
    images = next((found / "drawn").glob("*-3"))  # the search's own, which nothing was trained on
    extracted = _evaluate(network, images, output / "extracted")
    _litepose(
        "train", CONFIGS / "tiny.toml", f"output={tuned}", drawn, "model.name=",
        f"model.init={network}", "epochs=1", "optimizer.lr=1e-3", "optimizer.warmup=0.2",
        "run.evaluate_every=1",
    )  # fmt: skip
    final = _evaluate(tuned / "best.safetensors", images, output / "final")
    result = {
        "benchmark": "search_smoke",
        "macs": best["macs"],
        "ap_in_supernet": best["ap"],
        "ap_extracted": extracted["ap"],
        "ap_tuned": final["ap"],
        "ap50_extracted": extracted["ap50"],
        "ap50_tuned": final["ap50"],
        "seconds": time.monotonic() - began,
    }
    good = (
        extracted["ap"] >= KEPT * best["ap"]
        and final["ap50"] >= max(LEAST_AP50, 0.9 * extracted["ap50"])
    )  # fmt: skip
    print("good" if good else "NOT GOOD")
    print(json.dumps(result))
    return 0 if good else 1


def _litepose(*words: object) -> str:
    command = [sys.executable, "-m", "litepose", *map(str, words)]
    print("$ litepose", *words, file=sys.stderr)
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def _evaluate(network: Path, images: Path, output: Path) -> dict[str, float]:
    _litepose("evaluate", "--model", network, "--data", images, "--split", "drawn",
              "--output", output)  # fmt: skip
    report = json.loads((output / "report.json").read_text())
    return {name: report["judged"]["coco"][name] for name in ("ap", "ap50")}


if __name__ == "__main__":
    sys.exit(main())
