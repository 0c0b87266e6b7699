"""Resolve a model name to its file and open a backend for it.

What was asked for and is missing is an error, never a silent fallback.
"""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

from litepose.core.errors import LitePoseError
from litepose.inference.backend import (
    BACKENDS,
    CHECKPOINTS,
    DEFAULTS,
    SUFFIXES,
    Backend,
    RuntimeOptions,
)

_PACKAGES = {"onnxruntime": ("onnxruntime",), "openvino": ("openvino",)} | {
    "torch": ("torch", "safetensors")
}


def open_backend(
    model: str | os.PathLike[str] | None,
    backend: str | None,
    options: RuntimeOptions = DEFAULTS,
) -> Backend:
    """Open a model by name (None: the default one) or file: .onnx, .xml, our checkpoint, official.

    backend None takes onnxruntime for ONNX files and names, OpenVINO for its own files, PyTorch for
    checkpoints. Raises LitePoseError for unknown names, missing weights, packages or devices.
    """
    if backend not in (None, *BACKENDS):
        raise LitePoseError(f"no backend {backend!r}; there are auto, {', '.join(BACKENDS)}")
    path = model_file(model)
    chosen = backend or _natural(path)
    if path is not None and path.suffix not in BACKENDS[chosen]:
        raise LitePoseError(_cannot_run(chosen, path))
    missing = [package for package in _PACKAGES[chosen] if find_spec(package) is None]
    if missing:
        raise LitePoseError(
            f"{_named(model)} in {chosen} needs {', '.join(missing)}, not installed here:"
            f" pip install 'litepose[{chosen}]'"
        )
    if chosen == "torch":
        from litepose.inference.torch_backend import open_torch

        return open_torch(_named(model), options)
    path = path or _exported(_named(model))
    if chosen == "openvino":
        from litepose.inference.openvino_backend import OpenVinoBackend

        return OpenVinoBackend(path, options)
    from litepose.inference.onnxruntime_backend import OnnxBackend

    return OnnxBackend(path, options)


def installed_backends(model: str | os.PathLike[str] | None) -> list[str]:
    """Names of the backends here that can run the model, the usual one first."""
    from litepose.models import zoo

    path = model_file(model)
    suffixes = {path.suffix} if path else set()
    if path is None:
        suffixes = {s for s in (".onnx", ".safetensors") if zoo.find_weights(_named(model), s)}
    return [
        name
        for name, runs in BACKENDS.items()
        if suffixes & set(runs) and all(find_spec(package) for package in _PACKAGES[name])
    ]


def model_file(model: str | os.PathLike[str] | None) -> Path | None:
    """The file that is meant, None where it is a name of the zoo.

    Raises LitePoseError where it is a file that is missing, or no model's by its suffix.
    """
    from litepose.models import zoo

    name = _named(model)
    path = Path(name)
    if path.suffix in SUFFIXES:
        if not path.is_file():
            raise LitePoseError(f"no model file {name}")
        return path
    try:
        zoo.find_model(name)
    except LitePoseError:
        beside = [path.with_name(path.name + s) for s in SUFFIXES]
        near = next((p for p in beside if p.is_file()), None)
        if near is not None:
            raise LitePoseError(f"no model {name!r}; did you mean the file {near}?") from None
        if path.is_dir():
            raise LitePoseError(f"{name} is a folder; name the model file in it") from None
        if path.is_file():
            raise LitePoseError(
                f"the name of a model file ends in {' '.join(SUFFIXES)}; got {name}"
            ) from None
        raise
    return None


def file_of(model: str | os.PathLike[str] | None, backend: str | None = None) -> Path | None:
    """The file whose weights a model has: the one meant, or the zoo's; None where it has none."""
    from litepose.models import zoo

    path = model_file(model)
    if path is not None:
        return path
    name = _named(model)
    first, second = (".safetensors", ".onnx")[:: 1 if backend == "torch" else -1]
    return zoo.find_weights(name, first) or zoo.find_weights(name, second)


def _named(model: str | os.PathLike[str] | None) -> str:
    from litepose.models import zoo

    return zoo.DEFAULT if model is None else os.fspath(model)


def _natural(path: Path | None) -> str:
    if path is None:
        return "onnxruntime"
    return next(name for name, runs in BACKENDS.items() if path.suffix in runs)


def _cannot_run(backend: str, path: Path) -> str:
    if backend == "torch":
        return f"PyTorch cannot run {path}; give the checkpoint it came from"
    if path.suffix in CHECKPOINTS:
        return (
            f"{backend} cannot run the checkpoint {path}; export it first (`litepose export`), or"
            " use --backend torch"
        )
    return f"{backend} runs {' '.join(BACKENDS[backend])}; got {path}"


def _exported(name: str) -> Path:
    from litepose.models import zoo

    model = zoo.find_model(name)
    path = zoo.find_weights(name, ".onnx")
    if path is None:
        raise LitePoseError(
            f"there are no weights for {model.info.name} here: {model.weights}."
            " `litepose models` lists what there is"
        )
    return path
