"""Fields of a wrong kind are a sentence that names them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pytest

from litepose.core.errors import LitePoseError
from litepose.core.kinds import check_kind, check_kinds


@dataclass
class Record:
    count: int = 1
    share: float = 0.5
    on: bool = True
    name: str | None = None
    sides: tuple[int, ...] = ()
    pair: tuple[float, float] = (0, 1)
    mode: Literal["a", "b"] = "a"
    more: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        check_kinds(self)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"count": True}, "count must be a whole number; got True"),
        ({"count": 1.5}, "count must be a whole number"),
        ({"count": "1"}, r"count .* got '1' \(str\)"),
        ({"share": float("nan")}, "share must be a finite number"),
        ({"share": float("inf")}, "share must be a finite number"),
        ({"on": 1}, "on must be True or False"),
        ({"name": 3}, "name must be a text or None"),
        ({"sides": [1]}, "sides must be a tuple, each of it a whole number"),
        ({"sides": (1, "x")}, "sides must be a tuple"),
        ({"pair": (1.0,)}, "pair must be a tuple of 2"),
        ({"mode": ["a"]}, "mode must be 'a' or 'b'"),
        ({"more": [1]}, "more must be a mapping or None"),
    ],
)
def test_wrong_kinds(fields: dict, says: str) -> None:
    for kind in (TypeError, LitePoseError):
        with pytest.raises(kind, match=says):
            Record(**fields)


def test_right_kinds() -> None:
    Record(np.int64(2), np.float32(1), np.bool_(True), "x", (1, 2), (1, 2.5), "b", {})
    check_kind("size", 3, int | None)


def test_what_cannot_be_shown_is_still_a_sentence() -> None:
    class Odd:
        def __repr__(self) -> str:
            raise RuntimeError

    with pytest.raises(TypeError, match="something"):
        check_kind("size", Odd(), int)
