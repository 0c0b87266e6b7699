"""Limit: the cost that the networks of a search may not exceed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, get_args

from litepose.core.errors import LitePoseError

CostKind = Literal["macs", "params", "latency"]
_SCALES = {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9, "ms": 1.0}


@dataclass(frozen=True)
class Limit:
    """The largest cost that a candidate may have. most: MACs, weights, or milliseconds."""

    kind: CostKind
    most: float

    @classmethod
    def parse(cls, text: str) -> Limit:
        """Read a text such as macs<1.2G, params<2M, latency<30ms. Raises LitePoseError."""
        match = re.fullmatch(r"\s*([a-z]+)\s*<=?\s*([\d.]+)\s*([a-zA-Z]*)\s*", text)
        kinds = get_args(CostKind)
        try:
            if match is None or match[1] not in kinds:
                raise ValueError
            unit = match[3].lower()
            if (unit == "ms") != (match[1] == "latency" and unit != ""):
                raise ValueError
            return cls(match[1], float(match[2]) * _SCALES[unit])  # type: ignore[arg-type]
        except (ValueError, KeyError):
            raise LitePoseError(
                f"a limit is written as macs<1.2G, params<2M or latency<30ms; got {text!r:.60}"
            ) from None


def written(kind: CostKind, cost: float) -> str:
    """A cost with its unit."""
    if kind == "latency":
        return f"{cost:.2f} ms"
    return f"{cost / 1e9:.3f} GMACs" if kind == "macs" else f"{cost / 1e6:.2f} M weights"
