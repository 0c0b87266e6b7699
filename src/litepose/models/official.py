"""Load official Lite Pose and HigherHRNet checkpoints (.pth.tar) in all their forms.

Source: FIDELITY, "the network", and the published state-dict layouts. Forms: a plain state dict;
names behind `1.` or `module.`; the nested training checkpoint. Only tensors are read, never code.
The architecture follows from the shapes, so searched subnets load as well as XS, S, M and L;
HigherHRNet's names are in higherhrnet.py.
"""

from __future__ import annotations

import pickle
import re
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
import torch
from torch import Tensor

from litepose.core.errors import LitePoseError
from litepose.core.model_info import ModelInfo
from litepose.core.read_text import check_regular
from litepose.core.skeleton import COCO17, CROWDPOSE14, Skeleton
from litepose.models import higherhrnet
from litepose.models.arch import LitePoseArch, Stage, litepose_info
from litepose.models.build import build_network
from litepose.models.checkpoint import save_checkpoint
from litepose.models.higherhrnet_arch import higherhrnet_info
from litepose.models.network import Network
from litepose.models.space import Space
from litepose.models.supernet import Supernet, save_supernet
from litepose.models.zoo_archs import HIGHER_W32, HIGHER_W48, XS, L, M, S

FIRST = "first.0.0.weight"
FIRST_HIGHER = "stage2.0.branches.0.0.conv1.weight"
STRIDES = (2, 2, 2, 1)  # not in the shapes; the same in every published network
_TRANSFORM = r"stage\.(\d+)\.(\d+)\.Linear([35])x\3\.(weight|bias)"  # of a supernet's kernels
SIZES: Mapping[str, LitePoseArch] = {"xs": XS, "s": S, "m": M, "l": L}

# Official and our beginning of a name; # is a number. Batch norms come before their convolutions.
_NAMES = (
    ("first.0.1.", "stem.conv.norm."),
    ("first.0.0.", "stem.conv."),
    ("first.1.1.", "stem.depthwise.norm."),
    ("first.1.0.", "stem.depthwise."),
    ("first.3.", "stem.project.norm."),
    ("first.2.", "stem.project."),
    ("stage.#.#.inv.1.", "stages.#.#.expand.norm."),
    ("stage.#.#.inv.0.", "stages.#.#.expand."),
    ("stage.#.#.depth_conv.1.", "stages.#.#.depthwise.norm."),
    ("stage.#.#.depth_conv.0.", "stages.#.#.depthwise."),
    ("stage.#.#.point_conv.1.", "stages.#.#.project.norm."),
    ("stage.#.#.point_conv.0.", "stages.#.#.project."),
    ("deconv_refined.#.", "head.steps.#.deep."),
    ("deconv_raw.#.", "head.steps.#.skip."),
    ("deconv_bnrelu.#.0.", "head.steps.#.norm."),
    ("final_refined.0.conv.1.", "head.coarse.deep.depthwise.norm."),
    ("final_refined.0.conv.0.", "head.coarse.deep.depthwise."),
    ("final_refined.0.conv.3.", "head.coarse.deep.project."),
    ("final_refined.1.conv.1.", "head.fine.deep.depthwise.norm."),
    ("final_refined.1.conv.0.", "head.fine.deep.depthwise."),
    ("final_refined.1.conv.3.", "head.fine.deep.project."),
    ("final_raw.0.conv.1.", "head.coarse.skip.depthwise.norm."),
    ("final_raw.0.conv.0.", "head.coarse.skip.depthwise."),
    ("final_raw.0.conv.3.", "head.coarse.skip.project."),
    ("final_raw.1.conv.1.", "head.fine.skip.depthwise.norm."),
    ("final_raw.1.conv.0.", "head.fine.skip.depthwise."),
    ("final_raw.1.conv.3.", "head.fine.skip.project."),
)


def our_name(official: str) -> str:
    """The name in our network of an official parameter; unknown ones stay as they are."""
    return _renamed(official, _NAMES)


def official_name(ours: str) -> str:
    """The inverse of `our_name`."""
    return _renamed(ours, tuple((own, official) for official, own in _NAMES))


def _renamed(name: str, beginnings: tuple[tuple[str, str], ...]) -> str:
    for source, target in beginnings:
        match = re.match(re.escape(source).replace(r"\#", r"(\d+)"), name)
        if match:
            for number in match.groups():
                target = target.replace("#", number, 1)
            return target + name[match.end() :]
    return name


def load_official(path: str | Path, skeleton: Skeleton | None = None) -> tuple[Network, ModelInfo]:
    """Network and settings of an official checkpoint, in eval mode.

    `skeleton` only where it is neither COCO's 17 nor CrowdPose's 14 keypoints.
    Raises LitePoseError for a file that is missing, damaged, holds code, or does not fit; the
    message names the first official parameter that does not.
    """
    network, info, _ = _load(path, skeleton)
    return network, info


def _load(
    path: str | Path, skeleton: Skeleton | None
) -> tuple[Network, ModelInfo, dict[str, Tensor]]:
    """Network, settings, and what belongs to a supernet alone: its kernels' transforms."""
    state = _plain_state(_read_tensors(Path(path)), path)
    transforms = {n: state.pop(n) for n in list(state) if re.match(_TRANSFORM, n)}
    higher = FIRST_HIGHER in state
    last = "final_layers.1.weight" if higher else "final_refined.1.conv.3.weight"
    keypoints = len(_tensor(state, last, path))
    skeleton = skeleton or {17: COCO17, 14: CROWDPOSE14}.get(keypoints)
    if skeleton is None or skeleton.num_keypoints != keypoints:
        wanted = f"{skeleton.name} has {skeleton.num_keypoints}" if skeleton else "name a skeleton"
        raise LitePoseError(f"{path} finds {keypoints} keypoints, neither 17 nor 14; {wanted}")
    info = _higher_info(state, skeleton, path) if higher else _info(state, skeleton, path)
    model = build_network(info)
    names = {name: higherhrnet.our_name(name) if higher else our_name(name) for name in state}
    _check_fit(state, names, model, path)
    model.load_state_dict({names[name]: tensor for name, tensor in state.items()})
    return model.eval(), info, transforms


def _info(state: Mapping[str, Tensor], skeleton: Skeleton, path: str | Path) -> ModelInfo:
    arch = _infer_arch(state, path)
    size = next((size for size, known in SIZES.items() if known == arch), "custom")
    return litepose_info(size, arch, skeleton)


def _higher_info(state: Mapping[str, Tensor], skeleton: Skeleton, path: str | Path) -> ModelInfo:
    width = _tensor(state, "final_layers.0.weight", path).shape[1]
    known = {arch.width: arch for arch in (HIGHER_W32, HIGHER_W48)}
    if width not in known:
        raise LitePoseError(f"{path} is a HigherHRNet of width {width}; W32 and W48 are known")
    return higherhrnet_info(known[width], skeleton)


def convert_official(
    source: str | Path, destination: str | Path, skeleton: Skeleton | None = None
) -> ModelInfo:
    """Official .pth.tar -> our checkpoint, or our supernet's file where it is a supernet.

    Raises LitePoseError as `load_official` does.
    """
    model, info, transforms = _load(source, skeleton)
    info = replace(info, source=f"converted from the official checkpoint {Path(source).name}")
    if transforms:
        save_supernet(destination, _supernet(model, info, transforms, source), {})
    else:
        save_checkpoint(destination, model, info)
    return info


def load_official_supernet(path: str | Path, skeleton: Skeleton | None = None) -> Supernet:
    """An official supernet, with the space that its authors searched and kernels of 5 and 3.

    Raises LitePoseError as `load_official` does, and for a file of a plain network.
    """
    model, info, transforms = _load(path, skeleton)
    if not transforms:
        raise LitePoseError(f"{path} is a plain network: no kernel transforms are in it")
    return _supernet(model, info, transforms, path)


def _supernet(
    model: Network, info: ModelInfo, transforms: dict[str, Tensor], path: str | Path
) -> Supernet:
    space = Space(model.arch, kernels=(3, 5), sizes=(256, 320, 384, 448, 512))
    supernet = Supernet(model, info, space)
    named = {}
    for name, tensor in transforms.items():
        match = re.match(_TRANSFORM, name)
        assert match is not None
        stage, block, kernel, part = match.groups()
        named[f"{stage}_{block}_{kernel}.{part}"] = tensor
    expected = {name: t.shape for name, t in supernet.transforms.state_dict().items()}
    for name in sorted(expected.keys() | named.keys()):
        got = named.get(name)
        if name not in expected or not _is_plain(got) or got.shape != expected[name]:
            raise LitePoseError(
                f"{path}: the kernel transform {name} should have shape {expected.get(name)}; got"
                f" {tuple(getattr(got, 'shape', ()))}"
            )
    supernet.transforms.load_state_dict(named)
    return supernet.eval()


def _read_tensors(path: Path) -> Any:
    """What torch.load gives for a file that holds tensors and plain values only."""
    scalar: Any = np.float64(0).__reduce__()[0]  # how pickle makes a number again, such as an AP
    numbers: list[Any] = [
        scalar,
        (scalar, "numpy.core.multiarray.scalar"),  # its name before numpy 2
        np.dtype,
        np.dtypes.Float64DType,
        np.dtypes.Float32DType,
    ]
    check_regular(path, "the checkpoint")
    try:
        with torch.serialization.safe_globals(numbers), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about pickle protocols, of no use to a user
            return torch.load(path, map_location="cpu", weights_only=True)
    except OSError as exc:
        raise LitePoseError(f"cannot read {path}: {exc}") from None
    except pickle.UnpicklingError as exc:
        if "GLOBAL" in str(exc) or "unrecognized function" in str(exc):
            raise LitePoseError(
                f"{path} holds pickled code beside its tensors and was not loaded, because code in"
                " a checkpoint runs when it is read. Save its state dict alone"
            ) from None
        raise LitePoseError(f"{path} is not a torch checkpoint") from None
    except Exception:  # unpickling raises whatever broken data lead it to
        raise LitePoseError(
            f"{path} is damaged or cut short ({path.stat().st_size} bytes), or not a torch"
            " checkpoint; get it again"
        ) from None


def _plain_state(loaded: Any, path: str | Path) -> dict[str, Tensor]:
    """The state dict inside, names without prefix."""
    if isinstance(loaded, Mapping):
        loaded = loaded.get("best_state_dict", loaded.get("state_dict", loaded))
    if not isinstance(loaded, Mapping) or not loaded:
        raise LitePoseError(f"{path} holds {type(loaded).__name__}, not a state dict")
    names = [str(name) for name in loaded]
    first = next((name for name in names if name.endswith((FIRST, FIRST_HIGHER))), None)
    if first is None:
        raise LitePoseError(
            f"{path} is no official Lite Pose or HigherHRNet checkpoint: nothing in it is called"
            f" {FIRST} or {FIRST_HIGHER}; it begins with {names[:3]}"
        )
    prefix = first.removesuffix(FIRST).removesuffix(FIRST_HIGHER)
    return {str(name).removeprefix(prefix): tensor for name, tensor in loaded.items()}


def _tensor(state: Mapping[str, Tensor], name: str, path: str | Path) -> Tensor:
    tensor = state.get(name)
    if not _is_plain(tensor) or tensor.ndim != 4:
        raise LitePoseError(f"{path}: {name} is missing or no convolution weight")
    return tensor


def _is_plain(tensor: Any) -> TypeGuard[Tensor]:
    """Whether it is a tensor of numbers one by one: not sparse, quantized, complex or empty."""
    return (
        isinstance(tensor, Tensor)
        and tensor.layout == torch.strided
        and not (tensor.is_quantized or tensor.is_complex() or tensor.is_meta)
        and 0 not in tensor.shape
    )


def _infer_arch(state: Mapping[str, Tensor], path: str | Path) -> LitePoseArch:
    """The architecture whose weights have these shapes."""
    stages = []
    inputs = stem = len(_tensor(state, "first.2.weight", path))
    for number, stride in enumerate(STRIDES):
        kernels: list[int] = []
        expansions: list[float] = []
        width = len(_tensor(state, f"stage.{number}.0.point_conv.0.weight", path))
        while f"stage.{number}.{len(kernels)}.depth_conv.0.weight" in state:
            block = f"stage.{number}.{len(kernels)}"
            depthwise = _tensor(state, f"{block}.depth_conv.0.weight", path)
            kernels.append(depthwise.shape[-1])
            expansion = len(depthwise) / (width if expansions else inputs)
            expansions.append(int(expansion) if expansion.is_integer() else expansion)
        stages.append(Stage.from_blocks(width, stride, kernels, expansions))
        inputs = width
    deconv = [_tensor(state, f"deconv_refined.{i}.weight", path).shape[1] for i in range(3)]
    size = next((a.input_size for a in SIZES.values() if a.stages == tuple(stages)), 448)
    return LitePoseArch(size, stem, tuple(stages), (deconv[0], deconv[1], deconv[2]))


def _check_fit(
    state: Mapping[str, Tensor], names: Mapping[str, str], model: Network, path: str | Path
) -> None:
    expected = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    for name, tensor in state.items():
        wanted = expected.pop(names[name], None)
        if wanted is None:
            raise LitePoseError(f"{path}: {name} has no place in {model.arch.family}")
        if not _is_plain(tensor) or tuple(tensor.shape) != wanted:
            got = tuple(getattr(tensor, "shape", ()))
            kind = "" if _is_plain(tensor) else " of another kind than plain numbers"
            raise LitePoseError(f"{path}: {name} should have shape {wanted}; got {got}{kind}")
    if expected:
        first = next(iter(expected))
        theirs = official_name if FIRST in state else higherhrnet.official_name
        first = theirs(first)
        raise LitePoseError(f"{path} misses {first} ({len(expected)} missing in all)")
