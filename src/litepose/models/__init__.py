"""Networks: one file per family, the zoo, checkpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from litepose.core.lazy import lazy

if TYPE_CHECKING:
    from litepose.models.build import build_network as build_network
    from litepose.models.checkpoint import load_checkpoint as load_checkpoint
    from litepose.models.checkpoint import save_checkpoint as save_checkpoint
    from litepose.models.official import convert_official as convert_official

_HOMES = {
    "build_network": "build",
    "convert_official": "official",
    "load_checkpoint": "checkpoint",
    "save_checkpoint": "checkpoint",
}
__all__ = sorted(_HOMES)
__getattr__ = lazy(__name__, _HOMES)
