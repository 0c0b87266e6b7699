"""SearchConfig: every setting of a search; and the limit that its networks must keep to."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, get_args

from pydantic import NonNegativeInt, PositiveInt

from litepose.core.errors import LitePoseError
from litepose.training.config import Source
from litepose.training.section import Section

CostKind = Literal["macs", "params", "latency"]
_SCALES = {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9, "ms": 1.0}


class SearchData(Section):
    """root: folder of both sources; evaluate: images that no candidate was trained on, cut from a
    training split, never the test data; calibrate: training images for the batch norms.

    images, calibration_images: how many of each, the first ones after shuffling with `seed`
    """

    root: str = ""
    evaluate: Source
    calibrate: Source
    images: PositiveInt = 100
    calibration_images: PositiveInt = 64


class SearchConfig(Section):
    """One search.

    supernet: a file that training with a [supernet] section wrote
    evaluations: candidates whose AP is measured, all processes together
    sampler: evolution (NSGA-II), or random for comparison
    cost: what is traded for AP; --limit sets another
    threads: of torch and of the runtime whose latency counts, 0 leaves their choice
    """

    output: str
    supernet: str
    seed: NonNegativeInt = 0
    evaluations: PositiveInt = 200
    population: PositiveInt = 24
    sampler: Literal["evolution", "random"] = "evolution"
    cost: CostKind = "macs"
    batch_size: PositiveInt = 16
    threads: NonNegativeInt = 0
    data: SearchData


@dataclass(frozen=True)
class Limit:
    """A candidate's cost must lie below `most`: MACs, weights, or milliseconds."""

    kind: CostKind
    most: float

    @classmethod
    def parse(cls, text: str) -> Limit:
        """Of a text such as macs<1.2G, params<2M, latency<30ms. Raises LitePoseError."""
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
