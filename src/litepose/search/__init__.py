"""Search a trained supernet for the best networks within a limit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from litepose.core.lazy import lazy

if TYPE_CHECKING:
    from litepose.search.config import SearchConfig as SearchConfig
    from litepose.search.config import read_search as read_search
    from litepose.search.evolution import search as search
    from litepose.search.limit import Limit as Limit

_HOMES = {
    "Limit": "limit",
    "SearchConfig": "config",
    "read_search": "config",
    "search": "evolution",
}
__all__ = sorted(_HOMES)
__getattr__ = lazy(__name__, _HOMES)
