"""Table of export formats: one line and one module each.

A module has `write(source, path)` and `open_runner(source, path)`, which returns None if this
machine can check the file but not run it. Modules of 8-bit formats also have `quantize(...)`.
Converters are optional packages, so a module is imported only when it is used.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from litepose.core.errors import LitePoseError, did_you_mean
from litepose.core.packages import missing, need

_NETWORK = ("torch", "safetensors", "onnx")  # onnx: the weights in the package are ONNX
_ONNX = (*_NETWORK, "onnxscript", "onnxslim")


@dataclass(frozen=True)
class Format:
    """One export format.

    suffixes: of its files; the user names the first
    packages, extra: required packages, and the extra that installs them
    decoder: can contain the decoder's first half;  fixed: only one input size
    int8: arithmetic in 8 bits, after calibration;  half: can store float16 weights
    gpu: is built on the NVIDIA GPU that will run it
    own: its converter pins older versions of packages, so it needs its own environment
    mark: precedes the suffix in the default name, so that formats do not overwrite each other
    """

    module: str
    suffixes: tuple[str, ...]
    packages: tuple[str, ...]
    extra: str
    decoder: bool = False
    fixed: bool = False
    int8: bool = False
    half: bool = False
    own: bool = False
    gpu: bool = False
    mark: str = ""

    def check_installed(self, name: str) -> None:
        """Raise LitePoseError naming missing packages and the command that installs them."""
        absent = missing(self.packages)
        if self.gpu and not _has_gpu():
            raise LitePoseError(
                f"the format {name} is made on the NVIDIA GPU that will run it, and PyTorch finds"
                " none on this machine: run the command there, or take --format onnx, which"
                " onnxruntime's TensorRT provider runs as it is"
            )
        if absent and self.own:
            place = f"litepose-{name}"
            raise LitePoseError(
                f"the format {name} needs {', '.join(absent)}, not installed here, and an"
                f" environment of its own: python -m venv {place} && {place}/bin/pip install"
                f" 'litepose[{self.extra}]'"
            )
        need(f"the format {name}", *self.packages, extra=self.extra)

    def open_module(self) -> Any:
        return import_module(f"litepose.export.{self.module}")


FORMATS: Mapping[str, Format] = {
    "onnx": Format("onnx", (".onnx",), _ONNX, "export", decoder=True, half=True),
    "openvino": Format(
        "openvino", (".xml", ".bin"), (*_ONNX, "openvino"), "export,openvino", decoder=True
    ),
    "ncnn": Format(
        "ncnn",
        (".param", ".bin", ".json"),
        (*_NETWORK, "ncnn", "pnnx"),
        "ncnn",
        fixed=True,
        mark=".ncnn",
    ),
    "int8-onnx": Format("int8_onnx", (".onnx",), _ONNX, "export", int8=True, mark=".int8"),
    "int8-openvino": Format(
        "int8_openvino",
        (".xml", ".bin"),
        (*_ONNX, "openvino", "nncf"),
        "export,openvino,nncf",
        int8=True,
        mark=".int8",
    ),
    "torchscript": Format("torchscript", (".torchscript",), _NETWORK, "torch", decoder=True),
    "coreml": Format(
        "coreml", (".mlpackage",), (*_NETWORK, "coremltools"), "coreml", fixed=True, half=True
    ),
    "litert": Format(
        "litert",
        (".tflite", ".tflite.json"),
        (*_NETWORK, "ai_edge_litert", "litert_torch"),
        "litert",
        fixed=True,
        own=True,
    ),
    "executorch": Format(
        "executorch", (".pte",), (*_NETWORK, "executorch"), "executorch", fixed=True, own=True
    ),
    "tensorrt": Format(
        "tensorrt",
        (".engine", ".engine.json"),
        (*_ONNX, "tensorrt"),
        "export,tensorrt",
        fixed=True,
        gpu=True,
    ),
}


def _has_gpu() -> bool:
    if missing(("torch",)):
        return False
    import torch

    return torch.cuda.is_available()


def find_format(name: str) -> Format:
    """The format of that name. Raises LitePoseError that suggests the nearest name."""
    if name not in FORMATS:
        hint = did_you_mean(name, FORMATS)
        raise LitePoseError(f"no format {name!r}{hint} (there are {', '.join(FORMATS)})")
    return FORMATS[name]
