"""ncnn for phones and small boards: `name.param`, `name.bin`, and `name.json` for settings.

ncnn files cannot store text, so the settings are in a JSON file beside them. pnnx converts a traced
network. One image at a time. Input `in0`; outputs `out0`, `out1`, ..., in the order given in the
JSON.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import warnings
from pathlib import Path

import numpy as np
import torch

from litepose.core.errors import LitePoseError
from litepose.export.exportable import Source
from litepose.export.parity import Runner


def write(source: Source, path: Path) -> None:
    import pnnx

    height, width = source.example_hw
    sides = [f"inputshape=[1,3,{height},{width}]f32"]
    if source.size_wh is None:
        multiple = source.network.arch.multiple
        sides.append(f"inputshape2=[1,3,{height + 2 * multiple},{width + 3 * multiple}]f32")
    with tempfile.TemporaryDirectory() as folder:
        traced = Path(folder) / "network.pt"
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            torch.jit.trace(source.module, torch.zeros(1, 3, height, width)).save(str(traced))
        done = subprocess.run(
            [str(Path(pnnx.__file__).parent / "pnnx"), str(traced), *sides, "fp16=0"],
            cwd=folder,
            capture_output=True,
            text=True,
        )
        made = [Path(folder) / f"network.ncnn.{kind}" for kind in ("param", "bin")]
        if done.returncode or not all(file.is_file() for file in made):
            last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
            raise LitePoseError(f"pnnx could not convert {source.info.name} to ncnn: {last}")
        for file, target in zip(made, (path, path.with_suffix(".bin")), strict=True):
            shutil.move(file, target)
    record = {"outputs": source.outputs, **source.properties}
    path.with_suffix(".json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def open_runner(source: Source, path: Path) -> Runner:
    import ncnn

    net = ncnn.Net()
    net.opt.use_vulkan_compute = False
    net.opt.use_fp16_arithmetic = net.opt.use_fp16_storage = net.opt.use_fp16_packed = False
    net.opt.use_bf16_storage = False
    if net.load_param(str(path)) or net.load_model(str(path.with_suffix(".bin"))):
        raise LitePoseError(f"ncnn cannot load {path}")

    def run(images: np.ndarray) -> list[np.ndarray]:
        assert len(images) == 1
        with net.create_extractor() as decoder:
            decoder.input("in0", ncnn.Mat(images[0]).clone())
            return [
                np.array(decoder.extract(f"out{i}")[1])[None] for i in range(len(source.outputs))
            ]

    return run
