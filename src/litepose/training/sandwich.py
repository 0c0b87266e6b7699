"""The sandwich rule: how one batch trains a supernet.

Source: Yu et al., 2019 and 2020 (BigNAS): the largest network, the smallest and a few random ones
see every batch, and the largest's heatmaps, and its tags where a teacher's are learned, are targets
of the others (in-place distillation). The official supernet trains one random architecture for each
batch, never with the last two blocks of a stage.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial

from litepose.data.sample import Batch
from litepose.models.arch import Arch
from litepose.models.space import Space
from litepose.models.supernet import Supernet
from litepose.training.config import SupernetConfig
from litepose.training.losses import Losses
from litepose.training.objective import Objective


def space_of(config: SupernetConfig, largest: Arch, sizes: Iterable[int]) -> Space:
    """The space of a configuration below a network. Raises LitePoseError where there is none."""
    return Space(
        largest=largest,
        widths=config.widths,
        fewer_blocks=config.fewer_blocks,
        kernels=config.kernels,
        expansions=config.expansions,
        sizes=tuple(sorted({*sizes}, reverse=True)),
    )


def sandwich(
    supernet: Supernet, objective: Objective, batch: Batch, config: SupernetConfig, seed: str
) -> Iterator[Losses]:
    """Losses of each sampled network, the largest first; each is to be followed by its backward
    pass, so that the graphs of all are never in memory together."""
    expected = objective.expected(batch)
    maps = objective.maps(supernet, batch)
    yield objective.losses(maps, expected)
    heatmaps = tuple(heat.detach().float().clamp(0, 1) for heat in maps.heatmaps)
    tags = None if expected.teacher_tags is None else maps.tags.detach().float()
    distilled = expected._replace(
        teacher_heatmaps=heatmaps, trusted=None, features=(), teacher_tags=tags
    )
    rule = replace(objective.config.loss, dense_weight=config.distill_weight)
    rng, space = random.Random(seed), supernet.space
    genes = [space.smallest_genes(), *(space.sample(rng) for _ in range(config.samples))]
    for chosen in genes:
        network = partial(supernet, arch=space.arch(chosen))
        yield objective.losses(objective.maps(network, batch), distilled, rule)
