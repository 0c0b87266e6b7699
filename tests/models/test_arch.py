"""Architectures: official JSON in, dict out and back, mistakes named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from litepose.core.errors import LitePoseError
from litepose.models.arch import Arch, LitePoseArch, Stage
from litepose.models.build import arch_from_dict
from litepose.models.zoo_archs import TINY, XS, L, M, P, S

OFFICIAL_XS_STAGE = {"num_blocks": 2, "stride": 2, "channel": 16, "block_setting": [[6, 7], [4, 5]]}


@pytest.mark.parametrize("arch", [XS, S, M, L, P, TINY], ids=["XS", "S", "M", "L", "P", "TINY"])
def test_dict_round_trip_through_json(arch: Arch) -> None:
    assert arch_from_dict(json.loads(json.dumps(arch.to_dict()))) == arch
    assert json.loads(json.dumps(arch.to_dict())) == arch.to_dict()


@pytest.mark.parametrize(("size", "arch"), [("XS", XS), ("S", S), ("M", M), ("L", L)])
@pytest.mark.parametrize("data", ["coco", "crowdpose"])
def test_official_json_gives_our_literal(
    shared: Path, size: str, data: str, arch: LitePoseArch
) -> None:
    layout = json.loads((shared / "reference/state_dict_layout.json").read_text())
    assert LitePoseArch.from_official_json(layout[f"{size}-{data}"]["arch"]) == arch


def test_blocks_may_differ_inside_a_stage() -> None:
    stages = [dict(OFFICIAL_XS_STAGE, stride=stride) for stride in (2, 2, 2, 1)]
    arch = LitePoseArch.from_official_json(
        {
            "img_size": 256,
            "input_channel": 16,
            "deconv_setting": [16, 24, 24],
            "backbone_setting": stages,
        }
    )
    assert arch.stages[0] == Stage(2, 16, 2, kernel=(7, 5), expansion=(6, 4))
    assert arch.stages[0].blocks == [(7, 6), (5, 4)]
    assert arch_from_dict(json.loads(json.dumps(arch.to_dict()))) == arch


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"family": "resnet"}, "unknown family"),
        ({"family": {}}, "unknown family"),
        ({"stem": None}, "is missing or misnamed"),
        ({"color": 3}, "is missing or misnamed"),
        ({"stages": [{"depth": 1}]}, "is missing or misnamed"),
        ({"stages": []}, "four stages"),
        ({"deconv": [1, 2]}, "deconv must be a tuple of 3"),
    ],
)
def test_a_wrong_dict_is_named(change: dict, message: str) -> None:
    data = XS.to_dict() | change
    if change == {"stem": None}:
        del data["stem"]
    with pytest.raises(LitePoseError, match=message):
        arch_from_dict(data)


def test_a_wrong_official_json_is_named() -> None:
    with pytest.raises(LitePoseError, match="img_size"):
        LitePoseArch.from_official_json({"input_channel": 16})


@pytest.mark.parametrize(
    "arguments",
    [(0, 16, 1), (1, 16, 3), (1, 16, 1, 4), (2, 16, 1, (7,)), (1, 16, 1, 7, 0)],
)
def test_an_impossible_stage_is_refused(arguments: tuple) -> None:
    with pytest.raises(LitePoseError):
        Stage(*arguments)


@pytest.mark.parametrize("value", [0, -1, 10**9, 1.5, "3", None, True, [], {}, [0, 0], [16], "ab"])
@pytest.mark.parametrize("base", [XS, P])
def test_fields_of_a_wrong_kind_or_zero_are_named(base, value: object) -> None:
    """Every field, also of a stage; what is a right value for one is skipped."""
    for name in base.to_dict():
        if name == "norm" and value is True:
            continue
        with pytest.raises(LitePoseError):
            arch_from_dict(base.to_dict() | {name: value})
    for name in base.to_dict()["stages"][0]:
        if (name, value) == ("expansion", 1.5):
            continue
        data = base.to_dict()
        data["stages"][0][name] = value
        with pytest.raises(LitePoseError):
            arch_from_dict(data)
