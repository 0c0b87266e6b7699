"""LiteRT (TensorFlow Lite) for Android and small boards: `name.tflite`, and a JSON for settings.

One image of one size at a time, channels first. Input `args_0`; outputs `output_0`, `output_1`,
..., in the order given in the JSON.
"""

from __future__ import annotations

import contextlib
import io
import json
import warnings
from pathlib import Path

import numpy as np
import torch

from litepose.core.errors import LitePoseError
from litepose.export.exportable import Source
from litepose.export.parity import Runner

SETTINGS = ".tflite.json"


def write(source: Source, path: Path) -> None:
    import litert_torch

    images = torch.zeros(1, 3, *source.example_hw)
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),  # progress
        contextlib.redirect_stderr(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        try:
            model = litert_torch.convert(source.module, (images,))
        except (RuntimeError, ValueError) as exc:
            last = (str(exc).strip().splitlines() or ["it said nothing"])[-1]
            name = source.info.name
            raise LitePoseError(f"litert-torch could not convert {name}: {last}") from exc
        model.export(str(path))
    record = {"outputs": source.outputs, **source.properties}
    text = json.dumps(record, indent=1) + "\n"
    path.with_suffix(SETTINGS).write_text(text, encoding="utf-8")


def open_runner(source: Source, path: Path) -> Runner:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path), num_threads=torch.get_num_threads())
    run_signature = interpreter.get_signature_runner()

    def run(images: np.ndarray) -> list[np.ndarray]:
        found = run_signature(args_0=images)
        return [found[f"output_{i}"] for i in range(len(source.outputs))]

    return run
