"""SearchConfig: every setting of a search, read from a TOML file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import NonNegativeInt, PositiveInt

from litepose.search.limit import CostKind
from litepose.training.config import Source
from litepose.training.config_file import checked, read_table
from litepose.training.section import Section


class SearchData(Section):
    """root: folder of both sources; evaluate: images that no candidate was trained on, cut from a
    training split, never the test data; calibrate: training images for the batch norms.

    images, calibration_images: numbers of these images, chosen by `seed`
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
    cost: minimized besides maximizing AP; --limit overrides it
    threads: of torch and of the timed runtime, 0 for their defaults
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


def read_search(path: str | Path, overrides: Sequence[str] = ()) -> SearchConfig:
    """A search's TOML file, changed by words such as `evaluations=50`.

    Raises LitePoseError that lists every mistake.
    """
    return checked(SearchConfig, read_table(path, overrides), str(path))
