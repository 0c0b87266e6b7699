"""What runs the network: onnxruntime by default, PyTorch where it is installed. One protocol.

A backend takes a batch of inputs and gives `Maps`; the settings of the model come with it, from
the metadata of the ONNX file or the header of the checkpoint. What was asked for and is missing is
an error, never a silent fallback.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from litepose.core.errors import LitePoseError
from litepose.core.maps import Maps
from litepose.core.model_info import ModelInfo

METADATA_KEY = "litepose"
INSTALL = {"torch": "pip install 'litepose[torch]'"}


class Backend(Protocol):
    """Runs one network. `run` may be called from several threads at once."""

    name: str
    info: ModelInfo

    def run(self, images: np.ndarray) -> Maps:
        """images: (B, 3, H, W) float32, normalised -> Maps of numpy arrays."""
        ...


@dataclass(frozen=True)
class RuntimeOptions:
    """threads: for the network, 0 leaves it to the runtime (all cores);
    providers: onnxruntime execution providers, best first; device: PyTorch device."""

    threads: int = 0
    providers: tuple[str, ...] = ("CPUExecutionProvider",)
    device: str = "cpu"

    def __post_init__(self) -> None:
        if self.threads < 0:
            raise LitePoseError(f"threads must be 0 (all cores) or more; got {self.threads}")


class OnnxBackend:
    """An exported model in onnxruntime.

    Raises LitePoseError where the file is missing, is not ONNX, holds no settings of ours, or a
    provider is not there.
    """

    name = "onnxruntime"

    def __init__(self, path: Path, options: RuntimeOptions = RuntimeOptions()) -> None:
        import onnxruntime

        if options.device != RuntimeOptions.device:
            raise LitePoseError(
                f"the device {options.device!r} is for PyTorch (--backend torch); onnxruntime is"
                " told where to run by a provider, such as CUDAExecutionProvider"
            )
        here = onnxruntime.get_available_providers()
        for provider in options.providers:
            if provider not in here:
                raise LitePoseError(
                    f"onnxruntime here has no provider {provider}; it has {', '.join(here)}"
                )
        if not path.is_file():
            raise LitePoseError(f"no model file {path}")
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = options.threads
        settings.log_severity_level = 3  # errors reach the user as exceptions
        try:
            self._session = onnxruntime.InferenceSession(
                str(path), settings, providers=list(options.providers)
            )
        except Exception as wrong:  # onnxruntime's errors share no public base class
            raise LitePoseError(
                f"{path} is not an ONNX model that onnxruntime can run; get or export it again:"
                f" {first_line(wrong)}"
            ) from None
        self.info = self._read_info(path)
        self._input = self._session.get_inputs()[0].name

    def _read_info(self, path: Path) -> ModelInfo:
        text = self._session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
        if text is None:
            raise LitePoseError(
                f"{path} holds no litepose settings, so how to feed and read it is unknown;"
                " export it with `litepose export`"
            )
        try:
            info = ModelInfo.from_json(text)
        except LitePoseError as wrong:
            raise LitePoseError(f"{path}: {wrong}") from None
        outputs = self._session.get_outputs()
        found = [output.name for output in outputs]
        wanted = [*(f"heatmaps_{stride}" for stride in info.strides), "tags"]
        if found != wanted:
            raise LitePoseError(f"{path} puts out {found}; its settings promise {wanted}")
        for output in outputs:
            keypoints = output.shape[1]  # a name where the graph leaves it open
            if isinstance(keypoints, int) and keypoints != info.skeleton.num_keypoints:
                raise LitePoseError(
                    f"{path} puts out {keypoints} keypoints in {output.name}; its skeleton"
                    f" {info.skeleton.name} has {info.skeleton.num_keypoints}"
                )
        return info

    def run(self, images: np.ndarray) -> Maps:
        try:
            *heatmaps, tags = self._session.run(None, {self._input: images})
        except Exception as wrong:
            raise LitePoseError(
                f"onnxruntime failed on an input of {images.shape}: {first_line(wrong)}"
            ) from None
        return Maps(tuple(heatmaps), self.info.strides, tags, self.info.tag_stride)


class TorchBackend:
    """A network in PyTorch, batch norms folded, channels last."""

    name = "torch"

    def __init__(
        self, network: Any, info: ModelInfo, options: RuntimeOptions = RuntimeOptions()
    ) -> None:
        import torch

        from litepose.model.layers import fold_batch_norms

        if options.providers != RuntimeOptions.providers:
            raise LitePoseError(
                f"the providers {', '.join(options.providers)} are for onnxruntime; PyTorch is told"
                " where to run by a device, such as cuda"
            )
        self.info = info
        try:
            self._device = torch.device(options.device)
            network = fold_batch_norms(network).to(self._device)
        except (RuntimeError, AssertionError) as wrong:
            raise LitePoseError(
                f"PyTorch cannot use the device {options.device!r}: {first_line(wrong)}"
            ) from None
        self._network = network.eval().to(memory_format=torch.channels_last)
        if options.threads:
            torch.set_num_threads(options.threads)

    def run(self, images: np.ndarray) -> Maps:
        import torch

        with torch.inference_mode():
            batch = torch.from_numpy(images).to(self._device, memory_format=torch.channels_last)
            maps = self._network(batch)
        heatmaps = tuple(h.cpu().numpy() for h in maps.heatmaps)
        return Maps(heatmaps, self.info.strides, maps.tags.cpu().numpy(), self.info.tag_stride)


BACKENDS: Sequence[str] = ("onnxruntime", "torch")
SUFFIXES = (".onnx", ".safetensors", ".pth", ".tar", ".pt")  # of model files


def open_backend(
    model: str | os.PathLike[str] | None,
    backend: str | None,
    options: RuntimeOptions = RuntimeOptions(),
) -> Backend:
    """Open a model by name (None: the default one) or file: .onnx, our checkpoint, official.

    backend None takes onnxruntime for ONNX files and names, PyTorch for checkpoints.
    Raises LitePoseError for unknown names, missing weights, packages or devices.
    """
    from litepose.model import zoo

    if backend not in (None, *BACKENDS):
        raise LitePoseError(f"no backend {backend!r}; there are {', '.join(BACKENDS)}")
    name = zoo.DEFAULT if model is None else os.fspath(model)
    is_file = Path(name).suffix in SUFFIXES
    if is_file and not Path(name).is_file():
        raise LitePoseError(f"no model file {name}")
    if not is_file and Path(name).suffix and Path(name).is_file():
        raise LitePoseError(f"the name of a model file ends in {' '.join(SUFFIXES)}; got {name}")
    if is_file and Path(name).suffix != ".onnx":
        if backend == "onnxruntime":
            raise LitePoseError(
                f"onnxruntime cannot run the checkpoint {name}; export it first"
                " (`litepose export`), or use --backend torch"
            )
        return _open_torch(name, options)
    if backend == "torch":
        if is_file:
            raise LitePoseError(f"PyTorch cannot run {name}; give the checkpoint it came from")
        return _open_torch(name, options)
    path = Path(name) if is_file else _exported(name)
    return OnnxBackend(path, options)


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


def _open_torch(name: str, options: RuntimeOptions) -> Backend:
    if find_spec("torch") is None or find_spec("safetensors") is None:
        raise LitePoseError(f"{name} needs PyTorch, which is not installed: {INSTALL['torch']}")
    from litepose.model import zoo

    network, info = zoo.load(name)
    return TorchBackend(network, info, options)


def first_line(wrong: BaseException) -> str:
    """The first line of a library's message, without its file paths below."""
    return (str(wrong).strip().splitlines() or [type(wrong).__name__])[0]
