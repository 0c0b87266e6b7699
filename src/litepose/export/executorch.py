"""ExecuTorch, PyTorch's runtime for phones: `name.pte`, settings inside, lowered for XNNPACK.

One image of one size at a time. The methods `litepose` and `litepose_weights_sha256` take no input
and return the settings and the hash as text.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from pathlib import Path

import numpy as np
import torch

from litepose.export.exportable import Source
from litepose.export.parity import Runner


def write(source: Source, path: Path) -> None:
    with (
        warnings.catch_warnings(),
        torch.no_grad(),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        warnings.simplefilter("ignore")  # deprecations inside the converter
        from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
        from executorch.exir import to_edge_transform_and_lower

        program = torch.export.export(source.module, (torch.zeros(1, 3, *source.example_hw),))
        lowered = to_edge_transform_and_lower(
            program,
            partitioner=[XnnpackPartitioner()],
            constant_methods=dict(source.properties),
        )
        path.write_bytes(lowered.to_executorch().buffer)


def open_runner(source: Source, path: Path) -> Runner:
    from executorch.runtime import Runtime

    method = Runtime.get().load_program(str(path)).load_method("forward")

    def run(images: np.ndarray) -> list[np.ndarray]:
        # Copied, because the next call writes into the same memory.
        return [output.numpy().copy() for output in method.execute([torch.from_numpy(images)])]

    return run


def read_properties(path: Path) -> dict[str, str]:
    """The settings inside a file that `write` wrote."""
    from executorch.runtime import Runtime

    program = Runtime.get().load_program(str(path))
    names = sorted(name for name in program.method_names if name != "forward")
    return {name: program.load_method(name).execute([])[0] for name in names}
