"""Open a backend for a model.

A missing package, provider or device is an error; there is no silent fallback.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from litepose.core.errors import LitePoseError
from litepose.core.packages import missing, need
from litepose.inference.backend import DEFAULTS, Backend, RuntimeOptions
from litepose.models.model_file import (
    CHECKPOINTS,
    EXPORTED,
    ModelFile,
    given_file,
    model_files,
    name_of,
    resolve_model,
)

BACKENDS: Mapping[str, tuple[str, ...]] = {  # and the suffixes of their files
    "onnxruntime": (".onnx",),
    "openvino": EXPORTED,
    "torch": CHECKPOINTS,
}
_PACKAGES = {
    "onnxruntime": ("onnxruntime",),
    "openvino": ("openvino",),
    "torch": ("torch", "safetensors"),
}


def open_backend(
    model: str | os.PathLike[str] | None,
    backend: str | None,
    options: RuntimeOptions = DEFAULTS,
) -> Backend:
    """Open a model by name (None: the default one) or file: .onnx, .xml, our checkpoint, official.

    backend None means onnxruntime for names and ONNX files, OpenVINO for its own files, PyTorch for
    checkpoints. Raises LitePoseError for unknown names, missing weights, packages or devices.
    """
    if backend not in (None, *BACKENDS):
        raise LitePoseError(f"no backend {backend!r}; there are auto, {', '.join(BACKENDS)}")
    given = given_file(model)
    chosen = backend or _natural(given)
    if given is not None and given.path.suffix not in BACKENDS[chosen]:
        raise LitePoseError(_cannot_run(chosen, given))
    need(f"{name_of(model)} in {chosen}", *_PACKAGES[chosen], extra=chosen)
    file = given or resolve_model(model, BACKENDS[chosen])
    if chosen == "torch":
        from litepose.inference.torch_backend import open_torch

        return open_torch(file, options)
    if file.path.suffix not in BACKENDS[chosen]:
        raise LitePoseError(_cannot_run(chosen, file))
    if chosen == "openvino":
        from litepose.inference.openvino_backend import OpenVinoBackend

        return OpenVinoBackend(file, options)
    from litepose.inference.onnxruntime_backend import OnnxBackend

    return OnnxBackend(file, options)


def installed_backends(model: str | os.PathLike[str] | None) -> list[str]:
    """Names of the installed backends that can run the model, the default one first."""
    suffixes = {file.path.suffix for file in model_files(model)}
    return [
        name
        for name, runs in BACKENDS.items()
        if suffixes & set(runs) and not missing(_PACKAGES[name])
    ]


def _natural(file: ModelFile | None) -> str:
    if file is None:
        return "onnxruntime"
    return next(name for name, runs in BACKENDS.items() if file.path.suffix in runs)


def _cannot_run(backend: str, file: ModelFile) -> str:
    if backend == "torch":
        return f"PyTorch cannot run {file.path}; give the checkpoint it came from"
    if file.path.suffix in CHECKPOINTS:
        return (
            f"{backend} cannot run the checkpoint {file.path}; export it first (`litepose export`),"
            " or use --backend torch"
        )
    return f"{backend} runs {' '.join(BACKENDS[backend])}; got {file.path}"
