"""Load the network to export, with its settings and metadata."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from torch import Tensor, nn

from litepose.core.errors import LitePoseError
from litepose.core.model_info import METADATA_KEY, ModelInfo
from litepose.export.decoder_graph import OUTPUTS, DecoderHalf
from litepose.models import zoo
from litepose.models.model_file import CHECKPOINTS, resolve_model
from litepose.models.network import Network

SHA256_KEY = "litepose_weights_sha256"


@dataclass(frozen=True)
class Source:
    """A network to export, and options of the export.

    sha256:  of the checkpoint file with the weights; empty if there is none
    size_wh: the only input size of the file; None leaves batch and sides open
    decoder: include the decoder's first half in the graph
    flip:    include the flip test in the graph (needs decoder)
    half:    store weights as float16, widened when the file is opened
    """

    network: Network
    info: ModelInfo
    sha256: str = ""
    size_wh: tuple[int, int] | None = None
    decoder: bool = False
    flip: bool = False
    half: bool = False

    def __post_init__(self) -> None:
        multiple = self.network.arch.multiple
        if self.size_wh is not None and any(s < multiple or s % multiple for s in self.size_wh):
            w, h = self.size_wh
            raise LitePoseError(
                f"{self.info.name} takes sides that are multiples of {multiple}; got {w}x{h}"
            )
        if self.info.skeleton.num_keypoints != self.network.num_keypoints:
            raise LitePoseError(
                f"the network finds {self.network.num_keypoints} keypoints; its skeleton"
                f" {self.info.skeleton.name} has {self.info.skeleton.num_keypoints}"
            )
        if self.flip and not self.decoder:
            raise LitePoseError("the flip test needs the decoder in the graph")

    @cached_property
    def module(self) -> nn.Module:
        """Images (B, 3, H, W) -> tuple of tensors, in the order of `outputs`."""
        network = self.network.deployable()
        return (
            DecoderHalf(network, self.info, self.flip) if self.decoder else Flat(network)
        ).eval()

    @property
    def outputs(self) -> list[str]:
        return list(OUTPUTS) if self.decoder else output_names(self.info)

    @property
    def properties(self) -> Mapping[str, str]:
        """The settings and the hash inside each file, as text."""
        # A file of one input size has one view.
        info = self.info if self.size_wh is None else self.info.with_input_size(min(self.size_wh))
        known = {METADATA_KEY: info.to_json()}
        return {**known, SHA256_KEY: self.sha256} if self.sha256 else known

    @property
    def example_hw(self) -> tuple[int, int]:
        """Height and width of an input to trace with."""
        if self.size_wh is not None:
            return self.size_wh[1], self.size_wh[0]
        multiple = self.network.arch.multiple
        return 4 * multiple, 5 * multiple


def load_source(
    model: str | Path,
    size_wh: tuple[int, int] | None = None,
    decoder: bool = False,
    flip: bool = False,
    half: bool = False,
) -> Source:
    """Open a model by name, checkpoint or official file, like `zoo.load`."""
    if Path(model).suffix == ".onnx":
        raise LitePoseError(f"{model} is already exported; give the checkpoint it came from")
    file = resolve_model(model, CHECKPOINTS)
    network, info = zoo.load(file.path)
    return Source(network, info, file.sha256, size_wh, decoder, flip, half)


def output_names(info: ModelInfo) -> list[str]:
    return [*(f"heatmaps_{stride}" for stride in info.strides), "tags"]


class Flat(nn.Module):
    """Maps as a tuple of tensors, the only outputs that a graph can have."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        maps = self.network(images)
        return (*maps.heatmaps, maps.tags)
