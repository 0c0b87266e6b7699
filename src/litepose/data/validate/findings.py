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
    """level: error (spoils training), warning (probably does) or note; count: how often;
    examples: ids of the first few annotations or images."""

    level: Level
    what: str
    count: int
    examples: tuple[str, ...] = ()


def finding(level: Level, what: str, where: Iterable[str]) -> list[Finding]:
    """A list of one finding for all places, empty without places."""
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
    """Values that occur more than once."""
    return [value for value, count in Counter(map(str, values)).items() if count > 1]
