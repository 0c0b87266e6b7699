"""What runs the network: onnxruntime by default, OpenVINO or PyTorch where installed; one protocol.

A backend takes a batch of inputs and gives `Maps`; the settings of the model come with it, from
the metadata of the ONNX or OpenVINO file or the header of the checkpoint. What was asked for and is
missing is an error, never a silent fallback.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, Protocol

import numpy as np

from litepose.core.errors import LitePoseError
from litepose.core.maps import Maps
from litepose.core.model_info import ModelInfo
from litepose.runtime.machine import usable_cores

METADATA_KEY = "litepose"
CHECKPOINTS = (".safetensors", ".pth", ".tar", ".pt")
SUFFIXES = (".onnx", ".xml", *CHECKPOINTS)  # of model files
BACKENDS: Mapping[str, tuple[str, ...]] = {  # and the files that each runs
    "onnxruntime": (".onnx",),
    "openvino": (".onnx", ".xml"),
    "torch": CHECKPOINTS,
}
_PACKAGES = {"onnxruntime": ("onnxruntime",), "openvino": ("openvino",)} | {
    "torch": ("torch", "safetensors")
}
Precision = Literal["float32", "bfloat16"]


class Backend(Protocol):
    """Runs one network. `run` may be called from several threads at once.

    threads: cores it may use; fixed_wh: the one input size of the file, None where it is free
    """

    name: str
    info: ModelInfo
    threads: int
    fixed_wh: tuple[int, int] | None

    def run(self, images: np.ndarray) -> Maps:
        """images: (B, 3, H, W) float32, normalised -> Maps of numpy arrays."""
        ...

    def side_by_side(self, workers: int) -> Backend:
        """The same model, its cores shared out to `workers` callers of `run` at once."""
        ...


@dataclass(frozen=True)
class RuntimeOptions:
    """threads: for the network, 0 takes all cores that this process may use;
    providers: onnxruntime execution providers, best first; device: of PyTorch or OpenVINO;
    precision: of OpenVINO's arithmetic; bfloat16 is faster where the CPU has it, and coarser."""

    threads: int = 0
    providers: tuple[str, ...] = ("CPUExecutionProvider",)
    device: str = "cpu"
    precision: Precision = "float32"

    def __post_init__(self) -> None:
        if self.threads < 0:
            raise LitePoseError(f"threads must be 0 (all cores) or more; got {self.threads}")
        if self.precision not in ("float32", "bfloat16"):
            raise LitePoseError(f"precision is float32 or bfloat16; got {self.precision!r}")

    @property
    def cores(self) -> int:
        return self.threads or usable_cores()

    def refuse(self, backend: str, *names: str) -> None:
        """Raise LitePoseError where one of these options, of another backend, was given."""
        meant = {
            "providers": "onnxruntime",
            "device": "PyTorch and OpenVINO (--backend torch, openvino)",
            "precision": "OpenVINO (--backend openvino)",
        }
        for name in names:
            given = getattr(self, name)
            if given != getattr(RuntimeOptions, name):
                shown = ", ".join(given) if isinstance(given, tuple) else given
                raise LitePoseError(
                    f"the {name} {shown} cannot be given to {backend}: that is for {meant[name]}"
                )


DEFAULTS = RuntimeOptions()


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
        from litepose.runtime.torch_backend import open_torch

        return open_torch(_named(model), options)
    path = path or _exported(_named(model))
    if chosen == "openvino":
        from litepose.runtime.openvino_backend import OpenVinoBackend

        return OpenVinoBackend(path, options)
    from litepose.runtime.onnx_backend import OnnxBackend

    return OnnxBackend(path, options)


def installed_backends(model: str | os.PathLike[str] | None) -> list[str]:
    """Names of the backends here that can run the model, the usual one first."""
    from litepose.model import zoo

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
    from litepose.model import zoo

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
    from litepose.model import zoo

    path = model_file(model)
    if path is not None:
        return path
    name = _named(model)
    first, second = (".safetensors", ".onnx")[:: 1 if backend == "torch" else -1]
    return zoo.find_weights(name, first) or zoo.find_weights(name, second)


def weights_sha256(path: Path) -> str:
    """Of a model file; for OpenVINO's, of the .bin beside it too."""
    digest = hashlib.sha256(path.read_bytes())
    if path.suffix == ".xml" and path.with_suffix(".bin").is_file():
        digest.update(path.with_suffix(".bin").read_bytes())
    return digest.hexdigest()


def parse_info(text: str | None, path: Path) -> ModelInfo:
    """The settings inside a model file. Raises LitePoseError where it holds none of ours."""
    if text is None:
        raise LitePoseError(
            f"{path} holds no litepose settings, so how to feed and read it is unknown;"
            " export it with `litepose export`"
        )
    try:
        return ModelInfo.from_json(text)
    except LitePoseError as wrong:
        raise LitePoseError(f"{path}: {wrong}") from None


def check_outputs(info: ModelInfo, path: Path, outputs: Sequence[tuple[str, int | None]]) -> None:
    """outputs: name and keypoints (None: open) of each, as the file has them.

    Raises LitePoseError where they are not those that the settings promise.
    """
    found = [name for name, _ in outputs]
    wanted = [*(f"heatmaps_{stride}" for stride in info.strides), "tags"]
    if found == ["scores", "xy", "tags"]:
        raise LitePoseError(
            f"{path} holds the decoder's first half, for programs of your own: `people_of` of"
            " litepose.export.decoded groups what it puts out; for litepose.load export without it"
        )
    if found != wanted:
        raise LitePoseError(f"{path} puts out {found}; its settings promise {wanted}")
    for name, keypoints in outputs:
        if keypoints not in (None, info.skeleton.num_keypoints):
            raise LitePoseError(
                f"{path} puts out {keypoints} keypoints in {name}; its skeleton"
                f" {info.skeleton.name} has {info.skeleton.num_keypoints}"
            )


def fixed_size(path: Path, shape: Sequence[int | None]) -> tuple[int, int] | None:
    """(width, height) of a file that was exported for one size; None where it takes any.

    shape: (B, 3, H, W) of its input, None where open. Raises LitePoseError for any other input.
    """
    if len(shape) == 4 and shape[0] in (None, 1) and shape[1] in (None, 3):
        height, width = shape[2:]
        if height is None and width is None:
            return None
        if height is not None and width is not None:
            return width, height
    shown = ", ".join("any" if side is None else str(side) for side in shape)
    raise LitePoseError(
        f"{path} takes inputs of ({shown}); litepose gives (1, 3, height, width): export it with a"
        " batch of 1 or any, and both sides fixed or none"
    )


def first_line(wrong: BaseException) -> str:
    """The first line of a library's message, without its file paths below."""
    return (str(wrong).strip().splitlines() or [type(wrong).__name__])[0]


def _named(model: str | os.PathLike[str] | None) -> str:
    from litepose.model import zoo

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
    from litepose.model import zoo

    model = zoo.find_model(name)
    path = zoo.find_weights(name, ".onnx")
    if path is None:
        raise LitePoseError(
            f"there are no weights for {model.info.name} here: {model.weights}."
            " `litepose models` lists what there is"
        )
    return path
