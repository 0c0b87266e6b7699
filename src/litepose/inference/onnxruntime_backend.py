"""Run an exported model in onnxruntime: the default backend."""

from __future__ import annotations

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


class OnnxBackend:
    """Raises LitePoseError if the file is missing, is not ONNX, has no litepose settings or has
    weights outside its folder, or if a provider is not available."""

    name = "onnxruntime"
    file: ModelFile | None

    def __init__(self, file: ModelFile, options: RuntimeOptions = DEFAULTS) -> None:
        import onnxruntime

        options.refuse(self.name, "device", "precision")
        here = onnxruntime.get_available_providers()
        for provider in options.providers:
            if provider not in here:
                raise LitePoseError(
                    f"onnxruntime here has no provider {provider}; it has {', '.join(here)}"
                )
        path = file.path
        name, metadata = name_for_c(path), read_metadata(path)
        self.file = self._file = file
        self._options, self.threads = options, options.cores
        settings = session_settings(self.threads)
        try:
            self._session = onnxruntime.InferenceSession(
                name, settings, providers=list(options.providers)
            )
        except Exception as exc:  # onnxruntime's errors share no public base class
            raise LitePoseError(
                f"{path} is not an ONNX model that onnxruntime can run; get or export it again:"
                f" {first_line(exc)}"
            ) from None
        self.info = parse_info(metadata.get(METADATA_KEY), path)
        outputs = [(o.name, _number(o.shape[1])) for o in self._session.get_outputs()]
        check_outputs(self.info, path, outputs)
        images = self._session.get_inputs()[0]
        self._input = images.name
        self.fixed_wh = fixed_size(path, [_number(side) for side in images.shape])

    def run(self, images: np.ndarray) -> Maps:
        try:
            found = self._session.run(None, {self._input: images})
        except Exception as exc:
            raise LitePoseError(
                f"onnxruntime failed on an input of {images.shape}: {first_line(exc)}"
            ) from None
        return maps_of(self.info, found, len(images))

    def __reduce__(self) -> tuple[Any, ...]:
        """In another process the file is opened again."""
        return _reopened, (place_of(self._file), self._options)

    def clone_for(self, workers: int) -> OnnxBackend:
        threads = max(1, self.threads // workers)
        return OnnxBackend(self._file, replace(self._options, threads=threads))


def session_settings(threads: int) -> Any:
    """The onnxruntime settings of all sessions."""
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = threads
    # Threads that spin while waiting take cores from other models in this process and from other
    # programs. On a busy machine of 2 cores P took 26 ms without spinning and 47 with it; right
    # after five other models had run, 25 and 90.
    settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
    settings.log_severity_level = 4  # errors reach the user as exceptions
    return settings


def _reopened(place: Place, options: RuntimeOptions) -> OnnxBackend:
    return OnnxBackend(file_at(place), options)


def _number(side: object) -> int | None:
    return side if isinstance(side, int) else None  # a name where the graph leaves it open
