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
        (("schema",), 3, "reads 1 and 2; a newer litepose"),
        (("input", "views"), [256, 256], "different short sides"),
        (("merge", "full_trust_px"), 0, "full_trust_px above 0"),
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
def test_damaged_settings_are_named(place, value, said) -> None:
    data = json.loads(INFO.to_json())
    at = data
    for key in place[:-1]:
        at = at[key]
    at[place[-1]] = value
    with pytest.raises(LitePoseError, match=said):
        ModelInfo.from_json(json.dumps(data))


@pytest.mark.parametrize("text", ["", "[]", "null", "{"])
def test_what_is_no_record_is_named(text) -> None:
    with pytest.raises(LitePoseError, match="settings"):
        ModelInfo.from_json(text)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("name",), {"a": 1}), (("name",), 3), (("input", "size"), 384.5),
        (("input", "size"), True),
        (("input", "mean"), "abc"), (("input", "multiple"), "64"), (("decode", "fill"), 1),
        (("decode", "heat_threshold"), float("nan")), (("decode",), []), (("merge",), "x"),
        (("strides",), 4), (("strides",), [True]), (("tag_kind",), []), (("arch",), [1]),
        (("license",), None), (("skeleton",), []), (("input",), 5),
        (("skeleton", "keypoints"), 7), (("skeleton", "oks_sigmas"), [None]),
        (("skeleton", "edges"), [["nose"]]), (("skeleton", "flip_pairs"), [[[]]]),
    ],
)  # fmt: skip
def test_fields_of_a_wrong_kind_are_named(place: tuple[str, ...], value: object) -> None:
    data = json.loads(ModelInfo("x", COCO17, InputRule(384)).to_json())
    inner = data
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    with pytest.raises(LitePoseError):
        ModelInfo.from_json(json.dumps(data))
