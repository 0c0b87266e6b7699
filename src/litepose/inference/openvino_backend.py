"""Run an exported model in OpenVINO (.xml or .onnx).

Often faster than onnxruntime, but slower to start. The default is float32: OpenVINO's own default
is bfloat16 on CPUs that support it, which would move keypoints.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import Any

import numpy as np

from litepose.core.errors import LitePoseError
from litepose.core.maps import Maps
from litepose.core.model_info import METADATA_KEY
from litepose.core.names import name_for_c
from litepose.inference.backend import (
    DEFAULTS,
    RuntimeOptions,
    check_outputs,
    first_line,
    fixed_size,
    maps_of,
    parse_info,
)
from litepose.inference.onnx_metadata import read_metadata
from litepose.inference.travel import Place, file_at, place_of
from litepose.models.model_file import ModelFile

_PRECISIONS = {"float32": "f32", "bfloat16": "bf16"}


class OpenVinoBackend:
    """Raises LitePoseError if the file is missing, is not a litepose model or has weights outside
    its folder, or if the device is not available."""

    name = "openvino"
    file: ModelFile | None

    def __init__(
        self, file: ModelFile, options: RuntimeOptions = DEFAULTS, streams: int = 1
    ) -> None:
        """streams: number of concurrent callers of `run`, which share the threads."""
        import openvino

        options.refuse(self.name, "providers")
        path = file.path
        metadata = read_metadata(path) if path.suffix == ".onnx" else None
        self.file = self._file = file
        self._options, self._streams, self.threads = options, streams, options.cores
        core = openvino.Core()
        device = options.device.upper()
        if device.split(".")[0] not in {name.split(".")[0] for name in core.available_devices}:
            raise LitePoseError(
                f"OpenVINO here has no device {options.device!r}; it has"
                f" {', '.join(core.available_devices).lower()}"
            )
        wanted: dict[str, Any] = {"INFERENCE_PRECISION_HINT": _PRECISIONS[options.precision]}
        if device == "CPU":
            wanted |= {"INFERENCE_NUM_THREADS": self.threads, "NUM_STREAMS": streams}
            _check_precision(core, options)
        try:
            model = core.read_model(name_for_c(path))
            text = metadata.get(METADATA_KEY) if metadata is not None else _rt_info(model)
            self.info = parse_info(text, path)
            check_outputs(self.info, path, [_output(port) for port in model.outputs])
            self.fixed_wh = fixed_size(path, _sides(model.inputs[0]))
            self._model = core.compile_model(model, device, wanted)
        except LitePoseError:
            raise
        except (RuntimeError, ValueError, IndexError) as exc:  # ValueError: a name is not UTF-8
            raise LitePoseError(
                f"{path} is not a model that OpenVINO can run; get or export it again:"
                f" {_last_line(exc)}"
            ) from None
        self._idle: deque[Any] = deque()  # requests not in use by a thread

    def run(self, images: np.ndarray) -> Maps:
        try:
            request = self._idle.pop()
        except IndexError:
            request = self._model.create_infer_request()
        try:
            found = request.infer({0: images}, share_inputs=True)
        except RuntimeError as exc:
            raise LitePoseError(
                f"OpenVINO failed on an input of {images.shape}: {_last_line(exc)}"
            ) from None
        finally:
            self._idle.append(request)
        return maps_of(self.info, found.to_tuple(), len(images))

    def __reduce__(self) -> tuple[Any, ...]:
        """In another process the file is opened again."""
        return _reopened, (place_of(self._file), self._options, self._streams)

    def clone_for(self, workers: int) -> OpenVinoBackend:
        options = replace(self._options, threads=self.threads)
        return OpenVinoBackend(self._file, options, streams=workers)


def _reopened(place: Place, options: RuntimeOptions, streams: int) -> OpenVinoBackend:
    return OpenVinoBackend(file_at(place), options, streams)


def _check_precision(core: Any, options: RuntimeOptions) -> None:
    if options.precision == "bfloat16":
        can = core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        if "BF16" not in can:
            raise LitePoseError(
                "this CPU has no bfloat16 arithmetic, so it would be slower: leave out --precision"
            )


def _rt_info(model: Any) -> str | None:
    return str(model.get_rt_info(METADATA_KEY).value) if model.has_rt_info(METADATA_KEY) else None


def _output(port: Any) -> tuple[str, int | None]:
    sides = _sides(port)
    return port.get_any_name(), sides[1] if len(sides) > 1 else None


def _sides(port: Any) -> list[int | None]:
    return [side.get_length() if side.is_static else None for side in port.partial_shape]


def _last_line(exc: BaseException) -> str:
    """The reason in an OpenVINO error, which begins with paths of source files."""
    lines = [line.strip() for line in str(exc).splitlines() if line.strip()]
    return lines[-1] if lines else first_line(exc)
