"""Train networks: configuration and datasets to a checkpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING

from litepose.core.lazy import lazy

if TYPE_CHECKING:
    from litepose.training.config import TrainConfig as TrainConfig
    from litepose.training.config_file import read_config as read_config
    from litepose.training.trainer import train as train

_HOMES = {
    "TrainConfig": "config",
    "read_config": "config_file",
    "train": "trainer",
}
__all__ = sorted(_HOMES)
__getattr__ = lazy(__name__, _HOMES)
