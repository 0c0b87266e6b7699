"""8-bit OpenVINO by nncf: weights per channel, activations per tensor."""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import numpy as np

from litepose.export.openvino import compiled as run
from litepose.export.openvino import convert as prepare
from litepose.export.openvino import save

__all__ = ["prepare", "quantize", "run", "save"]


def quantize(model: Any, images: Sequence[np.ndarray], keep: Collection[str]) -> Any:
    """The model in 8 bits, the layers `keep` (names of torch modules) left in float."""
    with _quiet():
        import nncf

        ignored = nncf.IgnoredScope(names=_convolutions(model, keep)) if keep else None
        return nncf.quantize(
            model,
            nncf.Dataset(list(images)),
            subset_size=len(images),
            preset=nncf.QuantizationPreset.MIXED,
            ignored_scope=ignored,
        )


def _convolutions(model: Any, layers: Collection[str]) -> list[str]:
    """Names that OpenVINO gives the convolutions whose weights belong to these layers."""
    weights = {f"{layer}.weight" for layer in layers}
    names = []
    for operation in model.get_ops():
        if operation.get_type_name() in ("Convolution", "GroupConvolution"):
            constant = operation.input_value(1).get_node()
            while constant.get_input_size():  # weights of grouped convolutions are reshaped
                constant = constant.input_value(0).get_node()
            if constant.get_friendly_name() in weights:
                names.append(operation.get_friendly_name())
    return names


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Suppress nncf's progress bars and advice on stdout."""
    logging.disable(logging.WARNING)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.disable(logging.NOTSET)
