"""Datasets: annotation files to samples and batches; checks; synthetic people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from litepose.core.lazy import lazy

if TYPE_CHECKING:
    from litepose.data.datasets import CocoDataset as CocoDataset
    from litepose.data.layouts import find_dataset as find_dataset
    from litepose.data.synthetic import synthesize as synthesize

_HOMES = {
    "CocoDataset": "datasets",
    "find_dataset": "layouts",
    "synthesize": "synthetic",
}
__all__ = sorted(_HOMES)
__getattr__ = lazy(__name__, _HOMES)
