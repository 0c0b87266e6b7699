"""Small training runs: their configuration, their results, and processes that make them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import torch

from litepose.models.checkpoint import load_checkpoint
from litepose.training.config import TrainConfig
from litepose.training.config_file import config_from_dict

TABLE = {
    "name": "small",
    "epochs": 2,
    "phases": [{"size": 64, "batch_size": 4}],
    "model": {"name": "tiny"},
    "loss": {"heatmap": "focal", "pull_weight": 1.0, "push_weight": 1.0},
    "optimizer": {"lr": 2e-3, "ema": 0.9},
    "run": {"channels_last": True, "threads": 1, "evaluate_every": 2, "samples": 1},
}


def table(people: Path, output: Path, **changes) -> dict:
    data = {"root": str(people), "train": [{"split": "train"}], "val": {"split": "val"}}
    merged = {**TABLE, "output": str(output), "data": {**data, "workers": 0}}
    for section, values in changes.items():
        merged[section] = (
            {**merged.get(section, {}), **values} if isinstance(values, dict) else values
        )
    return merged


def config(people: Path, output: Path, **changes) -> TrainConfig:
    return config_from_dict(table(people, output, **changes))


def weights(output: Path, name: str = "last.safetensors") -> dict[str, torch.Tensor]:
    return load_checkpoint(output / name)[0].state_dict()


def metrics(output: Path) -> list[dict]:
    return [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(a[name], b[name]) for name in a)


PROGRAM = """
import json, sys
from litepose.training.config_file import config_from_dict
from litepose.training.signals import STOP_SIGNALS, Signals
from litepose.training.trainer import train
train(config_from_dict(json.loads(sys.argv[1])), resume=sys.argv[2] == "resume")
"""


def start_process(settings: dict, how: str, **environment: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, json.dumps(settings), how],
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen) -> None:
    _, said = process.communicate(timeout=200)
    assert process.returncode == 0, said
