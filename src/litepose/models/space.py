"""Space: the architectures that a supernet holds, from its largest down.

Source: Lite Pose's search (paper, section 4.3): widths by ratio, everywhere. Ours also varies
depth, kernels and expansion, which the published sampler leaves alone, and serves every family with
stages: which other widths may vary, the architecture's class says (`Arch.elastic`).
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from litepose.core.errors import LitePoseError
from litepose.core.kinds import check_kinds
from litepose.models.arch import Arch, Stage
from litepose.models.widths import make_divisible

Genes = dict[str, Any]  # gene -> one of its choices


@dataclass(frozen=True)
class Space:
    """largest: the supernet's own architecture; every other is a part of it

    widths: shares of its channels, rounded to multiples of 8
    fewer_blocks: a stage may have up to this many blocks fewer, one at least
    kernels, expansions: of all blocks of a stage; those above the largest's own do not count, and
        its own always does
    sizes: short sides of the input; empty keeps the largest's
    """

    largest: Arch
    widths: tuple[float, ...] = (1.0, 0.75, 0.5, 0.25)
    fewer_blocks: int = 0
    kernels: tuple[int, ...] = ()
    expansions: tuple[int, ...] = ()
    sizes: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        check_kinds(self)
        if not self.largest.elastic:
            raise LitePoseError(
                f"a {self.largest.family} network has no elastic form; a supernet is made of a"
                " litepose or pyramid network"
            )
        if any(isinstance(s.kernel, tuple) or isinstance(s.expansion, tuple) for s in self.stages):
            raise LitePoseError(
                "the largest network of a space has one kernel and one expansion in each stage; got"
                f" {self.stages}"
            )
        if not self.widths or not all(0 < share <= 1 for share in self.widths):
            raise LitePoseError(f"widths are shares above 0, up to 1; got {self.widths}")
        if self.fewer_blocks < 0 or any(e < 1 for e in self.expansions):
            raise LitePoseError(
                f"fewer_blocks must be 0 or more and expansions 1 or more; got {self.fewer_blocks}"
                f" and {self.expansions}"
            )
        if any(k < 1 or k % 2 == 0 for k in self.kernels):
            raise LitePoseError(f"kernels must be odd; got {self.kernels}")
        multiple = self.largest.multiple
        if any(size < 32 or size % multiple for size in self.sizes):
            raise LitePoseError(f"sizes must be multiples of {multiple}; got {self.sizes}")

    @property
    def stages(self) -> tuple[Stage, ...]:
        stages: tuple[Stage, ...] = getattr(self.largest, "stages")  # noqa: B009 (not every Arch)
        return stages

    def genes(self) -> dict[str, tuple[Any, ...]]:
        """Each gene's choices, the largest's own first."""
        genes: dict[str, tuple[Any, ...]] = {}
        for i, stage in enumerate(self.stages):
            fewest = max(1, stage.depth - self.fewer_blocks)
            genes[f"stages.{i}.depth"] = tuple(range(stage.depth, fewest - 1, -1))
            genes[f"stages.{i}.width"] = self._widths(stage.width)
            genes[f"stages.{i}.kernel"] = _up_to(stage.kernel, self.kernels)
            genes[f"stages.{i}.expansion"] = _up_to(stage.expansion, self.expansions)
        for name in self.largest.elastic:
            value = getattr(self.largest, name)
            if isinstance(value, tuple):
                genes |= {f"{name}.{i}": self._widths(width) for i, width in enumerate(value)}
            else:
                genes[name] = self._widths(value)
        own = self.largest.input_size
        genes["input_size"] = tuple(sorted(self.sizes, reverse=True)) or (own,)
        return genes

    def arch(self, genes: Mapping[str, Any]) -> Arch:
        """The architecture of a choice for each gene. Raises LitePoseError for any other."""
        known = self.genes()
        for name, choices in known.items():
            if name not in genes or genes[name] not in choices:
                raise LitePoseError(
                    f"gene {name} of this space is one of {choices}; got {genes.get(name)!r}"
                )
        changes: dict[str, Any] = {"input_size": genes["input_size"]}
        changes["stages"] = tuple(
            Stage(
                depth=genes[f"stages.{i}.depth"],
                width=genes[f"stages.{i}.width"],
                stride=stage.stride,
                kernel=genes[f"stages.{i}.kernel"],
                expansion=genes[f"stages.{i}.expansion"],
            )
            for i, stage in enumerate(self.stages)
        )
        for name in self.largest.elastic:
            value = getattr(self.largest, name)
            if isinstance(value, tuple):
                changes[name] = tuple(genes[f"{name}.{i}"] for i in range(len(value)))
            else:
                changes[name] = genes[name]
        return replace(self.largest, **changes)

    def largest_genes(self) -> Genes:
        return {name: choices[0] for name, choices in self.genes().items()}

    def smallest_genes(self) -> Genes:
        return {name: min(choices) for name, choices in self.genes().items()}

    def sample(self, rng: random.Random) -> Genes:
        """Each gene by itself, all choices equally often."""
        return {name: rng.choice(choices) for name, choices in self.genes().items()}

    def spread(self, count: int, rng: random.Random) -> list[Genes]:
        """The largest, the smallest, and networks evenly between them: all genes of one are about
        equally far from their largest choice."""
        found = [self.largest_genes(), self.smallest_genes()]
        for i in range(1, count - 1):
            genes = {}
            for name, choices in self.genes().items():
                ordered = sorted(choices, reverse=True)
                place = i / (count - 1) * (len(ordered) - 1) + rng.uniform(-0.5, 0.5)
                genes[name] = ordered[min(max(round(place), 0), len(ordered) - 1)]
            found.append(genes)
        return found[: max(count, 2)]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types; `space_from_dict` of models/build.py reads them back."""
        rules = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "largest"}
        lists = {k: list(v) if isinstance(v, tuple) else v for k, v in rules.items()}
        return {"largest": self.largest.to_dict(), **lists}

    def _widths(self, width: int) -> tuple[int, ...]:
        shares = (make_divisible(width * share) for share in self.widths)
        return tuple(sorted({width, *(w for w in shares if w < width)}, reverse=True))


def _up_to(own: Any, choices: Sequence[Any]) -> tuple[Any, ...]:
    return tuple(sorted({own, *(c for c in choices if c < own)}, reverse=True))


def describe(arch: Arch) -> str:
    """An architecture in one line: input size, stages as depth x width, kernel and expansion."""
    stages = getattr(arch, "stages", ())
    blocks = " ".join(f"{s.depth}x{s.width}k{s.kernel}e{s.expansion:g}" for s in stages)
    others = {name: asdict(arch)[name] for name in arch.elastic}
    return f"{arch.input_size} px; {blocks}; {others}"
