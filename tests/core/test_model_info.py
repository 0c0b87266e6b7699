"""ModelInfo: its JSON comes back, and damaged settings are told in a sentence."""

from __future__ import annotations

import json

import pytest

from litepose.core.errors import LitePoseError
from litepose.core.model_info import DecodeSettings, InputRule, ModelInfo
from litepose.core.skeleton import COCO17, Skeleton

INFO = ModelInfo(
    "x", COCO17, InputRule(256, 32), (4,), 4, "positional", DecodeSettings(0.3), {"family": "f"}
)


def test_json_comes_back_for_known_and_own_skeletons() -> None:
    assert ModelInfo.from_json(INFO.to_json()) == INFO
    pair = Skeleton("pair", ("left_end", "right_end"), (), (0.1, 0.1))
    own = ModelInfo("y", pair, InputRule(64))
    assert ModelInfo.from_json(own.to_json()) == own
    assert own.with_input_size(128).input.size == 128


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        (("schema",), 2, "schema 1"),
        (("color",), "red", "unknown fields.*color"),
        (("strides",), [0], "strides"),
        (("tag_stride",), "x", "tag_stride"),
        (("tag_kind",), "magic", "magic"),
        (("input", "mean"), ["a", "b", "c"], "wrong kind"),
        (("input", "std"), [1, 0, 1], "above 0"),
        (("input", "size"), 3, "size of 32"),
        (("decode", "heat_threshold"), -1, "heat_threshold"),
        (("decode", "max_candidates"), 0, "max_candidates"),
        (("skeleton",), "octopus", "octopus"),
    ],
)
def test_damaged_settings_are_told(place, value, said) -> None:
    data = json.loads(INFO.to_json())
    at = data
    for key in place[:-1]:
        at = at[key]
    at[place[-1]] = value
    with pytest.raises(LitePoseError, match=said):
        ModelInfo.from_json(json.dumps(data))


@pytest.mark.parametrize("text", ["", "[]", "null", "{"])
def test_what_is_no_record_is_told(text) -> None:
    with pytest.raises(LitePoseError, match="settings"):
        ModelInfo.from_json(text)
