"""TorchScript for C++ with LibTorch: traced network, settings as extra files.

PyTorch has deprecated TorchScript but still loads it.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import torch

from litepose.export.exportable import Source
from litepose.export.parity import Runner


def write(source: Source, path: Path) -> None:
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # deprecation, and sides traced as constants
        traced = torch.jit.trace(source.module, torch.zeros(1, 3, *source.example_hw))
        traced = traced if source.decoder else torch.jit.freeze(traced)
        torch.jit.save(traced, str(path), _extra_files=dict(source.properties))


def open_runner(source: Source, path: Path) -> Runner:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = torch.jit.load(str(path))

    def run(images: np.ndarray) -> list[np.ndarray]:
        with torch.inference_mode():
            return [output.numpy() for output in model(torch.from_numpy(images))]

    return run
