"""Core ML for iPhones and Macs: `name.mlpackage`, a folder, settings inside.

Only macOS runs Core ML. On other systems the written file is read again, and its inputs, outputs,
shapes, operators and weights are compared with the network. One input size.
"""

from __future__ import annotations

import contextlib
import io
import logging
import shutil
import sys
import warnings
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from litepose.core.errors import LitePoseError
from litepose.export.exportable import Source
from litepose.export.parity import Runner

logging.getLogger("coremltools").setLevel(logging.ERROR)  # it logs messages on import
import coremltools as ct  # noqa: E402

RUNS = sys.platform == "darwin"
MOST_APART = 1e-3  # difference of a weight / largest weight of its tensor (float16: 5e-4)
SMALLEST = 1e-6  # float16 has no finer steps near zero than 6e-8
# The Core ML operators that litepose networks need.
OPERATORS = {
    *("const", "cast", "conv", "relu", "relu6", "sigmoid", "add", "pad", "avg_pool", "concat"),
    *("reshape", "transpose", "upsample_bilinear", "pixel_shuffle", "slice_by_index"),
}


def write(source: Source, path: Path) -> None:
    precision = ct.precision.FLOAT16 if source.half else ct.precision.FLOAT32
    example = torch.zeros(1, 3, *source.example_hw)
    with warnings.catch_warnings(), torch.no_grad(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        model = ct.convert(
            torch.jit.trace(source.module, example),
            inputs=[ct.TensorType("images", shape=example.shape, dtype=np.float32)],
            outputs=[ct.TensorType(name, dtype=np.float32) for name in source.outputs],
            convert_to="mlprogram",
            minimum_deployment_target=ct.target.iOS16,
            compute_precision=precision,
            skip_model_load=not RUNS,
        )
    model.user_defined_metadata.update(source.properties)
    shutil.rmtree(path, ignore_errors=True)
    model.save(str(path))


def open_runner(source: Source, path: Path) -> Runner | None:
    """Raise LitePoseError unless the file has the network's form and weights."""
    check_form(source, path)
    if not RUNS:
        return None
    model = ct.models.MLModel(str(path), compute_units=ct.ComputeUnit.CPU_ONLY)

    def run(images: np.ndarray) -> list[np.ndarray]:
        found = model.predict({"images": images})
        return [np.asarray(found[name], np.float32) for name in source.outputs]

    return run


def read_properties(path: Path) -> dict[str, str]:
    """The settings inside a file that `write` wrote."""
    return dict(ct.models.MLModel(str(path), skip_model_load=True).user_defined_metadata)


def check_form(source: Source, path: Path) -> None:
    """Compare inputs, outputs, shapes, operators and weights with the network's.

    Raises LitePoseError that names the first difference.
    """
    with torch.inference_mode():
        expected = source.module(torch.zeros(1, 3, *source.example_hw))
    model = ct.models.MLModel(str(path), skip_model_load=True)
    spec = model.get_spec()
    main = spec.mlProgram.functions["main"]
    kinds = Counter(each.type for each in main.block_specializations[main.opset].operations)
    convolutions = sum(isinstance(each, nn.Conv2d) for each in source.module.modules())
    for what, found, right in (
        ("inputs", shapes(spec.description.input), {"images": (1, 3, *source.example_hw)}),
        (
            "outputs",
            shapes(spec.description.output),
            {name: tuple(out.shape) for name, out in zip(source.outputs, expected, strict=True)},
        ),
        ("foreign operators", set(kinds) - OPERATORS, set()),
        ("convolutions", kinds["conv"], convolutions),
    ):
        if found != right:
            raise LitePoseError(f"the Core ML file has {what} {found}; the network has {right}")
    check_weights(source, weights_of(model))


def shapes(ends: Any) -> dict[str, tuple[int, ...]]:
    return {end.name: tuple(end.type.multiArrayType.shape) for end in ends}


def weights_of(model: Any) -> dict[str, np.ndarray]:
    """Constants of a file by name; Core ML writes `_` for a dot."""
    with contextlib.redirect_stderr(io.StringIO()):  # a progress bar
        found = ct.optimize.coreml.get_weights_metadata(model, weight_threshold=1)
    return {name: np.asarray(each.val) for name, each in found.items()}


def check_weights(source: Source, stored: Mapping[str, np.ndarray]) -> None:
    """Raise LitePoseError naming the first tensor that is missing or differs.

    Core ML stores equal tensors once, under one name, so a tensor without its own name is compared
    with all others of its shape.
    """
    for name, weight in source.module.named_parameters():
        plain, theirs = name.replace(".", "_"), weight.detach().numpy()
        own = [stored[key] for key in (plain, f"{plain}_to_fp16") if key in stored]
        limit = max(MOST_APART * float(np.abs(theirs).max()), SMALLEST)
        if not any(
            ours.shape == theirs.shape and np.abs(ours - theirs).max() <= limit
            for ours in own or stored.values()
        ):
            raise LitePoseError(
                f"{name} {theirs.shape} of {source.info.name} is not among the weights of the Core"
                f" ML file to within {MOST_APART:.0e}; nothing was written"
            )
