"""Backend: the interface of all runtimes, its options and shared checks.

A backend turns a batch of inputs into `Maps`. It reads the model's settings from the metadata of
the ONNX or OpenVINO file or the header of the checkpoint. A missing package, provider or device is
an error; there is no silent fallback.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np

from litepose.core.errors import LitePoseError
from litepose.core.kinds import check_kinds
from litepose.core.maps import Maps
from litepose.core.model_info import ModelInfo
from litepose.inference.system import usable_cores
from litepose.models.model_file import ModelFile

Precision = Literal["float32", "bfloat16"]
MOST_THREADS = 1024


class Backend(Protocol):
    """Runs one network. `run` may be called from several threads at once.

    file: the opened model file, None for a network in memory; threads: cores it may use;
    fixed_wh: the only input size of the file, None for any size
    """

    name: str
    info: ModelInfo
    file: ModelFile | None
    threads: int
    fixed_wh: tuple[int, int] | None

    def run(self, images: np.ndarray) -> Maps:
        """images: (B, 3, H, W) float32, normalized -> Maps of numpy arrays."""
        ...

    def clone_for(self, workers: int) -> Backend:
        """The same model, its cores divided among `workers` concurrent callers of `run`."""
        ...


@dataclass(frozen=True)
class RuntimeOptions:
    """threads: for the network, 0 means all cores that this process may use;
    providers: onnxruntime execution providers, best first; device: of PyTorch or OpenVINO;
    precision: of OpenVINO; bfloat16 is less exact, and faster on CPUs that support it."""

    threads: int = 0
    providers: tuple[str, ...] = ("CPUExecutionProvider",)
    device: str = "cpu"
    precision: Precision = "float32"

    def __post_init__(self) -> None:
        check_kinds(self)
        if not 0 <= self.threads <= MOST_THREADS:
            raise LitePoseError(
                f"threads must be 0 (all cores) to {MOST_THREADS}; got {self.threads}"
            )

    @property
    def cores(self) -> int:
        return self.threads or usable_cores()

    def refuse(self, backend: str, *names: str) -> None:
        """Raise LitePoseError if an option of another backend was given."""
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


def parse_info(text: str | None, path: Path) -> ModelInfo:
    """The settings inside a model file. Raises LitePoseError if there are none."""
    if text is None:
        raise LitePoseError(
            f"{path} holds no litepose settings, so how to feed and read it is unknown;"
            " export it with `litepose export`"
        )
    try:
        return ModelInfo.from_json(text)
    except LitePoseError as exc:
        raise LitePoseError(f"{path}: {exc}") from None


def check_outputs(info: ModelInfo, path: Path, outputs: Sequence[tuple[str, int | None]]) -> None:
    """Raise LitePoseError if a file's outputs do not fit its settings.

    outputs: name and number of keypoints (None: not fixed) of each output
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


def maps_of(info: ModelInfo, outputs: Sequence[np.ndarray], batch: int) -> Maps:
    """Network outputs of a batch as Maps. Raises LitePoseError if a shape does not fit the
    settings: the graph of a file may compute anything."""
    *heatmaps, tags = outputs
    k = info.skeleton.num_keypoints
    wanted = [(4, heat) for heat in heatmaps] + [(5, tags)]
    if len(heatmaps) != len(info.strides) or not all(
        array.ndim == ndim and array.shape[:2] == (batch, k) and array.size
        for ndim, array in wanted
    ):
        shapes = ", ".join(str(array.shape) for array in outputs)
        raise LitePoseError(
            f"the model puts out {shapes} for a batch of {batch}; its settings promise {k}"
            f" keypoints at {len(info.strides)} stride(s): export it again"
        )
    return Maps(tuple(heatmaps), info.strides, tags, info.tag_stride)


def fixed_size(path: Path, shape: Sequence[int | None]) -> tuple[int, int] | None:
    """(width, height) of a file that was exported for one size; None if it takes any.

    shape: (B, 3, H, W) of its input, None for sides that are not fixed. Raises LitePoseError for
    inputs of another form.
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


def first_line(exc: BaseException) -> str:
    """The first line of a library's message, without its file paths below."""
    return (str(exc).strip().splitlines() or [type(exc).__name__])[0]
