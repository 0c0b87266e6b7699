"""Networks filled by the formula of the reference numbers."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")


def wave(name: str, shape: list[int]) -> np.ndarray:
    """A tensor's values as reference/README.md defines them, from its official name."""
    count = int(np.prod(shape))
    values = np.sin(0.37 * np.arange(count) + zlib.crc32(name.encode()) % 1000)
    if name.endswith("running_var"):
        values = 1 + values / 4
    elif name.endswith(("running_mean", "bias")):
        values = values / 20
    elif len(shape) == 1:
        values = 1 + values / 10
    else:
        values = values * np.sqrt(4 / (count / shape[0]))
    return values.reshape(shape).astype(np.float32)


@pytest.fixture(scope="session")
def formula_state(shared: Path) -> Callable[[str], dict]:
    """`formula_state("S-coco")`: an official state dict filled by the formula."""
    layout = json.loads((shared / "reference/state_dict_layout.json").read_text())

    def fill(network: str) -> dict:
        shapes = layout[network]["state_dict"]
        return {
            name: torch.from_numpy(wave(name, shape)) if shape else torch.tensor(0)
            for name, shape in shapes.items()
        }

    return fill
