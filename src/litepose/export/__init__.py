"""Export a network: one deployable file per format."""

from __future__ import annotations

from typing import TYPE_CHECKING

from litepose.core.lazy import lazy

if TYPE_CHECKING:
    from litepose.export.export import ExportRequest as ExportRequest
    from litepose.export.export import export_model as export_model

_HOMES = {
    "ExportRequest": "export",
    "export_model": "export",
}
__all__ = sorted(_HOMES)
__getattr__ = lazy(__name__, _HOMES)
