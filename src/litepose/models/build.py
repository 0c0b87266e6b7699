"""FAMILIES: the known network families, and how a network is built from settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from litepose.core.errors import LitePoseError
from litepose.core.model_info import ModelInfo, TagKind
from litepose.models.arch import Arch, LitePoseArch, PyramidArch
from litepose.models.higherhrnet import HigherHRNet
from litepose.models.higherhrnet_arch import HigherHRNetArch
from litepose.models.litepose import LitePose
from litepose.models.network import Network
from litepose.models.pyramid import Pyramid
from litepose.models.space import Space


class MakeNetwork(Protocol):
    def __call__(self, arch: Any, num_keypoints: int, tag_kind: TagKind, /) -> Network: ...


class Family(NamedTuple):
    """Class of architectures, and class of networks."""

    arch: type[Arch]
    network: MakeNetwork


FAMILIES: Mapping[str, Family] = {
    LitePoseArch.family: Family(LitePoseArch, LitePose),
    PyramidArch.family: Family(PyramidArch, Pyramid),
    HigherHRNetArch.family: Family(HigherHRNetArch, HigherHRNet),
}


def find_family(arch: Mapping[str, Any]) -> Family:
    """The family of an architecture as a dict. Raises LitePoseError for an unknown one."""
    name = arch.get("family") if isinstance(arch, Mapping) else None
    if not isinstance(name, str) or name not in FAMILIES:
        raise LitePoseError(f"unknown family of networks {name!r}; known: {sorted(FAMILIES)}")
    return FAMILIES[name]


def arch_from_dict(data: Mapping[str, Any]) -> Arch:
    """The inverse of `Arch.to_dict`.

    Raises LitePoseError for an unknown family or a missing or unknown field.
    """
    return find_family(data).arch.from_dict(data)


def space_from_dict(data: Mapping[str, Any]) -> Space:
    """The inverse of `Space.to_dict`. Raises LitePoseError for a missing or unknown field."""
    if not isinstance(data, Mapping):
        raise LitePoseError(f"a space is a table of fields; got {type(data).__name__}")
    fields: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in data.items()}
    fields["largest"] = arch_from_dict(fields.get("largest", {}))
    try:
        return Space(**fields)
    except TypeError as exc:
        raise LitePoseError(f"a field of this space is missing or misnamed: {exc}") from None


def build_network(info: ModelInfo) -> Network:
    """The network that `info` describes, with random weights.

    Raises LitePoseError if `info` has no architecture, or one without its kind of tags.
    """
    if info.arch is None:
        raise LitePoseError(f"the settings of model {info.name!r} hold no architecture")
    family = find_family(info.arch)
    arch = family.arch.from_dict(info.arch)
    if info.tag_kind not in arch.tag_kinds:
        raise LitePoseError(
            f"a {arch.family} network has {' or '.join(arch.tag_kinds)} tags; got {info.tag_kind!r}"
        )
    if info.input.multiple % arch.multiple:
        raise LitePoseError(
            f"the input sides of a {arch.family} network must be multiples of {arch.multiple}; the"
            f" settings of {info.name} give multiples of {info.input.multiple}"
        )
    return family.network(arch, info.skeleton.num_keypoints, info.tag_kind)
