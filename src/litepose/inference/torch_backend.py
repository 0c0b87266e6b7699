"""Run a checkpoint in PyTorch, batch norms folded, channels last; CPU or GPU."""

from __future__ import annotations

import os
import threading
from typing import Any

import numpy as np

from litepose.core.errors import LitePoseError
from litepose.core.maps import Maps
from litepose.core.model_info import ModelInfo
from litepose.inference.backend import DEFAULTS, RuntimeOptions, first_line, maps_of
from litepose.inference.travel import Place, file_at, place_of
from litepose.models.model_file import ModelFile


class TorchBackend:
    """Raises LitePoseError if the device is not available."""

    name = "torch"
    fixed_wh: tuple[int, int] | None = None

    def __init__(
        self,
        network: Any,
        info: ModelInfo,
        options: RuntimeOptions = DEFAULTS,
        file: ModelFile | None = None,
    ) -> None:
        import torch

        from litepose.models.layers import fold_batch_norms

        options.refuse("PyTorch", "providers", "precision")
        self.info, self.file, self._options = info, file, options
        self.threads = options.cores
        try:
            self._device = torch.device(options.device)
            if self._device.type == "meta":
                raise RuntimeError("it holds shapes and no numbers")
            network = fold_batch_norms(network).to(self._device)
        except (RuntimeError, AssertionError, ImportError, ValueError) as exc:
            raise LitePoseError(
                f"PyTorch cannot use the device {options.device!r}: {first_line(exc)}"
            ) from None
        self._network = network.eval().to(memory_format=torch.channels_last)
        self._one_at_a_time = threading.Lock()  # two callers would compete for the same threads
        self._process = os.getpid()
        if options.threads:
            torch.set_num_threads(options.threads)

    def run(self, images: np.ndarray) -> Maps:
        import torch

        if self._process != os.getpid():
            self._go_on_in_a_fork()
        with self._one_at_a_time, torch.inference_mode():
            batch = torch.from_numpy(images).to(self._device, memory_format=torch.channels_last)
            try:
                maps = self._network(batch)
                outputs = [map_.cpu().numpy() for map_ in (*maps.heatmaps, maps.tags)]
            except RuntimeError as exc:  # such as a device whose memory is full
                raise LitePoseError(
                    f"PyTorch failed on an input of {images.shape}: {first_line(exc)}"
                ) from None
        return maps_of(self.info, outputs, len(images))

    def _go_on_in_a_fork(self) -> None:
        """Refuse forks: PyTorch's threads exist only in the parent, so `run` would wait forever."""
        import torch

        if self._device.type != "cpu":
            raise LitePoseError(
                f"a Predictor on {self._options.device} cannot be used in a forked process: start"
                " processes by spawn, or open it there with litepose.load"
            )
        torch.set_num_threads(1)
        self._one_at_a_time, self._process = threading.Lock(), os.getpid()

    def __reduce__(self) -> tuple[Any, ...]:
        """In another process the file is opened again."""
        if self.file is None:
            raise LitePoseError(
                "this Predictor runs a network that was made in this process, so another process"
                " cannot open it: save it (save_checkpoint) and load the file"
            )
        return _reopened, (place_of(self.file), self._options)

    def clone_for(self, workers: int) -> TorchBackend:
        """Returns itself: while one caller runs the network, others read and decode."""
        return self


def open_torch(file: ModelFile, options: RuntimeOptions) -> TorchBackend:
    """Raises LitePoseError if the file is damaged or the device is not available."""
    from litepose.models import zoo

    network, info = zoo.load(file.path)
    return TorchBackend(network, info, options, file)


def _reopened(place: Place, options: RuntimeOptions) -> TorchBackend:
    return open_torch(file_at(place), options)
