"""Initial weights for two trainings of docs/search.md, made of the bundled models.

    python -m benchmarks.starts layout --data FOLDER:SPLIT|PACK --output layout_start.safetensors
    python -m benchmarks.starts narrow --data FOLDER:SPLIT|PACK --output narrow_start.safetensors

layout: the published layout with P's trunk in its stages (models/from_pyramid.py) and a new head,
for configs/layout_gpu.toml. narrow: PM with two or three hidden channels in a block for each of its
own where PM has six, the most important ones, at P's cost, for configs/narrow_gpu.toml. Batch norms
are measured on images of the data, since both sources have theirs folded into convolutions.
"""

from __future__ import annotations

import argparse
from itertools import islice

import torch
from torch import Tensor, nn

from litepose.core.model_info import ModelInfo
from litepose.core.skeleton import COCO17
from litepose.data.augment import AugmentSettings
from litepose.data.layouts import find_dataset
from litepose.data.loader import Loader, LoaderSettings
from litepose.data.pack import SUFFIX
from litepose.data.packed import PackedDataset
from litepose.models import zoo
from litepose.models.arch import PyramidArch
from litepose.models.channel_order import sort_channels
from litepose.models.checkpoint import save_checkpoint
from litepose.models.from_pyramid import layout_info, with_trunk_of
from litepose.models.layers import ConvNorm
from litepose.models.network import Network
from litepose.models.pyramid import Pyramid
from litepose.models.renorm import measure_norms, with_norms
from litepose.models.space import Space
from litepose.models.supernet import Supernet, recalibrate
from litepose.training.objective import normalized

SIZE = 256
BATCHES = 12  # of 16 images, that norms are measured on
EXPANSIONS = (2, 2, 3, 3, 3, 2)  # of the six stages of PM, which has 6
TAG_WIDTH = 96  # of its tag head, which has 128


def main() -> None:
    parser = argparse.ArgumentParser(description="Make initial weights for a training.")
    parser.add_argument("kind", choices=["layout", "narrow"])
    parser.add_argument("--data", required=True, metavar="FOLDER:SPLIT|PACK")
    parser.add_argument("--output", required=True)
    options = parser.parse_args()
    folder, _, split = options.data.rpartition(":")
    torch.manual_seed(0)
    packed = options.data.endswith(SUFFIX)
    data = PackedDataset(options.data) if packed else find_dataset(folder, split, target=COCO17)
    loader = Loader(data, AugmentSettings(rotation=10), LoaderSettings(16, SIZE))
    images = [normalized(b.images, zoo.P_INFO.input) for b in islice(loader.epoch(0), BATCHES)]
    network, info = layout(images) if options.kind == "layout" else narrow(images)
    save_checkpoint(options.output, network, info)
    print(f"written: {options.output}")


def layout(images: list[Tensor]) -> tuple[Network, ModelInfo]:
    trunk, info = zoo.load("litepose-p")
    assert isinstance(trunk, Pyramid)
    network = with_trunk_of(trunk)
    nn.init.normal_(network.stages[3][-1].project.weight, std=0.01)  # a small change at first
    parts = [m for part in (network.stem, network.stages) for m in part.modules()]
    measure_norms(network, [m for m in parts if isinstance(m, ConvNorm)], images)
    return network, layout_info(info, network.arch)


def narrow(images: list[Tensor]) -> tuple[Network, ModelInfo]:
    network, info = zoo.load("litepose-pm")
    network, info = with_norms(network, info, images)
    arch = network.arch
    assert isinstance(arch, PyramidArch)
    sort_channels(network, info)
    space = Space(arch, (1.0, TAG_WIDTH / arch.tag_width), expansions=tuple(set(EXPANSIONS)))
    genes = space.largest_genes() | {"tag_width": TAG_WIDTH}
    genes |= {f"stages.{i}.expansion": e for i, e in enumerate(EXPANSIONS)}
    supernet = Supernet(network, info, space)
    small = supernet.extract(space.arch(genes))
    recalibrate(small, images)
    return small, supernet.settings(small.arch)


if __name__ == "__main__":
    main()
