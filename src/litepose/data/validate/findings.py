"""Finding: one problem or remark about a dataset."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from litepose.core.console import plain

Level = Literal["error", "warning", "note"]
MOST_EXAMPLES = 5


@dataclass(frozen=True)
class Finding:
    """level: error spoils training, warning probably does, note is to know; count: how often;
    examples: ids of the first few annotations or images."""

    level: Level
    what: str
    count: int
    examples: tuple[str, ...] = ()


def finding(level: Level, what: str, where: Iterable[str]) -> list[Finding]:
    """One finding for all places it was found at; none where there are none."""
    places = list(where)
    return (
        [
            Finding(
                level,
                what,
                len(places),
                tuple(plain(place, 200) for place in places[:MOST_EXAMPLES]),
            )
        ]
        if places
        else []
    )


def repeated(values: Iterable[Any]) -> list[str]:
    """What is there more than once."""
    return [value for value, count in Counter(map(str, values)).items() if count > 1]
