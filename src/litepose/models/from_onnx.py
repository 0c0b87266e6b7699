"""Load the weights of an ONNX file that we exported back into a network.

Exported weights have their batch norms folded in, bit for bit; here each norm comes back as
one that does nothing but add the folded bias, so the network can be exported or trained again.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from litepose.core.errors import LitePoseError
from litepose.core.model_info import METADATA_KEY, ModelInfo
from litepose.models.build import build_network
from litepose.models.layers import ConvNorm
from litepose.models.network import Network

if TYPE_CHECKING:
    import onnx

HALF_SUFFIX = ".half"  # of the weights' names where they are stored as float16
_PREFIX = "network."  # of the weights' names in our graphs


def load_exported(path: Path) -> tuple[Network, ModelInfo]:
    """Network in eval mode and settings.

    Raises LitePoseError where the package onnx is missing, or the file's graph was rewritten so
    that its weights are no longer the network's.
    """
    try:
        import onnx
    except ImportError:
        raise LitePoseError(
            f"taking the weights out of {path.name} needs the package onnx, not installed here:"
            " pip install 'litepose[torch]'"
        ) from None
    file = onnx.load(path, load_external_data=False)
    settings = {entry.key: entry.value for entry in file.metadata_props}
    if METADATA_KEY not in settings:
        raise LitePoseError(f"{path} has no settings of ours; get it or export it again")
    info = ModelInfo.from_json(settings[METADATA_KEY])
    weights = {
        entry.name.removeprefix(_PREFIX).removesuffix(HALF_SUFFIX): torch.tensor(
            onnx.numpy_helper.to_array(entry)
        ).float()
        for entry in file.graph.initializer
        if entry.name.startswith(_PREFIX)
    }
    network = build_network(info)
    weights = _with_norms(network, weights | _zero_biases(file.graph, network))
    if weights.keys() != network.state_dict().keys():
        odd = min(weights.keys() ^ network.state_dict().keys())
        raise LitePoseError(
            f"{path} does not hold the weights as its network has them (first {odd}); give the"
            " checkpoint it was exported from"
        )
    network.load_state_dict(weights)
    return network.eval(), info


def _zero_biases(graph: onnx.GraphProto, network: Network) -> dict[str, Tensor]:
    """Biases of convolutions that have none in the graph: the exporter leaves out zeros."""
    layers = dict(network.named_modules())
    found = {}
    for node in graph.node:
        if node.op_type != "Conv" or len(node.input) > 2:
            continue
        name = node.input[1].removeprefix(_PREFIX).removesuffix(".weight")
        layer = layers.get(name)
        folded = isinstance(layer, ConvNorm) and layer.norm is not None
        if isinstance(layer, nn.Conv2d) and (folded or layer.bias is not None):
            found[f"{name}.bias"] = torch.zeros(layer.out_channels)
    return found


def _with_norms(network: Network, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """The weights of the network, from those of the same network with its batch norms folded."""
    weights = dict(weights)
    for name, module in network.named_modules():
        if isinstance(module, ConvNorm) and module.norm is not None and f"{name}.bias" in weights:
            shift, norm = weights.pop(f"{name}.bias"), module.norm
            weights |= {
                f"{name}.norm.weight": torch.ones_like(shift),
                f"{name}.norm.bias": shift,
                f"{name}.norm.running_mean": torch.zeros_like(shift),
                f"{name}.norm.running_var": torch.full_like(shift, 1 - norm.eps),
                f"{name}.norm.num_batches_tracked": torch.tensor(0),
            }
    return weights
