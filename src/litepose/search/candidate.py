"""One network of a supernet as a candidate of a search: its AP and its cost."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from litepose.core.errors import LitePoseError
from litepose.core.model_info import ModelInfo
from litepose.core.packages import missing
from litepose.core.read_text import parse_json
from litepose.core.timing import quiet_ms
from litepose.data.augment import AugmentSettings
from litepose.data.datasets import PoseDataset
from litepose.data.loader import Loader, LoaderSettings
from litepose.evaluation.conv_latency import LatencyTable
from litepose.evaluation.cost import network_cost
from litepose.inference.backend import RuntimeOptions
from litepose.inference.load import open_predictor
from litepose.inference.predictor import Predictor
from litepose.inference.torch_backend import TorchBackend
from litepose.models.arch import Arch
from litepose.models.checkpoint import read_header
from litepose.models.network import Network
from litepose.models.space import Genes
from litepose.models.supernet import Supernet, recalibrate
from litepose.search.config import SearchConfig
from litepose.search.limit import CostKind
from litepose.training.config_file import config_from_dict
from litepose.training.datasets import open_source
from litepose.training.objective import normalized
from litepose.training.validation import measure_ap

EXPORTER = ("onnx", "onnxscript", "onnxslim")
TIMED = 30  # runs of a whole network


@dataclass(frozen=True)
class Candidate:
    """One evaluated network. cost: MACs, weights or milliseconds, by the search's settings."""

    genes: Genes
    ap: float
    cost: float
    macs: int
    params: int

    def to_dict(self) -> dict[str, Any]:
        return {"ap": self.ap, "cost": self.cost, "macs": self.macs, "params": self.params,
                "genes": self.genes}  # fmt: skip


class CandidateEvaluator:
    """Measures the AP and the cost of a supernet's networks; images are read once."""

    def __init__(self, config: SearchConfig, supernet: Supernet, kind: CostKind) -> None:
        self.supernet, self.kind, self.config = supernet, kind, config
        data, drawn = config.data, Path(config.output) / "drawn"
        skeleton = supernet.info.skeleton
        evaluated = open_source(data.evaluate, data.root, skeleton, drawn, people_only=True)
        self._calibration = open_source(data.calibrate, data.root, skeleton, drawn, True)
        chosen = _some(len(evaluated), data.images, config.seed)
        samples = [evaluated[i] for i in chosen]
        self._images = [sample.image for sample in samples]
        self._records = [evaluated.records[i] for i in chosen]
        self._augment = _training_augmentation(Path(config.supernet))
        self._batches: dict[int, list[torch.Tensor]] = {}
        self._table = None
        if kind == "latency":
            self._table = LatencyTable(threads=config.threads or None)
            if not missing(EXPORTER):  # else what was fitted to the bundled networks has to do
                self._table.fit(time_whole(supernet, self._table.threads))

    def cost(self, arch: Arch) -> tuple[float, int, int]:
        """(cost in the unit of the search, MACs, weights)."""
        info = self.supernet.settings(arch)
        both = network_cost(info)
        if self._table is not None:
            return self._table.milliseconds(info), both.macs, both.params
        return float(both.macs if self.kind == "macs" else both.params), both.macs, both.params

    def network(self, arch: Arch) -> Network:
        """The extracted network, its batch norms recalibrated."""
        network = self.supernet.extract(arch)
        recalibrate(network, self._calibration_batches(arch.input_size))
        return network

    def ap(self, network: Network, arch: Arch) -> float:
        info = self.supernet.settings(arch)
        threads = RuntimeOptions(threads=self.config.threads)
        predictor = Predictor(TorchBackend(network, info, threads))
        found = {i: predictor.predict(image, threshold=0.0) for i, image in enumerate(self._images)}
        intervals = measure_ap(self._records, found, info.skeleton)
        return intervals["ap"].value if intervals else 0.0

    def _calibration_batches(self, size: int) -> list[torch.Tensor]:
        if size not in self._batches:
            data = self.config.data
            chosen = _some(len(self._calibration), data.calibration_images, self.config.seed)
            settings = LoaderSettings(
                batch_size=self.config.batch_size, size=(size,), seed=self.config.seed,
                workers=0, shuffle=False,
            )  # fmt: skip
            loader = Loader(_Chosen(self._calibration, chosen), self._augment, settings)
            rule = self.supernet.info.input
            self._batches[size] = [normalized(b.images, rule) for b in loader.epoch(0)]
        return self._batches[size]


def time_whole(supernet: Supernet, threads: int) -> list[tuple[ModelInfo, float]]:
    """The largest and the smallest network, exported and timed: settings and milliseconds of a
    square image of the input size. Takes about a minute; needs `litepose[export]`."""
    from litepose.export.onnx import export_onnx

    space, found = supernet.space, []
    with tempfile.TemporaryDirectory() as folder:
        for genes in (space.largest_genes(), space.smallest_genes()):
            arch = space.arch(genes)
            info, path = supernet.settings(arch), Path(folder) / "whole.onnx"
            export_onnx(supernet.extract(arch), info, path)
            options = RuntimeOptions(threads=threads)
            backend = open_predictor(path, backend="onnxruntime", options=options).backend
            image = np.zeros((1, 3, arch.input_size, arch.input_size), np.float32)
            found.append((info, quiet_ms(partial(backend.run, image), TIMED)))
    return found


def _training_augmentation(supernet: Path) -> AugmentSettings:
    """The augmentation of the supernet's training, for the statistics of batch norms.

    Measured on drawn people: statistics without augmentation cost the largest network 11 AP.
    """
    try:
        settings = read_header(supernet).extra["training"]
        return config_from_dict(parse_json(settings, "the training settings")).augment
    except (KeyError, LitePoseError):  # a supernet without training settings
        return AugmentSettings()


class _Chosen:
    """Some images of a dataset."""

    def __init__(self, dataset: PoseDataset, indices: Sequence[int]) -> None:
        self.skeleton = dataset.skeleton
        self.records = [dataset.records[i] for i in indices]
        self._dataset, self._indices = dataset, indices

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, index: int) -> Any:
        return self._dataset[self._indices[index]]


def _some(count: int, wanted: int, seed: int) -> list[int]:
    order = list(range(count))
    random.Random(seed).shuffle(order)
    return order[:wanted]
