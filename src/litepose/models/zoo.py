"""The models known by name: architecture, settings, origin of weights, loading.

Source: the papers' tables for XS, S, M, L (their "GMACs" count transposed convolutions too high;
ours are true counts) and HigherHRNet, P's model card. Reading this table needs no torch; `create`
and `load` do.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from litepose.core.errors import LitePoseError, did_you_mean
from litepose.core.model_info import DecodeSettings, InputRule, ModelInfo
from litepose.core.skeleton import COCO17, CROWDPOSE14, Skeleton
from litepose.models.arch import PREFIX, litepose_info
from litepose.models.higherhrnet_arch import higherhrnet_info
from litepose.models.zoo_archs import HIGHER_W32, HIGHER_W48, PM, TINY, XS, L, M, P, S

if TYPE_CHECKING:
    from litepose.models.network import Network

DEFAULT = "litepose-pm"
WEIGHTS_VARIABLE = "LITEPOSE_WEIGHTS"
_HALF = (127.5, 127.5, 127.5)

P_INFO = ModelInfo(
    name="litepose-p",
    skeleton=COCO17,
    input=InputRule(size=384, multiple=32, mean=_HALF, std=_HALF),
    strides=(4,),
    tag_stride=4,
    tag_kind="positional",
    decode=DecodeSettings(heat_threshold=0.3, tag_threshold=1.4, person_threshold=0.15),
    arch=P.to_dict(),
    target_rounding="floor",
    license="Apache-2.0 (MoveNet, and what was tuned from it); MIT (tag head)",
    source=(
        "Trunk, feature pyramid and heatmap head: MoveNet SinglePose Lightning by Google"
        " (Apache-2.0), made float again and tuned. Tag head: ours. Trained by the litepose"
        " developers on pictures of COCO 2017, LSP and LSPET."
    ),
)


PM_INFO = replace(
    P_INFO,
    name="litepose-pm",
    input=replace(P_INFO.input, views=(256, 512)),
    arch=PM.to_dict(),
    source=(
        "Trunk, feature pyramid and heatmap head: MoveNet MultiPose Lightning by Google"
        " (Apache-2.0). Tag head: ours. Trained by the litepose developers on pictures of"
        " COCO 2017."
    ),
)


@dataclass(frozen=True)
class ZooModel:
    """One named model: its settings and what is known of it.

    params: number of weights; gmacs: 1e9 multiplications at a square of its input size;
    ap: average precision and what it was measured on; weights: where they come from.
    """

    info: ModelInfo
    params: int
    gmacs: float
    ap: str
    weights: str

    @property
    def file_stem(self) -> str:
        """Name of its weight files, without `.onnx` or `.safetensors`."""
        size = self.info.name.removesuffix("-crowdpose").replace("-", "_")
        return f"{size}_{self.info.skeleton.name}"


def _published(info: ModelInfo, params: int, gmacs: float, ap: float) -> ZooModel:
    data = "COCO val2017" if info.skeleton is COCO17 else "CrowdPose test"
    return ZooModel(
        info=info,
        params=params,
        gmacs=gmacs,
        ap=f"{ap} {data}, published, with flip test",
        weights="none of ours yet; an official .pth.tar converts: litepose convert",
    )


_ALL = (
    ZooModel(
        info=PM_INFO,
        params=4_862_851,
        gmacs=2.289,
        ap="40.0 (fast 32.9, best 42.0) on 140 images of COCO val2017 with incomplete labels",
        weights="inside the package; from MoveNet MultiPose (Apache-2.0)",
    ),
    ZooModel(
        info=P_INFO,
        params=2_407_803,
        gmacs=1.135,
        ap="26.7 on 140 images of COCO val2017 with incomplete labels",
        weights="inside the package; tuned from MoveNet Lightning (Apache-2.0)",
    ),
    _published(litepose_info("xs", XS, COCO17), 1_675_912, 0.886, 40.6),
    _published(litepose_info("s", S, COCO17), 2_731_624, 3.624, 56.8),
    _published(litepose_info("m", M, COCO17), 3_534_336, 5.276, 59.8),
    _published(litepose_info("l", L, COCO17), 5_738_672, 9.979, 62.5),
    _published(litepose_info("xs", XS, CROWDPOSE14), 1_675_552, 0.883, 49.5),
    _published(litepose_info("s", S, CROWDPOSE14), 2_731_240, 3.614, 58.3),
    _published(litepose_info("m", M, CROWDPOSE14), 3_533_808, 5.264, 59.9),
    _published(litepose_info("l", L, CROWDPOSE14), 5_738_120, 9.962, 61.9),
    _published(higherhrnet_info(HIGHER_W32, COCO17), 28_645_331, 46.203, 67.1),
    _published(higherhrnet_info(HIGHER_W48, COCO17), 63_827_139, 149.469, 69.9),
    _published(higherhrnet_info(HIGHER_W48, CROWDPOSE14), 63_822_090, 149.329, 65.9),
    ZooModel(
        info=ModelInfo(
            name="litepose-tiny",
            skeleton=COCO17,
            input=InputRule(size=128, multiple=32, mean=_HALF, std=_HALF),
            strides=(4,),
            tag_kind="positional",
            decode=DecodeSettings(heat_threshold=0.3),
            arch=TINY.to_dict(),
        ),
        params=269_411,
        gmacs=0.025,
        ap="none: for smoke runs and tests",
        weights="none: trained from random weights in minutes",
    ),
)
MODELS: Mapping[str, ZooModel] = {model.info.name: model for model in _ALL}


def find_model(name: str) -> ZooModel:
    """The entry of `litepose-s`, or of `s` for short.

    Raises LitePoseError that proposes the nearest name.
    """
    plain = name.strip().lower()
    for candidate in (plain, PREFIX + plain):
        if candidate in MODELS:
            return MODELS[candidate]
    hint = did_you_mean(plain, MODELS) or did_you_mean(PREFIX + plain, MODELS)
    raise LitePoseError(f"no model {name!r}{hint} (litepose models lists all)")


def find_weights(name: str, suffix: str = ".onnx") -> Path | None:
    """Path of the weights of a model, or None; suffix `.onnx` or `.safetensors`.

    Searched in the folder that LITEPOSE_WEIGHTS names, the package, a checkout's `weights`.
    Raises LitePoseError for an unknown model.
    """
    file = find_model(name).file_stem + suffix
    package = Path(str(files("litepose")))
    folders = [package / "weights", package.parents[1] / "weights"]
    if os.environ.get(WEIGHTS_VARIABLE):
        folders.insert(0, Path(os.environ[WEIGHTS_VARIABLE]))
    return next((folder / file for folder in folders if (folder / file).is_file()), None)


def create(name: str, skeleton: Skeleton | None = None) -> tuple[Network, ModelInfo]:
    """A model of that architecture with random weights, for any skeleton. Needs torch."""
    from litepose.models.build import build_network

    info = find_model(name).info
    if skeleton is not None:
        info = replace(info, skeleton=skeleton)
    return build_network(info), info


def load(name_or_path: str | Path) -> tuple[Network, ModelInfo]:
    """Network in eval mode and settings, by name or from a file: a checkpoint, ours or
    official, or an ONNX file that we exported.

    A name without a checkpoint here takes the weights of its ONNX file, whose norms are folded.
    Raises LitePoseError where there are no weights for that name, or the file is not one of these.
    Needs torch.
    """
    from litepose.models.checkpoint import load_checkpoint
    from litepose.models.from_onnx import load_exported
    from litepose.models.official import load_official

    path = Path(name_or_path)
    if path.suffix == ".safetensors":
        return load_checkpoint(path)
    if path.suffix in (".pth", ".tar", ".pt"):
        return load_official(path)
    if path.suffix == ".onnx":
        return load_exported(path)
    model = find_model(str(name_or_path))
    found = find_weights(model.info.name, ".safetensors")
    if found is not None:
        return load_checkpoint(found)
    exported = find_weights(model.info.name, ".onnx")
    if exported is not None:
        return load_exported(exported)
    raise LitePoseError(
        f"no weights for {model.info.name} here ({model.weights}); put"
        f" {model.file_stem}.safetensors in a folder and name it in {WEIGHTS_VARIABLE}"
    )
