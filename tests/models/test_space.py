"""Space: which architectures there are, and which are refused."""

from __future__ import annotations

import json
import random

import pytest

from litepose.core.errors import LitePoseError
from litepose.models.arch import LitePoseArch, Stage
from litepose.models.build import space_from_dict
from litepose.models.space import Space, describe
from litepose.models.zoo_archs import HIGHER_W32, PM, TINY, XS

OFFICIAL = LitePoseArch(
    512, 24, (Stage(6, 32, 2), Stage(8, 64, 2), Stage(10, 96, 2), Stage(10, 160, 1)), (64, 48, 32)
)


def test_choices_of_the_official_supernet() -> None:
    genes = Space(OFFICIAL, sizes=(256, 320, 384, 448, 512)).genes()
    assert genes["stem"] == (24, 16, 8)  # 24 * 0.75 = 18 -> 16; 12 -> 16, as nothing falls by 10 %
    assert genes["stages.0.width"] == (32, 24, 16, 8)
    assert genes["stages.3.width"] == (160, 120, 80, 40)
    assert genes["deconv.1"] == (48, 40, 24, 16)
    assert genes["stages.2.depth"] == (10,)
    assert genes["input_size"] == (512, 448, 384, 320, 256)


@pytest.mark.parametrize("largest", [OFFICIAL, XS, PM, TINY])
def test_samples_lie_between_smallest_and_largest(largest) -> None:
    space = Space(largest, fewer_blocks=2, kernels=(3, 5), expansions=(3, 4), sizes=(256,))
    genes = space.largest_genes() | {"input_size": 256}
    assert describe(space.arch(genes)).startswith("256 px; ")
    big, small = space.arch(space.largest_genes()), space.arch(space.smallest_genes())
    rng = random.Random(0)
    for _ in range(30):
        arch = space.arch(space.sample(rng))
        for least, own, most in zip(small.stages, arch.stages, big.stages, strict=True):
            assert 1 <= least.depth <= own.depth <= most.depth
            assert least.width <= own.width <= most.width
            assert least.kernel <= own.kernel <= most.kernel
        assert arch.multiple == largest.multiple


def test_through_json() -> None:
    space = Space(PM, widths=(1.0, 0.5), fewer_blocks=1, expansions=(3,), sizes=(256, 512))
    assert space_from_dict(json.loads(json.dumps(space.to_dict()))) == space


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"widths": ()}, "widths are shares"),
        ({"widths": (1.5,)}, "widths are shares"),
        ({"fewer_blocks": -1}, "fewer_blocks"),
        ({"kernels": (4,)}, "kernels must be odd"),
        ({"expansions": (0,)}, "expansions"),
        ({"sizes": (250,)}, "multiples of 16"),
    ],
)
def test_refused(changes: dict, says: str) -> None:
    with pytest.raises(LitePoseError, match=says):
        Space(OFFICIAL, **changes)


def test_family_without_elastic_widths_is_refused() -> None:
    with pytest.raises(LitePoseError, match="no elastic form"):
        Space(HIGHER_W32)


def test_blocks_of_several_kinds_are_refused() -> None:
    mixed = LitePoseArch(
        64,
        16,
        (Stage(2, 16, 2, kernel=(7, 5)), Stage(1, 16, 2), Stage(1, 16, 2), Stage(1, 16, 1)),
        (16, 16, 16),
    )
    with pytest.raises(LitePoseError, match="one kernel and one expansion"):
        Space(mixed)


def test_other_genes_are_refused() -> None:
    space = Space(OFFICIAL)
    with pytest.raises(LitePoseError, match=r"gene stem .* got 20"):
        space.arch(space.largest_genes() | {"stem": 20})


def test_damaged_text() -> None:
    with pytest.raises(LitePoseError, match="is missing or misnamed"):
        space_from_dict({"largest": OFFICIAL.to_dict(), "shares": [1]})
    with pytest.raises(LitePoseError, match="a space is a table of fields; got str"):
        space_from_dict("wide")


def test_networks_spread_from_the_largest_to_the_smallest() -> None:
    space = Space(PM, widths=(1.0, 0.75, 0.5), fewer_blocks=1, kernels=(3,), expansions=(3, 4))
    found = space.spread(9, random.Random(0))
    assert found[:2] == [space.largest_genes(), space.smallest_genes()] and len(found) == 9
    choices = space.genes()
    assert all(one[name] in choices[name] for one in found for name in choices)
    sizes = [sum(list(choices[name]).index(one[name]) for name in choices) for one in found[2:]]
    assert sizes == sorted(sizes) and sizes[0] < sizes[-1] / 2, "from large to small"
    assert len(space.spread(1, random.Random(0))) == 2
