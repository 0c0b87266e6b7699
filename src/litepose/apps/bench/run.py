"""Open the models that are timed; export those that have no file yet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from litepose import __version__
from litepose.core.errors import LitePoseError
from litepose.core.model_info import ModelInfo
from litepose.core.packages import missing, need
from litepose.evaluation.cost import peak_memory_mb
from litepose.inference.backend import RuntimeOptions
from litepose.inference.open import BACKENDS, installed_backends, open_backend
from litepose.inference.predictor import Predictor
from litepose.inference.system import cache_folder
from litepose.models import zoo
from litepose.models.model_file import CHECKPOINTS, given_file, model_files


@dataclass(frozen=True)
class BenchModel:
    """ways: name of a backend -> Predictor; files: what each opens; network: in PyTorch, nothing
    folded, or None; random: the weights are."""

    info: ModelInfo
    ways: dict[str, Predictor]
    files: dict[str, Path]
    network: Any
    random: bool

    def peak_mb(self, way: str, image_wh: tuple[int, int]) -> float:
        """Of a fresh process that predicts an image."""
        fixed = self.ways[way].backend.fixed_wh
        size = None if fixed else self.info.input.size
        backend = self.ways[way].backend.name
        return peak_memory_mb(str(self.files[way]), image_wh, backend=backend, input_size=size)


def open_model(
    model: str,
    size: int | None,
    backends: str | None,
    scratch: Path,
    tell: Callable[[str], None],
) -> BenchModel:
    """Open a name or file on all backends, or on those named; scratch: a folder that will go.

    Raises LitePoseError for unknown names and backends, and where a package is missing.
    """
    files = _Files(model, scratch, tell)
    ways, opened = {}, {}
    for way in backends.split(",") if backends else files.backends():
        backend, _, precision = way.strip().partition(":")
        if backend not in BACKENDS:
            raise LitePoseError(f"no backend {backend!r}; there are {', '.join(BACKENDS)}")
        options = RuntimeOptions(precision=precision or "float32")  # type: ignore[arg-type]
        opened[way] = files.for_backend(backend)
        ways[way] = Predictor(open_backend(opened[way], backend, options), input_size=size)
    info = next(iter(ways.values())).info
    return BenchModel(info, ways, opened, files.network(info), files.random)


class _Files:
    """The checkpoint and the exported file of one model; what is missing is made, and kept."""

    def __init__(self, model: str, scratch: Path, tell: Callable[[str], None]) -> None:
        given = given_file(model)
        self._given = given.path if given else None
        self._name = model
        self._scratch, self._tell = scratch, tell
        self.random = not model_files(model)

    def backends(self) -> list[str]:
        if not self.random:
            return installed_backends(self._name)
        need("this command", "torch", "safetensors", extra="torch")
        able = ["torch"]
        if not missing(("onnx", "onnxscript", "onnxslim")):
            able = ["onnxruntime", *["openvino"] * bool(find_spec("openvino")), "torch"]
        return able

    def for_backend(self, backend: str) -> Path:
        if self._given is not None and self._given.suffix in BACKENDS[backend]:
            return self._given
        return self._checkpoint() if backend == "torch" else self._exported()

    def network(self, info: ModelInfo) -> Any:
        """In PyTorch as it was built, for the reference path; its weights do not matter there."""
        if find_spec("torch") is None or info.arch is None:
            return None
        from litepose.models.build import build_network

        return build_network(info).eval()

    def _checkpoint(self) -> Path:
        if self._given is not None:
            if self._given.suffix in CHECKPOINTS:
                return self._given
            raise LitePoseError(f"PyTorch cannot run {self._given}: give its checkpoint, or a name")
        return zoo.find_weights(self._name, ".safetensors") or self._made(".safetensors")

    def _exported(self) -> Path:
        found = zoo.find_weights(self._name, ".onnx") if self._given is None else None
        return found or self._made(".onnx")

    def _made(self, suffix: str) -> Path:
        """Weights from a seed, or the given checkpoint exported; found again where cached."""
        if self._given is not None:
            path = self._scratch / f"{self._given.name}{suffix}"
        else:
            stem = zoo.find_model(self._name).file_stem
            path = _cache(self._scratch) / f"{stem}_random_{__version__}{suffix}"
        if not path.is_file():
            self._tell(f"making {path.name}, once")
            if suffix == ".safetensors":
                _save_random(self._name, path)
            else:
                _export(self._checkpoint(), path)
        return path


def _cache(scratch: Path) -> Path:
    try:
        folder = cache_folder() / "bench"
        folder.mkdir(parents=True, exist_ok=True)
        return folder
    except (OSError, RuntimeError):
        return scratch


def _save_random(name: str, path: Path) -> None:
    import torch

    from litepose.models.checkpoint import save_checkpoint

    torch.manual_seed(0)
    network, info = zoo.create(name)
    save_checkpoint(path, network, info)


def _export(checkpoint: Path, path: Path) -> None:
    need("this command", "torch", "onnx", "onnxscript", "onnxslim", "safetensors", extra="export")
    from litepose.export.onnx import export_onnx

    network, info = zoo.load(checkpoint)
    export_onnx(network, info, path)
