"""Decode network maps into people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from litepose.core.lazy import lazy

if TYPE_CHECKING:
    from litepose.decode.decoder import decode as decode
    from litepose.decode.reference import decode_reference as decode_reference

_HOMES = {
    "decode": "decoder",
    "decode_reference": "reference",
}
__all__ = sorted(_HOMES)
__getattr__ = lazy(__name__, _HOMES)
